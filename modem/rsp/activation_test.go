package rsp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/rsp"
)

func TestParseActivationCode(t *testing.T) {
	for _, c := range []struct {
		in, address, id, oid string
		confirm              bool
	}{
		// The examples of SGP.22 section 4.1.
		{"LPA:1$SMDP.GSMA.COM$04386-AGYFT-A74Y8-3F815", "SMDP.GSMA.COM", "04386-AGYFT-A74Y8-3F815", "", false},
		{"LPA:1$SMDP.GSMA.COM$04386-AGYFT-A74Y8-3F815$$1", "SMDP.GSMA.COM", "04386-AGYFT-A74Y8-3F815", "", true},
		{"LPA:1$SMDP.GSMA.COM$04386-AGYFT-A74Y8-3F815$1.3.6.1.4.1.31746$1", "SMDP.GSMA.COM", "04386-AGYFT-A74Y8-3F815", "1.3.6.1.4.1.31746", true},
		{"LPA:1$SMDP.GSMA.COM$04386-AGYFT-A74Y8-3F815$1.3.6.1.4.1.31746", "SMDP.GSMA.COM", "04386-AGYFT-A74Y8-3F815", "1.3.6.1.4.1.31746", false},
		{"LPA:1$SMDP.GSMA.COM$$1.3.6.1.4.1.31746", "SMDP.GSMA.COM", "", "1.3.6.1.4.1.31746", false},
		{"LPA:1$localhost:8443$TS48v7_SAIP2.3_NoBERTLV", "localhost:8443", "TS48v7_SAIP2.3_NoBERTLV", "", false},
		{"LPA:1$127.0.0.1:8443$A", "127.0.0.1:8443", "A", "", false},
		{"LPA:1$[::1]:8443$A", "[::1]:8443", "A", "", false},
		{"LPA:1$a.b$", "a.b", "", "", false},
	} {
		a, err := rsp.ParseActivationCode(c.in)
		if err != nil || a.Address != c.address || a.MatchingID.Reveal() != c.id || a.OID != c.oid || a.ConfirmationRequired != c.confirm {
			t.Errorf("%s: %q %q %q %v, %v", c.in, a.Address, a.MatchingID.Reveal(), a.OID, a.ConfirmationRequired, err)
		}
		if a.Reveal() != c.in {
			t.Errorf("%s came back as %s", c.in, a.Reveal())
		}
	}
}

// Codes as people type them and as lists have them.
func TestActivationCodeVariants(t *testing.T) {
	for in, want := range map[string]string{
		"1$a.b$ABC-1":               "LPA:1$a.b$ABC-1",
		"lpa:1$a.b$ABC-1":           "LPA:1$a.b$ABC-1",
		"LPA:1$a.b$ABC-1$":          "LPA:1$a.b$ABC-1",
		"LPA:1$a.b$ABC-1$$":         "LPA:1$a.b$ABC-1",
		"LPA:1$a.b$ABC-1$$0":        "LPA:1$a.b$ABC-1",
		"LPA:1$a.b$ABC-1$$1$":       "LPA:1$a.b$ABC-1$$1",
		"1$a.b$ABC-1$2.999.10$1$$0": "LPA:1$a.b$ABC-1$2.999.10$1",
	} {
		a, err := rsp.ParseActivationCode(in)
		if err != nil || a.Reveal() != want {
			t.Errorf("%s: %s, %v", in, a.Reveal(), err)
		}
	}
}

func TestActivationCodeRefusals(t *testing.T) {
	const canary = "CANARY-9f3a"
	for _, in := range []string{
		"", "LPA:", "LPA:LPA:1$a.b$" + canary, "LPA1$a.b$" + canary, "LPA:2$a.b$" + canary, "LPA:1$$" + canary, "LPA:1$a.b", "LPA:1$a b$" + canary,
		"LPA:1$a.b:0$" + canary, "LPA:1$a.b:99999$" + canary, "LPA:1$a.b:$" + canary, "LPA:1$-a.b$" + canary, "LPA:1$https://a.b$" + canary,
		"LPA:1$a.b/x$" + canary, "LPA:1$a.b$" + canary + "$x", "LPA:1$a.b$" + canary + "$$2", "LPA:1$a.b$" + canary + " ",
		"LPA:1$a.b$" + canary + "\n", "LPA:1$a.b$" + canary + "$1.2$1$zz", "LPA:1$a.b$" + canary + "$1$2$3$4$5$6", "LPA:1$user@a.b$" + canary,
		"LPA:1$a.b$" + canary + strings.Repeat("x", 250), " LPA:1$a.b$" + canary,
	} {
		_, err := rsp.ParseActivationCode(in)
		if !errors.Is(err, rsp.ErrActivationCode) {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the code is in the error: %v", in, err)
		}
	}
}

func TestSecretsShowNothing(t *testing.T) {
	const canary = "CANARY-9f3a"
	a, err := rsp.ParseActivationCode("LPA:1$a.b$" + canary)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(map[string]any{"code": a, "id": a.MatchingID})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&all, verb+verb+verb+"\n", a, a.MatchingID, &a)
	}
	all.Write(encoded)
	all.WriteString(a.String())
	text := all.String()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(text, form) {
			t.Errorf("shown: %s", text)
		}
	}
}

func TestActivationCodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rsp.ActivationCode{
			Address:              rapid.StringMatching(`[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,3}(:[1-9][0-9]{0,3})?`).Draw(t, "address"),
			MatchingID:           rsp.Secret(rapid.StringMatching(`[0-9A-Z-]{0,40}`).Draw(t, "id")),
			OID:                  rapid.SampledFrom([]string{"", "2.999.10"}).Draw(t, "oid"),
			ConfirmationRequired: rapid.Bool().Draw(t, "confirm"),
			CIPKID:               rapid.SampledFrom([]string{"", "ABCD"}).Draw(t, "pkid"),
		}
		got, err := rsp.ParseActivationCode(a.Reveal())
		if err != nil || got != a {
			t.Fatalf("%s became %s, %v", a.Reveal(), got.Reveal(), err)
		}
	})
}

func FuzzParseActivationCode(f *testing.F) {
	f.Add("LPA:1$SMDP.GSMA.COM$04386-AGYFT-A74Y8-3F815$1.3.6.1.4.1.31746$1")
	f.Add("LPA:1$[::1]:1$$$1")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := rsp.ParseActivationCode(s)
		if err != nil {
			if !errors.Is(err, rsp.ErrActivationCode) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		if again, err := rsp.ParseActivationCode(a.Reveal()); err != nil || again != a {
			t.Fatalf("%q does not come back: %v", s, err)
		}
	})
}

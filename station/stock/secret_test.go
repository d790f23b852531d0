package stock_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"linefit/station/stock"
)

const canary = "CANARY-7F3A9-MATCHING"

func TestSecretShowsItselfNowhere(t *testing.T) {
	type holder struct {
		Public stock.Secret
		hidden stock.Secret
		list   []stock.Secret
		ptr    *stock.Secret
		byName map[string]stock.Secret
	}
	s := stock.NewSecret([]byte(canary))
	h := holder{Public: s, hidden: s, list: []stock.Secret{s}, ptr: &s, byName: map[string]stock.Secret{"a": s}}
	a, err := stock.ParseActivationCode("LPA:1$smdp.example.com$" + canary)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{s, &s, h, &h, a, &a, fmt.Errorf("wrapped: %v %w", s, errors.New("x"))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			shown := fmt.Sprintf(verb, v)
			leaks(t, verb, shown)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		leaks(t, "json", string(b))
		var out bytes.Buffer
		log := zerolog.New(&out)
		log.Info().Interface("v", v).Any("w", v).Stringer("s", s).Msgf("%v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		leaks(t, "loggers", out.String())
	}
	if s.RevealText() != canary || s.Len() != len(canary) || s.Empty() {
		t.Error("the secret itself is lost")
	}
	if z := (stock.Secret{}); !z.Empty() || z.Reveal() != nil || fmt.Sprint(z) != "" {
		t.Error("the zero secret is not empty")
	}
}

func leaks(t *testing.T, where, text string) {
	t.Helper()
	for _, c := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(text, c) {
			t.Errorf("%s shows the secret: %s", where, text)
		}
	}
}

func TestActivationCodes(t *testing.T) {
	for _, c := range []struct {
		text, smdp, id, oid string
		confirm             bool
	}{
		{"LPA:1$smdp.example.com$ABC-123", "smdp.example.com", "ABC-123", "", false},
		{"1$SMDP.Example.com$ABC-123", "smdp.example.com", "ABC-123", "", false},
		{" lpa:1$127.0.0.1:8443$x ", "127.0.0.1:8443", "x", "", false},
		{"LPA:1$a.b$T$1.3.6.1.4.1.31746$1", "a.b", "T", "1.3.6.1.4.1.31746", true},
		{"LPA:1$a.b$T$$1", "a.b", "T", "", true},
		{"LPA:1$a.b$T$$", "a.b", "T", "", false},
		{"LPA:1$a.b$", "a.b", "", "", false},
		{"LPA:1$a.b$T$$1$$1", "a.b", "T", "", true},
	} {
		a, err := stock.ParseActivationCode(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if a.SMDP != c.smdp || a.MatchingID.RevealText() != c.id || a.OID != c.oid || a.NeedsConfirmation != c.confirm {
			t.Errorf("%q: %+v", c.text, a)
		}
		again, err := stock.ParseActivationCode(a.Text.RevealText())
		if err != nil || again.SMDP != a.SMDP || again.MatchingID.RevealText() != c.id {
			t.Errorf("%q: its own text is another code: %v", c.text, err)
		}
	}
	for _, bad := range []string{
		"", "LPA:", "LPA:2$a.b$" + canary, "LPA:1$a.b", "LPA:1$$" + canary, "LPA:1$a b$" + canary, "LPA:1$a..b$" + canary,
		"LPA:1$a.b:99999$" + canary, "LPA:1$a.b$" + canary + "$x", "LPA:1$a.b$" + canary + "$$7", "LPA:1$a.b$" + canary + "é",
		"LPA:1$a.b$" + canary + strings.Repeat("x", 255), "LPA:1$a.b$1$2$1$4$5$6$7" + canary, "LPA:1$-a.b$" + canary, canary,
	} {
		_, err := stock.ParseActivationCode(bad)
		if !errors.Is(err, stock.ErrCode) {
			t.Errorf("%q: %v", bad, err)
			continue
		}
		leaks(t, "error", err.Error())
	}
}

func FuzzActivationCode(f *testing.F) {
	f.Add("LPA:1$smdp.example.com$ABC-123$1.2.3$1")
	f.Add("1$a$")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := stock.ParseActivationCode(text)
		if err != nil {
			if !errors.Is(err, stock.ErrCode) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		b, err := stock.ParseActivationCode(a.Text.RevealText())
		if err != nil || b.SMDP != a.SMDP || b.MatchingID.RevealText() != a.MatchingID.RevealText() || b.NeedsConfirmation != a.NeedsConfirmation {
			t.Fatalf("%q is not stable: %v", text, err)
		}
	})
}

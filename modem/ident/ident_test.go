package ident_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/ident"
)

func TestParseEID(t *testing.T) {
	for _, c := range []struct {
		in  string
		err error
	}{
		{"89049032123451234512345678901235", nil},
		{"89049032123451234512345678901236", ident.ErrCheckDigit},
		{"89049032123451234512345678901253", ident.ErrCheckDigit},
		{"8904903212345123451234567890123", ident.ErrLength},
		{"8904903212345123451234567890123F", ident.ErrDigit},
		{"", ident.ErrLength},
	} {
		e, err := ident.ParseEID(c.in)
		if !errors.Is(err, c.err) {
			t.Errorf("%q: %v, want %v", c.in, err, c.err)
		}
		if err == nil {
			back, err := ident.EIDFromBytes(e.Bytes())
			if err != nil || back != e || e.EUM() != "89049032" {
				t.Errorf("%q became %q, EUM %q, %v", e, back, e.EUM(), err)
			}
		}
	}
}

func TestEIDWithCheckIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.StringMatching(`[0-9]{30}`).Draw(t, "body")
		e, err := ident.EIDWithCheck(body)
		if err != nil || !strings.HasPrefix(string(e), body) {
			t.Fatalf("%q, %v", e, err)
		}
	})
}

func TestParseICCID(t *testing.T) {
	for _, c := range []struct {
		in, want string
		err      error
		luhn     bool
	}{
		{"8949449999999990049", "8949449999999990049", nil, false},
		{"89000123456789012341", "89000123456789012341", nil, true},
		{"8988211000000123458F", "8988211000000123458", nil, false},
		{"898821100", "", ident.ErrLength, false},
		{"89882110000001234A8", "", ident.ErrDigit, false},
	} {
		got, err := ident.ParseICCID(c.in)
		if !errors.Is(err, c.err) || string(got) != c.want {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
		if c.luhn && !got.LuhnValid() {
			t.Errorf("%q: check digit refused", got)
		}
	}
}

func TestICCIDBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9]{18,20}`).Draw(t, "iccid")
		i, err := ident.ParseICCID(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ident.ICCIDFromBytes(i.Bytes()); err != nil || back != i {
			t.Fatalf("%q became %q, %v", i, back, err)
		}
	})
	if got, err := ident.ICCIDFromBytes([]byte{0x98, 0x00, 0xF1, 0x32, 0x54, 0x76, 0x98, 0x10, 0x32, 0x14}); !errors.Is(err, ident.ErrDigit) {
		t.Errorf("a digit behind padding: %q, %v", got, err)
	}
}

func TestParseIMEI(t *testing.T) {
	if _, err := ident.ParseIMEI("490154203237518"); err != nil {
		t.Error(err)
	}
	if _, err := ident.ParseIMEI("490154203237519"); !errors.Is(err, ident.ErrCheckDigit) {
		t.Error(err)
	}
	i, err := ident.IMEIWithCheck("35674108123456")
	if err != nil || i.TAC() != "35674108" {
		t.Fatalf("%q, %v", i, err)
	}
	if got := hex.EncodeToString(i.DeviceTAC()); got != "53761480" {
		t.Errorf("TAC is %s", got)
	}
	if got := hex.EncodeToString(i.DeviceIMEI()); got != "53761480214365"+fmt.Sprintf("%cf", i[14]) {
		t.Errorf("IMEI is %s", got)
	}
}

func TestIMSIRedactsItself(t *testing.T) {
	i, err := ident.ParseIMSI("262019876543210")
	if err != nil {
		t.Fatal(err)
	}
	j, _ := json.Marshal(map[string]any{"imsi": i})
	for _, out := range []string{fmt.Sprint(i), fmt.Sprintf("%v %+v %#v %s %q", i, i, i, i, i), string(j)} {
		if strings.Contains(out, "9876") {
			t.Errorf("in clear: %s", out)
		}
	}
	if i.Reveal() != "262019876543210" {
		t.Error("Reveal")
	}
	if _, err := ident.ParseIMSI("26201987654321x"); err == nil || strings.Contains(err.Error(), "9876") {
		t.Errorf("error shows the value: %v", err)
	}
}

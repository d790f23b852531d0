package station_test

import (
	"errors"
	"strings"
	"testing"

	"linefit/station"
)

func TestParseBarcode(t *testing.T) {
	for _, c := range []struct {
		in   string
		want station.Barcode
	}{
		{"SN-0001", station.Barcode{Unit: "SN-0001"}},
		{" SN-0001\r\n", station.Barcode{Unit: "SN-0001"}},
		{"SN=X1;IMEI=490154203237518;EID=89049032123451234512345678901235", station.Barcode{Unit: "X1",
			Expect: station.Expect{Source: "label", IMEI: "490154203237518", EID: "89049032123451234512345678901235"}}},
		{"X1;EID=89049032123451234512345678901235", station.Barcode{Unit: "X1", Expect: station.Expect{Source: "label", EID: "89049032123451234512345678901235"}}},
		{"LF:SLOT:7", station.Barcode{Verb: "SLOT", Arg: "7", Slot: 7}},
		{"LF:ABORT", station.Barcode{Verb: "ABORT"}},
		{"LF:HALT", station.Barcode{Verb: "HALT"}},
		{"lf:halt", station.Barcode{Verb: "HALT"}}, // a scanner's Caps Lock must not stand in the way of an emergency stop
		{"lf:slot:7", station.Barcode{Verb: "SLOT", Arg: "7", Slot: 7}},
		{"lf:lang:ZH", station.Barcode{Verb: "LANG", Arg: "zh"}},
		{"LF:BIN:rework", station.Barcode{Verb: "BIN", Arg: "rework"}},
	} {
		if got, err := station.ParseBarcode(c.in); err != nil || got != c.want {
			t.Errorf("%q: %+v, %v", c.in, got, err)
		}
	}
	for _, bad := range []string{
		"", " ", "LF:", "LF:SLOT", "LF:SLOT:0", "LF:SLOT:65", "LF:SLOT:x", "LF:HALT:1", "LF:BIN", "LF:NOPE", "IMEI=490154203237518",
		"X1;IMEI=490154203237519", "X1;EID=1", "X1;FOO=1", "X1;IMEI=490154203237518;IMEI=490154203237518", "X 1", "X1;X2",
		"LPA:1$smdp.example$TOKEN", "lpa:1$smdp.example$TOKEN", strings.Repeat("A", 65), strings.Repeat("A", 10_000),
	} {
		_, err := station.ParseBarcode(bad)
		var refusal *station.Refusal
		if !errors.As(err, &refusal) || strings.Contains(err.Error(), "TOKEN") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseBarcode(f *testing.F) {
	f.Add("SN=X1;IMEI=490154203237518")
	f.Add("LF:SLOT:7")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := station.ParseBarcode(s)
		if err == nil && (b.Verb == "") == (b.Unit == "") {
			t.Fatalf("%+v", b)
		}
	})
}

package modem

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/atcmd"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
)

// An ICCID survives every form in which modules print it.
func TestICCIDForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := ident.ICCID("89" + rapid.StringMatching(`[0-9]{16,18}`).Draw(t, "iccid"))
		digits := string(want)
		hex := strings.ToUpper(hexOf(want.Bytes()))
		for form, text := range map[string]string{
			"plain": digits, "quoted": `"` + digits + `"`, "padded": digits + strings.Repeat("F", 20-len(digits)),
			"two fields": `"` + digits + `","0"`,
		} {
			if got, err := iccidFromText(text); err != nil || got != want {
				t.Errorf("%s %q: %q, %v", form, text, got, err)
			}
		}
		for form, text := range map[string]string{
			"quoted": `144,0,"` + hex + `"`, "bare": "144,0," + hex, "lower": "144,0," + strings.ToLower(hex), "more waiting": `145,8,"` + hex + `"`,
		} {
			if got, err := iccidFromCRSM(text); err != nil || got != want {
				t.Errorf("CRSM %s %q: %q, %v", form, text, got, err)
			}
		}
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"144,0,\"98103254769810325476\"", "106,134", "144,0", "89012345678901234567F", "+CGSN: \"867698040000013\"", "READY", "SIM PIN", "1,0",
		"Quectel", "+CREG: 1", "\"\"", "144,0,\"9\"", ",,,", "F", "Manufacturer: X",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		check := func(what string, value string, err error) {
			if err != nil && !errors.Is(err, ErrAnswer) {
				t.Errorf("%s: an error without its kind: %v", what, err)
			}
			if err == nil && value == "" {
				t.Errorf("%s: empty and no error", what)
			}
		}
		iccid, err := iccidFromText(line)
		check("ICCID", string(iccid), err)
		iccid, err = iccidFromCRSM(line)
		check("CRSM", string(iccid), err)
		imei, err := parseIMEI(atcmd.Response{Lines: []string{line}})
		check("IMEI", string(imei), err)
		status, err := simStatus(atcmd.Response{Lines: []string{line}}, nil)
		check("CPIN", string(status.State), err)
		if looksLikeName(line) && len(line) > 128 {
			t.Error("a name without bounds")
		}
	})
}

func TestNamesHaveAShape(t *testing.T) {
	for line, want := range map[string]bool{
		"Quectel": true, "u-blox": true, "EG25": true, "25.30.244": true, "SWIX55C_01.07.04.00 r10101 JENKINS 2021/05/20 00:00:00": true,
		"+CREG: 1": false, "^SYSSTART:": false, "*ATREADY: 1": false, "#QSS: 1": false, "%XSIM: 1": false, "AT+CGMI": false, "": false, ">": false,
		"--": false, strings.Repeat("x", 129): false,
	} {
		if looksLikeName(line) != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
}

func FuzzQuirkFile(f *testing.F) {
	schema := strictyaml.Compile("quirks.schema.json", quirkSchema)
	f.Add([]byte("entries: [{name: a, match: {maker: [x]}, quirks: {line: {gap: 20ms}}}]"))
	f.Add([]byte("entries:\n- name: a\n  match: {}\n  quirks: {boot: {limit: 1s}, urcs: [RDY]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := readEntries(schema, "f.yaml", data)
		var problems strictyaml.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Errorf("a mistake without its place: %v", err)
		}
		for _, e := range entries {
			if _, err := (&Quirks{}).overlay(e); err != nil {
				t.Errorf("an accepted entry cannot be applied: %v", err)
			}
		}
	})
}

// The shipped table is read without a look for mistakes: here they are looked
// for, and both ways of reading give the same table.
func TestShippedTableHasNoMistakes(t *testing.T) {
	checked, err := loadChecked([]fs.FS{Shipped()})
	if err != nil {
		t.Fatal(err)
	}
	quick, err := LoadQuirks()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(quick.Names(), checked.Names()) || !slices.Equal(quick.allURCs, checked.allURCs) {
		t.Errorf("%v %v\n%v %v", quick.Names(), checked.Names(), quick.allURCs, checked.allURCs)
	}
	for _, name := range checked.Names() {
		want, err := checked.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := quick.Named(name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

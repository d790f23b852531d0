package smdpsim_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/wire"
)

// vectorDir is the folder of the independent test vectors that lie beside the
// project.
func vectorDir() string {
	if dir := os.Getenv("LINEFIT_VECTORS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "shared", "vectors")
}

func ts48(t testing.TB) map[string][]byte {
	t.Helper()
	files := publishedProfiles(t)
	if len(files) == 0 {
		t.Skip("independent test vectors are not here: no TS.48 profiles")
	}
	return files
}

// publishedProfiles are the TS.48 profiles beside the project, none where they are absent.
func publishedProfiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(vectorDir(), "ts48", "*.der"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = b
	}
	return files
}

const (
	testICCID = ident.ICCID("8988211000000123458")
	testIMSI  = ident.IMSI("001010123456789")
)

func TestParsePublishedPackages(t *testing.T) {
	for name, der := range ts48(t) {
		info, err := smdpsim.ParsePackage(der)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !info.ICCID.LuhnValid() || info.Type == "" || info.Major != 2 && info.Major != 1 {
			t.Errorf("%s: %+v", name, info)
		}
		out, err := smdpsim.RewriteICCID(der, testICCID)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := smdpsim.ParsePackage(out)
		if err != nil || again.ICCID != testICCID || len(out) != len(der) {
			t.Errorf("%s rewritten: %+v, %v", name, again, err)
		}
		if !bytes.Contains(out, testICCID.Bytes()) || bytes.Contains(out, info.ICCID.Bytes()) {
			t.Errorf("%s: EF.ICCID was not rewritten", name)
		}
		if info.ICCID.Bytes() == nil || !bytes.Contains(der, info.ICCID.Bytes()) {
			t.Errorf("%s was changed in place", name)
		}
	}
}

func TestGenericProfile(t *testing.T) {
	for _, size := range []int{0, 1, 6_000, 8_192, smdpsim.GenericSize, 30_000, 65_536, 200_000} {
		der, err := smdpsim.GenericProfile(testICCID, testIMSI, "linefit generic", size)
		if err != nil {
			t.Fatal(err)
		}
		want := size
		if size == 0 {
			want = smdpsim.GenericSize
		}
		if (len(der) > want || len(der) <= want-48) && size != 1 {
			t.Errorf("size %d gave %d bytes", size, len(der))
		}
		info, err := smdpsim.ParsePackage(der)
		if err != nil || info.ICCID != testICCID || info.Type != "linefit generic" || info.Major != 2 {
			t.Errorf("%+v, %v", info, err)
		}
		// EF.ICCID, and EF.IMSI as TS.48 has it for the same IMSI
		if !bytes.Contains(der, testICCID.Bytes()) || !bytes.Contains(der, []byte{0x08, 0x09, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98}) {
			t.Error("EF.ICCID or EF.IMSI is not there")
		}
		if size != 1 && !bytes.Contains(der, []byte{0x80, 0x02, 0x7F, 0x66, 0x62}) {
			t.Error("the operator's files are not in their folder")
		}
		again, err := smdpsim.GenericProfile(testICCID, testIMSI, "linefit generic", size)
		if err != nil || !bytes.Equal(der, again) {
			t.Errorf("the second package differs, %v", err)
		}
	}
	for _, g := range []smdpsim.Generic{
		{ICCID: "1", IMSI: testIMSI, Name: "x"},
		{ICCID: testICCID, IMSI: "12345", Name: "x"},
		{ICCID: testICCID, IMSI: "12345678901234x", Name: "x"},
		{ICCID: testICCID, IMSI: testIMSI},
		{ICCID: testICCID, IMSI: testIMSI, Name: strings.Repeat("x", 101)},
		{ICCID: testICCID, IMSI: testIMSI, Name: "x", Size: -1},
		{ICCID: testICCID, IMSI: testIMSI, Name: "x", Size: smdpsim.MaxPackage + 1},
	} {
		if _, err := g.Package(); !errors.Is(err, smdpsim.ErrGeneric) || strings.Contains(err.Error(), "12345678901234") {
			t.Errorf("%+v: %v", g, err)
		}
	}
}

// Every size is met to within what is too little for one more file.
func TestGenericProfileSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(4_500, 20_000).Draw(t, "size")
		der, err := smdpsim.GenericProfile(testICCID, testIMSI, "x", size)
		if err != nil || len(der) > size || len(der) <= size-48 {
			t.Fatalf("%d bytes for %d, %v", len(der), size, err)
		}
	})
}

func TestBrokenPackages(t *testing.T) {
	good, err := smdpsim.GenericProfile(testICCID, testIMSI, "x", 0)
	if err != nil {
		t.Fatal(err)
	}
	end := wire.TLV(0xAA)
	for name, b := range map[string][]byte{
		"empty":         nil,
		"truncated":     good[:len(good)-1],
		"no end":        good[:len(good)-11],
		"no header":     append(wire.TLV(0xB0), end...),
		"no ICCID":      append(wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3)), end...),
		"short ICCID":   append(wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3), wire.TLV(0x83, []byte{0x89})), end...),
		"ICCID letters": append(wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3), wire.TLV(0x83, bytes.Repeat([]byte{0xAB}, 10))), end...),
		"version":       append(wire.TLV(0xA0, wire.TLV(0x80), wire.Integer(0x81, 3)), end...),
		"inner":         append(append(bytes.Clone(good[:4]), 0x80, 0x7f), end...),
		"too large":     make([]byte, smdpsim.MaxPackage+1),
	} {
		if _, err := smdpsim.ParsePackage(b); !errors.Is(err, smdpsim.ErrPackage) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := smdpsim.RewriteICCID(b, testICCID); !errors.Is(err, smdpsim.ErrPackage) {
			t.Errorf("%s, rewritten: %v", name, err)
		}
	}
	bare := append(wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3), wire.TLV(0x83, bytes.Repeat([]byte{0x89}, 10))), end...)
	if _, err := smdpsim.RewriteICCID(bare, testICCID); !errors.Is(err, smdpsim.ErrPackage) {
		t.Errorf("no EF.ICCID: %v", err)
	}
	if _, err := smdpsim.RewriteICCID(good, "12"); !errors.Is(err, ident.ErrLength) {
		t.Errorf("bad ICCID: %v", err)
	}
}

func FuzzParsePackage(f *testing.F) {
	good, err := smdpsim.GenericProfile(testICCID, testIMSI, "x", 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0xA0, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := smdpsim.ParsePackage(b); err == nil && info.ICCID == "" {
			t.Errorf("%x: no ICCID, no error", b)
		}
		if out, err := smdpsim.RewriteICCID(b, testICCID); err == nil {
			if info, err := smdpsim.ParsePackage(out); err != nil || info.ICCID != testICCID {
				t.Errorf("%x: %+v, %v", b, info, err)
			}
		}
	})
}

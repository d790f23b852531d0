package saip_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/ident"
	"linefit/modem/wire"
)

func profiles(t testing.TB) map[string][]byte {
	t.Helper()
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "vectors")
	}
	names, err := filepath.Glob(filepath.Join(dir, "ts48", "*.der"))
	if err != nil || len(names) == 0 {
		t.Skip("independent test vectors are not there: no TS.48 profiles")
	}
	m := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(name)] = b
	}
	return m
}

func TestPublishedProfiles(t *testing.T) {
	unique := map[ident.ICCID]string{}
	for name, b := range profiles(t) {
		p, err := saip.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		id, err := ident.ICCIDFromBytes(p.Header.ICCID)
		if err != nil || p.Header.Type != "GSMA Generic eUICC Test Profile" {
			t.Errorf("%s: %q, %v", name, p.Header.Type, err)
		}
		if !bytes.Equal(p.ICCIDFile(), p.Header.ICCID) {
			t.Errorf("%s: EF_ICCID %X, header %X", name, p.ICCIDFile(), p.Header.ICCID)
		}
		if bytes.Contains([]byte(name), []byte("UNIQUE")) {
			if other, ok := unique[id]; ok {
				t.Errorf("%s and %s have one ICCID", name, other)
			}
			unique[id] = name
		}
		want := "001010123456063"
		if bytes.Contains([]byte(name), []byte("v7")) {
			want = "001010123456789"
		}
		if p.IMSI().Reveal() != want {
			t.Errorf("%s: another IMSI", name)
		}
		if len(p.Root().Applications()) < 3 || len(p.Keys) != 2 || p.Keys[0].Algorithm != 3 {
			t.Errorf("%s: %d applications, %d keys", name, len(p.Root().Applications()), len(p.Keys))
		}
		if f := p.Root().Path([]byte{0x7F, 0xD0, 0x6F, 0xAD}); f == nil || f.Kind != saip.Transparent || !bytes.Equal(f.Content, []byte{0x80, 0, 0, 2}) && !bytes.Equal(f.Content, []byte{0, 0, 0, 2}) {
			t.Errorf("%s: EF_AD %+v", name, f)
		}
		if dir := p.Root().Child(0x2F00); dir == nil || dir.Kind != saip.LinearFixed || dir.Records() < 1 {
			t.Errorf("%s: EF_DIR %+v", name, dir)
		}
	}
}

// A package in random pieces reads as the whole does.
func TestPiecesMakeTheWhole(t *testing.T) {
	list := profiles(t)
	var all [][]byte
	for _, b := range list {
		all = append(all, b)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom(all).Draw(t, "profile")
		r := saip.NewReader(len(b))
		for rest := b; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 1500).Draw(t, "piece"))
			if err := r.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		p, err := r.Close()
		if err != nil || !bytes.Equal(p.Raw, b) {
			t.Fatal(err)
		}
	})
}

// small is the least package: header and end.
func small(elements ...[]byte) []byte {
	b := header()
	for _, e := range elements {
		b = append(b, e...)
	}
	return append(b, wire.TLV(0xAA, id(99))...)
}

func header(change ...wire.Tag) []byte {
	parts := []struct {
		tag   wire.Tag
		value []byte
	}{
		{0x80, []byte{2}},
		{0x81, []byte{3}},
		{0x83, []byte{0x89, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x41}},
		{0xA5, []byte{0x81, 0x00}},
		{0xA6, wire.TLV(0x06, []byte{0x67, 0x81, 0x0F, 1, 2, 1})},
	}
	var b []byte
	for _, p := range parts {
		if len(change) == 1 && change[0] == p.tag {
			continue
		}
		b = append(b, wire.TLV(p.tag, p.value)...)
	}
	return wire.TLV(0xA0, b)
}

func id(n int64) []byte { return wire.TLV(0xA0, wire.Integer(0x81, n)) }

var template = wire.TLV(0x81, []byte{0x67, 0x81, 0x0F, 1, 2, 1})

func fcp(parts ...[]byte) []byte { return wire.TLV(0xA1, parts...) }

func TestBrokenElements(t *testing.T) {
	directory := wire.TLV(0xA2, fcp(wire.TLV(0x82, []byte{0x78, 0x21}), wire.TLV(0x83, []byte{0x3F, 0x00})))
	mf := func(files ...[]byte) []byte {
		return wire.TLV(0xB0, append([][]byte{id(1), template, directory}, files...)...)
	}
	if _, err := saip.Parse(small(mf())); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b      []byte
		status saip.Status
		id     int
	}{
		"nothing":          {nil, saip.StatusFormat, -1},
		"no end":           {header(), saip.StatusFormat, -1},
		"no header":        {wire.TLV(0xAA, id(1)), saip.StatusFormat, -1},
		"two headers":      {append(header(), header()...), saip.StatusFormat, -1},
		"half an element":  {append(header(), 0xB0, 0x20, 0xA0), saip.StatusFormat, -1},
		"behind the end":   {append(small(), 0x00, 0x00), saip.StatusFormat, -1},
		"bad length":       {append(header(), 0xB0, 0x80), saip.StatusFormat, -1},
		"no ICCID":         {header(0x83), saip.StatusFormat, -1},
		"version 9":        {bytes.Replace(small(), []byte{0x80, 1, 2}, []byte{0x80, 1, 9}, 1), saip.StatusUnsupportedVersion, -1},
		"ICCID of letters": {bytes.Replace(small(), []byte{0x89, 0x00}, []byte{0xAB, 0xCD}, 1), saip.StatusBadValues, -1},
		"contactless":      {bytes.Replace(small(), []byte{0x81, 0}, []byte{0x80, 0}, 1), saip.StatusFeature, -1},
		"foreign template": {bytes.Replace(small(), []byte{0x67, 0x81, 0x0F, 1}, []byte{0x67, 0x81, 0x0F, 2}, 1), saip.StatusTemplate, -1},
		"one number twice": {small(mf(), mf()), saip.StatusBadValues, 1},
		"unknown, needed":  {small(wire.TLV(0xAB, wire.TLV(0xA0, wire.TLV(0x80), wire.Integer(0x81, 3)))), saip.StatusNotSupported, 3},
		"file too small":   {small(mf(wire.TLV(0xA4, fcp(wire.TLV(0x82, []byte{0x41, 0x21}), wire.TLV(0x80, []byte{2})), wire.TLV(0x83, []byte{1, 2, 3})))), saip.StatusBadValues, 1},
		"record of 0":      {small(mf(wire.TLV(0xA5, fcp(wire.TLV(0x82, []byte{0x42, 0x21, 0, 0}))))), saip.StatusBadValues, 1},
		"huge file":        {small(mf(wire.TLV(0xA5, fcp(wire.TLV(0x82, []byte{0x41, 0x21}), wire.TLV(0x80, []byte{0x7F, 0xFF, 0xFF, 0xFF}))))), saip.StatusNotEnoughMemory, 1},
		"strange file":     {small(mf(wire.TLV(0xA5, wire.TLV(0x84, []byte{1})))), saip.StatusFormat, 1},
		"no directory":     {small(wire.TLV(0xB4, id(2), template, wire.TLV(0xA5, fcp(wire.TLV(0x82, []byte{0x41, 0x21}), wire.TLV(0x83, []byte{0x6F, 0x3E}))))), saip.StatusBadValues, 2},
		"short PIN":        {small(wire.TLV(0xA2, id(4), wire.TLV(0xA1, wire.TLV(0xA0, wire.TLV(0x30, wire.Integer(0x80, 1), wire.TLV(0x81, []byte("1234"))))))), saip.StatusBadValues, 4},
		"short key":        {small(wire.TLV(0xA4, id(5), wire.TLV(0xA1, wire.TLV(0xA1, wire.Integer(0x80, 1), wire.TLV(0x82, []byte{1}))))), saip.StatusBadValues, 5},
	} {
		_, err := saip.Parse(c.b)
		var e *saip.Error
		if !errors.As(err, &e) || e.Status != c.status || e.ID != c.id {
			t.Errorf("%s: %v, want status %d, identification %d", name, err, c.status, c.id)
		}
	}
	unknown := small(wire.TLV(0xAB, id(3)))
	if p, err := saip.Parse(unknown); err != nil || len(p.Elements) != 3 {
		t.Errorf("an unknown element that is not mandated: %v", err)
	}
}

func TestResponses(t *testing.T) {
	if got := hex.EncodeToString(saip.ResponseOK()); got != "3007a0053003800100" {
		t.Error(got)
	}
	e := &saip.Error{Status: saip.StatusBadValues, ID: 7}
	if got := hex.EncodeToString(e.Response()); got != "300ca00830068001038101078100" {
		t.Error(got)
	}
}

func TestPatternsAndLinks(t *testing.T) {
	file := func(tag wire.Tag, fid uint16, more ...[]byte) []byte {
		parts := append([][]byte{wire.TLV(0x83, []byte{byte(fid >> 8), byte(fid)})}, more...)
		return wire.TLV(tag, fcp(parts...))
	}
	transparent, size := wire.TLV(0x82, []byte{0x41, 0x21}), wire.TLV(0x80, []byte{5})
	b := small(wire.TLV(0xB0, id(1), template,
		file(0xA2, 0x3F00, wire.TLV(0x82, []byte{0x78, 0x21})),
		file(0xA3, 0x2F05, transparent, size, wire.TLV(0xA5, wire.TLV(0xC1, []byte{1, 2}))),
		file(0xA4, 0x2F06, transparent, size, wire.TLV(0xA5, wire.TLV(0xC2, []byte{1, 2}))),
		file(0xA5, 0x2F07, transparent, wire.TLV(0xC7, []byte{0x2F, 0x05})),
		wire.TLV(0xA6, fcp(transparent, wire.TLV(0x83, []byte{0x2F, 0x08}), size), wire.Integer(0x82, 2), wire.TLV(0x83, []byte{9})),
		wire.TLV(0xA7, wire.TLV(0x80)),
	), wire.TLV(0xA1, id(2), wire.TLV(0xA1, wire.TLV(0x30,
		wire.TLV(0x80),
		wire.TLV(0x62, wire.TLV(0x82, []byte{0x42, 0x21, 0, 2}), wire.TLV(0x83, []byte{0x2F, 0x10}), wire.TLV(0x80, []byte{4})),
		wire.TLV(0x81, []byte{7}), wire.Integer(0x02, 1), wire.TLV(0x81, []byte{8})))))
	p, err := saip.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	for fid, want := range map[uint16]string{
		0x2F05: "0102020202", 0x2F06: "0102010201", 0x2F07: "0102020202", 0x2F08: "ffff09ffff", 0x2F10: "07ff08ff",
	} {
		if f := p.Root().Child(fid); f == nil || hex.EncodeToString(f.Content) != want {
			t.Errorf("%04X: %+v, want %s", fid, f, want)
		}
	}
	if p.Root().Child(0x2F10).Records() != 2 {
		t.Error("records")
	}
}

// TestTemplates: what a package leaves out, the template says.
func TestTemplates(t *testing.T) {
	adf := wire.TLV(0xA2, fcp(wire.TLV(0x82, []byte{0x78, 0x21}), wire.TLV(0x83, []byte{0x7F, 0xD0}), wire.TLV(0x84, hexBytes("A0000000871002FF"))))
	b := small(wire.TLV(0xB0, id(1), template, wire.TLV(0xA2, fcp(wire.TLV(0x82, []byte{0x78, 0x21}))), wire.TLV(0xA7)),
		wire.TLV(0xB3, id(2), template, adf,
			wire.TLV(0xA5), // EF_Keys as it is
			wire.TLV(0xA6, wire.TLV(0x80)),
			wire.TLV(0xAB, fcp(wire.TLV(0x82, []byte{0x42, 0x21, 0, 30}), wire.TLV(0x80, []byte{30}))),    // EF_SMSP with other records
			wire.TLV(0xAD, wire.TLV(0x83, []byte{0, 'l'})),                                                // EF_SPN with a name
			wire.TLV(0xB0, fcp(wire.TLV(0x80, []byte{4}))),                                                // EF_THRESHOLD of another size
			wire.TLV(0xB4, fcp(wire.TLV(0x88), wire.TLV(0x8B, []byte{7}))),                                // EF_LOCI
			wire.TLV(0xB6, wire.TLV(0x83, []byte{0x11, 0xF2, 0xFF, 0})),                                   // EF_ECC, records
			wire.TLV(0xA3, wire.TLV(0x83, []byte{8, 9, 0x10, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98, 0xAA}))), // EF_IMSI, longer than its template
	)
	p, err := saip.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	usim := p.Root().Applications()[0]
	for fid, want := range map[uint16]struct {
		kind    saip.Kind
		content string
	}{
		0x6F08: {saip.Transparent, "07" + strings.Repeat("ff", 32)},
		0x6F42: {saip.LinearFixed, strings.Repeat("ff", 30)},
		0x6F46: {saip.Transparent, "006c" + strings.Repeat("ff", 15)},
		0x6F5C: {saip.Transparent, "ffffffff"},
		0x6F7E: {saip.Transparent, "ffffffffffffff0000ff01"},
		0x6FB7: {saip.LinearFixed, "11f2ff00"},
		0x6F07: {saip.Transparent, "080910101032547698aa"},
	} {
		f := usim.Child(fid)
		if f == nil || f.Kind != want.kind || hex.EncodeToString(f.Content) != want.content {
			t.Errorf("%04X: %+v, want %+v", fid, f, want)
		}
	}
	if f := usim.Child(0x6F09); f != nil {
		t.Errorf("a file that is not to be created: %+v", f)
	}
	if f := usim.Child(0x6FB7); f == nil || f.Records() != 1 || !bytes.Equal(f.Descriptor(), []byte{0x42, 0x21, 0, 4}) {
		t.Errorf("EF_ECC: %+v", f)
	}
	if f := p.Root().Child(0x2F08); f == nil || len(f.Content) != 5 || f.Short != 8 || !bytes.Equal(f.Rules, []byte{0x2F, 0x06, 10}) {
		t.Errorf("EF_UMPC: %+v", f)
	}
	if f := usim.Child(0x6F5C); f == nil || f.Short != 0x10 || !bytes.Equal(f.Rules, []byte{0x6F, 0x06, 2}) {
		t.Errorf("EF_THRESHOLD: %+v", f)
	}
	if f := usim.Child(0x6F7E); f == nil || f.Short != 0 || !bytes.Equal(f.Rules, []byte{0x6F, 0x06, 7}) {
		t.Errorf("EF_LOCI with rules of its own: %+v", f)
	}
}

func hexBytes(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

func FuzzParse(f *testing.F) {
	f.Add(small())
	f.Add(header())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := saip.Parse(b)
		if err != nil {
			var e *saip.Error
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		_ = p.IMSI()
		_ = p.GID(1)
		_ = p.ICCIDFile()
		var elements int
		for _, e := range p.Elements {
			elements += len(e.Raw)
		}
		if elements != len(b) {
			t.Fatalf("%d of %d bytes are in elements", elements, len(b))
		}
	})
}

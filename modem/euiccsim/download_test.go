package euiccsim_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

func TestDownload(t *testing.T) {
	for name, change := range map[string]func(*dp){
		"session keys":            func(*dp) {},
		"profile protection keys": func(d *dp) { d.replace = true },
		"confirmation code":       func(d *dp) { d.cc = true },
		"proprietary data":        func(d *dp) { d.dpData = wire.TLV(0xB8, wire.TLV(0x80, hexBytes("88370A"))) },
		"icon over two segments": func(d *dp) {
			d.metadata = metadata(iccidA, wire.TLV(0x93, []byte{1}), wire.TLV(0x94, bytes.Repeat([]byte{9}, 1024)))
		},
		"long profile": func(d *dp) { d.profile = upp(iccidA, imsiA, filler(3, 5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCard(t, nil)
			d := newDP(t, c)
			change(d)
			if o := d.download(); !o.ok || o.seq != 1 {
				t.Fatalf("%+v", o)
			}
			s := c.State()
			if len(s.Profiles) != 1 || s.Profiles[0].ICCID != "89000123456789012341" || s.Profiles[0].Name != "Name" || s.Profiles[0].Enabled {
				t.Errorf("%+v", s.Profiles)
			}
			if len(s.Notifications) != 1 || !s.Notifications[0].Result || s.Notifications[0].Address != address || s.NextSeq != 2 || s.Loading {
				t.Errorf("%+v", s)
			}
			if _, sw := try(t, c, hexBytes("860100")); sw != wire.SWDataNotFound {
				t.Errorf("a segment after the result: %v", sw)
			}
		})
	}
}

// filler is a profile element with a big file.
func filler(id int64, size int) []byte {
	return wire.TLV(0xA1, wire.TLV(0xA0, wire.Integer(0x81, id)), wire.TLV(0xA1, wire.TLV(0x30,
		wire.TLV(0x80), wire.TLV(0x62, wire.TLV(0x82, hexBytes("4121")), wire.TLV(0x83, hexBytes("2F50")), wire.Integer(0x80, int64(size))),
		wire.TLV(0x81, bytes.Repeat([]byte{0xA5}, size)))))
}

func TestProfilesInfo(t *testing.T) {
	c := newCard(t, nil)
	d := newDP(t, c)
	d.metadata = metadata(iccidA, wire.TLV(0x95, []byte{2}),
		wire.TLV(0xB6, wire.TLV(0x30, wire.BitString(0x80, 1), wire.TLV(0x81, []byte("n.example")))),
		wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110"))), wire.BitString(0x99, 1))
	d.dpData = wire.TLV(0xB8, wire.TLV(0x80, hexBytes("88370A")))
	if o := d.download(); !o.ok {
		t.Fatalf("%+v", o)
	}
	id, aid := "5A0A"+iccidA, "4F10A0000005591010FFFFFFFF8900001000"
	standard := id + aid + "9F700100910850726F766964657292044E616D65950102"
	for request, want := range map[string]string{
		"BF2D00":                  standard,
		"BF2D0EA00C" + id:         standard,
		"BF2D14A012" + aid:        standard,
		"BF2D05A003950102":        standard,
		"BF2D05A003950101":        "",
		"BF2D0EA00C5A0A" + iccidB: "",
		"BF2D0D5C0B9F705A99B6B7B8BF224F90": id + aid + "9F700100" + "B611300F80020640" + "81096E2E6578616D706C65" +
			"B705800300F110" + "B805800388370A" + "99020640",
		"BF2D035C0192": "92044E616D65",
	} {
		got := hex.EncodeToString(call(t, c, hexBytes(request)))
		if want != "" {
			want = hex.EncodeToString(wire.TLV(0xE3, hexBytes(want)))
		}
		want = hex.EncodeToString(wire.TLV(0xBF2D, wire.TLV(0xA0, hexBytes(want))))
		if got != want {
			t.Errorf("%s:\n%s, want\n%s", request, got, want)
		}
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF2D05A0035A0189"))); got != "bf2d03810101" {
		t.Error(got)
	}
}

func TestAuthenticateServerRefusals(t *testing.T) {
	a := authority(t)
	server := func(role testpki.Role, defect testpki.Defect) func(*dp) {
		return func(d *dp) {
			s, err := a.ServerWith(role, defect)
			if err != nil {
				t.Fatal(err)
			}
			d.keys = s
		}
	}
	stranger, err := testpki.New([]byte("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*dp)
		code   int64
	}{
		"good":                   {func(*dp) {}, 0},
		"signature of no one":    {server(testpki.RoleDPAuth, testpki.DefectSignature), 1},
		"another root's key":     {server(testpki.RoleDPAuth, testpki.DefectCI), 1},
		"expired":                {server(testpki.RoleDPAuth, testpki.DefectExpired), 1},
		"not yet valid":          {server(testpki.RoleDPAuth, testpki.DefectNotYetValid), 1},
		"key usage":              {server(testpki.RoleDPAuth, testpki.DefectUsage), 1},
		"curve":                  {server(testpki.RoleDPAuth, testpki.DefectCurve), 3},
		"role":                   {server(testpki.RoleDPAuth, testpki.DefectPolicy), 5},
		"CERT.DPpb in its place": {func(d *dp) { d.keys.Auth = d.keys.PB }, 5},
		"key of another":         {func(d *dp) { d.keys.Auth.Key = d.keys.PB.Key }, 2},
		"another challenge":      {func(d *dp) { call(t, d.card, hexBytes("BF2E00")); d.challenge = make([]byte, 16) }, 6},
		"an old challenge":       {func(d *dp) { d.authRequest(); call(t, d.card, hexBytes("BF2E00")) }, 6},
		"unknown root wanted":    {func(d *dp) { d.ciPKID = make([]byte, 20) }, 7},
		"unknown root above": {func(d *dp) {
			s, err := stranger.Server()
			if err != nil {
				t.Fatal(err)
			}
			d.ciPKID = d.keys.CI.Cert.SubjectKeyId
			d.keys = s
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			card := newCard(t, func(o *euiccsim.Options) { o.Clock = clock })
			d := newDP(t, card)
			c.change(d)
			if code := d.authenticate(); code != c.code {
				t.Fatalf("%d, want %d", code, c.code)
			}
			if c.code == 0 {
				return
			}
			if d.challenge = make([]byte, 16); d.authenticate() != 4 {
				t.Error("the session outlived the error")
			}
		})
	}
	t.Run("no session", func(t *testing.T) {
		d := newDP(t, newCard(t, nil))
		d.challenge = make([]byte, 16)
		if code := d.authenticate(); code != 4 {
			t.Error(code)
		}
	})
	t.Run("no clock, no expiry", func(t *testing.T) {
		d := newDP(t, newCard(t, nil))
		server(testpki.RoleDPAuth, testpki.DefectExpired)(d)
		if code := d.authenticate(); code != 0 {
			t.Error(code)
		}
	})
	t.Run("twice", func(t *testing.T) {
		d := newDP(t, newCard(t, nil))
		d.authenticate()
		if code := d.authenticate(); code != 4 {
			t.Error(code)
		}
	})
}

// Every bit of the signed part and of the signature counts.
func TestAuthenticateServerFlippedBits(t *testing.T) {
	c := newCard(t, nil)
	d := newDP(t, c)
	good := d.authRequest()
	for i := 4; i < len(good); i += 7 {
		d.challenge = nil
		request := d.authRequest()
		request[i] ^= 1 << (i % 8)
		b, sw := try(t, c, request)
		if sw != wire.SWOK {
			continue // no such request
		}
		n, err := wire.ParseTag(b, 0xBF38)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := n.Find(0xA0); ok && i < len(good)-30 {
			t.Fatalf("a request with bit %d of byte %d flipped was accepted", i%8, i)
		}
	}
}

func TestPrepareDownloadRefusals(t *testing.T) {
	a := authority(t)
	server := func(defect testpki.Defect) func(*dp) {
		return func(d *dp) {
			s, err := a.ServerWith(testpki.RoleDPPB, defect)
			if err != nil {
				t.Fatal(err)
			}
			d.keys = s
		}
	}
	for name, c := range map[string]struct {
		change func(*dp)
		code   int64
	}{
		"good":                     {func(*dp) {}, 0},
		"bad certificate":          {server(testpki.DefectSignature), 1},
		"expired":                  {server(testpki.DefectExpired), 1},
		"role":                     {server(testpki.DefectPolicy), 1},
		"another SM-DP+":           {server(testpki.DefectRegisteredID), 1},
		"CERT.DPauth in its place": {func(d *dp) { d.keys.PB = d.keys.Auth }, 1},
		"key of another":           {func(d *dp) { d.keys.PB.Key = d.keys.Auth.Key }, 2},
		"another euiccSignature1":  {func(d *dp) { d.signature1 = wire.TLV(0x5F37, make([]byte, 64)) }, 2},
		"curve":                    {server(testpki.DefectCurve), 3},
		"another transaction":      {func(d *dp) { d.id = make([]byte, 16) }, 5},
		"no confirmation code":     {func(d *dp) { d.cc = true }, 127},
	} {
		t.Run(name, func(t *testing.T) {
			card := newCard(t, func(o *euiccsim.Options) { o.Clock = clock })
			d := newDP(t, card)
			if code := d.authenticate(); code != 0 {
				t.Fatal(code)
			}
			c.change(d)
			if code := d.prepare(nil); code != c.code {
				t.Errorf("%d, want %d", code, c.code)
			}
		})
	}
	t.Run("no session", func(t *testing.T) {
		d := newDP(t, newCard(t, nil))
		if code := d.prepare(nil); code != 4 {
			t.Error(code)
		}
		call(t, d.card, hexBytes("BF2E00"))
		if code := d.prepare(nil); code != 4 {
			t.Error(code)
		}
	})
}

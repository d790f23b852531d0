package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/wire"
)

// Every errorReason that a server or a package can bring about, with the
// command during which it comes.
func TestLoadRefusals(t *testing.T) {
	ppr := func(owner string, rules ...int) []byte {
		var parts [][]byte
		if owner != "" {
			parts = append(parts, wire.TLV(0xB7, wire.TLV(0x80, hexBytes(owner))))
		}
		return metadata(iccidA, append(parts, wire.BitString(0x99, rules...))...)
	}
	for name, c := range map[string]struct {
		options         func(*euiccsim.Options)
		change          func(*dp)
		spoil           func([][]byte)
		command, reason int64
	}{
		"bad signature":      {change: func(d *dp) { d.keys.PB.Key = d.keys.Auth.Key }, command: 0, reason: 2},
		"bound to other key": {change: func(d *dp) { d.otPK = otherKey(t) }, command: 0, reason: 2},
		"other transaction":  {change: func(d *dp) { d.boundID = make([]byte, 16) }, command: 0, reason: 3},
		"key type":           {change: func(d *dp) { d.crt.KeyType = 0x89 }, command: 0, reason: 4},
		"key length":         {change: func(d *dp) { d.crt.KeyLength = 0x20 }, command: 0, reason: 4},
		"operation":          {change: func(d *dp) { d.operation = 2 }, command: 0, reason: 5},
		"proprietary data":   {change: func(d *dp) { d.dpData = wire.TLV(0xB8, wire.TLV(0x80, make([]byte, 127))) }, command: 1, reason: 1},
		"metadata's tag":     {change: func(d *dp) { d.metadata = wire.TLV(0xBF2A, d.metadata[3:]) }, command: 2, reason: 1},
		"no provider name":   {change: func(d *dp) { d.metadata = wire.TLV(0xBF25, wire.TLV(0x5A, hexBytes(iccidA))) }, command: 2, reason: 1},
		"icon without type":  {change: func(d *dp) { d.metadata = metadata(iccidA, wire.TLV(0x94, []byte{1})) }, command: 2, reason: 1},
		"class 3":            {change: func(d *dp) { d.metadata = metadata(iccidA, wire.TLV(0x95, []byte{3})) }, command: 2, reason: 6},
		"test profile": {
			options: func(o *euiccsim.Options) { o.NoTestProfile = true },
			change:  func(d *dp) { d.metadata = metadata(iccidA, wire.TLV(0x95, []byte{0})) }, command: 2, reason: 6,
		},
		"rule without owner": {change: func(d *dp) { d.metadata = ppr("", 1) }, command: 2, reason: 15},
		"rule not in table": {
			options: func(o *euiccsim.Options) { o.RAT = []euiccsim.RATRule{} },
			change:  func(d *dp) { d.metadata = ppr("00F110", 2) }, command: 2, reason: 15,
		},
		"rule of another operator": {
			options: func(o *euiccsim.Options) {
				o.RAT = []euiccsim.RATRule{{PPRs: []int{1}, Operators: []euiccsim.OperatorID{{MCCMNC: [3]byte{0x62, 0xF2, 0x10}}}}}
			},
			change: func(d *dp) { d.metadata = ppr("00F110", 1) }, command: 2, reason: 15,
		},
		"rule forbidden": {
			options: func(o *euiccsim.Options) { o.ForbiddenPPRs = []int{1} },
			change:  func(d *dp) { d.metadata = ppr("00F110", 1) }, command: 2, reason: 15,
		},
		"memory": {
			options: func(o *euiccsim.Options) { o.FreeNVM = 100 }, change: func(*dp) {}, command: 5, reason: 10,
		},
		"memory for metadata": {
			options: func(o *euiccsim.Options) { o.FreeNVM = 10 }, change: func(*dp) {}, command: 2, reason: 10,
		},
		"element":               {change: func(d *dp) { d.profile = upp(iccidA, imsiA, wire.TLV(0xA4, []byte{1})) }, command: 5, reason: 12},
		"no end":                {change: func(d *dp) { d.profile = d.profile[:len(d.profile)-7] }, command: 5, reason: 12},
		"other ICCID in header": {change: func(d *dp) { d.metadata = metadata(iccidB) }, command: 5, reason: 13},
		"other ICCID in EF":     {change: func(d *dp) { d.profile = bytes.Replace(d.profile, hexBytes("830A"+iccidA), hexBytes("830A"+iccidB), 1) }, command: 5, reason: 13},
		"other owner than IMSI": {change: func(d *dp) { d.metadata = metadata(iccidA, wire.TLV(0xB7, wire.TLV(0x80, hexBytes("62F210")))) }, command: 5, reason: 13},
		"other group than files": {change: func(d *dp) {
			d.metadata = metadata(iccidA, wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110")), wire.TLV(0x81, []byte{1})))
		}, command: 5, reason: 13},
		"real key in test profile": {change: func(d *dp) {
			d.metadata = metadata(iccidA, wire.TLV(0x95, []byte{0}))
			d.profile = upp(iccidA, imsiA, aka(1, bytes.Repeat([]byte{5}, 16)))
		}, command: 5, reason: 14},
		"configureISDP's MAC":  {change: func(*dp) {}, spoil: flip(1, -1), command: 1, reason: 8},
		"metadata's MAC":       {change: func(*dp) {}, spoil: flip(3, 6), command: 2, reason: 8},
		"profile's cipher":     {change: func(*dp) {}, spoil: flip(5, 20), command: 5, reason: 8},
		"metadata cut":         {change: func(*dp) {}, spoil: func(s [][]byte) { s[3] = s[3][:len(s[3])-1] }, command: 2, reason: 7},
		"header left out":      {change: func(*dp) {}, spoil: func(s [][]byte) { s[2] = s[3] }, command: 1, reason: 7},
		"header with its TLV":  {change: func(*dp) {}, spoil: func(s [][]byte) { s[2] = append(bytes.Clone(s[2]), s[3]...) }, command: 2, reason: 7},
		"first segment cut":    {change: func(*dp) {}, spoil: func(s [][]byte) { s[0] = s[0][:len(s[0])-1] }, command: 0, reason: 1},
		"keys of wrong length": {change: func(d *dp) { d.replace = true }, spoil: flip(4, -1), command: 4, reason: 8},
	} {
		t.Run(name, func(t *testing.T) {
			card := newCard(t, c.options)
			d := newDP(t, card).ready()
			c.change(d)
			segments := d.segments()
			if c.spoil != nil {
				c.spoil(segments)
			}
			o := d.load(segments)
			if o.ok || o.command != c.command || o.reason != c.reason {
				t.Fatalf("%+v, want command %d, reason %d", o, c.command, c.reason)
			}
			s := card.State()
			if len(s.Profiles) != 0 || len(s.Notifications) != 1 || !s.Notifications[0].Result || s.Loading {
				t.Errorf("%+v", s)
			}
			if _, sw := try(t, card, segments[len(segments)-1]); sw != wire.SWDataNotFound {
				t.Errorf("a segment after the result: %v", sw)
			}
			if _, sw := try(t, card, segments[0]); sw != wire.SWConditionsNotSatisfied {
				t.Errorf("the package again: %v", sw)
			}
		})
	}
}

func otherKey(t *testing.T) []byte {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k.PublicKey().Bytes()
}

func flip(segment, at int) func([][]byte) {
	return func(s [][]byte) {
		i := at
		if i < 0 {
			i += len(s[segment])
		}
		s[segment][i] ^= 0x01
	}
}

// aka is PE-AKAParameter.
func aka(algorithm int64, key []byte) []byte {
	return wire.TLV(0xA4, wire.TLV(0xA0, wire.Integer(0x81, 50)), wire.TLV(0xA1, wire.TLV(0xA1,
		wire.Integer(0x80, algorithm), wire.TLV(0x81, []byte{1}), wire.TLV(0x82, key))))
}

func TestSecondCopyIsRefused(t *testing.T) {
	c := newCard(t, nil)
	if o := newDP(t, c).download(); !o.ok {
		t.Fatalf("%+v", o)
	}
	if o := newDP(t, c).download(); o.ok || o.command != 2 || o.reason != 9 || o.seq != 2 {
		t.Fatalf("%+v", o)
	}
	d := newDP(t, c)
	d.metadata, d.profile = metadata(iccidB), upp(iccidB, imsiA)
	if o := d.download(); !o.ok || o.seq != 3 {
		t.Fatalf("%+v", o)
	}
}

func TestTestProfilesMayHaveTestKeys(t *testing.T) {
	for _, element := range [][]byte{aka(3, bytes.Repeat([]byte{5}, 16)), aka(1, append(make([]byte, 14), 1, 2))} {
		d := newDP(t, newCard(t, nil))
		d.metadata = metadata(iccidA, wire.TLV(0x95, []byte{0}))
		d.profile = upp(iccidA, imsiA, element)
		if o := d.download(); !o.ok {
			t.Errorf("%+v", o)
		}
	}
}

// A bit flipped anywhere in a bound profile package never installs anything.
func TestFlippedBitsInThePackage(t *testing.T) {
	c := newCard(t, nil)
	size := 0
	for _, s := range newDP(t, c).ready().segments() {
		size += len(s)
	}
	for at := 0; at < size; at += 5 {
		d := newDP(t, c).ready()
		segments := d.segments()
		i := at
		for n := range segments {
			if i < len(segments[n]) {
				segments[n][i] ^= 1 << (at % 8)
				break
			}
			i -= len(segments[n])
		}
		for _, s := range segments {
			b, sw := try(t, c, s)
			if !sw.OK() {
				break
			}
			if len(b) > 0 {
				if o := d.readResult(b); o.ok {
					t.Fatalf("byte %d flipped, and installed", at)
				}
				break
			}
		}
		if s := c.State(); len(s.Profiles) != 0 {
			t.Fatalf("byte %d flipped: %+v", at, s.Profiles)
		}
	}
}

func TestSessionsOfOtherServersStayOut(t *testing.T) {
	c := newCard(t, nil)
	d := newDP(t, c).ready()
	segments := d.segments()
	call(t, c, hexBytes("BF2E00")) // a new session
	if _, sw := try(t, c, segments[0]); sw != wire.SWConditionsNotSatisfied {
		t.Errorf("%v", sw)
	}
}

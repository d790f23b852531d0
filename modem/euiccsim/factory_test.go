package euiccsim_test

import (
	"bytes"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// A package for a one-time key is loaded without any session with a server;
// the key is spent with it, and LPA services wait until no key is left.
func TestFactoryLoading(t *testing.T) {
	img := &euiccsim.MemoryImage{}
	with := func(o *euiccsim.Options) { o.OneTimeKeys, o.Image = 3, img }
	c := newCard(t, with)
	keys := oneTimeKeys(t, c)
	if len(keys) != 3 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, request := range []string{"BF2E00", "BF3C00", "BF340482020780"} {
		if _, sw := try(t, c, hexBytes(request)); sw != wire.SWConditionsNotSatisfied {
			t.Errorf("%s while keys are left: %v", request, sw)
		}
	}
	first := packageFor(t, c, keys[0].PublicKey, iccidA)
	if first.prepareFactory() != 0 {
		t.Fatal("BF71")
	}
	segments := first.segments()
	if o := first.load(segments); !o.ok {
		t.Fatalf("%+v", o)
	}
	if first.prepareFactory() != 2 {
		t.Error("a spent key was taken again")
	}
	if _, sw := try(t, c, segments[0]); sw != wire.SWConditionsNotSatisfied {
		t.Errorf("the package again: %v", sw)
	}

	second := packageFor(t, c, keys[1].PublicKey, iccidB)
	second.prepareFactory()
	segments = second.segments()
	call(t, c, segments[0])
	call(t, c, segments[1])
	c.PowerCut()
	c = newCard(t, with)
	if s := c.State(); s.OneTimeKeys != 1 || len(s.Profiles) != 1 || len(s.Notifications) != 2 {
		t.Errorf("after a cut load: %+v", s)
	}
	second.card = c
	if second.prepareFactory() != 2 {
		t.Error("the cut load's key was taken again")
	}

	for _, want := range []int64{0, 1} {
		if got := code(t, call(t, c, hexBytes("BF7200")), 0xBF72); got != want {
			t.Errorf("deletion: %d, want %d", got, want)
		}
	}
	install(t, c, iccidB)
}

func TestFactoryLoadingRefusals(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) { o.OneTimeKeys = 1 })
	keys := oneTimeKeys(t, c)
	for name, x := range map[string]struct {
		defect testpki.Defect
		want   int64
	}{
		"signature": {testpki.DefectSignature, 1},
		"role":      {testpki.DefectPolicy, 1},
		"curve":     {testpki.DefectCurve, 3},
	} {
		d := packageFor(t, c, keys[0].PublicKey, iccidA)
		s, err := authority(t).ServerWith(testpki.RoleDPPB, x.defect)
		if err != nil {
			t.Fatal(err)
		}
		d.keys = s
		if got := d.prepareFactory(); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
	}
	d := packageFor(t, c, keys[0].PublicKey, iccidA)
	d.prepareFactory()
	segments := d.segments()
	segments[0][len(segments[0])-1] ^= 1
	if o := d.load(segments); o.reason != 2 {
		t.Errorf("%+v", o)
	}
	if s := c.State(); s.OneTimeKeys != 1 {
		t.Error("a package with a wrong signature spent a key")
	}
}

// packageFor is a package bound to a one-time key.
func packageFor(t *testing.T, c *euiccsim.Card, key []byte, iccid string) *dp {
	t.Helper()
	d := newDP(t, c)
	d.metadata, d.profile, d.otPK = metadata(iccid), upp(iccid, imsiA), key
	chain, err := testpki.VerifyCard(credentials(t).Cert.Raw, credentials(t).EUM.Raw, authority(t).CardMaker().CIs, clock())
	if err != nil {
		t.Fatal(err)
	}
	d.chain = chain
	return d
}

func (d *dp) prepareFactory() int64 {
	d.t.Helper()
	return code(d.t, call(d.t, d.card, wire.TLV(0xBF71, wire.TLV(0x80, d.id), wire.TLV(0x5F49, d.otPK),
		wire.TLV(0x0C, []byte(address)), d.keys.PB.Cert.Raw)), 0xBF71)
}

// oneTimeKeys compares the card's signed list with its maker's data.
func oneTimeKeys(t *testing.T, c *euiccsim.Card) []euiccsim.OneTimeKey {
	t.Helper()
	keys, err := c.OneTimeKeys()
	if err != nil {
		t.Fatal(err)
	}
	n, err := wire.ParseTag(call(t, c, hexBytes("BF7000")), 0xBF70)
	if err != nil {
		t.Fatal(err)
	}
	list, err := n.Children()
	if err != nil || len(list) != 4 {
		t.Fatalf("%d elements, %v", len(list), err)
	}
	chain, err := testpki.VerifyCard(list[2].Raw, list[3].Raw, authority(t).CardMaker().CIs, clock())
	if err != nil || !testpki.Verify(chain.CardKey, list[1].Value, list[0].Raw) {
		t.Fatalf("signature: %v", err)
	}
	entries, _ := list[0].Find(0xA0)
	all, err := entries.Children()
	if err != nil || len(all) != len(keys) {
		t.Fatalf("%d keys, %v", len(all), err)
	}
	for i, e := range all {
		if pk, _ := e.Find(0x5F49); !bytes.Equal(pk.Value, keys[i].PublicKey) {
			t.Errorf("key %d", i)
		}
	}
	return keys
}

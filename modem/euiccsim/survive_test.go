package euiccsim_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/euiccsim"
	"linefit/modem/wire"
)

// cutImage loses power at one of its saves: before the bytes are there, or after.
type cutImage struct {
	euiccsim.MemoryImage
	at    int // number of the save, from 1; 0: never
	after bool
	saves int
	cut   bool
}

var errCut = errors.New("power lost while saving")

func (i *cutImage) Save(b []byte) error {
	if i.cut {
		return errCut
	}
	i.saves++
	if i.saves != i.at {
		return i.MemoryImage.Save(b)
	}
	i.cut = true
	if i.after {
		if err := i.MemoryImage.Save(b); err != nil {
			return err
		}
	}
	return errCut
}

// Power is cut at any APDU of a download, or inside of any save: afterwards the
// profile is absent, or it is installed and its result is in the list. The
// notification counter never goes back, and a new download works.
func TestPowerCutsAtAnyPointOfADownload(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		img := &cutImage{}
		c := newCard(t, func(o *euiccsim.Options) { o.Image = img })
		d := newDP(t, c)
		d.profile = upp(iccidA, imsiA, filler(3, rapid.IntRange(0, 2500).Draw(rt, "size")))
		inSave := rapid.Bool().Draw(rt, "inside of a save")
		var result []byte
		if inSave {
			img.at, img.after = rapid.IntRange(1, 4).Draw(rt, "save")+1, rapid.Bool().Draw(rt, "after")
		}
		cutAt := rapid.IntRange(0, 12).Draw(rt, "segment")
		result = interruptedDownload(t, d, img, cutAt, inSave)
		before := c.State().NextSeq
		img.cut, img.at = false, 0
		again, err := euiccsim.New(euiccsim.Options{PKI: credentials(t), Image: img})
		if err != nil {
			rt.Fatal(err)
		}
		again.Reset()
		s := again.State()
		results := 0
		for _, n := range s.Notifications {
			if n.Result {
				results++
			}
		}
		switch {
		case s.NextSeq < before:
			rt.Fatalf("the counter went from %d to %d", before, s.NextSeq)
		case s.Loading:
			rt.Fatal("a load is still open after power-up")
		case len(s.Profiles) == 1 && results == 1:
		case len(s.Profiles) == 0 && results <= 1:
			if result != nil {
				rt.Fatal("the card said installed, and the profile is gone")
			}
		default:
			rt.Fatalf("%+v", s)
		}
		if len(s.Profiles) == 0 {
			if o := newDP(t, again).download(); !o.ok || o.seq != s.NextSeq {
				rt.Fatalf("a new download: %+v", o)
			}
		}
	})
}

// interruptedDownload runs a download until the power goes, and returns the
// success that was still reported.
func interruptedDownload(t *testing.T, d *dp, img *cutImage, cutAt int, inSave bool) []byte {
	t.Helper()
	d.authenticate()
	request := d.prepareRequest(nil)
	b, sw := try(t, d.card, request)
	if img.cut || !sw.OK() {
		d.card.PowerCut()
		return nil
	}
	n, err := wire.ParseTag(b, 0xBF21)
	if err != nil {
		t.Fatal(err)
	}
	pk, _ := n.Find(0xA0, 0x30, 0x5F49)
	d.otPK = pk.Value
	for i, s := range d.segments() {
		if !inSave && i == cutAt {
			d.card.PowerCut()
			return nil
		}
		b, sw := try(t, d.card, s)
		if img.cut || !sw.OK() {
			d.card.PowerCut()
			return nil
		}
		if len(b) > 0 {
			if o := d.readResult(b); o.ok {
				d.card.PowerCut()
				return b
			}
			t.Fatalf("%X", b)
		}
	}
	return nil
}

func TestACutLoadLeavesAResult(t *testing.T) {
	for name, silent := range map[string]bool{"with": false, "without": true} {
		c := newCard(t, func(o *euiccsim.Options) { o.NoInterruption = silent })
		d := newDP(t, c).ready()
		segments := d.segments()
		for _, s := range segments[:4] {
			call(t, c, s)
		}
		if !c.State().Loading {
			t.Error("no load in the memory")
		}
		c.PowerCut()
		c.Reset()
		s := c.State()
		if s.Loading || len(s.Profiles) != 0 || (len(s.Notifications) == 0) != silent {
			t.Fatalf("%s: %+v", name, s)
		}
		if silent {
			continue
		}
		n, err := wire.Parse(call(t, c, hexBytes("BF2B00")))
		if err != nil {
			t.Fatal(err)
		}
		pir, _ := n.Find(0xA0, 0xBF37)
		if o := d.readResult(pir.Raw); o.ok || o.reason != 11 || o.command != 5 {
			t.Errorf("%+v", o)
		}
		if _, sw := try(t, c, segments[0]); sw != wire.SWConditionsNotSatisfied {
			t.Errorf("the spent package: %v", sw)
		}
	}
}

// Another command in the middle of a load ends it; a closed channel does not.
func TestOtherCommandsAbandonALoad(t *testing.T) {
	c := newCard(t, nil)
	d := newDP(t, c).ready()
	segments := d.segments()
	for _, s := range segments[:3] {
		call(t, c, s)
	}
	exchange(t, c, "00A4040C10A0000005591010FFFFFFFF8900000100")
	call(t, c, segments[3])
	call(t, c, hexBytes("BF2D00"))
	if _, sw := try(t, c, segments[4]); sw != wire.SWDataNotFound {
		t.Errorf("%v", sw)
	}
	s := c.State()
	if s.Loading || len(s.Notifications) != 1 {
		t.Errorf("%+v", s)
	}
	if _, sw := try(t, c, segments[0]); sw != wire.SWConditionsNotSatisfied {
		t.Errorf("the package again: %v", sw)
	}
	cancel := call(t, c, wire.TLV(0xBF41, wire.TLV(0x80, d.id), wire.TLV(0x81, []byte{5})))
	if cancel[3] != 0xA0 {
		t.Errorf("cancel after an abandoned load: %X", cancel)
	}
}

func TestCancelSession(t *testing.T) {
	c := newCard(t, nil)
	d := newDP(t, c)
	cancel := func(id []byte, reason byte) wire.Node {
		n, err := wire.ParseTag(call(t, c, wire.TLV(0xBF41, wire.TLV(0x80, id), wire.TLV(0x81, []byte{reason}))), 0xBF41)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if e, ok := cancel(d.id, 0).Find(0x81); !ok || e.Value[0] != 5 {
		t.Error("no session")
	}
	d.authenticate()
	if e, ok := cancel(make([]byte, 16), 0).Find(0x81); !ok || e.Value[0] != 5 {
		t.Error("another transaction")
	}
	n := cancel(d.id, 3)
	signed, ok1 := n.Find(0xA0, 0x30)
	signature, ok2 := n.Find(0xA0, 0x5F37)
	if !ok1 || !ok2 || !verified(d, signature.Value, signed.Raw) {
		t.Fatalf("%X", n.Raw)
	}
	if want := bytes.Join([][]byte{wire.TLV(0x80, d.id), hexBytes("810388370A"), hexBytes("820103")}, nil); !bytes.Equal(signed.Value, want) {
		t.Errorf("%X", signed.Value)
	}
	if e, ok := cancel(d.id, 0).Find(0x81); !ok || e.Value[0] != 5 {
		t.Error("the session outlived its cancellation")
	}
}

// A key pair that a package may be bound to is kept when the download was only
// put off, also without power, and not otherwise.
func TestOneTimeKeysForRetries(t *testing.T) {
	for name, x := range map[string]struct {
		reason byte
		faults euiccsim.Faults
		kept   bool
	}{
		"postponed": {1, nil, true},
		"timeout":   {2, nil, true},
		"rejected":  {0, nil, false},
		"policy":    {3, nil, false},
		"forgotten": {1, euiccsim.Faults{euiccsim.FaultForgetKeys: -1}, false},
	} {
		c := newCard(t, func(o *euiccsim.Options) { o.Faults = x.faults })
		first := newDP(t, c).ready()
		call(t, c, wire.TLV(0xBF41, wire.TLV(0x80, first.id), wire.TLV(0x81, []byte{x.reason})))
		c.PowerCut()
		c.Reset()
		second := newDP(t, c)
		second.bound = first.otPK
		second.ready()
		if bytes.Equal(second.otPK, first.otPK) != x.kept {
			t.Errorf("%s: kept is %v", name, !x.kept)
		}
		if o := second.load(second.segments()); !o.ok {
			t.Errorf("%s: %+v", name, o)
		}
		third := newDP(t, c)
		third.bound = second.otPK
		if third.ready(); bytes.Equal(third.otPK, second.otPK) {
			t.Errorf("%s: a spent key pair was used again", name)
		}
	}
}

func TestFaults(t *testing.T) {
	with := func(f euiccsim.Fault, n int) *euiccsim.Card {
		return newCard(t, func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{f: n} })
	}
	t.Run("catBusy once", func(t *testing.T) {
		c := with(euiccsim.FaultCatBusy, 1)
		install(t, c, iccidA)
		if a, b := change(t, c, 0xBF31, byICCID(iccidA), 0), change(t, c, 0xBF31, byICCID(iccidA), 0); a != 5 || b != 0 {
			t.Errorf("%d, %d", a, b)
		}
	})
	t.Run("state lost at a cold restart", func(t *testing.T) {
		c := with(euiccsim.FaultStateLost, 1)
		install(t, c, iccidA)
		change(t, c, 0xBF31, byICCID(iccidA), 0)
		c.Reset() // a warm reset loses nothing
		if !c.State().Profiles[0].Enabled {
			t.Error("lost at a warm reset")
		}
		c.PowerCut()
		c.Reset()
		if c.State().Profiles[0].Enabled {
			t.Error("not lost")
		}
		change(t, c, 0xBF31, byICCID(iccidA), 0)
		c.PowerCut()
		c.Reset()
		if !c.State().Profiles[0].Enabled {
			t.Error("lost twice")
		}
	})
	t.Run("wrong result", func(t *testing.T) {
		c := with(euiccsim.FaultWrongResult, 1)
		d := newDP(t, c)
		if o := d.download(); o.ok || o.reason != 127 {
			t.Fatalf("%+v", o)
		}
		n, err := wire.Parse(call(t, c, hexBytes("BF2B00")))
		if err != nil {
			t.Fatal(err)
		}
		pir, _ := n.Find(0xA0, 0xBF37)
		if o := d.readResult(pir.Raw); !o.ok || len(c.State().Profiles) != 1 {
			t.Errorf("%+v", o)
		}
	})
	for f, reason := range map[euiccsim.Fault]int64{euiccsim.FaultLoadMemory: 10, euiccsim.FaultLoadElement: 12} {
		t.Run(string(f), func(t *testing.T) {
			c := with(f, 1)
			if o := newDP(t, c).download(); o.ok || o.reason != reason || o.command != 5 {
				t.Fatalf("%+v", o)
			}
			if o := newDP(t, c).download(); !o.ok {
				t.Fatalf("%+v", o)
			}
		})
	}
	t.Run("channel leak", func(t *testing.T) {
		c := with(euiccsim.FaultChannelLeak, 2)
		for _, x := range []struct{ command, response string }{
			{"0070000001", "019000"},
			{"0070800100", "9000"},
			{"0070000001", "029000"},
		} {
			if got := exchange(t, c, x.command); got != x.response {
				t.Errorf("%s: %s", x.command, got)
			}
		}
	})
}

// A fixture may cut the power while the module transmits.
func TestPowerCutWhileTransmitting(t *testing.T) {
	c := newCard(t, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			c.PowerCut()
			c.Reset()
		}
	}()
	for range 200 {
		if r, _ := c.Transmit(hexBytes("00A4040C10A0000005591010FFFFFFFF8900000100")); r != nil && !bytes.Equal(r, []byte{0x90, 0}) {
			t.Errorf("%X", r)
		}
		c.State()
	}
	<-done
}

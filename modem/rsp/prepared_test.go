package rsp_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
)

// factory is a world whose card has one-time keys, and packages for them.
type factory struct {
	*world
	keys  euicc.OneTimeKeys
	batch []rsp.Prepared
}

func newFactory(t *testing.T, keys, packages int) *factory {
	t.Helper()
	f := &factory{world: newWorld(t, options{order: small, card: func(o *euiccsim.Options) { o.OneTimeKeys = keys }})}
	card, ch := f.open()
	defer ch.Close(t.Context())
	var err error
	if f.keys, err = card.OneTimeKeys(t.Context(), euicc.LinefitFactory); err != nil {
		t.Fatal(err)
	}
	if cert, err := f.keys.Verify(); err != nil || cert.Subject.SerialNumber != string(f.card.EID()) || len(f.keys.Keys) != keys {
		t.Fatalf("%d keys, %v", len(f.keys.Keys), err)
	}
	request := smdpsim.RequestedCard{EID: f.card.EID(), Certificate: f.keys.Certificate, EUM: f.keys.EUM}
	for _, k := range f.keys.Keys {
		request.Keys = append(request.Keys, smdpsim.OneTimeKey{Number: int(k.Number), PublicKey: k.PublicKey})
	}
	b, err := f.server.Prepare(&smdpsim.BindingRequest{Format: smdpsim.RequestFormat, EUICCs: []smdpsim.RequestedCard{request}}, smdpsim.PrepareOptions{PerEID: packages, Profile: func(n int) (smdpsim.Order, error) {
		g := smdpsim.GeneratedProfile(n)
		g.Size = 3000
		return smdpsim.Order{Generic: g}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range b.Packages {
		id, err := hex.DecodeString(p.Transaction)
		if err != nil {
			t.Fatal(err)
		}
		f.batch = append(f.batch, rsp.Prepared{EID: string(p.EID), ICCID: p.ICCID, TransactionID: id, OneTimeKey: p.OneTimeKey, Address: b.Address, Certificate: b.Certificate, Package: p.Package})
	}
	f.rt.seen = nil
	return f
}

func (f *factory) load(p rsp.Prepared) (*rsp.Result, error) {
	f.t.Helper()
	ch, err := apdu.OpenDirect(f.t.Context(), f.line, isdr, apdu.Options{}, f.route)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ch.Close(f.t.Context()) }()
	return rsp.LoadPrepared(f.t.Context(), rsp.PreparedParams{
		Card: euicc.OnChannel(ch), Coding: euicc.LinefitFactory, Prepared: p, EID: f.card.EID().Bytes(), Certificate: f.keys.Certificate, Recorder: f,
	})
}

// A whole factory session without a network: two packages, the rest of the keys
// deleted, LPA services open only then, results delivered later.
func TestLoadPrepared(t *testing.T) {
	f := newFactory(t, 3, 2)
	for i, p := range f.batch {
		r, err := f.load(p)
		if err != nil || !r.Installation.OK() || !r.Proof.Result || len(f.card.State().Profiles) != i+1 {
			t.Fatalf("package %d: %+v, %v", i, r, err)
		}
	}
	if f.card.State().OneTimeKeys != 1 {
		t.Errorf("%+v", f.card.State())
	}
	if _, err := f.load(f.batch[0]); !errors.Is(err, rsp.ErrICCIDPresent) {
		t.Errorf("a spent package again: %v", err)
	}
	card, ch := f.open()
	defer ch.Close(t.Context())
	if _, err := card.Challenge(t.Context()); err == nil {
		t.Error("LPA services are open while a key is left")
	}
	if err := card.DeleteOneTimeKeys(t.Context(), euicc.LinefitFactory); err != nil {
		t.Fatal(err)
	}
	if _, err := card.Challenge(t.Context()); err != nil {
		t.Errorf("LPA services stay shut: %v", err)
	}
	if len(f.rt.seen) != 0 {
		t.Errorf("the network was used: %v", f.rt.seen)
	}
	deliveries, err := rsp.Deliver(t.Context(), card, f.client, f)
	if err != nil || len(deliveries) != 2 || !deliveries[1].Removed {
		t.Errorf("%+v, %v", deliveries, err)
	}
}

func TestPreparedRefusals(t *testing.T) {
	f := newFactory(t, 2, 2)
	for name, c := range map[string]struct {
		change func(*rsp.Prepared)
		want   error
	}{
		"another eUICC":       {func(p *rsp.Prepared) { p.EID = "89049032000002000000000000000000" }, rsp.ErrOtherEID},
		"another transaction": {func(p *rsp.Prepared) { p.TransactionID = f.batch[1].TransactionID }, rsp.ErrNotPrepared},
		"another ICCID":       {func(p *rsp.Prepared) { p.ICCID = f.batch[1].ICCID }, rsp.ErrNotPrepared},
		"broken":              {func(p *rsp.Prepared) { p.Package = p.Package[:100] }, rsp.ErrNotPrepared},
		"unknown key":         {func(p *rsp.Prepared) { p.OneTimeKey = append([]byte{4}, make([]byte, 64)...) }, euicc.ErrKeySpent},
	} {
		p := f.batch[0]
		c.change(&p)
		_, err := f.load(p)
		var failure *rsp.Failure
		if !errors.As(err, &failure) || !errors.Is(err, c.want) || failure.Unknown || f.card.State().OneTimeKeys != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", p, p, p); len(text) > 600 {
			t.Errorf("%s: a package shows itself", name)
		}
	}
	if len(f.log) != 0 {
		t.Errorf("something was recorded: %+v", f.log)
	}
	// A package that is broken inside spends its key: the next one is taken.
	p := f.batch[0]
	p.Package = append([]byte(nil), p.Package...)
	p.Package[len(p.Package)-1] ^= 1
	_, err := f.load(p)
	var failure *rsp.Failure
	if !errors.As(err, &failure) || failure.Advice.Row != rsp.RowFactoryPackage || failure.Advice.Code != rsp.CodeSpent {
		t.Fatalf("%v", err)
	}
	if _, err := f.load(f.batch[1]); err != nil {
		t.Errorf("the next package: %v", err)
	}
}

// A load that is cut off is reconciled as any other, and its package is given up.
func TestPreparedCutOff(t *testing.T) {
	f := newFactory(t, 2, 2)
	before := f.line.count
	if _, err := f.load(f.batch[0]); err != nil {
		t.Fatal(err)
	}
	total := f.line.count - before
	for n := range total {
		f := newFactory(t, 2, 2)
		start := f.line.count
		f.line.hook = func(i int, _ []byte, send func() []byte) ([]byte, error) {
			if i < start+n {
				return send(), nil
			}
			if i == start+n {
				send()
			}
			f.card.PowerCut()
			return nil, errLink
		}
		_, err := f.load(f.batch[0])
		f.restart()
		rec, rerr := f.reconcile()
		want := rsp.Absent
		if len(f.card.State().Profiles) > 0 {
			want = rsp.Installed
		}
		var failure *rsp.Failure
		if rerr != nil || rec.Outcome != want || errors.As(err, &failure) && failure.Unknown != (f.last().phase == rsp.PhaseLoad) {
			t.Errorf("APDU %d: %s, the card is %s (%v, %v)", n, rec.Outcome, want, err, rerr)
		}
		if _, err := f.load(f.batch[1]); err != nil {
			t.Errorf("APDU %d: the next package: %v", n, err)
		}
	}
}

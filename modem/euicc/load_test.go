package euicc_test

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"linefit/atcmd"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/wire"
)

func pkg(t *testing.T) *euicc.BoundPackage {
	t.Helper()
	p, err := euicc.ParseBoundPackage(wire.TLV(0xBF36, wire.TLV(0xBF23, wire.TLV(0x80, []byte{7})), wire.TLV(0xA0, wire.TLV(0x87, []byte{0xAA})), wire.TLV(0xA1, wire.TLV(0x88, []byte{0xCC})), wire.TLV(0xA2, wire.TLV(0x87, []byte{0xAA})), wire.TLV(0xA3, wire.TLV(0x86, make([]byte, 1016)), wire.TLV(0x86, make([]byte, 300)))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pir(id byte, final []byte) []byte {
	return wire.TLV(0xBF37, wire.TLV(0xBF27, wire.TLV(0x80, []byte{id}), wire.TLV(0xBF2F, wire.Integer(0x80, 3), wire.BitString(0x81, 0), wire.TLV(0x0C, []byte("dp"))), wire.TLV(0xA2, final)), wire.TLV(0x5F37, make([]byte, 64)))
}

// failing breaks at the n-th block, before or after the card saw it.
type failing struct {
	n, seen int
	err     error
}

func (f *failing) Transmit(context.Context, []byte) ([]byte, error) {
	if f.seen == f.n {
		return nil, f.err
	}
	f.seen++
	return []byte{0x90, 0}, nil
}

// Wherever a load breaks, it is unknown exactly when a block may have arrived.
func TestLoadBroken(t *testing.T) {
	p := pkg(t)
	total := p.APDUs(255)
	notSent := &apdu.Error{Op: "transmit", Err: atcmd.ErrPoisoned}
	lost := &apdu.Error{Op: "transmit", Unknown: true, Err: atcmd.ErrUnknown}
	for n := range total {
		for _, cause := range []*apdu.Error{notSent, lost} {
			f := &failing{n: n, err: cause}
			_, err := euicc.New(f, euicc.Options{}).Load(t.Context(), p, nil)
			var load *euicc.LoadError
			if !errors.As(err, &load) || !errors.Is(err, cause.Err) {
				t.Fatalf("block %d: %v", n, err)
			}
			if want := n > 0 || cause == lost; euicc.Unknown(err) != want {
				t.Errorf("block %d, %v: unknown %v", n, cause, !want)
			}
			if f.seen != n {
				t.Errorf("block %d: %d blocks went through, something was sent again", n, f.seen)
			}
		}
	}
	_, err := euicc.New(&failing{n: total}, euicc.Options{}).Load(t.Context(), p, nil)
	if !errors.Is(err, euicc.ErrNoResult) || !euicc.Unknown(err) {
		t.Errorf("without a result: %v", err)
	}
}

func TestLoadStopsAtTheFirstResult(t *testing.T) {
	p := pkg(t)
	failed := hex.EncodeToString(pir(7, wire.TLV(0xA1, wire.Integer(0x80, 2), wire.Integer(0x81, 9)))) + "9000"
	c, s := card("9000", "9000", "9000", failed)
	r, err := c.Load(t.Context(), p, nil)
	if err != nil || r.OK() || r.Failure.Reason != euicc.ReasonICCIDExists || r.Failure.Temporary() || len(s.requests) != 4 {
		t.Fatalf("%+v, %v, %d chains", r, err, len(s.requests))
	}
	c, _ = card("9000", hex.EncodeToString(pir(8, wire.TLV(0xA0)))+"9000")
	if _, err := c.Load(t.Context(), p, nil); !euicc.Unknown(err) || !errors.Is(err, wire.ErrOutOfRange) {
		t.Errorf("a result of another transaction: %v", err)
	}
	c, _ = card("9000", "BF3700"+"9000")
	if _, err := c.Load(t.Context(), p, nil); !euicc.Unknown(err) {
		t.Errorf("a broken result: %v", err)
	}
	c, _ = card("9000", "6A88")
	var status *euicc.StatusError
	if _, err := c.Load(t.Context(), p, nil); !euicc.Unknown(err) || !errors.As(err, &status) {
		t.Errorf("a status word: %v", err)
	}
}

func TestBoundPackageRefusals(t *testing.T) {
	isc := wire.TLV(0xBF23, wire.TLV(0x80, []byte{7}))
	a0, a1, a3 := wire.TLV(0xA0, wire.TLV(0x87, []byte{1})), wire.TLV(0xA1, wire.TLV(0x88, []byte{1})), wire.TLV(0xA3, wire.TLV(0x86, []byte{1}))
	for name, raw := range map[string][]byte{
		"empty":           {},
		"another tag":     wire.TLV(0xBF37, isc, a0, a1, a3),
		"no ISC":          wire.TLV(0xBF36, a0, a1, a3),
		"ISC without id":  wire.TLV(0xBF36, wire.TLV(0xBF23), a0, a1, a3),
		"no A3":           wire.TLV(0xBF36, isc, a0, a1),
		"A0 twice":        wire.TLV(0xBF36, isc, a0, a0, a1, a3),
		"out of order":    wire.TLV(0xBF36, isc, a1, a0, a3),
		"unknown element": wire.TLV(0xBF36, isc, a0, a1, a3, wire.TLV(0xA4, []byte{1})),
		"wrong item":      wire.TLV(0xBF36, isc, wire.TLV(0xA0, wire.TLV(0x88, []byte{1})), a1, a3),
		"empty sequence":  wire.TLV(0xBF36, isc, a0, wire.TLV(0xA1), a3),
		"trailing":        append(wire.TLV(0xBF36, isc, a0, a1, a3), 0),
		"truncated":       wire.TLV(0xBF36, isc, a0, a1, a3)[:20],
	} {
		if p, err := euicc.ParseBoundPackage(raw); !errors.Is(err, euicc.ErrPackage) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

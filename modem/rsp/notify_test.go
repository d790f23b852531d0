package rsp_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
)

// Notifications go in order for each recipient; one that is not taken holds up
// those behind it and no other recipient's; none is removed before it was taken.
func TestDeliver(t *testing.T) {
	w := newWorld(t, options{order: func(o *smdpsim.Order) {
		small(o)
		o.Metadata.Recipients = []smdpsim.Recipient{
			{Address: address, Events: []smdpsim.ProfileEvent{smdpsim.EventEnable, smdpsim.EventDelete}},
			{Address: "other.example.com", Events: []smdpsim.ProfileEvent{smdpsim.EventEnable, smdpsim.EventDisable}},
		}
	}})
	r, err := w.download(func(p *rsp.Params) { p.Deliver = false })
	if err != nil || r.Delivery.Sent {
		t.Fatalf("%+v, %v", r.Delivery, err)
	}
	card, ch := w.open()
	defer ch.Close(t.Context())
	h := euicc.ByICCID(r.ICCID)
	if err := errors.Join(card.Enable(t.Context(), h, false), card.Disable(t.Context(), h, false)); err != nil {
		t.Fatal(err)
	}
	snapshot, err := rsp.Snapshot(t.Context(), card)
	if err != nil || len(snapshot) != 4 || !slices.IsSortedFunc(snapshot, func(a, b euicc.Pending) int { return int(a.Sequence - b.Sequence) }) {
		t.Fatalf("%d, %v", len(snapshot), err)
	}
	for _, n := range snapshot[1:] {
		if cert, err := n.Other.Verify(); err != nil || cert.Subject.SerialNumber != string(w.card.EID()) {
			t.Errorf("%d: %v", n.Sequence, err)
		}
	}
	var order []string
	w.rt.hook = func(f string, send func() (*http.Response, error)) (*http.Response, error) {
		order = append(order, f)
		if len(order) == 3 { // the first of the other recipient
			return nil, errors.New("down")
		}
		return send()
	}
	deliveries, err := rsp.Deliver(t.Context(), card, w.client, w)
	if err != nil {
		t.Fatal(err)
	}
	left := w.card.State().Notifications
	for _, d := range deliveries {
		waits := slices.ContainsFunc(left, func(n euiccsim.NotificationState) bool {
			return n.Seq == d.Sequence
		})
		if d.Removed == waits || d.Removed && !d.Sent {
			t.Errorf("%+v, still on the card: %v", d, waits)
		}
	}
	if len(deliveries) != 4 || !errors.Is(deliveries[3].Err, rsp.ErrEarlier) && !errors.Is(deliveries[2].Err, rsp.ErrNetwork) {
		t.Errorf("%+v", deliveries)
	}
	if slices.ContainsFunc(w.log, func(l recorded) bool { return l.phase == rsp.PhaseRemoveNotification && l.detail.Sequence == 0 }) && deliveries[0].Sequence != 0 {
		t.Errorf("an intent without its number: %+v", w.log)
	}
}

// What was stored at the station goes out without the unit.
func TestOutbox(t *testing.T) {
	w := newWorld(t, options{order: small})
	if _, err := w.download(func(p *rsp.Params) { p.Deliver = false }); err != nil {
		t.Fatal(err)
	}
	card, ch := w.open()
	snapshot, err := rsp.Snapshot(t.Context(), card)
	if err != nil || len(snapshot) != 1 {
		t.Fatal(len(snapshot), err)
	}
	_ = ch.Close(t.Context())
	w.card.PowerCut() // the unit has left
	s, err := w.client.Server(snapshot[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // repeating is harmless
		if err := s.Notify(t.Context(), snapshot[0].Raw); err != nil {
			t.Fatal(err)
		}
	}
	if o := w.orderNow(); o.State != smdpsim.StateInstalled || len(o.Receipts) != 1 {
		t.Errorf("%+v", o)
	}
	forged := append([]byte(nil), snapshot[0].Raw...)
	forged[len(forged)-1] ^= 1
	if err := s.Notify(t.Context(), forged); err == nil {
		t.Error("a forged result was taken")
	}
}

// A result that could not be kept is not delivered: it stays on the eUICC.
func TestResultThatCannotBeKept(t *testing.T) {
	w := newWorld(t, options{order: small})
	full := errors.New("disk full")
	r, err := w.download(func(p *rsp.Params) {
		p.KeepResult = func(_ ctx, _ *euicc.InstallationResult) error { return full }
	})
	if err != nil || !errors.Is(r.Delivery.Err, full) || r.Delivery.Sent || len(w.card.State().Notifications) != 1 {
		t.Errorf("%+v, %v", r.Delivery, err)
	}
}

// Without a durable intent nothing is done, and what was open is left in a
// state that the order survives.
func TestRecorderFails(t *testing.T) {
	for _, phase := range []rsp.Phase{rsp.PhaseGetPackage, rsp.PhaseLoad, rsp.PhaseRemoveNotification} {
		w := newWorld(t, options{order: small})
		full := errors.New("disk full")
		r, err := w.download(func(p *rsp.Params) {
			p.Recorder = rsp.RecorderFunc(func(c ctx, ph rsp.Phase, d rsp.Detail) error {
				if ph == phase {
					return full
				}
				return w.Record(c, ph, d)
			})
		})
		o := w.orderNow()
		if phase == rsp.PhaseRemoveNotification {
			if err != nil || !r.Delivery.Sent || r.Delivery.Removed || r.Delivery.Row() != rsp.RowNotifyStale {
				t.Errorf("%s: %+v, %v", phase, r.Delivery, err)
			}
			continue
		}
		var f *rsp.Failure
		if !errors.As(err, &f) || !errors.Is(err, full) || !errors.Is(err, rsp.ErrRecord) || f.Unknown || f.Advice.Halt != rsp.HaltNow {
			t.Errorf("%s: %v", phase, err)
			continue
		}
		if len(w.card.State().Profiles) != 0 || o.State == smdpsim.StateError || phase == rsp.PhaseGetPackage && o.Deliveries != 0 {
			t.Errorf("%s: %+v, %+v", phase, w.card.State(), o)
		}
		if !f.Cancelled || f.Reason.Terminal() || f.CancelErr != nil {
			t.Errorf("%s: cancelled %v %v %v", phase, f.Cancelled, f.Reason, f.CancelErr)
		}
	}
}

func TestPackageThatCannotBeKept(t *testing.T) {
	w := newWorld(t, options{order: small})
	_, err := w.download(func(p *rsp.Params) {
		p.KeepPackage = func(ctx, *euicc.BoundPackage, rsp.Detail) error { return io.ErrShortWrite }
	})
	var f *rsp.Failure
	if !errors.As(err, &f) || !errors.Is(err, rsp.ErrKeep) || f.Advice.Row != rsp.RowStationDied || !f.Cancelled {
		t.Fatalf("%v", err)
	}
	for _, command := range w.line.raw {
		if strings.Contains(string(command), "\xBF\x36") {
			t.Error("a block was sent")
		}
	}
}

package rsp_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
)

// Reconcile by the detail alone, as after a crash: it survives JSON.
func TestReconcileAfterACrash(t *testing.T) {
	w := newWorld(t, options{order: small})
	if _, err := w.download(func(p *rsp.Params) { p.Deliver = false }); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(w.last().detail)
	if err != nil {
		t.Fatal(err)
	}
	var d rsp.Detail
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	w.restart()
	card, ch := w.open()
	defer ch.Close(t.Context())
	rec, err := rsp.Reconcile(t.Context(), rsp.PhaseLoad, d, card)
	if err != nil || rec.Outcome != rsp.Installed || rec.Installation == nil || rec.Profile == nil || rec.Earlier || rec.Advice.Row != rsp.RowNotifyPending {
		t.Fatalf("%+v, %v\n%s", rec, err, raw)
	}
	// Another transaction's result proves nothing about this one.
	d.TransactionID = rsp.TransactionID{1, 2, 3}
	rec, err = rsp.Reconcile(t.Context(), rsp.PhaseLoad, d, card)
	if err != nil || rec.Outcome != rsp.Installed || rec.Installation != nil {
		t.Errorf("%+v, %v", rec, err)
	}
	// The profile was deleted since: the results say so.
	if err := card.Delete(t.Context(), euicc.ByICCID(w.order.ICCID)); err != nil {
		t.Fatal(err)
	}
	rec, err = rsp.Reconcile(t.Context(), rsp.PhaseLoad, w.last().detail, card)
	if err != nil || rec.Outcome != rsp.Absent || rec.Advice.Row != rsp.RowScrapped {
		t.Errorf("%+v, %v", rec, err)
	}
}

// A card that returns a wrong result has stored the true one.
func TestReconcileCatchesAWrongResult(t *testing.T) {
	w := newWorld(t, options{order: small, card: func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{euiccsim.FaultWrongResult: 1} }})
	_, err := w.download(func(p *rsp.Params) { p.Deliver = false })
	var f *rsp.Failure
	if !errors.As(err, &f) || f.Advice.Row != rsp.RowInstallFailed {
		t.Fatalf("%v", err)
	}
	rec, err := w.reconcile()
	if err != nil || rec.Outcome != rsp.Installed || !rec.Installation.OK() {
		t.Errorf("%+v, %v", rec, err)
	}
}

// The same ICCID from an earlier order is found before the order is touched,
// and told apart afterwards.
func TestICCIDExists(t *testing.T) {
	w := newWorld(t, options{order: small})
	if _, err := w.download(nil); err != nil {
		t.Fatal(err)
	}
	second := newWorld(t, options{order: small})
	second.card, second.line = w.card, &line{card: w.card}
	_, err := second.download(nil)
	var f *rsp.Failure
	if !errors.As(err, &f) || f.Advice.Row != rsp.RowPrecheck || !errors.Is(err, rsp.ErrICCIDPresent) || !f.Cancelled || f.Reason.Terminal() {
		t.Fatalf("%v", err)
	}
	if o := second.orderNow(); o.Deliveries != 0 || o.State != "released" {
		t.Errorf("%+v", o)
	}
}

func TestReconcileWithoutAnAnswer(t *testing.T) {
	w := newWorld(t, options{order: small})
	card, ch := w.open()
	defer ch.Close(t.Context())
	w.card.PowerCut()
	rec, err := rsp.Reconcile(t.Context(), rsp.PhaseLoad, rsp.Detail{HighWater: -1}, card)
	if err == nil || rec.Outcome != rsp.Unknown {
		t.Errorf("%+v, %v", rec, err)
	}
	w.card.Reset()
}

func TestCancelledContext(t *testing.T) {
	w := newWorld(t, options{order: small})
	ctx, cancel := context.WithCancel(t.Context())
	card, ch := w.open()
	defer ch.Close(t.Context())
	p := w.params(card)
	p.Progress = func(x rsp.Progress) {
		if x.Step == "PrepareDownload" {
			cancel()
		}
	}
	_, err := rsp.Download(ctx, p)
	var f *rsp.Failure
	if !errors.As(err, &f) || !errors.Is(err, context.Canceled) || !f.Cancelled || f.Reason.Terminal() || f.CancelErr != nil || f.Unknown {
		t.Fatalf("%+v", err)
	}
	if o := w.orderNow(); o.State != "released" || o.Deliveries != 0 {
		t.Errorf("%+v", o)
	}
	if _, err := w.download(nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

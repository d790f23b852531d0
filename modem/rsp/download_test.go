package rsp_test

import (
	"slices"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
)

func TestDownload(t *testing.T) {
	w := newWorld(t, options{})
	r, err := w.download(nil)
	if err != nil {
		t.Fatal(err)
	}
	state := w.card.State()
	if len(state.Profiles) != 1 || state.Profiles[0].ICCID != r.ICCID || state.Profiles[0].Enabled {
		t.Errorf("on the card: %+v", state.Profiles)
	}
	if len(state.Notifications) != 0 || !r.Delivery.Sent || !r.Delivery.Removed || r.Delivery.Row() != rsp.RowNone {
		t.Errorf("notification: %+v, left %+v", r.Delivery, state.Notifications)
	}
	if o := w.orderNow(); o.State != smdpsim.StateInstalled || o.Deliveries != 1 {
		t.Errorf("order: %+v", o)
	}
	if !r.Proof.Identity || !r.Proof.Result || r.Proof.Err != nil {
		t.Errorf("proof: %+v", r.Proof)
	}
	var phases []rsp.Phase
	for _, l := range w.log {
		phases = append(phases, l.phase)
	}
	if want := []rsp.Phase{rsp.PhaseGetPackage, rsp.PhaseLoad, rsp.PhaseRemoveNotification}; !slices.Equal(phases, want) {
		t.Errorf("recorded %v, want %v", phases, want)
	}
	if len(w.kept) != 1 || r.RoundTrips != 4 {
		t.Errorf("%d packages kept, %d round trips", len(w.kept), r.RoundTrips)
	}
	if d := w.server.Devices()[w.card.EID()]; len(d) != 1 || d[0].TAC != "53968330" && d[0].TAC != "35693803" {
		t.Errorf("device: %+v", d)
	}
	t.Logf("%d APDUs, %d of them GET RESPONSE, %d round trips, package of %d bytes", r.APDUs.APDUs, r.APDUs.GetResponses, r.RoundTrips, r.Detail.PackageBytes)
}

// What the caller has just read is not read again.
func TestKnownBefore(t *testing.T) {
	w := newWorld(t, options{order: small})
	if _, err := w.download(nil); err != nil {
		t.Fatal(err)
	}
	all := w.line.count
	w = newWorld(t, options{order: small})
	card, ch := w.open()
	p := w.params(card)
	info, err := card.Info1(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Info1, p.Survey = &info, &rsp.Survey{}
	if _, err := rsp.Download(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := ch.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if w.line.count != all-2+1 {
		t.Errorf("%d APDUs, %d without what was known", w.line.count, all)
	}
}

// The number of APDUs of a download with a package of the size of the TS.48
// version 7 profile, from channel open to close, with the checks before it and
// the removal of the notification: a change of it is to be noticed.
func TestAPDUCount(t *testing.T) {
	for _, c := range []struct {
		name   string
		direct bool
		block  int
		want   int
	}{{"answers at once, 255", true, 255, 72}, {"61xx, 255", false, 255, 79}, {"answers at once, 120", true, 120, 139}} {
		w := newWorld(t, options{card: func(o *euiccsim.Options) { o.Direct = c.direct }, route: apdu.Route{BlockSize: c.block}})
		r, err := w.download(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d APDUs in all, %d of the download, %d GET RESPONSE, %d bytes out, %d in", c.name, w.line.count, r.APDUs.APDUs, r.APDUs.GetResponses, r.APDUs.BytesOut, r.APDUs.BytesIn)
		if w.line.count != c.want {
			t.Errorf("%s: %d APDUs, it was %d", c.name, w.line.count, c.want)
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, options{})
		card, ch := w.open()
		p := w.params(card)
		b.StartTimer()
		if _, err := rsp.Download(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		if err := ch.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

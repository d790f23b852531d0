package rsp_test

import (
	"slices"
	"testing"

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

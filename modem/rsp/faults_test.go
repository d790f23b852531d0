package rsp_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
)

// small keeps the matrices fast: the shape of the session is the same.
func small(o *smdpsim.Order) { o.Generic.Size = 4000; o.Attempts = 100 }

func onCard(w *world, r *rsp.Result) bool {
	return slices.ContainsFunc(w.card.State().Profiles, func(p euiccsim.ProfileState) bool { return p.ICCID == w.order.ICCID })
}

// reconcile asks the card after an interruption, with what was recorded last.
func (w *world) reconcile() (rsp.Reconciliation, error) {
	card, ch := w.open()
	defer ch.Close(w.t.Context())
	return rsp.Reconcile(w.t.Context(), w.last().phase, w.last().detail, card)
}

// finish does what the advice says until the profile is installed and its
// server knows, and checks that nothing was consumed twice.
func (w *world) finish(rec rsp.Reconciliation) error {
	if rec.Outcome == rsp.Absent {
		if rec.Advice.Code == rsp.CodeSpent {
			return fmt.Errorf("the code is given up: %+v", rec.Advice)
		}
		if _, err := w.download(nil); err != nil {
			return err
		}
	}
	card, ch := w.open()
	defer ch.Close(w.t.Context())
	deliveries, err := rsp.Deliver(w.t.Context(), card, w.client, w)
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		if !d.Sent || !d.Removed {
			return fmt.Errorf("%+v", d)
		}
	}
	state, order := w.card.State(), w.orderNow()
	if len(state.Profiles) != 1 || len(state.Notifications) != 0 || order.State != smdpsim.StateInstalled || len(order.Installs) != 1 {
		return fmt.Errorf("card %+v, order %+v", state, order)
	}
	intents := 0
	for _, l := range w.log {
		if l.phase == rsp.PhaseGetPackage {
			intents++
		}
	}
	if order.Deliveries > intents {
		return fmt.Errorf("%d deliveries, %d intents were recorded", order.Deliveries, intents)
	}
	return nil
}

var errLink = errors.New("line broke")

// A download is broken at every APDU, with the command lost or only its answer,
// and with the power cut or the line broken. What Reconcile says is compared
// with the card's own state; then the unit is finished.
func TestBrokenAtEveryAPDU(t *testing.T) {
	w := newWorld(t, options{order: small})
	if _, err := w.download(nil); err != nil {
		t.Fatal(err)
	}
	total := w.line.count
	outcomes := map[rsp.Outcome]int{}
	for n := 0; n < total; n++ {
		for _, v := range []struct {
			name       string
			took, dark bool
		}{{"power cut before", false, true}, {"power cut after", true, true}, {"command lost", false, false}, {"answer lost", true, false}} {
			name := fmt.Sprintf("APDU %d, %s", n, v.name)
			w := newWorld(t, options{order: small})
			err := w.broken(n, v.took, v.dark)
			if w.line.count <= n {
				t.Fatalf("%s: the fault did not strike", name)
			}
			w.check(name, err)
			if v.dark {
				w.restart()
			} else {
				w.line.hook = nil
			}
			rec, err := w.reconcile()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := rsp.Absent
			if onCard(w, nil) {
				want = rsp.Installed
			}
			if rec.Outcome != want {
				t.Errorf("%s: %s, the card is %s (%+v)", name, rec.Outcome, want, w.last())
			}
			if want == rsp.Installed && len(w.card.State().Notifications) > 0 && (rec.Installation == nil || !rec.Installation.OK()) {
				t.Errorf("%s: installed, and the stored result was not found", name)
			}
			outcomes[want]++
			if err := w.finish(rec); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	t.Logf("%d APDUs x 4 ways: %v", total, outcomes)
	if outcomes[rsp.Installed] == 0 || outcomes[rsp.Absent] == 0 {
		t.Error("the matrix does not reach both outcomes")
	}
}

// broken runs a download that breaks at the n-th APDU from now.
func (w *world) broken(n int, took, dark bool) error {
	w.line.hook = func(i int, _ []byte, send func() []byte) ([]byte, error) {
		if i < n {
			return send(), nil
		}
		if i == n {
			if took {
				send()
			}
			if dark {
				w.card.PowerCut()
			}
			return nil, errLink
		}
		if dark {
			return nil, errLink
		}
		return send(), nil
	}
	ch, err := apdu.OpenDirect(w.t.Context(), w.line, isdr, apdu.Options{}, w.route)
	if err != nil {
		return err
	}
	defer ch.Close(w.t.Context())
	_, err = rsp.Download(w.t.Context(), w.params(euicc.OnChannel(ch)))
	return err
}

// check: a download that was broken within the load says unknown, and neither
// cancels nor sends a block again; one that was broken before it does not.
func (w *world) check(name string, err error) {
	w.t.Helper()
	var f *rsp.Failure
	if !errors.As(err, &f) {
		if err != nil && len(w.log) > 0 { // it broke while the channel was opened: nothing was meant to happen yet
			w.t.Errorf("%s: %v", name, err)
		}
		return
	}
	phases := map[rsp.Phase]int{}
	for _, l := range w.log {
		phases[l.phase]++
	}
	loading := phases[rsp.PhaseLoad] > 0
	if f.Unknown != loading {
		w.t.Errorf("%s: unknown %v, load begun %v", name, f.Unknown, loading)
	}
	if loading && (f.Cancelled || phases[rsp.PhaseCancel] > 0 || f.Advice.Row != rsp.RowLoadUnknown) {
		w.t.Errorf("%s: %+v", name, f)
	}
	if phases[rsp.PhaseGetPackage] > 1 || phases[rsp.PhaseLoad] > 1 {
		w.t.Errorf("%s: an intent twice: %v", name, phases)
	}
	sent := map[string]int{}
	for _, command := range w.line.raw {
		if command[1] == 0xE2 && len(command) > 200 {
			sent[string(command)]++
		}
	}
	for _, n := range sent {
		if n > 1 && loading {
			w.t.Errorf("%s: a block was sent %d times", name, n)
		}
	}
}

// Every call to the server fails before it took effect and after. The unit can
// always be finished, and the row is the table's.
func TestServerFaults(t *testing.T) {
	lost := errors.New("connection reset")
	for _, f := range []struct {
		function string
		row      rsp.Row
		code     rsp.CodeUse
	}{
		{"initiateAuthentication", rsp.RowServerUnreached, rsp.CodeReusable},
		{"authenticateClient", rsp.RowServerUnreached, rsp.CodeReusable},
		{"getBoundProfilePackage", rsp.RowPackageLost, rsp.CodeCounts},
		{"handleNotification", rsp.RowNotifyPending, rsp.CodeInstalled},
	} {
		for _, took := range []bool{false, true} {
			for _, status := range []int{0, 503} {
				name := fmt.Sprintf("%s, took effect %v, status %d", f.function, took, status)
				w := newWorld(t, options{order: small})
				w.rt.hook = func(function string, send func() (*http.Response, error)) (*http.Response, error) {
					if function != f.function {
						return send()
					}
					if took {
						if r, err := send(); err == nil {
							_ = r.Body.Close()
						}
					}
					if status == 0 {
						return nil, lost
					}
					return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
				}
				r, err := w.download(nil)
				w.rt.hook = nil
				if f.function == "handleNotification" {
					if err != nil || r.Delivery.Row() != f.row || r.Delivery.Sent || len(w.card.State().Notifications) != 1 {
						t.Errorf("%s: %+v, %v", name, r.Delivery, err)
					}
				} else {
					var failure *rsp.Failure
					if !errors.As(err, &failure) || failure.Advice.Row != f.row || failure.Advice.Code != f.code || failure.Unknown || !errors.Is(err, rsp.ErrNetwork) || failure.Cancelled {
						t.Errorf("%s: %+v", name, err)
					}
				}
				rec, err := w.reconcile()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := w.finish(rec); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

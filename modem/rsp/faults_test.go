package rsp_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
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
							r.Body.Close()
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

// What the server refuses, by code.
func TestRefusals(t *testing.T) {
	otherEID, err := ident.EIDWithCheck("890490320000020000000000000000")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		order func(*smdpsim.Order)
		fault func(smdpsim.FaultPoint) smdpsim.Fault
		param func(*rsp.Params)
		card  func(*euiccsim.Options)
		row   rsp.Row
		use   rsp.CodeUse
		halt  rsp.Halt
		want  error
		state smdpsim.State
	}{
		{name: "another EID", order: func(o *smdpsim.Order) { o.EID = otherEID }, row: rsp.RowOrderRefused, use: rsp.CodeHold, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.1.1", Reason: "3.8"}, state: smdpsim.StateReleased},
		{name: "unknown matching id", param: func(p *rsp.Params) { p.Code.MatchingID = "OTHER" }, row: rsp.RowOrderRefused, use: rsp.CodeHold, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2.6", Reason: "3.8"}, state: smdpsim.StateReleased},
		{name: "not released", order: func(o *smdpsim.Order) { o.Held = true }, row: rsp.RowOrderNotReady, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2", Reason: "1.2"}, state: smdpsim.StateAvailable},
		{name: "no memory", order: func(o *smdpsim.Order) { o.Memory = 1 << 25 }, row: rsp.RowOrderNotReady, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.1", Reason: "4.8"}, state: smdpsim.StateReleased},
		{name: "no memory by policy", param: func(p *rsp.Params) { p.Policy.MinFree = 1 << 25 }, row: rsp.RowOrderNotReady, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrMemory, state: smdpsim.StateReleased},
		{name: "confirmation code missing", order: func(o *smdpsim.Order) { o.ConfirmationCode = code }, row: rsp.RowConfirmation, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrConfirmation, state: smdpsim.StateReleased},
		{name: "confirmation code wrong", order: func(o *smdpsim.Order) { o.ConfirmationCode = code }, param: func(p *rsp.Params) { p.Confirmation = "1111" }, row: rsp.RowConfirmation, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2.7", Reason: "3.8"}, state: smdpsim.StateReleased},
		{name: "confirmation code wrong too often", order: func(o *smdpsim.Order) { o.ConfirmationCode, o.ConfirmationAttempts = code, 1 }, param: func(p *rsp.Params) { p.Confirmation = "1111" }, row: rsp.RowOrderSpent, use: rsp.CodeSpent, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2.7", Reason: "6.4"}, state: smdpsim.StateError},
		{name: "another profile", param: func(p *rsp.Params) { p.Policy.ICCID = "8900012345678901235" }, row: rsp.RowPrecheck, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrUnexpected, state: smdpsim.StateReleased},
		{name: "rules without an owner", order: func(o *smdpsim.Order) { o.Metadata.PPRs = []int{smdpsim.PPR1} }, row: rsp.RowPrecheck, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrPolicyRules, state: smdpsim.StateReleased},
		{name: "rules without consent", order: rules(smdpsim.PPR2), row: rsp.RowPrecheck, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrConsent, state: smdpsim.StateReleased},
		{name: "rules that the eUICC forbids", order: rules(smdpsim.PPR2), card: func(o *euiccsim.Options) { o.ForbiddenPPRs = []int{2} }, param: consent, row: rsp.RowOrderNotReady, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2.5", Reason: "4.3"}, state: smdpsim.StateReleased},
		{name: "rules not in the table", order: rules(smdpsim.PPR2), card: func(o *euiccsim.Options) { o.RAT = []euiccsim.RATRule{} }, param: consent, row: rsp.RowPrecheck, use: rsp.CodeAfterFix, halt: rsp.HaltRepeated, want: rsp.ErrPolicyRules, state: smdpsim.StateReleased},
		{name: "wrong server signature", fault: at("initiateAuthentication", smdpsim.FaultWrongSignature), row: rsp.RowServerRefused, use: rsp.CodeReusable, halt: rsp.HaltRepeated, state: smdpsim.StateReleased},
		{name: "wrong transaction id", fault: at("initiateAuthentication", smdpsim.FaultWrongTransactionID), row: rsp.RowServerUnreached, use: rsp.CodeReusable, halt: rsp.HaltNo, want: rsp.ErrReply, state: smdpsim.StateReleased},
		{name: "wrong signature of the offer", fault: at("authenticateClient", smdpsim.FaultWrongSignature), row: rsp.RowPrepare, use: rsp.CodeReusable, halt: rsp.HaltRepeated, state: smdpsim.StateReleased},
		{name: "offer of another transaction", fault: at("authenticateClient", smdpsim.FaultWrongTransactionID), row: rsp.RowServerUnreached, use: rsp.CodeReusable, halt: rsp.HaltNo, want: rsp.ErrReply, state: smdpsim.StateReleased},
		{name: "package of another transaction", fault: at("getBoundProfilePackage", smdpsim.FaultWrongTransactionID), row: rsp.RowPackageLost, use: rsp.CodeCounts, halt: rsp.HaltNo, want: rsp.ErrReply, state: smdpsim.StateDownloaded},
		{name: "wrong signature of the package", fault: at("getBoundProfilePackage", smdpsim.FaultWrongSignature), row: rsp.RowInstallFailed, use: rsp.CodeSpent, halt: rsp.HaltRepeated, state: smdpsim.StateError},
		{name: "wrong MAC of the package", fault: at("getBoundProfilePackage", smdpsim.FaultWrongMAC), row: rsp.RowInstallFailed, use: rsp.CodeSpent, halt: rsp.HaltRepeated, state: smdpsim.StateError},
		{name: "no memory while loading", card: func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{euiccsim.FaultLoadMemory: 1} }, row: rsp.RowTemporary, use: rsp.CodeCounts, halt: rsp.HaltNo, state: smdpsim.StateDownloaded},
		{name: "bad element", card: func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{euiccsim.FaultLoadElement: 1} }, row: rsp.RowInstallFailed, use: rsp.CodeSpent, halt: rsp.HaltRepeated, state: smdpsim.StateError},
		{name: "another server address", param: func(p *rsp.Params) { p.Address = "other.example.com" }, row: rsp.RowServerUnreached, use: rsp.CodeReusable, halt: rsp.HaltNo, want: rsp.ErrNetwork, state: smdpsim.StateReleased},
		{name: "certificate of another EID", param: func(p *rsp.Params) { p.EID, p.Policy.Issuers = make([]byte, 16), issuers(t) }, row: rsp.RowServerRefused, use: rsp.CodeReusable, halt: rsp.HaltRepeated, want: rsp.ErrEUICC, state: smdpsim.StateReleased},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := newWorld(t, options{card: c.card, server: func(s *smdpsim.Config) { s.Fault = c.fault }, order: func(o *smdpsim.Order) {
				small(o)
				if c.order != nil {
					c.order(o)
				}
			}})
			r, err := w.download(c.param)
			var f *rsp.Failure
			if !errors.As(err, &f) {
				t.Fatalf("%v", err)
			}
			if f.Advice.Row != c.row || f.Advice.Code != c.use || f.Advice.Halt != c.halt || f.Unknown {
				t.Errorf("%+v: %v", f.Advice, err)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v is not %v", err, c.want)
			}
			if o := w.orderNow(); o.State != c.state {
				t.Errorf("order is %s (%s), want %s", o.State, o.Cause, c.state)
			}
			if f.Cancelled && f.Reason.Terminal() {
				t.Errorf("cancelled for good: %v", f.Reason)
			}
			if f.CancelErr != nil {
				t.Errorf("cancel: %v", f.CancelErr)
			}
			if len(w.card.State().Profiles) != 0 || len(w.card.State().Notifications) != 0 {
				t.Errorf("on the card: %+v", w.card.State())
			}
			if r.Installation != nil && (!r.Delivery.Sent || !r.Delivery.Removed) {
				t.Errorf("the result of a failed installation: %+v", r.Delivery)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), code) {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

func at(point smdpsim.Point, kind smdpsim.FaultKind) func(smdpsim.FaultPoint) smdpsim.Fault {
	return func(p smdpsim.FaultPoint) smdpsim.Fault {
		if p.Point == point {
			return smdpsim.Fault{Kind: kind}
		}
		return smdpsim.Fault{}
	}
}

func rules(set ...int) func(*smdpsim.Order) {
	return func(o *smdpsim.Order) {
		o.Metadata.PPRs, o.Metadata.Owner = set, &smdpsim.Owner{MCCMNC: [3]byte{0x00, 0xF1, 0x10}}
	}
}

func consent(p *rsp.Params) { p.Consent = rsp.Consent{Contract: "contract 7", PPRs: []int{1, 2}} }

// With consent declared, a profile with rules is installed, and the contract is
// in what was recorded.
func TestConsent(t *testing.T) {
	w := newWorld(t, options{order: func(o *smdpsim.Order) { small(o); rules(smdpsim.PPR2)(o) }})
	if _, err := w.download(consent); err != nil {
		t.Fatal(err)
	}
	if d := w.log[0].detail; d.Consent != "contract 7" {
		t.Errorf("recorded %+v", d)
	}
}

func TestConfirmationCode(t *testing.T) {
	w := newWorld(t, options{order: func(o *smdpsim.Order) { small(o); o.ConfirmationCode = code }})
	if !w.code().ConfirmationRequired {
		t.Error("the activation code does not ask for it")
	}
	if _, err := w.download(func(p *rsp.Params) { p.Confirmation = code }); err != nil {
		t.Fatal(err)
	}
	for _, event := range w.trace {
		if strings.Contains(event, hexOf(secret)) {
			t.Errorf("the matching id is in the trace: %s", event)
		}
	}
}

package rsp_test

import (
	"errors"
	"strings"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
)

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
		{name: "a digit of the status code as confirmation code", order: func(o *smdpsim.Order) { o.ConfirmationCode, o.ConfirmationAttempts = code, 1 }, param: func(p *rsp.Params) { p.Confirmation = "2" }, row: rsp.RowOrderSpent, use: rsp.CodeSpent, halt: rsp.HaltRepeated, want: &rsp.ServerError{Subject: "8.2.7", Reason: "6.4"}, state: smdpsim.StateError},
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

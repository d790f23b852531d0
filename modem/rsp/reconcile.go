package rsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"linefit/modem/euicc"
)

// Outcome is where the profile of an interrupted download is.
type Outcome string

// The outcomes.
const (
	Absent    Outcome = "absent"    // not on the eUICC
	Installed Outcome = "installed" // on the eUICC
	Unknown   Outcome = "unknown"   // the eUICC does not say, or contradicts itself: hold the unit
)

// Reconciliation is what the eUICC says about an interrupted download.
type Reconciliation struct {
	Outcome Outcome
	Advice  Advice // what may be done with the code

	// Profile is the entry with the download's ICCID, if there is one.
	Profile *euicc.Profile

	// Installation is the eUICC's stored result for this very transaction, if
	// it still has it: evidence, and still to be delivered.
	Installation *euicc.InstallationResult

	// Earlier says that the profile was there before this download began.
	Earlier bool

	Notifications []euicc.Notification // all that wait on the eUICC
}

// ErrContradiction says that a stored result and the profile list do not fit.
var ErrContradiction = errors.New("the eUICC's profile list and its installation result contradict each other")

// Reconcile finds out what became of a download of which the last recorded
// intent was phase with detail. It reads profiles and notifications, and
// changes nothing. The caller opens a new channel for it (or resets the card)
// first: that ends what the eUICC had half done.
//
// The outcome is where the profile is, as its list says. The stored result,
// found by transaction id, proves by which download it came there, and tells
// why it did not. With outcome Unknown there is an error too.
func Reconcile(ctx context.Context, phase Phase, d Detail, card *euicc.Card) (Reconciliation, error) {
	r := Reconciliation{Outcome: Unknown, Advice: Advise(RowLoadUnknown), Earlier: d.WasPresent}
	profiles, err := card.Profiles(ctx)
	if err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	if r.Notifications, err = card.Notifications(ctx); err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	if r.Installation, err = findResult(ctx, card, d, r.Notifications); err != nil {
		return r, fmt.Errorf("reconcile: %w", err)
	}
	iccid := []byte(d.RawICCID)
	switch {
	case len(iccid) > 0:
	case d.ICCID != "":
		iccid = d.ICCID.Bytes()
	case r.Installation != nil:
		iccid = r.Installation.Notification.RawICCID
	}
	if i := slices.IndexFunc(profiles, func(p euicc.Profile) bool { return len(iccid) > 0 && bytes.Equal(p.RawICCID, iccid) }); i >= 0 {
		r.Profile = &profiles[i]
	}
	return r.judge(phase, d)
}

// findResult looks for the stored result of this transaction among the
// installations that came after the ones seen before the download.
func findResult(ctx context.Context, card *euicc.Card, d Detail, list []euicc.Notification) (*euicc.InstallationResult, error) {
	if len(d.TransactionID) == 0 {
		return nil, nil
	}
	for _, n := range slices.Backward(list) {
		if n.Event != euicc.EventInstall || n.Sequence <= d.HighWater {
			continue
		}
		pending, err := card.Retrieve(ctx, n.Sequence)
		if err != nil {
			return nil, err
		}
		for _, p := range pending {
			if p.Result != nil && bytes.Equal(p.Result.TransactionID, d.TransactionID) {
				return p.Result, nil
			}
		}
	}
	return nil, nil
}

func (r Reconciliation) judge(phase Phase, d Detail) (Reconciliation, error) {
	result := r.Installation
	switch {
	case r.Profile != nil && (result == nil || result.OK()):
		r.Outcome, r.Advice = Installed, Advise(RowNotifyPending)
		switch {
		case result == nil && d.WasPresent:
			r.Advice = Advise(RowICCIDExists)
		case result == nil:
			r.Advice = Advice{RowNone, CodeInstalled, ActionNone, HaltNo, "installed; its result has left the eUICC already"}
		}
	case r.Profile != nil: // this download failed, an earlier one did not
		r.Outcome, r.Earlier, r.Advice = Installed, true, Advise(RowICCIDExists)
	case result != nil && !result.OK():
		r.Outcome, r.Advice = Absent, Advise(rowOfResult(result.Failure))
	case result != nil && r.deletedSince(result):
		r.Outcome, r.Advice = Absent, Advise(RowScrapped)
	case result != nil && d.Class == euicc.Test:
		r.Outcome, r.Advice = Installed, Advise(RowNotifyPending) // not listed outside device test mode
	case result != nil:
		return r, ErrContradiction
	case phase == PhaseLoad:
		r.Outcome, r.Advice = Absent, Advise(RowPowerLost)
		r.Advice.Code, r.Advice.Action = CodeCounts, ActionRetry
	case phase == PhaseGetPackage:
		r.Outcome, r.Advice = Absent, Advise(RowPackageLost)
	case phase == PhaseCancel && d.Reason.Terminal():
		r.Outcome, r.Advice = Absent, Advise(RowCancelledForGood)
	default:
		r.Outcome, r.Advice = Absent, Advise(RowNone)
	}
	return r, nil
}

// deletedSince: a later notification says that the profile was deleted.
func (r Reconciliation) deletedSince(result *euicc.InstallationResult) bool {
	return slices.ContainsFunc(r.Notifications, func(n euicc.Notification) bool {
		return n.Event == euicc.EventDelete && n.Sequence > result.Notification.Sequence && bytes.Equal(n.RawICCID, result.Notification.RawICCID)
	})
}

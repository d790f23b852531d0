package steps

import (
	"context"
	"encoding/hex"
	"errors"

	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/stock"
)

// mustReconcile: something was begun whose end is not known, or an earlier run
// of this unit had to do with this profile.
func mustReconcile(run *station.Run) bool {
	if _, installed := run.Installed(); installed || run.Profile.Was != "" {
		return true
	}
	for _, in := range run.OpenIntents() {
		switch in.Effect {
		case station.EffectGetBPP, station.EffectLoad, station.EffectCancel:
			return true
		}
	}
	return false
}

// phases bind the effects of a download to the LPA's phases.
var phases = map[station.EffectName]rsp.Phase{
	station.EffectGetBPP: rsp.PhaseGetPackage, station.EffectLoad: rsp.PhaseLoad,
	station.EffectCancel: rsp.PhaseCancel,
}

var effects = func() map[rsp.Phase]station.EffectName {
	m := map[rsp.Phase]station.EffectName{}
	for e, p := range phases {
		m[p] = e
	}
	return m
}()

// lastIntent is the newest download intent of the run, or what the stock knows
// of the profile where the run has none.
func lastIntent(run *station.Run) (rsp.Phase, rsp.Detail) {
	d := rsp.Detail{SMDP: run.Profile.SMDP, ICCID: run.Profile.ICCID, Class: euicc.Operational, HighWater: -1}
	phase := rsp.Phase("")
	for _, in := range run.Intents {
		p, ok := phases[in.Effect]
		if !ok || in.Profile != run.Profile.Handle {
			continue
		}
		phase = p
		d.ICCID, d.Class, d.WasPresent, d.HighWater = in.ICCID, euicc.Class(in.Class), in.Present != "", in.Watermark
		d.TransactionID, _ = hex.DecodeString(in.Transaction)
		d.Reason = euicc.CancelReason(in.Cause)
	}
	if d.ICCID != "" {
		d.RawICCID = d.ICCID.Bytes()
	}
	return phase, d
}

// reconcile reads the eUICC and closes what was open. done means that the step
// is over with res.
func (s *session) reconcile(ctx context.Context, a *station.Attempt, c *card) (res station.StepResult, done bool) {
	phase, detail := lastIntent(a.Run)
	if detail.ICCID == "" {
		return hold(station.ProfileUnknown, "which ICCID an earlier download would have installed is not known"), true
	}
	r, err := rsp.Reconcile(ctx, phase, detail, c.Card)
	if err != nil {
		if errors.Is(err, rsp.ErrContradiction) {
			return hold(station.ProfileUnknown, "%v", err), true
		}
		return failed(err, station.ProfileUnknown), true
	}
	found := station.Result{Effect: station.EffectLoad, Outcome: station.OK, State: string(r.Outcome), By: "reconcile", ICCID: detail.ICCID}
	earlier := r.Outcome == rsp.Installed && r.Earlier && a.Run.Profile.Was == ""
	if earlier { // a copy that this download did not install
		found.Outcome, found.State = station.Fail, station.StateAbsent
	}
	if r.Installation != nil {
		found.Sequence = r.Installation.Notification.Sequence
		if f := r.Installation.Failure; f != nil {
			found.Outcome, found.Code = station.Fail, f.Error()
			if found.Evidence, err = s.keepFailure(r.Installation); err != nil {
				return failed(err, station.VaultFault), true
			}
		}
		if err := s.keep(ctx, a, r.Installation.Notification, r.Installation.Raw); err != nil {
			return failed(err, station.VaultFault), true
		}
	}
	if err := a.Record(ctx, closing(a.Run, found)...); err != nil {
		return failed(err, station.LogStopped), true
	}
	if r.Outcome == rsp.Installed && !earlier {
		return s.committed(ctx, a), true
	}
	if earlier {
		s.forgetPackage(a.Run)
		return hold(station.ProfileDuplicate, "profile %s was on the eUICC before this station downloaded it", detail.ICCID), true
	}
	s.forgetPackage(a.Run)
	if r.Installation != nil && r.Installation.Failure != nil && r.Advice.Action == rsp.ActionStop {
		return gaveUp(r.Advice.Row, r.Installation.Failure), true
	}
	return station.StepResult{}, false
}

// keepFailure keeps what the eUICC signed about a load that failed: the provider is
// shown it when it must replace the order, also when the notification is long sent.
func (s *session) keepFailure(r *euicc.InstallationResult) (handle string, err error) {
	vault := s.bench.opt.Stock.Vault()
	handle = vault.HandleFor(stock.KindResult, "load/"+hex.EncodeToString(r.TransactionID))
	return handle, vault.Replace(stock.KindResult, handle, stock.NewSecret(r.Raw))
}

// gaveUp is the result of a download whose installation failed for good.
func gaveUp(row rsp.Row, f *euicc.InstallFailure) station.StepResult {
	code := rowCodes[row]
	if row == rsp.RowInstallFailed {
		code = installCode(f)
	}
	r := station.NewReason(code, "%v", f)
	if r.Class != station.ClassUnit {
		return fault(r)
	}
	return station.StepResult{Outcome: station.Fail, Reason: r, Final: true}
}

// closing are the results of all open download intents, of which the load's is
// found; without an open load found stands for itself.
func closing(run *station.Run, found station.Result) []station.Fact {
	var facts []station.Fact
	for _, in := range run.OpenIntents() {
		switch in.Effect {
		case station.EffectLoad:
			found.Number = in.Number
		case station.EffectGetBPP, station.EffectCancel:
			facts = append(facts, station.Result{Effect: in.Effect, Number: in.Number, Outcome: station.Timeout, By: "reconcile", ICCID: in.ICCID})
		}
	}
	return append(facts, found)
}

// committed writes that the profile is the unit's.
func (s *session) committed(ctx context.Context, a *station.Attempt, measured ...station.Measurement) station.StepResult {
	iccid, _ := a.Run.Installed()
	if !a.Run.Settled {
		f := station.ProfileCommitted{Handle: a.Run.Profile.Handle, ICCID: iccid, EID: a.Run.Identity.EID}
		if err := a.Record(ctx, f); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	s.forgetPackage(a.Run)
	return ok(measured...)
}

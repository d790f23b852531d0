package steps

import (
	"context"
	"encoding/hex"
	"errors"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// Items reads the stock ledger.
type Items interface {
	// OfEUICC lists the profiles that an eUICC has, or was to have.
	OfEUICC(eid ident.EID) ([]station.StockItem, error)
	// OfICCID lists the profiles with an ICCID, whoever has them.
	OfICCID(iccid ident.ICCID) ([]station.StockItem, error)
}

// reserve takes a profile out of the stock for the unit on the fixture.
func reserve(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	run := a.Run
	if run.Profile != nil && !run.Settled {
		return ok() // the run was interrupted behind this step
	}
	if err := s.bench.lot(); err != nil {
		return failed(err, station.LotStopped)
	}
	batch := a.Step.Text("batch")
	if batch == "" {
		batch = run.Started.Batch
	}
	_, err := s.bench.opt.Stock.Reserve(ctx, stock.Want{
		Run: run.ID, Unit: run.Unit, EID: run.Identity.EID, Batch: batch, Operator: a.Step.Text("operator"),
		SKU: run.Started.SKU, Customer: run.Started.Customer, WorkOrder: run.Started.WorkOrder,
	}, a.Record)
	if err != nil {
		return failed(err, station.StockEmpty)
	}
	return ok()
}

// target is the profile of this run on the eUICC.
func target(ctx context.Context, c *card, run *station.Run) (euicc.Profile, bool, error) {
	iccid, installed := run.Primary()
	if !installed {
		return euicc.Profile{}, false, errNotInstalled
	}
	profiles, err := c.ProfilesBrief(ctx)
	if err != nil {
		return euicc.Profile{}, false, err
	}
	for _, p := range profiles {
		if p.ICCID == iccid {
			return p, true, nil
		}
	}
	return euicc.Profile{}, false, nil
}

var errNotInstalled = errors.New("no profile of this run is known to be installed")

// change brings the run's profile into a state, with an intent before and what
// was read back behind.
func (s *session) change(ctx context.Context, a *station.Attempt, effect station.EffectName, want euicc.State, do func(context.Context, *card, euicc.Profile) error) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	p, found, err := target(ctx, c, a.Run)
	switch {
	case err != nil:
		return failed(err, station.EUICCProtocol)
	case !found:
		return fail(station.ProfileReadback, "the installed profile is not on the eUICC")
	}
	iccid, _ := a.Run.Primary()
	number := openIntent(a.Run, effect)
	if p.State == want {
		return s.changed(ctx, a, station.Result{Effect: effect, Number: number, Outcome: station.OK, State: want.String(), By: "reconcile", ICCID: iccid}, number != 0)
	}
	if number == 0 {
		number = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: effect, Number: number, ICCID: iccid, Profile: a.Run.PrimaryHandle()}); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	seen := s.module.Refreshes()
	if err := do(ctx, c, p); err != nil {
		s.suspect = true
		if !euicc.Unknown(err) {
			return s.refusedChange(ctx, a, station.Result{Effect: effect, Number: number, Outcome: station.Fail, By: "answer", ICCID: iccid}, err)
		}
		return failed(err, station.EUICCProtocol) // the next try reads the state first
	}
	s.suspect, s.refreshing, s.refreshes = true, true, seen // a REFRESH closes the channel
	return s.changed(ctx, a, station.Result{Effect: effect, Number: number, Outcome: station.OK, State: want.String(), By: "answer", ICCID: iccid, AID: hex.EncodeToString(p.AID)}, true)
}

func (s *session) refusedChange(ctx context.Context, a *station.Attempt, res station.Result, err error) station.StepResult {
	res.Code = code(err)
	if rerr := a.Record(ctx, res); rerr != nil {
		return failed(rerr, station.LogStopped)
	}
	return failed(err, station.EUICCRefused)
}

func (s *session) changed(ctx context.Context, a *station.Attempt, res station.Result, record bool) station.StepResult {
	if record {
		if err := a.Record(ctx, res); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	return ok()
}

// openIntent is the number of the newest intent of this effect without a
// result, 0 if there is none.
func openIntent(run *station.Run, effect station.EffectName) int {
	number := 0
	for _, in := range run.OpenIntents() {
		if in.Effect == effect {
			number = in.Number
		}
	}
	return number
}

// deleteProfile removes a profile that this or an earlier run of the unit
// installed; one that is enabled is disabled first.
func deleteProfile(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	p, found, err := target(ctx, c, a.Run)
	switch {
	case errors.Is(err, errNotInstalled):
		return skipped()
	case err != nil:
		return failed(err, station.EUICCProtocol)
	case found && p.State == euicc.Enabled:
		res := s.change(ctx, a, station.EffectDisable, euicc.Disabled, func(ctx context.Context, c *card, p euicc.Profile) error {
			return c.Disable(ctx, euicc.ByICCID(p.ICCID), true)
		})
		if res.Outcome != station.OK {
			return res
		}
		if c, err = s.openCard(ctx); err != nil {
			return failed(err, station.EUICCProtocol)
		}
	}
	iccid, _ := a.Run.Primary()
	gone := station.Result{Effect: station.EffectDelete, Number: openIntent(a.Run, station.EffectDelete), Outcome: station.OK, State: station.StateAbsent, By: "reconcile", ICCID: iccid}
	if !found {
		return s.changed(ctx, a, gone, gone.Number != 0)
	}
	if gone.Number == 0 {
		gone.Number = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: station.EffectDelete, Number: gone.Number, ICCID: iccid, Profile: a.Run.Profile.Handle}); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	if err := c.Delete(ctx, euicc.ByICCID(iccid)); err != nil {
		s.suspect = true
		if !euicc.Unknown(err) {
			gone.Outcome, gone.State, gone.By = station.Fail, "", "answer"
			return s.refusedChange(ctx, a, gone, err)
		}
		return failed(err, station.EUICCProtocol)
	}
	gone.By = "answer"
	return s.changed(ctx, a, gone, true)
}

// readback reads what a cold unit shows: the ICCID through the module, EID and
// state through the ISD-R.
func readback(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	raw, err := c.EID(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if eid, err := ident.EIDFromBytes(raw); err != nil || eid != a.Run.Identity.EID {
		return hold(station.IdentityChanged, "EID %s, before it was %s", eid, a.Run.Identity.EID)
	}
	want := a.Step.Text("state")
	iccid, _ := a.Run.Primary()
	p, found, err := target(ctx, c, a.Run)
	switch {
	case errors.Is(err, errNotInstalled) && a.Run.InFactory() && a.Run.Recipe.Factory == station.FactoryClosing: // its profiles came with an earlier recipe
		return s.readFactory(ctx, a, c, []station.Measurement{station.Measure("eid", string(a.Run.Identity.EID))})
	case err != nil:
		return failed(err, station.EUICCProtocol)
	case !found:
		return fail(station.ProfileReadback, "profile %s is not on the eUICC after the cold restart", iccid)
	case p.State.String() != want:
		return fail(station.ProfileReadback, "profile %s is %s after the cold restart, not %s", iccid, p.State, want)
	}
	measured := []station.Measurement{station.Measure("state", p.State.String()), station.Measure("eid", string(a.Run.Identity.EID)), station.Measure("card_iccid", string(iccid))}
	if want == "enabled" {
		shown, err := s.module.AwaitICCID(ctx, iccid)
		if err != nil {
			return failed(err, station.ProfileReadback)
		}
		if shown != iccid {
			return fail(station.ProfileReadback, "the module shows ICCID %s, not %s", shown, iccid)
		}
		measured = append(measured, station.Measure("iccid", string(shown)))
	}
	if a.Run.InFactory() {
		return s.readFactory(ctx, a, c, measured)
	}
	return ok(measured...)
}

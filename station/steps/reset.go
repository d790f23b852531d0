package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// resetBits are the options of a memory reset by their names in a recipe.
var resetBits = map[string]int{
	"operational": euicc.ResetOperational, "test": euicc.ResetTest, "default_address": euicc.ResetDefaultAddress,
	"preloaded_test": euicc.ResetPreloadedTest, "provisioning": euicc.ResetProvisioning, "eim": euicc.ResetEIM,
	"immediate_enable": euicc.ResetImmediateEnable,
}

// resetMemory clears an eUICC for another run: with SGP.22's function, or with
// the one that SGP.32 has in its place. What it did is read back, and the ledger
// is told of every profile that is gone.
func resetMemory(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	what := a.Step.Params["what"]
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	before, err := s.resettable(ctx, a, c, what)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	intent := openIntent(a.Run, station.EffectReset)
	if before.empty() && intent == 0 && before.readable(what) {
		return s.cleared(ctx, a, station.Result{}, 0)
	}
	if intent == 0 {
		intent = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: station.EffectReset, Number: intent, What: what, EIMs: before.eims}); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	done := station.Result{Effect: station.EffectReset, Number: intent, Outcome: station.OK, By: "answer"}
	err = resetBy(ctx, c, a.Run.Identity.Generation, what)
	s.suspect = true // a REFRESH may have closed the channel
	if err != nil && !errors.Is(err, euicc.ErrNothingToDelete) {
		if !euicc.Unknown(err) {
			done.Outcome, done.Code = station.Fail, code(err)
			if rerr := a.Record(ctx, done); rerr != nil {
				return failed(rerr, station.LogStopped)
			}
		}
		return failed(err, station.EUICCRefused)
	}
	if c, err = s.openCard(ctx); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	after, err := s.resettable(ctx, a, c, what)
	switch {
	case err != nil:
		return failed(err, station.EUICCProtocol)
	case !after.empty():
		return fail(station.EUICCRefused, "after the memory reset there are still %s", after)
	}
	return s.cleared(ctx, a, done, len(before.profiles))
}

// resettable is what a reset would remove, as far as it can be read.
type resettable struct {
	profiles []ident.ICCID
	eims     []string
}

func (r resettable) empty() bool { return len(r.profiles) == 0 && len(r.eims) == 0 }

// readable reports whether everything that is to be reset shows itself.
func (resettable) readable(what []string) bool {
	return !slices.ContainsFunc(what, func(w string) bool { return w == "default_address" || w == "immediate_enable" })
}

func (r resettable) String() string {
	return fmt.Sprintf("profiles %v, eIMs %s", r.profiles, strings.Join(r.eims, ", "))
}

func (s *session) resettable(ctx context.Context, a *station.Attempt, c *card, what []string) (r resettable, err error) {
	profiles, err := c.ProfilesBrief(ctx)
	if err != nil {
		return r, err
	}
	classes := map[euicc.Class]string{euicc.Operational: "operational", euicc.Provisioning: "provisioning"}
	for _, p := range profiles {
		// Which test profiles were there from the beginning the eUICC does not say.
		if name, ok := classes[p.Class]; ok && slices.Contains(what, name) {
			r.profiles = append(r.profiles, p.ICCID)
		}
	}
	if !slices.Contains(what, "eim") || a.Run.Identity.Generation != string(euicc.SGP32) {
		return r, nil
	}
	there, err := c.EIMs(ctx)
	for _, e := range there {
		r.eims = append(r.eims, e.ID)
	}
	return r, err
}

func resetBy(ctx context.Context, c *card, generation string, what []string) error {
	bits := make([]int, 0, len(what))
	for _, w := range what {
		bits = append(bits, resetBits[w])
	}
	if generation == string(euicc.SGP32) {
		return c.IoTMemoryReset(ctx, bits...)
	}
	return c.MemoryReset(ctx, bits...)
}

// cleared writes what the reset did: to the run, and to the ledger for every
// profile that it had given to this eUICC.
func (s *session) cleared(ctx context.Context, a *station.Attempt, done station.Result, deleted int) station.StepResult {
	var facts []station.Fact
	if done.Number != 0 {
		facts = append(facts, done)
	}
	gone, err := s.gone(ctx, a)
	if err != nil {
		return failed(err, station.StationFault)
	}
	facts = append(facts, gone...)
	if len(facts) > 0 {
		if err := a.Record(ctx, facts...); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	for _, in := range a.Run.Intents { // associations that are no more
		if in.Effect != station.EffectReset {
			continue
		}
		for _, id := range in.EIMs {
			if err := s.bench.opt.Stock.Vault().Delete(stock.KindToken, s.tokenHandle(a.Run.Identity.EID, id)); err != nil {
				return failed(&keepError{err}, station.VaultFault)
			}
		}
	}
	return ok(number("deleted", int64(deleted)))
}

// gone are the ledger's profiles of this eUICC that are not on it any more.
func (s *session) gone(ctx context.Context, a *station.Attempt) ([]station.Fact, error) {
	c, err := s.openCard(ctx)
	if err != nil {
		return nil, err
	}
	profiles, err := c.ProfilesBrief(ctx)
	if err != nil {
		return nil, err
	}
	items, err := s.bench.opt.Items.OfEUICC(a.Run.Identity.EID)
	if err != nil {
		return nil, err
	}
	var facts []station.Fact
	for _, i := range items {
		there := slices.ContainsFunc(profiles, func(p euicc.Profile) bool { return p.ICCID == i.ICCID })
		if i.State == station.StockInstalled && i.EID == a.Run.Identity.EID && i.ICCID != "" && !there {
			facts = append(facts, station.ProfileSpent{Handle: i.Handle, Reason: station.NewReason(station.ProfileDeleted, "memory reset of its eUICC")})
		}
	}
	return facts, nil
}

package steps

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/stock"
)

// certificate is an eUICC's certificate whose chain was checked.
type certificate struct{ leaf *x509.Certificate }

// factory is the coding of ES10f on this line's eUICCs.
func (o Options) factory() euicc.FactoryCoding {
	if o.Factory == (euicc.FactoryCoding{}) {
		return euicc.LinefitFactory
	}
	return o.Factory
}

// oneTimeKeys reads the one-time keys that the eUICC has left. The list is
// signed: it is the eUICC's own word, under a certificate of this EID from an
// issuer that counts here.
func (s *session) oneTimeKeys(ctx context.Context, c *card, run *station.Run) (euicc.OneTimeKeys, certificate, error) {
	keys, err := c.OneTimeKeys(ctx, s.bench.opt.factory())
	if err != nil {
		return keys, certificate{}, err
	}
	if !bytes.Equal(keys.EID, run.Identity.EID.Bytes()) {
		return keys, certificate{}, station.Refuse(station.IdentityChanged, "the list of one-time keys is of EID %x, the eUICC's is %s", keys.EID, run.Identity.EID)
	}
	leaf, err := keys.Verify()
	if err == nil {
		err = s.verifyChain(leaf, keys.EUM, run.Identity.EID)
	}
	if err != nil {
		return keys, certificate{}, station.Refuse(station.EUICCUntrusted, "the list of one-time keys: %v", err)
	}
	return keys, certificate{leaf}, nil
}

func (s *session) verifyChain(leaf *x509.Certificate, eum []byte, eid ident.EID) error {
	maker, err := euicc.ParseCertificate(eum)
	if err != nil {
		return fmt.Errorf("EUM: %w", err)
	}
	return euicc.VerifyChain(leaf, maker, s.bench.opt.Trust.Issuers, eid.Bytes(), time.Now())
}

// Words of the measurement lpa_services.
const (
	lpaOpen = "open"
	lpaShut = "shut"
)

// lpaServices asks for a challenge, with which every download begins, and which
// changes nothing: shut while the eUICC refuses it for its conditions.
func lpaServices(ctx context.Context, c *card) (string, error) {
	_, err := c.Challenge(ctx)
	var refused *euicc.StatusError
	switch {
	case err == nil:
		return lpaOpen, nil
	case errors.As(err, &refused):
		return lpaShut, nil
	}
	return "", err
}

// refused is the result res of a function that err ended, or that in-factory
// one-time keys are left (SGP.41) where the eUICC refused it for its conditions
// and has such keys: LPA and IPA services are shut then, whatever its generation.
func (s *session) refused(ctx context.Context, err error, res station.StepResult) station.StepResult {
	var status *euicc.StatusError
	if !errors.As(err, &status) || status.SW != wire.SWConditionsNotSatisfied || s.card == nil {
		return res
	}
	keys, kerr := s.card.OneTimeKeys(ctx, s.bench.opt.factory())
	if kerr != nil || len(keys.Keys) == 0 {
		return res
	}
	return hold(station.KeysLeft, "%d in-factory one-time keys are left, and LPA and IPA services are shut: %v", len(keys.Keys), err)
}

// closeFactory ends in-factory provisioning on this eUICC. No result may be
// open: without its one-time keys an eUICC gets no other package.
func closeFactory(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	run := a.Run
	if run.Profile != nil && !run.Settled || openIntent(run, station.EffectLoad) != 0 {
		return hold(station.ProfileUnknown, "what became of profile %s is not known", run.Profile.ICCID)
	}
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	keys, _, err := s.oneTimeKeys(ctx, c, run)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	before, err := lpaServices(ctx, c)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if len(keys.Keys) > 0 {
		if res := foresee(ctx, c, a); res.Outcome != station.OK {
			return res
		}
	}
	if res := s.deleteKeys(ctx, a, c, len(keys.Keys)); res.Outcome != station.OK {
		return res
	}
	left, services, err := s.factoryState(ctx, c, run)
	switch {
	case err != nil:
		return failed(err, station.EUICCProtocol)
	case left > 0:
		return fail(station.KeysLeft, "%d one-time keys are left after their deletion", left)
	case services != lpaOpen:
		return fail(station.KeysLeft, "no one-time key is left, and LPA services are shut all the same")
	}
	if err := s.closeIntent(ctx, a); err != nil {
		return failed(err, station.LogStopped)
	}
	if err := s.retire(ctx, a); err != nil {
		return failed(err, station.LogStopped)
	}
	return ok(number("deleted", int64(len(keys.Keys))), number("one_time_keys", int64(left)),
		station.Measure("lpa_before", before), station.Measure("lpa_services", services))
}

// foresee checks now what a read-back behind the closing will want of the number of
// profiles: an eUICC without its one-time keys gets no other package.
func foresee(ctx context.Context, c *card, a *station.Attempt) station.StepResult {
	recipe := a.Run.Recipe
	kind := recipe.KindOf(a.Run.Identity)
	for _, step := range recipe.Steps[recipe.Index(a.Step.ID)+1:] {
		limits := slices.DeleteFunc(slices.Clone(step.Limits), func(l station.Limit) bool { return l.Measure != measureProfiles })
		if step.Kind != station.KindReadback || !step.For(kind) || len(limits) == 0 {
			continue
		}
		profiles, err := c.ProfilesBrief(ctx)
		if err != nil {
			return failed(err, station.EUICCProtocol)
		}
		for _, m := range station.CheckLimits([]station.Measurement{number(measureProfiles, int64(len(profiles)))}, limits) {
			if m.Bad != "" {
				return fail(station.LimitExceeded, "%s profiles are on the eUICC, and the limit of step %s is: %s; the one-time keys are kept", m.Value, step.ID, m.Bad)
			}
		}
	}
	return ok()
}

// measureProfiles is how many profiles are on the eUICC.
const measureProfiles = "profiles"

// deleteKeys deletes the one-time keys, with an intent before. One whose answer
// was lost is followed by another look, never by a guess.
func (s *session) deleteKeys(ctx context.Context, a *station.Attempt, c *card, n int) station.StepResult {
	if n == 0 {
		return ok()
	}
	number := openIntent(a.Run, station.EffectDeleteKeys)
	if number == 0 {
		number = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: station.EffectDeleteKeys, Number: number}); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	err := c.DeleteOneTimeKeys(ctx, s.bench.opt.factory())
	switch {
	case err == nil:
		return ok()
	case !as[*euicc.FunctionError](err) && !as[*euicc.StatusError](err): // the next try reads the list first
		s.suspect = true
		return failed(err, station.EUICCProtocol)
	}
	res := station.Result{Effect: station.EffectDeleteKeys, Number: number, Outcome: station.Fail, By: "answer", Code: code(err)}
	if rerr := a.Record(ctx, res); rerr != nil {
		return failed(rerr, station.LogStopped)
	}
	return failed(err, station.KeysLeft)
}

// factoryState is how many one-time keys are left, and whether LPA services
// work.
func (s *session) factoryState(ctx context.Context, c *card, run *station.Run) (left int, services string, err error) {
	keys, _, err := s.oneTimeKeys(ctx, c, run)
	if err != nil {
		return 0, "", err
	}
	services, err = lpaServices(ctx, c)
	return len(keys.Keys), services, err
}

// readFactory completes a read-back in a recipe of in-factory provisioning:
// every profile of the run is there, and how many one-time keys are left. After
// the closing recipe none is, and LPA services work.
func (s *session) readFactory(ctx context.Context, a *station.Attempt, c *card, measured []station.Measurement) station.StepResult {
	run := a.Run
	profiles, err := c.ProfilesBrief(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	for _, f := range run.Fitted {
		if !slices.ContainsFunc(profiles, func(p euicc.Profile) bool { return p.ICCID == f.ICCID }) {
			return fail(station.ProfileReadback, "profile %s is not on the eUICC after the cold restart", f.ICCID)
		}
	}
	left, services, err := s.factoryState(ctx, c, run)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	measured = append(measured, number("one_time_keys", int64(left)), station.Measure("lpa_services", services), number(measureProfiles, int64(len(profiles))))
	closing := run.Recipe.Factory == station.FactoryClosing
	switch {
	case closing && left > 0:
		return fail(station.KeysLeft, "%d one-time keys are left after the cold restart", left)
	case closing && services != lpaOpen:
		return fail(station.KeysLeft, "LPA services are shut after the cold restart")
	}
	return ok(measured...)
}

// prepared finds out whether an eUICC is one of in-factory provisioning, where
// the recipe takes such beside others: whether it has one-time keys, or had
// packages. The first is the eUICC's word and the second the stock's: an eUICC
// that lost its keys to a run that was cut off goes on as what it was.
func (s *session) prepared(ctx context.Context, a *station.Attempt, c *card, id station.UnitIdentified) (string, error) {
	if !a.Run.Recipe.Mixed() || id.Generation != string(euicc.SGP22) {
		return "", nil
	}
	items, err := s.bench.opt.Items.OfEUICC(id.EID)
	if err != nil {
		return "", fmt.Errorf("packages of EID %s: %w", id.EID, err)
	}
	if slices.ContainsFunc(items, func(i station.StockItem) bool { return i.Kind == station.KindPreparedPackage }) {
		return "yes", nil
	}
	keys, err := c.OneTimeKeys(ctx, s.bench.opt.factory())
	switch {
	case as[*euicc.StatusError](err): // it has no such function
		return "", nil
	case err != nil:
		return "", err
	case len(keys.Keys) == 0:
		return "", nil
	}
	return "yes", nil
}

// closeIntent writes that the keys are gone, as read back.
func (s *session) closeIntent(ctx context.Context, a *station.Attempt) error {
	number := openIntent(a.Run, station.EffectDeleteKeys)
	if number == 0 {
		return nil
	}
	return a.Record(ctx, station.Result{Effect: station.EffectDeleteKeys, Number: number, Outcome: station.OK, State: station.StateAbsent, By: "reconcile"})
}

// retire takes the packages out of the stock that nobody can load any more:
// those of this eUICC that were never tried.
func (s *session) retire(ctx context.Context, a *station.Attempt) error {
	items, err := s.bench.opt.Items.OfEUICC(a.Run.Identity.EID)
	if err != nil {
		return fmt.Errorf("packages of EID %s: %w", a.Run.Identity.EID, err)
	}
	for _, i := range items {
		if i.Kind != station.KindPreparedPackage || i.State != station.StockAvailable {
			continue
		}
		f := station.ProfileSpent{Handle: i.Handle, Reason: station.NewReason(station.PackageUnused, "one-time key %d is deleted", i.KeyNumber)}
		if err := a.Record(ctx, f); err != nil {
			return err
		}
		// One that cannot be erased now goes when the stock is looked after.
		_ = s.bench.opt.Stock.Vault().Delete(stock.KindPackage, i.Handle)
	}
	return nil
}

// unreported leaves out of a list of pending notifications the results of
// prepared packages: the loading step keeps these, and they leave with the
// loading report (SGP.41, steps 13 to 16). The eUICC keeps its own.
func (s *session) unreported(run *station.Run, list []euicc.Notification) ([]euicc.Notification, error) {
	if !run.InFactory() {
		return list, nil
	}
	items, err := s.bench.opt.Items.OfEUICC(run.Identity.EID)
	if err != nil {
		return nil, fmt.Errorf("packages of EID %s: %w", run.Identity.EID, err)
	}
	prepared := map[ident.ICCID]bool{}
	for _, i := range items {
		prepared[i.ICCID] = prepared[i.ICCID] || i.Kind == station.KindPreparedPackage
	}
	return slices.DeleteFunc(slices.Clone(list), func(n euicc.Notification) bool {
		return n.Event == euicc.EventInstall && prepared[n.ICCID]
	}), nil
}

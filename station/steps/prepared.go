package steps

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/stock"
)

// packageLoad is one attempt at profile.load: packages that were bound to this
// eUICC's one-time keys beforehand (SGP.41) are loaded until the unit has as
// many profiles as the step wants.
//
// A package is for one try, and every package of which a load was begun has an
// intent in the log. So a crash, a timeout or a kill changes nothing about what
// may be done next: a package without an intent was not touched; one with an
// intent is never sent again, whatever became of it, and the eUICC is asked
// whether it was installed. Where it was not, the package is spent and the next
// one is taken.
type packageLoad struct {
	s    *session
	a    *station.Attempt
	c    *card
	keys euicc.OneTimeKeys
	cert certificate // of the eUICC, verified

	apdus, bytes int64
	failure      *station.StepResult // of the package that failed last in this attempt
}

func loadPackages(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	l := &packageLoad{s: s, a: a}
	var err error
	if l.c, err = s.openCard(ctx); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if l.keys, l.cert, err = s.oneTimeKeys(ctx, l.c, a.Run); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	for {
		if res, over := l.next(ctx); over {
			return res
		}
	}
}

// next brings the step one package forward; over says that res is its end.
func (l *packageLoad) next(ctx context.Context) (res station.StepResult, over bool) {
	run := l.a.Run
	if run.Profile != nil && !run.Settled {
		if l.begun() {
			return l.reconcile(ctx, nil)
		}
		return l.load(ctx)
	}
	fitted, lost, err := l.count()
	if err != nil {
		return failed(err, station.StationFault), true
	}
	spares := l.a.Step.Int("spares", 0)
	switch {
	case fitted >= l.a.Step.Int("profiles", 1):
		l.s.seen.survey = nil // it is old from now on
		return ok(number("profiles", fitted), number("packages", fitted+lost), number("apdus", l.apdus), number("bpp_bytes", l.bytes)), true
	case lost > spares && l.failure != nil:
		return *l.failure, true
	case lost > spares:
		return hold(station.CodeSpent, "%d packages were used up in this run, %d may be", lost, spares), true
	}
	return l.reserve(ctx)
}

// begun reports whether a load of the reserved package was ever begun.
func (l *packageLoad) begun() bool {
	run := l.a.Run
	return run.Profile.Was != "" || run.Profile.Downloads > 0 || slices.ContainsFunc(run.Intents, func(in station.Intent) bool {
		return in.Effect == station.EffectLoad && in.Profile == run.Profile.Handle
	})
}

// count counts the packages of this run that are of the kind the step wants:
// those that the unit has, and those whose load was begun in vain.
func (l *packageLoad) count() (fitted, lost int64, err error) {
	run := l.a.Run
	items, err := l.s.bench.opt.Items.OfEUICC(run.Identity.EID)
	if err != nil {
		return 0, 0, fmt.Errorf("packages of EID %s: %w", run.Identity.EID, err)
	}
	wanted := func(want, have string) bool { return want == "" || want == have }
	for _, i := range items {
		if !wanted(l.batch(), i.Batch) || !wanted(l.a.Step.Text("operator"), i.Operator) {
			continue
		}
		switch {
		case slices.ContainsFunc(run.Fitted, func(f station.Fitted) bool { return f.Handle == i.Handle }):
			fitted++
		case slices.ContainsFunc(run.Intents, func(in station.Intent) bool { return in.Effect == station.EffectLoad && in.Profile == i.Handle }):
			lost++
		}
	}
	return fitted, lost, nil
}

func (l *packageLoad) batch() string {
	if batch := l.a.Step.Text("batch"); batch != "" {
		return batch
	}
	return l.a.Run.Started.Batch
}

// reserve takes the next package of this eUICC.
func (l *packageLoad) reserve(ctx context.Context) (station.StepResult, bool) {
	run := l.a.Run
	want := stock.Want{
		Run: run.ID, Unit: run.Unit, EID: run.Identity.EID, Kind: station.KindPreparedPackage, Batch: l.batch(),
		Operator: l.a.Step.Text("operator"), SKU: run.Started.SKU, Customer: run.Started.Customer, WorkOrder: run.Started.WorkOrder,
	}
	for _, f := range run.Fitted {
		want.Not = append(want.Not, f.Handle)
	}
	if run.Profile != nil { // settled, and not for this run again
		want.Not = append(want.Not, run.Profile.Handle)
	}
	if err := l.s.bench.lot(); err != nil {
		return failed(err, station.LotStopped), true
	}
	_, err := l.s.bench.opt.Stock.Reserve(ctx, want, l.a.Record)
	var none *station.Refusal
	switch {
	case err == nil:
		return station.StepResult{}, false
	case errors.As(err, &none) && none.Reason.Code == station.StockEmpty && l.failure != nil:
		return hold(station.PackageNone, "none is left for EID %s; the last one: %s", run.Identity.EID, l.failure.Reason), true
	case errors.As(err, &none) && none.Reason.Code == station.StockEmpty:
		return hold(station.PackageNone, "none is left for EID %s%s", run.Identity.EID, l.misfits(want)), true
	}
	return failed(err, station.StockEmpty), true
}

// load sends the reserved package, for the first and only time.
func (l *packageLoad) load(ctx context.Context) (station.StepResult, bool) {
	run := l.a.Run
	p, err := l.s.bench.opt.Stock.Package(ctx, run.Profile.Handle)
	if err != nil {
		return failed(err, station.VaultFault), true
	}
	transaction, err := hex.DecodeString(p.Transaction)
	if err != nil {
		return hold(station.ProfileMismatch, "package %s: its transaction id is not hexadecimal", run.Profile.Handle), true
	}
	if !slices.ContainsFunc(l.keys.Keys, func(k euicc.OneTimeKey) bool { return string(k.PublicKey) == string(p.OneTimeKey) }) {
		return l.giveUp(ctx, fault(station.NewReason(station.CodeSpent, "the eUICC has no one-time key %d any more that package %s is bound to", p.KeyNumber, run.Profile.ICCID)))
	}
	r, err := rsp.LoadPrepared(ctx, rsp.PreparedParams{
		Card: l.c.Card, Coding: l.s.bench.opt.factory(), EID: run.Identity.EID.Bytes(), Certificate: l.keys.Certificate, Recorder: l.s.recorder(l.a),
		Prepared: rsp.Prepared{
			EID: string(p.EID), ICCID: p.ICCID, TransactionID: transaction, OneTimeKey: p.OneTimeKey, Address: p.Address,
			Certificate: p.Certificate, Package: p.Package.Reveal(),
		},
		Progress: func(p rsp.Progress) {
			if p.Total > 0 {
				l.a.Progress(100 * p.Done / p.Total)
			}
		},
	})
	l.apdus += int64(r.APDUs.APDUs)
	if r.Installation != nil { // good or bad: what the eUICC's list says decides
		l.bytes += int64(r.Detail.PackageBytes)
		return l.answered(ctx, r.Installation, err)
	}
	return l.notLoaded(ctx, err)
}

// answered takes the eUICC's signed result. One that says that the installation
// failed is held against the eUICC's list before the package is given up: there
// are cards that install and say they did not.
func (l *packageLoad) answered(ctx context.Context, result *euicc.InstallationResult, err error) (station.StepResult, bool) {
	if err != nil {
		return l.reconcile(ctx, result)
	}
	run := l.a.Run
	res, kerr := l.keep(result, station.Result{
		Effect: station.EffectLoad, Number: openIntent(run, station.EffectLoad), Profile: run.Profile.Handle, Outcome: station.OK,
		State: station.StateInstalled, By: "answer", ICCID: run.Profile.ICCID, AID: hex.EncodeToString(result.AID),
	})
	if kerr != nil {
		return failed(kerr, station.VaultFault), true
	}
	if err := l.a.Record(ctx, res); err != nil {
		return failed(err, station.LogStopped), true
	}
	return l.commit(ctx, res)
}

// notLoaded is a load without a result.
func (l *packageLoad) notLoaded(ctx context.Context, err error) (station.StepResult, bool) {
	var f *rsp.Failure
	switch {
	case !errors.As(err, &f):
		return failed(err, station.StationFault), true
	case f.Unknown:
		l.s.suspect = true
		return failed(err, station.ProfileUnknown), true
	case errors.Is(err, euicc.ErrKeySpent):
		return l.giveUp(ctx, fault(station.NewReason(station.CodeSpent, "%v", f)))
	case errors.Is(err, rsp.ErrICCIDPresent):
		return hold(station.ProfileDuplicate, "%v", f), true
	case errors.Is(err, rsp.ErrOtherEID), errors.Is(err, rsp.ErrNotPrepared):
		return hold(station.ProfileMismatch, "%v", f), true
	case f.Advice.Row == rsp.RowServerRefused:
		return hold(station.EUICCUntrusted, "%v", f), true
	}
	return failed(err, station.EUICCProtocol), true // the next attempt finds an intent, or none
}

// reconcile asks the eUICC what became of a package whose load was begun, and
// closes it. result is what the eUICC has just answered, where it did.
func (l *packageLoad) reconcile(ctx context.Context, result *euicc.InstallationResult) (station.StepResult, bool) {
	run := l.a.Run
	r, err := rsp.Reconcile(ctx, rsp.PhaseLoad, l.detail(), l.c.Card)
	if errors.Is(err, rsp.ErrContradiction) {
		return hold(station.ProfileUnknown, "%v", err), true
	}
	if err != nil {
		return failed(err, station.ProfileUnknown), true
	}
	if r.Installation != nil {
		result = r.Installation
	}
	res := station.Result{
		Effect: station.EffectLoad, Number: openIntent(run, station.EffectLoad), Profile: run.Profile.Handle, Outcome: station.OK,
		State: string(r.Outcome), By: "reconcile", ICCID: run.Profile.ICCID,
	}
	if result != nil {
		if res, err = l.keep(result, res); err != nil {
			return failed(err, station.VaultFault), true
		}
	}
	if err := l.a.Record(ctx, res); err != nil {
		return failed(err, station.LogStopped), true
	}
	switch {
	case r.Outcome == rsp.Installed && r.Earlier && run.Profile.Was == "":
		return hold(station.ProfileDuplicate, "profile %s was on the eUICC before this station loaded it", run.Profile.ICCID), true
	case r.Outcome == rsp.Installed:
		return l.commit(ctx, res)
	case result != nil && result.Failure != nil:
		return l.giveUp(ctx, refusedPackage(result.Failure))
	}
	return l.giveUp(ctx, fault(station.NewReason(station.CodeSpent, "the load of package %s was cut off, and its one-time key is used up", run.Profile.ICCID)))
}

// detail is what is known of the load of the reserved package.
func (l *packageLoad) detail() rsp.Detail {
	run := l.a.Run
	_, d := lastIntent(run)
	if len(d.TransactionID) > 0 {
		return d
	}
	items, err := l.s.bench.opt.Items.OfEUICC(run.Identity.EID)
	if err != nil { // the ICCID is known all the same
		return d
	}
	for _, i := range items {
		if i.Handle == run.Profile.Handle {
			d.TransactionID, _ = hex.DecodeString(i.Session)
		}
	}
	return d
}

// unproven is the code of a result whose signature does not verify.
const unproven = "signature does not verify"

// keep seals the eUICC's signed result under its package's handle, where the
// loading report finds it, and completes the fact.
func (l *packageLoad) keep(result *euicc.InstallationResult, res station.Result) (station.Result, error) {
	handle := l.a.Run.Profile.Handle
	if err := l.s.bench.opt.Stock.Vault().Replace(stock.KindResult, handle, stock.NewSecret(result.Raw)); err != nil {
		return res, &keepError{err}
	}
	res.Evidence, res.Sequence = handle, result.Notification.Sequence
	if f := result.Failure; f != nil {
		res.Outcome, res.Code = station.Fail, f.Error()
	}
	if res.State == station.StateInstalled {
		res.Outcome = station.OK
	}
	if err := result.Verify(l.cert.leaf); err != nil {
		res.Code = unproven
	}
	return res, nil
}

// commit writes that the profile is the unit's. One whose result proves nothing
// is the unit's too, and keeps it from passing.
func (l *packageLoad) commit(ctx context.Context, res station.Result) (station.StepResult, bool) {
	run := l.a.Run
	if !run.Settled {
		f := station.ProfileCommitted{Handle: run.Profile.Handle, ICCID: run.Profile.ICCID, EID: run.Identity.EID}
		if err := l.a.Record(ctx, f); err != nil {
			return failed(err, station.LogStopped), true
		}
	}
	l.s.forgetPackage(run)
	if res.Code == unproven {
		r := fail(station.EUICCProtocol, "the eUICC's result for %s: its %s", run.Profile.ICCID, unproven)
		r.Final = true
		return r, true
	}
	return station.StepResult{}, false
}

// giveUp writes that the reserved package is used up, and why; the next one may
// be taken.
func (l *packageLoad) giveUp(ctx context.Context, why station.StepResult) (station.StepResult, bool) {
	run := l.a.Run
	if err := l.a.Record(ctx, station.ProfileSpent{Handle: run.Profile.Handle, Reason: why.Reason}); err != nil {
		return failed(err, station.LogStopped), true
	}
	l.s.forgetPackage(run)
	l.failure = &why
	return station.StepResult{}, false
}

// refusedPackage is the result of a package that the eUICC refused.
func refusedPackage(f *euicc.InstallFailure) station.StepResult {
	code := station.ProfileRefused
	switch f.Reason {
	case euicc.ReasonSCP03tStructure, euicc.ReasonSCP03tSecurity:
		return fault(station.NewReason(station.ProfileDamaged, "%v", f))
	case euicc.ReasonICCIDExists:
		return hold(station.ProfileDuplicate, "%v", f)
	case euicc.ReasonInsufficientMemory:
		code = station.EUICCMemory
	case euicc.ReasonInterruption:
		return fault(station.NewReason(station.CodeSpent, "%v", f))
	}
	res := fail(code, "%v", f)
	res.Final = true
	return res
}

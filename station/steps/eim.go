package steps

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/eim"
	"linefit/station/stock"
)

// tokenHandle is where an association lies in the vault.
func (s *session) tokenHandle(eid ident.EID, id string) string {
	return s.bench.opt.Stock.Vault().HandleFor(stock.KindToken, string(eid)+"/"+id)
}

// association reads what is kept, nil where there is nothing.
func (s *session) association(eid ident.EID, id string) (*eim.Association, error) {
	item, err := s.bench.opt.Stock.Vault().Get(stock.KindToken, s.tokenHandle(eid, id))
	if errors.Is(err, stock.ErrNoItem) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a, err := eim.ParseAssociation(item.Reveal())
	if err != nil {
		return nil, &keepError{err}
	}
	return &a, nil
}

// keepAssociation writes it unless it is there already, and gives its handle.
func (s *session) keepAssociation(a eim.Association) (string, error) {
	handle := s.tokenHandle(a.EID, a.EIM)
	old, err := s.association(a.EID, a.EIM)
	if err != nil || old != nil && *old == a {
		return handle, err
	}
	if err := s.bench.opt.Stock.Vault().Replace(stock.KindToken, handle, stock.NewSecret(a.Bytes())); err != nil {
		return "", &keepError{err}
	}
	return handle, nil
}

// ourEIMs reports whether this station has associated every one of these eIMs
// with the run's eUICC, in this run or in an earlier one.
func (s *session) ourEIMs(run *station.Run, there []euicc.EIM) (bool, error) {
	for _, e := range there {
		known, err := s.association(run.Identity.EID, e.ID)
		if err != nil || known == nil {
			return false, err
		}
	}
	return true, nil
}

// configurations are the eIMs that a step is to add: the order's where it names
// some, else the recipe's.
func (s *session) configurations(a *station.Attempt) ([]eim.Configuration, *station.Reason) {
	if name := a.Run.Started.EIM; name != "" {
		list, known := s.bench.opt.EIMs[name]
		if !known {
			return nil, station.NewReason(station.EIMConfiguration, "the order names eIM configuration %q, which this station does not have", name)
		}
		return list, nil
	}
	var list []eim.Configuration
	for _, file := range a.Step.Params["configuration"] {
		found, err := eim.Parse(file, a.Run.Recipe.Files[file])
		if err != nil {
			return nil, station.NewReason(station.EIMConfiguration, "%v", err)
		}
		list = append(list, found...)
	}
	if len(list) == 0 {
		return nil, station.NewReason(station.EIMConfiguration, "neither the order nor the recipe names an eIM configuration")
	}
	return list, nil
}

// addEIM associates the first eIMs. What an earlier attempt has done is found by
// reading them back: the eUICC takes them once.
func addEIM(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	wanted, reason := s.configurations(a)
	if reason != nil {
		return fault(reason)
	}
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	there, err := c.EIMs(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if len(there) > 0 {
		return s.addedBefore(ctx, a, wanted, there)
	}
	for _, w := range wanted { // before the intent: whoever comes later knows whose they are
		if _, err := s.keepAssociation(eim.Association{EIM: w.ID, EID: a.Run.Identity.EID, Counter: w.Counter, Token: eim.NoToken}); err != nil {
			return failed(err, station.VaultFault)
		}
	}
	number := openIntent(a.Run, station.EffectAddEIM)
	if number == 0 {
		number = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: station.EffectAddEIM, Number: number, EIMs: eim.IDs(wanted)}); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	raw := make([][]byte, len(wanted))
	for i, w := range wanted {
		raw[i] = w.Raw
	}
	tokens, err := c.AddInitialEIM(ctx, raw...)
	if err != nil {
		s.suspect = true
		return s.notAdded(ctx, a, number, err)
	}
	return s.added(ctx, a, wanted, tokens, station.Result{Effect: station.EffectAddEIM, Number: number, Outcome: station.OK, By: "answer"})
}

// addedBefore: eIMs are there. They are those that this station has added, or
// was adding when it was interrupted, or the unit is held.
func (s *session) addedBefore(ctx context.Context, a *station.Attempt, wanted []eim.Configuration, there []euicc.EIM) station.StepResult {
	ours, err := s.ourEIMs(a.Run, there)
	if err != nil {
		return failed(err, station.VaultFault)
	}
	if !ours {
		return hold(station.EIMPresent, "the eUICC has eIM %s already", namesOf(there))
	}
	tokens, same := match(wanted, there)
	if !same {
		return hold(station.EIMPresent, "an earlier run has added eIM %s, wanted is %s", namesOf(there), strings.Join(eim.IDs(wanted), ", "))
	}
	return s.added(ctx, a, wanted, tokens, station.Result{
		Effect: station.EffectAddEIM, Number: openIntent(a.Run, station.EffectAddEIM), Outcome: station.OK, By: "reconcile",
	})
}

// match finds each wanted eIM among those there, and their tokens.
func match(wanted []eim.Configuration, there []euicc.EIM) (tokens []int64, same bool) {
	if len(wanted) != len(there) {
		return nil, false
	}
	for _, w := range wanted {
		found := false
		for _, e := range there {
			id, key := eim.Known(e.Raw)
			if id == w.ID && (len(key) == 0 || bytes.Equal(key, w.Key)) {
				tokens, found = append(tokens, e.Token), true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return tokens, true
}

// added keeps the tokens and closes the intent.
func (s *session) added(ctx context.Context, a *station.Attempt, wanted []eim.Configuration, tokens []int64, res station.Result) station.StepResult {
	for i, w := range wanted {
		handle, err := s.keepAssociation(eim.Association{EIM: w.ID, EID: a.Run.Identity.EID, Counter: w.Counter, Token: tokens[i]})
		if err != nil {
			return failed(err, station.VaultFault)
		}
		if i == 0 {
			res.Evidence = handle
		}
	}
	if res.Number != 0 {
		if err := a.Record(ctx, res); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	return ok(number("eims", int64(len(wanted))))
}

// eimReasons are the reasons of AddInitialEim's codes (SGP.32 section 5.9.4);
// every other one is a matter of the configuration.
func eimReason(err error) station.Code {
	switch {
	case errors.Is(err, euicc.ErrEIMExists):
		return station.EIMPresent
	case errors.Is(err, euicc.ErrNoMemory):
		return station.EUICCMemory
	}
	return station.EIMConfiguration
}

// notAdded closes the intent where the eUICC has refused; else the next attempt
// reads the eIMs first.
func (s *session) notAdded(ctx context.Context, a *station.Attempt, number int, err error) station.StepResult {
	var refused *euicc.FunctionError
	if euicc.Unknown(err) || !errors.As(err, &refused) {
		return failed(err, station.EUICCProtocol)
	}
	if rerr := a.Record(ctx, station.Result{Effect: station.EffectAddEIM, Number: number, Outcome: station.Fail, By: "answer", Code: code(err)}); rerr != nil {
		return failed(rerr, station.LogStopped)
	}
	return hold(eimReason(err), "%v", err)
}

func namesOf(list []euicc.EIM) string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.ID
	}
	return strings.Join(names, ", ")
}

// allowImmediate lets the profile that comes be enabled in the session of its
// download. The eUICC takes it only while no eIM is associated; where an earlier
// attempt of this unit has come as far as its eIM, nothing more is to be done.
func allowImmediate(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	address := a.Step.Text("smdp")
	if address == "reserved" {
		if a.Run.Profile == nil {
			return hold(station.StationFault, "no profile is reserved")
		}
		address = a.Run.Profile.SMDP
	}
	err = c.ConfigureImmediateEnable(ctx, true, a.Step.Text("smdp_oid"), address)
	switch {
	case err == nil:
		return ok()
	case !errors.Is(err, euicc.ErrEIMExists):
		return s.refused(ctx, err, failed(err, station.EUICCRefused))
	}
	there, err := c.EIMs(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	ours, err := s.ourEIMs(a.Run, there)
	switch {
	case err != nil:
		return failed(err, station.VaultFault)
	case !ours:
		return hold(station.EIMPresent, "the eUICC has eIM %s already", namesOf(there))
	}
	return skipped()
}

package steps

import (
	"context"
	"errors"
	"slices"

	"linefit/modem/euicc"
	"linefit/station"
	"linefit/station/notify"
)

// Outbox is where notifications go on their way to their servers.
type Outbox = notify.Outbox

// keepError is a notification that could not be taken over: a fault of the
// station and not of the eUICC.
type keepError struct{ err error }

func (e *keepError) Error() string { return e.err.Error() }
func (e *keepError) Unwrap() error { return e.err }

// keep takes a notification over from the eUICC.
func (s *session) keep(ctx context.Context, a *station.Attempt, n euicc.Notification, raw []byte) error {
	err := s.bench.opt.Outbox.Keep(ctx, a.Run, station.NotificationKept{
		Sequence: n.Sequence, Operation: n.Event.String(), ICCID: n.ICCID, Recipient: n.Address, EID: a.Run.Identity.EID,
	}, raw, a.Record)
	if err != nil {
		return &keepError{err}
	}
	return nil
}

// handover takes what is pending on the eUICC, waits while it is being
// delivered, and removes what was acknowledged. What stays on the eUICC is in
// the outbox and does not keep the unit from passing.
func handover(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	list, err := c.Notifications(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if err := s.takeOver(ctx, a, c, list); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	s.bench.opt.Outbox.Await(ctx, a.Run.Identity.EID)
	var done []int64
	for _, n := range list {
		state, err := s.bench.opt.Outbox.State(a.Run.Identity.EID, n.Sequence)
		if err != nil {
			return failed(err, station.StationFault)
		}
		if state == notify.Delivered && a.Step.Text("remove") != "never" {
			done = append(done, n.Sequence)
		}
	}
	if err := s.remove(ctx, a, c, done); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	return ok(number("pending", int64(len(list)-len(done))), number("delivered", int64(len(done))))
}

// takeOver keeps every notification that the outbox does not have yet.
func (s *session) takeOver(ctx context.Context, a *station.Attempt, c *card, list []euicc.Notification) error {
	for _, n := range list {
		wanted, err := s.bench.opt.Outbox.Wants(a.Run.Identity.EID, n.Sequence)
		if err != nil {
			return &keepError{err}
		}
		if !wanted {
			continue
		}
		full, err := c.Retrieve(ctx, n.Sequence)
		if err != nil {
			return err
		}
		for _, p := range full {
			if p.Sequence != n.Sequence {
				continue
			}
			if err := s.keep(ctx, a, p.Notification, p.Raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove takes acknowledged notifications off the eUICC, with one intent before
// and one result behind. A removal that is interrupted is simply done again:
// one that is gone already is removed.
func (s *session) remove(ctx context.Context, a *station.Attempt, c *card, sequences []int64) error {
	open := openRemovals(a.Run)
	if len(sequences) == 0 && len(open) == 0 {
		return nil
	}
	if !covered(open, sequences) {
		in := station.Intent{Effect: station.EffectRemove, Number: a.Run.NextIntent(), Sequences: sequences}
		if err := a.Record(ctx, in); err != nil {
			return err
		}
		open = append(open, in)
	}
	for _, n := range sequences {
		if err := c.RemoveNotification(ctx, n); err != nil && !errors.Is(err, euicc.ErrNothingToDelete) {
			return err
		}
	}
	var done []station.Fact
	for _, in := range open {
		done = append(done, station.Result{Effect: station.EffectRemove, Number: in.Number, Outcome: station.OK, By: "answer"})
	}
	return a.Record(ctx, done...)
}

// openRemovals are the removals without a result. What of them is still on the
// eUICC is acknowledged, and so among what is removed now.
func openRemovals(run *station.Run) (open []station.Intent) {
	for _, in := range run.OpenIntents() {
		if in.Effect == station.EffectRemove {
			open = append(open, in)
		}
	}
	return open
}

// covered reports whether every number is in one of the intents.
func covered(intents []station.Intent, sequences []int64) bool {
	return !slices.ContainsFunc(sequences, func(n int64) bool {
		return !slices.ContainsFunc(intents, func(in station.Intent) bool { return slices.Contains(in.Sequences, n) })
	})
}

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
	missed, err := s.missed(ctx, a, list)
	if err != nil {
		return failed(err, station.StationFault)
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
	measured := []station.Measurement{number("pending", int64(len(list)-len(done))), number("delivered", int64(len(done)))}
	if missed > 0 {
		measured = append(measured, number("missed", int64(missed)))
	}
	return ok(measured...)
}

// missed finds notifications of this run that the eUICC's full list has lost
// before they were taken over, and writes their numbers. The numbers have no
// gaps (SGP.22 section 3.5), and the newest one is never lost.
func (s *session) missed(ctx context.Context, a *station.Attempt, list []euicc.Notification) (int, error) {
	first, last := firstSequence(a.Run), int64(0)
	for _, n := range list {
		last = max(last, n.Sequence)
	}
	if first == 0 {
		return 0, nil
	}
	f := station.NotificationMissed{EID: a.Run.Identity.EID}
	missed := 0
	for n := first + 1; n < last && n-first < maxGap; n++ {
		if slices.ContainsFunc(list, func(have euicc.Notification) bool { return have.Sequence == n }) {
			continue
		}
		state, err := s.bench.opt.Outbox.State(f.EID, n)
		switch {
		case err != nil:
			return 0, err
		case state == notify.Missed:
			missed++
		case state == "":
			f.Sequences = append(f.Sequences, n)
		}
	}
	if len(f.Sequences) == 0 {
		return missed, nil
	}
	return missed + len(f.Sequences), a.Record(ctx, f)
}

// maxGap bounds how many numbers are looked up.
const maxGap = 1000

// firstSequence is the number from which on this run must have seen every
// notification: the one of its first result of a load. 0: there is none.
func firstSequence(run *station.Run) (first int64) {
	for _, r := range run.Results {
		if r.Effect == station.EffectLoad && r.Sequence > 0 && (first == 0 || r.Sequence < first) {
			first = r.Sequence
		}
	}
	return first
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

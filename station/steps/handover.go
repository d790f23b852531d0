package steps

import (
	"context"
	"errors"

	"linefit/modem/euicc"
	"linefit/station"
	"linefit/station/notify"
)

// Outbox is where notifications go on their way to their servers.
type Outbox = notify.Outbox

// keep takes a notification over from the eUICC.
func (s *session) keep(ctx context.Context, a *station.Attempt, n euicc.Notification, raw []byte) error {
	return s.bench.opt.Outbox.Keep(ctx, a.Run, station.NotificationKept{
		Sequence: n.Sequence, Operation: n.Event.String(), ICCID: n.ICCID, Recipient: n.Address, EID: a.Run.Identity.EID,
	}, raw, a.Record)
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
		return failed(err, station.VaultFault)
	}
	s.bench.opt.Outbox.Await(ctx, a.Run.Identity.EID)
	var done []int64
	for _, n := range list {
		if s.bench.opt.Outbox.State(a.Run.Identity.EID, n.Sequence) == notify.Delivered && a.Step.Text("remove") != "never" {
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
		if s.bench.opt.Outbox.State(a.Run.Identity.EID, n.Sequence) != "" {
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
	if len(sequences) == 0 {
		return nil
	}
	number := openIntent(a.Run, station.EffectRemove)
	if number == 0 {
		number = a.Run.NextIntent()
		if err := a.Record(ctx, station.Intent{Effect: station.EffectRemove, Number: number, Sequences: sequences}); err != nil {
			return err
		}
	}
	for _, n := range sequences {
		if err := c.RemoveNotification(ctx, n); err != nil && !errors.Is(err, euicc.ErrNothingToDelete) {
			return err
		}
	}
	return a.Record(ctx, station.Result{Effect: station.EffectRemove, Number: number, Outcome: station.OK, By: "answer"})
}

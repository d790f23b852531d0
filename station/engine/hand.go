package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"linefit/station"
)

// Loan is a slot that a person works in by hand, for the time of one call. It
// belongs to the slot's goroutine, which makes that call.
type Loan struct {
	r *runner
}

// Record appends facts of this work in order; where one of them is a gate it
// returns when all are durable. After an error nothing irreversible may be done.
func (l *Loan) Record(ctx context.Context, facts ...station.Fact) error {
	return l.r.record(ctx, facts...)
}

// Bind says whose eUICC it is: the facts that follow stand in that unit's story.
func (l *Loan) Bind(unit station.Serial) { l.r.env.Unit = unit }

// HandLimit bounds work by hand in one slot.
const HandLimit = 15 * time.Minute

// Lend lets a person work in a slot in which no unit is at work: work is called
// in the slot's goroutine between a durable [station.HandStarted] and a
// [station.HandEnded], for at most [HandLimit]; an emergency stop ends its
// context. A refusal is a *station.Refusal; it is in the log and nothing else has
// changed.
//
// A crash in the middle leaves the work open in the log. The next start ends it
// as aborted and names the effect that has no result.
func (e *Engine) Lend(ctx context.Context, slot int, by station.Person, verb string, work func(context.Context, *Loan) station.HandEnded) error {
	err := e.lend(ctx, slot, by, verb, work)
	if errors.Is(err, errLog) {
		err = station.Refuse(station.LogStopped, "%s", err)
	}
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		e.logRefusal(ctx, station.Command{Slot: slot, Operator: by.Actor}, refusal)
	}
	return err
}

func (e *Engine) lend(ctx context.Context, slot int, by station.Person, verb string, work func(context.Context, *Loan) station.HandEnded) error {
	r, view, err := e.runner(slot)
	if err != nil {
		return err
	}
	if view.State != station.SlotEmpty && view.State != station.SlotDisabled {
		return station.Refuse(station.SlotNotReady, "slot %d is %s", slot, view.State)
	}
	if e.inStop() {
		return station.Refuse(station.EmergencyStop, "nothing is powered before someone resumes")
	}
	return r.send(ctx, request{event: station.HandBegin{Verb: verb, Role: by.Role}, actor: by.Actor, work: work})
}

// hand carries out a request to work by hand.
func (r *runner) hand(ctx context.Context, req request) error {
	r.disarm() // what came too late for the last run is not about this work
	r.env, r.actor = station.Envelope{}, req.actor
	defer func() { r.env, r.actor = station.Envelope{}, station.ActorStation }()
	err := r.handle(ctx, req.event)
	if err == nil {
		err = r.work(ctx, req.work)
	}
	req.reply <- err
	return err
}

// work runs the work itself and records how it ended, also while the engine
// stops.
func (r *runner) work(ctx context.Context, work func(context.Context, *Loan) station.HandEnded) error {
	step := station.Step{Timeout: HandLimit, Irreversible: true} // it gets the grace to come to its end
	wctx, cancel := r.stepContext(ctx, step)
	defer cancel(nil)
	ended := station.HandEnded{Outcome: station.Aborted, Exit: exitFault}
	if r.arm(cancel, station.ExecStep{Step: step}) {
		ended = r.guarded(wctx, work)
	}
	if reason := r.disarm(); reason != nil {
		ended.Outcome, ended.Detail = station.Aborted, reason.Detail
	}
	return r.handle(context.WithoutCancel(ctx), station.HandEnd{Ended: ended})
}

// exitFault is the exit code of a fault of linefit itself.
const exitFault = 70

// guarded turns a panic into an end: one broken function does not take the line
// down.
func (r *runner) guarded(ctx context.Context, work func(context.Context, *Loan) station.HandEnded) (ended station.HandEnded) {
	defer func() {
		if p := recover(); p != nil {
			ended = station.HandEnded{Outcome: station.Error, Exit: exitFault, Detail: fmt.Sprintf("%v: %.2000s", p, debug.Stack())}
		}
	}()
	return work(ctx, &Loan{r})
}

// abandoned ends work by hand that a crash cut off. The supply is off: the
// fixture was made safe before.
func (r *runner) abandoned(ctx context.Context) error {
	return r.handle(ctx, station.HandEnd{Ended: station.HandEnded{Outcome: station.Aborted, Exit: exitFault, Detail: "the station stopped in the middle of it"}})
}

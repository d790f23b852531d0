package mes

import (
	"context"
	"fmt"
	"time"

	"linefit/station"
)

// Late says what becomes of a good unit whose result the MES has not answered
// in time.
type Late string

// Ways to go on.
const (
	// LateDeferred lets the unit go; the result stays in the outbox.
	LateDeferred Late = "deferred"
	// LateHold holds the unit.
	LateHold Late = "hold"
)

// AcceptanceOptions are an acceptance's parts.
type AcceptanceOptions struct {
	Outbox *Outbox
	// Within is how long a slot waits for the answer.
	Within time.Duration
	Late   Late
	// Hold makes the facts that put a unit on hold although its run passed: a
	// ticket, and as the last one the disposition. Nil makes the disposition
	// only.
	Hold func(ctx context.Context, run *station.Run, reason *station.Reason) ([]station.Fact, error)
}

// Acceptance takes a result to the MES and waits for its answer; it is the
// engine's Acceptance. A good unit is shown as such only after it.
type Acceptance struct{ opt AcceptanceOptions }

// NewAcceptance makes one.
func NewAcceptance(opt AcceptanceOptions) *Acceptance { return &Acceptance{opt} }

// Accept returns the MES's answer to the run's result. It waits only for a
// unit that is to be released: the others stay clamped for a person anyway.
// The error is that of ctx.
func (a *Acceptance) Accept(ctx context.Context, run *station.Run) (station.Accept, error) {
	o := a.opt.Outbox
	if o.opt.Client.None() {
		return station.Accept{Answer: station.RunAccepted{Answer: AnswerNone}}, nil
	}
	id := EventID(string(run.ID), UnitsTested)
	answer, forget := o.await(id) // before looking, so that none is missed
	defer forget()
	d, err := o.decision(id)
	release := run.Disposition != nil && run.Disposition.Disposition.Good()
	if err != nil && release {
		d, err = a.wait(ctx, answer)
		if ctx.Err() != nil {
			return station.Accept{}, fmt.Errorf("mes: %w", ctx.Err())
		}
	}
	if err != nil {
		d = Decision{Answer: AnswerDeferred}
	}
	return a.conclude(ctx, run, d, release)
}

func (a *Acceptance) wait(ctx context.Context, answer <-chan Decision) (Decision, error) {
	timer := time.NewTimer(a.opt.Within)
	defer timer.Stop()
	select {
	case d := <-answer:
		return d, nil
	case <-timer.C:
		return Decision{}, errNoDecision
	case <-ctx.Done():
		return Decision{}, ctx.Err()
	}
}

// conclude turns a decision into the run's facts.
func (a *Acceptance) conclude(ctx context.Context, run *station.Run, d Decision, release bool) (station.Accept, error) {
	out := station.Accept{Answer: station.RunAccepted{Answer: d.Answer, Ref: d.Ref, Detail: d.Detail}}
	var reason *station.Reason
	switch {
	case !release:
	case d.Answer == AnswerRejectedHold:
		reason = station.NewReason(station.MESRejected, "%s", d.Detail)
	case d.Answer == AnswerDeferred && a.opt.Late == LateHold:
		reason = station.NewReason(station.MESUnreachable, "the MES did not accept the result within %v", a.opt.Within)
	}
	if reason == nil {
		return out, nil
	}
	out.Then = []station.Fact{station.UnitDisposed{Disposition: station.Hold, Reason: reason, Rule: "mes"}}
	if a.opt.Hold != nil {
		facts, err := a.opt.Hold(ctx, run, reason)
		if ctx.Err() != nil {
			return station.Accept{}, fmt.Errorf("mes: %w", ctx.Err())
		}
		if err == nil && len(facts) > 0 {
			out.Then = facts
		}
	}
	return out, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"linefit/station"
	"linefit/station/fixture"
)

// request is an event for a slot with a place for its answer.
type request struct {
	event station.Event
	env   station.Envelope // of an Admit
	actor station.Actor
	work  func(context.Context, *Loan) station.HandEnded // of work by hand
	reply chan error                                     // holds one
}

// runner is the owner of one slot for one session. Fields without a note
// belong to the goroutine that runs run.
type runner struct {
	e     *Engine
	id    int
	fx    fixture.Fixture
	slot  *station.Slot
	env   station.Envelope // of the run
	actor station.Actor    // who caused what is being appended
	inbox chan request

	lamp    station.Lamp
	waiting station.Waiting
	open    bool // the clamp was opened for the unit to leave
	jammed  bool // it should be and could not be
	held    held
	started time.Time
	gone    chan struct{}   // closed when run has returned
	first   bool            // of this process's sessions
	stands  *station.Reason // nil: the log takes this slot's facts
	// unwatched says that the unit may have been exchanged for another one since
	// its verdict, or since its identity was read.
	unwatched bool

	mu       sync.Mutex // guards what follows
	cancel   context.CancelCauseFunc
	aborting *station.Reason
	step     stepView
}

// stepView is what the screen shows of a running step.
type stepView struct {
	index, attempt, progress int
	step                     station.Step
	running                  bool
}

func newRunner(e *Engine, id int, fx fixture.Fixture, s *replayed) *runner {
	r := &runner{e: e, id: id, fx: fx, slot: s.Slot, actor: station.ActorStation, inbox: make(chan request), gone: make(chan struct{}), lamp: station.LampOff, started: time.Now()}
	if !s.started.IsZero() {
		r.started = s.started
	}
	if s.Run != nil {
		r.env = station.Envelope{Run: s.Run.ID, Unit: s.Run.Unit}
	}
	return r
}

// run works on the slot until ctx is done or the log stops.
func (r *runner) run(ctx context.Context) error {
	defer close(r.gone)
	if err := r.begin(ctx); err != nil {
		return r.end(ctx, err)
	}
	for {
		if err := r.settle(ctx); err != nil {
			return r.end(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case req := <-r.inbox:
			err := r.serve(ctx, req)
			if err != nil && !refused(err) {
				return r.end(ctx, err)
			}
		case <-r.fx.Edges():
			if err := r.arrived(ctx); err != nil {
				return r.end(ctx, err)
			}
		case <-r.lookAgain():
			if err := r.pry(ctx); err != nil {
				return r.end(ctx, err)
			}
		}
	}
}

// end turns a failure of the slot's own goroutine into the session's.
func (r *runner) end(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		_ = r.append(context.WithoutCancel(ctx)) // a log that takes it no more has its own say
		return nil
	}
	if errors.Is(err, errFact) {
		return r.stand(ctx, err)
	}
	return fmt.Errorf("slot %d: %w", r.id, err)
}

// stand holds a slot of which the log does not take a fact, until the session
// ends: what its machine knows and what is in the log would part. The other slots
// go on. The fixture is made safe, its lamp shows a failure.
func (r *runner) stand(ctx context.Context, err error) error {
	r.lamp, r.stands = station.LampFail, station.NewReason(station.LogStopped, "slot %d stands until the next start: %v", r.id, err)
	if haltErr := r.fx.Halt(); haltErr != nil {
		r.stands = station.NewReason(station.LogStopped, "slot %d stands until the next start: %v; its supply may be on: %v", r.id, err, haltErr)
	}
	if r.fx.Lamp(ctx, r.lamp) != nil {
		r.lamp = station.LampOff // what the view says is enough: Halt has put out a pass lamp
	}
	r.publish()
	for {
		select {
		case <-ctx.Done():
			return nil
		case req := <-r.inbox:
			req.reply <- &station.Refusal{Reason: r.stands}
		}
	}
}

func refused(err error) bool {
	var refusal *station.Refusal
	return errors.As(err, &refusal)
}

// begin brings the fixture and the machine to where the log says they are.
func (r *runner) begin(ctx context.Context) error {
	if err := r.ready(); err != nil {
		return r.fault(ctx, station.NewReason(station.FixtureFault, "%v", err))
	}
	if fault := r.e.opt.Faults[r.id]; fault != nil && r.slot.Fault == nil {
		if err := r.fault(ctx, fault); err != nil {
			return err
		}
	}
	if r.slot.Hand != nil {
		if err := r.abandoned(ctx); err != nil {
			return err
		}
	}
	if r.slot.Run == nil {
		return r.do(ctx, station.ShowLamp{Lamp: restingLamp(r.slot.State)})
	}
	if !r.slot.Run.ReadsAgain() && r.mayHaveMoved(ctx) {
		r.lose()
	}
	if r.slot.Run.Clamped() && !r.e.inStop() { // it may have opened with the process's end
		if err := r.fx.Clamp(ctx, true); err != nil {
			r.abort(station.NewReason(station.FixtureFault, "%v", err))
		}
	}
	return r.handle(ctx, station.Resume{})
}

// ready lets the fixture work, or keeps it safe while an emergency stop is in
// force: an open run then ends as it would have.
func (r *runner) ready() error {
	if !r.e.inStop() {
		return r.fx.Rearm()
	}
	if r.slot.Run != nil && r.slot.State != station.SlotDone {
		r.abort(station.NewReason(station.EmergencyStop, "in force since before the start"))
	}
	return r.fx.Halt()
}

// serve answers one request.
func (r *runner) serve(ctx context.Context, req request) error {
	if req.work != nil {
		return r.hand(ctx, req)
	}
	if req.env.Run != "" {
		if r.slot.State != station.SlotEmpty {
			err := station.Refuse(station.SlotNotReady, "slot %d is %s", r.id, r.slot.State)
			req.reply <- err
			return err
		}
		r.disarm() // what came too late for the last run is not about this one
		r.env, r.started, r.unwatched = req.env, time.Now(), false
	}
	r.actor = req.actor
	effects, err := r.decide(ctx, req.event)
	r.actor = station.ActorStation
	req.reply <- err
	if err != nil {
		return err
	}
	if req.env.Run != "" && r.e.inStop() { // it came while the run was recorded, and found no run
		r.abort(station.NewReason(station.EmergencyStop, "in force since the run began"))
	}
	return r.do(ctx, effects...)
}

// handle decides on an event and carries out what follows.
func (r *runner) handle(ctx context.Context, ev station.Event) error {
	effects, err := r.decide(ctx, ev)
	if err != nil {
		return err
	}
	return r.do(ctx, effects...)
}

// decide is decide, append, evolve.
func (r *runner) decide(ctx context.Context, ev station.Event) ([]station.Effect, error) {
	facts, effects, err := r.slot.Decide(ev)
	if err != nil {
		return nil, err
	}
	return effects, r.record(ctx, facts...)
}

// fault takes the slot out of work; a run that is open goes to its end first.
func (r *runner) fault(ctx context.Context, reason *station.Reason) error {
	if r.slot.Fault != nil {
		return nil
	}
	return r.handle(ctx, station.Faulted{Reason: reason})
}

// do carries out effects in order. A Continue goes on with the machine, in a
// loop and not by recursion, since a run has many steps.
func (r *runner) do(ctx context.Context, effects ...station.Effect) error {
	for len(effects) > 0 {
		effect := effects[0]
		more, err := r.perform(ctx, effect)
		if err != nil {
			return err
		}
		effects = append(more, effects[1:]...)
	}
	r.publish()
	return nil
}

// perform carries out one effect and returns those that follow from it.
func (r *runner) perform(ctx context.Context, effect station.Effect) ([]station.Effect, error) {
	switch effect := effect.(type) {
	case station.Continue:
		if r.slot.Run == nil {
			return nil, nil
		}
		return r.decide(ctx, station.Proceed{})
	case station.ExecStep:
		res, err := r.exec(ctx, effect)
		if err != nil {
			return nil, err
		}
		return r.decide(ctx, station.StepDone{Result: res})
	case station.SettleProfile:
		return nil, r.record(ctx, station.Settle(r.slot.Run))
	case station.ChooseDisposition:
		ev, err := r.e.opt.Policy.Dispose(ctx, r.slot.Run)
		if err != nil {
			return nil, err
		}
		return r.decide(ctx, ev)
	case station.AwaitAcceptance:
		return r.accept(ctx)
	case station.ShowLamp:
		return nil, r.show(ctx, effect.Lamp)
	case station.OpenClamp:
		return nil, r.unclamp(ctx)
	}
	return nil, fmt.Errorf("effect %T is not known", effect)
}

func (r *runner) accept(ctx context.Context) ([]station.Effect, error) {
	r.wait(station.WaitMES)
	ev, err := r.e.opt.Acceptance.Accept(ctx, r.slot.Run)
	if err != nil {
		return nil, err
	}
	r.wait(station.WaitNothing)
	return r.decide(ctx, ev)
}

func (r *runner) wait(w station.Waiting) {
	r.waiting = w
	r.publish()
}

// Package engine interprets the pure machines of package station: it appends
// their facts to the log, waits where a fact is a gate, evolves, and then does
// what follows, in order. It knows no module, no eUICC and no server; step
// bodies, admission, policy and acceptance are injected.
//
// One goroutine owns each slot: its machine, its fixture and its bench session.
// [Engine.Do] and the presence sensor reach it through its inbox; only an abort
// reaches into a running step, by its context.
//
// # Crashes and a log that stops
//
// A slot's state is what its entries say, nothing else. At the start of a
// session the entries of each slot's open run are replayed and the run goes on
// ([station.Resume]). When the log stops, the session ends: every fixture is
// halted, nothing is shown as passed, and the engine waits for the log; then a
// new session begins with a replay, so that a fact that was recorded although
// its append failed is neither lost nor repeated. Stopping in order is the same
// without the wait: an open run stays open and goes on at the next start.
package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/station"
	"linefit/station/fixture"
)

// Log is the audit log as the engine needs it.
type Log interface {
	Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error)
	Queue(ctx context.Context, drafts ...audit.Draft) error
	View(fn func(audit.View) error) error
	// Await blocks until the log can be appended to again. It returns an error
	// when ctx is done or the log is lost for this process.
	Await(ctx context.Context) error
	// AwaitStop blocks until the log takes nothing more, or ctx is done. Nobody but
	// the engine makes the log go on after that (Await): a session that did not
	// hear of a stop would not know that facts which it had queued are lost.
	AwaitStop(ctx context.Context)
}

// Ask is a request to admit a unit to a slot.
type Ask struct {
	Unit     station.Serial
	Slot     int
	Operator station.Actor
	Expect   station.Expect
}

// Grant is what admission decided.
type Grant struct {
	Recipe  *station.Recipe
	Started station.RunStarted // work order, route, number, batch, expect
	Before  []station.Fact     // such as a ticket's retest
	// Undo takes back what admission did for a run that did not begin; nil:
	// nothing.
	Undo func(context.Context)
}

// Admission decides whether a unit may run; a refusal is a *station.Refusal,
// and so is everything that could not be asked: it fails closed.
type Admission interface {
	Admit(ctx context.Context, run station.RunID, ask Ask) (Grant, error)
}

// Policy chooses the disposition. It must depend on the run and on what the
// log says of the unit only.
type Policy interface {
	Dispose(ctx context.Context, run *station.Run) (station.Dispose, error)
}

// Acceptance takes the result to the MES and waits for its answer as long as
// its configuration says.
type Acceptance interface {
	Accept(ctx context.Context, run *station.Run) (station.Accept, error)
}

// Observer hears about what the engine does, for metrics and tests; it must
// not block.
type Observer interface {
	StepStarted(slot int, unit station.Serial, step station.Step, attempt int)
	StepEnded(slot int, unit station.Serial, ended station.StepEnded)
}

// Options are the engine's parts. All are needed but Observer.
type Options struct {
	Log        Log
	Bench      station.Bench
	Fixtures   map[int]fixture.Fixture // slot numbers from 1
	Admission  Admission
	Policy     Policy
	Acceptance Acceptance
	Recipes    func(digest string) *station.Recipe
	Opened     station.StationOpened   // the first fact of this process
	Faults     map[int]*station.Reason // slots that could not be brought up
	Observer   Observer
	// Resume gives the facts by which a person lets work go on that was halted;
	// nil where nothing is ever halted but by emergency stop.
	Resume func(why string) ([]station.Fact, error)
	// Stopped says whether an emergency stop is in force, from the log; nil
	// where none is kept. A station that starts in one has its supplies off.
	Stopped func() (bool, error)
	// Grace is how long an irreversible step may go on after the engine was
	// told to stop.
	Grace time.Duration
	// Assign says how a scanned unit finds its slot.
	Assign Assign
	// AssignWithin bounds the time between the two halves of a binding.
	AssignWithin time.Duration
}

// Assign says how a scanned unit finds its slot.
type Assign string

// Ways to assign. With every one of them a slot label may be scanned first.
const (
	AssignScan     Assign = "scan"     // slot label, then unit label
	AssignPresence Assign = "presence" // the next presence edge takes the scanned unit
)

// Engine runs the slots of a station.
type Engine struct {
	opt    Options
	ids    []int // of the slots, ascending
	binder binder
	// arrivals are the slots into which a unit was put; Run's goroutine reads it.
	arrivals chan int

	mu        sync.Mutex // guards what follows
	health    station.Health
	detail    string
	runners   map[int]*runner // of the current session
	views     map[int]station.SlotView
	version   uint64
	changed   chan struct{} // closed and replaced at every change
	admitting map[station.Serial]int
	lost      map[int]station.RunID // runs whose unit may have been exchanged, by slot
	opened    bool
	stopped   bool // by an emergency stop
	stoppedBy station.Actor
}

// New makes an engine. It does nothing until Run.
func New(opt Options) (*Engine, error) {
	if len(opt.Fixtures) == 0 {
		return nil, errors.New("engine: no slots")
	}
	e := &Engine{
		opt: opt, health: station.HealthOK, runners: map[int]*runner{}, views: map[int]station.SlotView{},
		changed: make(chan struct{}), admitting: map[station.Serial]int{}, lost: map[int]station.RunID{}, arrivals: make(chan int, len(opt.Fixtures)),
	}
	for id := range opt.Fixtures {
		e.ids = append(e.ids, id)
	}
	sortInts(e.ids)
	e.binder = binder{assign: opt.Assign, within: opt.AssignWithin}
	return e, nil
}

// errLog ends a session because the log took nothing more.
var errLog = errors.New("engine: the log stopped")

// Run works until ctx is done. Fixtures are halted when it returns; open runs
// stay open and go on at the next start.
func (e *Engine) Run(ctx context.Context) error {
	for first := true; ; first = false {
		err := e.session(ctx, first)
		switch {
		case ctx.Err() != nil:
			e.close(ctx)
			return nil
		case !errors.Is(err, errLog):
			return err
		}
		e.setHealth(station.HealthStopped, err.Error())
		if err := e.settled(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("engine: the log does not come back: %w", err)
		}
		e.setHealth(station.HealthOK, "")
	}
}

// settled waits until the log can be appended to again and everything that it
// had taken is recorded or lost: an append that was given up after
// [logDeadline] may still be under way, and a replay must not miss it.
func (e *Engine) settled(ctx context.Context) error {
	for {
		if err := e.opt.Log.Await(ctx); err != nil {
			return err
		}
		if _, err := e.opt.Log.Gate(ctx); err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// session replays every slot and runs them until ctx is done or the log stops.
func (e *Engine) session(ctx context.Context, first bool) error {
	if err := e.open(ctx); err != nil {
		return err
	}
	slots, err := e.replay()
	if err != nil {
		return err
	}
	if err := e.remember(ctx); err != nil {
		return err
	}
	g, sctx := errgroup.WithContext(ctx)
	for _, id := range e.ids {
		r := newRunner(e, id, e.opt.Fixtures[id], slots[id])
		r.first = first
		e.mu.Lock()
		e.runners[id] = r
		e.mu.Unlock()
		r.publish()
		g.Go(func() error { return r.run(sctx) })
	}
	g.Go(func() error { e.bindArrivals(sctx); return nil })
	g.Go(func() error {
		if e.opt.Log.AwaitStop(sctx); sctx.Err() != nil {
			return nil
		}
		return errLog
	})
	err = g.Wait()
	e.mu.Lock()
	clear(e.runners)
	e.mu.Unlock()
	for _, id := range e.ids {
		e.opt.Bench.Forget(id)
		if herr := e.opt.Fixtures[id].Halt(); herr != nil {
			err = errors.Join(err, fmt.Errorf("slot %d: halt: %w", id, herr))
		}
	}
	return err
}

// remember takes an emergency stop from the log, which one may have outlived, and
// tells the log of one that it does not have.
func (e *Engine) remember(ctx context.Context) error {
	if e.opt.Stopped == nil {
		return nil
	}
	known, err := e.opt.Stopped()
	if err != nil {
		return fmt.Errorf("engine: emergency stop: %w", err)
	}
	e.mu.Lock()
	stopped, by := e.stopped, e.stoppedBy
	e.stopped = stopped || known
	e.mu.Unlock()
	if stopped && !known { // it came while the log stood
		return e.appendAs(ctx, by, station.StationHalted{})
	}
	return nil
}

// inStop reports whether an emergency stop is in force.
func (e *Engine) inStop() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopped
}

// open writes the first fact of this process.
func (e *Engine) open(ctx context.Context) error {
	e.mu.Lock()
	done := e.opened
	e.mu.Unlock()
	if done {
		return nil
	}
	if err := e.append(ctx, nil, e.opt.Opened); err != nil {
		return err
	}
	e.mu.Lock()
	e.opened = true
	e.mu.Unlock()
	return nil
}

// close writes the last one; a log that takes it no more has its own say.
func (e *Engine) close(ctx context.Context) {
	_ = e.append(context.WithoutCancel(ctx), nil, station.StationClosed{})
}

// replay rebuilds every slot from the log.
func (e *Engine) replay() (map[int]*replayed, error) {
	slots := make(map[int]*replayed, len(e.ids))
	err := e.opt.Log.View(func(v audit.View) error {
		for _, id := range e.ids {
			s, err := replaySlot(v, id, e.opt.Recipes)
			if err != nil {
				return err
			}
			slots[id] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("engine: replay: %w", err)
	}
	return slots, nil
}

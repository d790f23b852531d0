package engine

import (
	"context"
	"time"

	"linefit/station"
)

// watchPresence aborts the run when the unit is lifted.
func (r *runner) watchPresence(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.fx.Edges():
			if present, err := r.fx.Present(ctx); err == nil && !present {
				r.abort(station.NewReason(station.UnitRemoved, "the presence sensor released during the run"))
				return
			}
		}
	}
}

// arrived passes a unit that was put into an empty slot on to the binding. A
// fixture that cannot say whether there is one is not to be worked with.
func (r *runner) arrived(ctx context.Context) error {
	if r.slot.State != station.SlotEmpty {
		return nil
	}
	present, err := r.fx.Present(ctx)
	if err != nil {
		return r.fault(ctx, station.NewReason(station.FixtureFault, "%v", err))
	}
	if present {
		select {
		case r.e.arrivals <- r.id:
		default: // one hand puts in one unit at a time; more are a mistake that no scan answers
		}
	}
	return nil
}

// mayHaveMoved reports whether the unit can have been lifted while nobody
// watched the slot: before this process was started, where there is no sensor,
// or where the sensor has changed since the last session looked.
func (r *runner) mayHaveMoved(ctx context.Context) bool {
	if r.first || r.fx.Edges() == nil || r.moved() || r.e.hasMoved(r.id, r.env.Run) {
		return true
	}
	present, err := r.fx.Present(ctx)
	return err != nil || !present
}

// settle looks whether the unit that may leave has left.
func (r *runner) settle(ctx context.Context) error {
	if !r.open {
		return nil
	}
	if r.fx.Edges() != nil {
		moved := r.moved()
		present, err := r.fx.Present(ctx)
		switch {
		case err != nil:
			return r.fault(ctx, station.NewReason(station.FixtureFault, "%v", err))
		case present && moved:
			r.lose()
			r.dark(ctx)
			return nil
		case present:
			return nil
		}
	}
	r.open = false
	// The next unit may be there before the log has taken this: nothing speaks of
	// the last one to who stands before it.
	r.wait(station.WaitNothing)
	r.dark(ctx)
	return r.handle(ctx, station.Left{})
}

// moved reports whether the sensor has changed while this goroutine was at
// something else: there may have been more changes than one, and another unit.
func (r *runner) moved() bool {
	select {
	case <-r.fx.Edges():
		return true
	default:
		return false
	}
}

// lose notes that the unit may be another one than that of the run. Sessions that
// follow do not hear of it from the sensor again.
func (r *runner) lose() {
	r.unwatched = true
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	r.e.lost[r.id] = r.env.Run
}

// hasMoved reports whether an earlier session has lost sight of a run's unit.
func (e *Engine) hasMoved(slot int, run station.RunID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost[slot] == run
}

// dark puts out a pass lamp that may speak for another unit than the one that
// stands there.
func (r *runner) dark(ctx context.Context) {
	if r.lamp == station.LampPass && r.fx.Lamp(ctx, station.LampOff) == nil { // else what the machine shows next says so
		r.lamp = station.LampOff
	}
	r.publish()
}

// lookEvery is how often a fixture that failed while a unit was to leave is tried
// once more.
const lookEvery = time.Second

// lookAgain is when to try once more what a fixture has failed in while a unit was
// to leave.
func (r *runner) lookAgain() <-chan time.Time {
	if !r.jammed && (!r.open || r.slot.Fault == nil) {
		return nil
	}
	return time.After(lookEvery)
}

// pry tries once more to open a clamp that a unit is to leave.
func (r *runner) pry(ctx context.Context) error {
	if !r.jammed {
		return nil
	}
	return r.unclamp(ctx)
}

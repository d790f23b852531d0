package engine

import (
	"context"

	"linefit/station"
)

func restingLamp(s station.SlotState) station.Lamp {
	if s == station.SlotFault {
		return station.LampFail
	}
	return station.LampOff
}

// show switches the lamps. The pass lamp speaks for the unit in the slot, so it
// stays dark where that may be another one than the one that has passed: a
// person compares the label then (SlotView.Unwatched).
func (r *runner) show(ctx context.Context, lamp station.Lamp) error {
	good := lamp == station.LampPass
	if good && !r.open && r.fx.Edges() != nil && r.moved() { // since the last step's end
		r.lose()
	}
	if good && r.unwatched {
		lamp = station.LampOff
	}
	if err := r.fx.Lamp(ctx, lamp); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.lamp = station.LampOff
		return r.recordFault(ctx, err)
	}
	r.lamp = lamp
	switch {
	case r.slot.Run == nil || r.slot.State != station.SlotDone:
		r.wait(station.WaitNothing)
	case good || r.open || r.slot.Run.Phase == station.PhaseAcknowledged:
		r.wait(station.WaitRemoval)
	default:
		r.wait(station.WaitBin)
	}
	return nil
}

// recordFault notes a fixture fault without showing another lamp.
func (r *runner) recordFault(ctx context.Context, err error) error {
	if r.slot.Fault != nil {
		return nil
	}
	return r.record(ctx, station.SlotFaulted{Reason: *station.NewReason(station.FixtureFault, "%v", err)})
}

func (r *runner) unclamp(ctx context.Context) error {
	r.e.opt.Bench.Forget(r.id)
	if err := r.fx.Clamp(ctx, false); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.jammed = true
		return r.recordFault(ctx, err)
	}
	r.jammed = false
	if r.fx.Edges() != nil {
		r.moved() // of the unit while the clamp was shut, or of the clamp
	}
	r.open = true
	r.wait(station.WaitRemoval)
	return nil
}

package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/station"
)

// ByHand gives the port of a slot to a person's work: the unit in it is clamped
// and started cold, off being the least time without supply, and work is called
// with what opens the port, once it is there. Afterwards the supply is off and
// the clamp open, also when the context has ended. It is called in the slot's
// goroutine, between runs.
func (b *Bench) ByHand(ctx context.Context, slot int, off time.Duration, work func(Opener) error) (err error) {
	s := b.slots[slot]
	if s == nil {
		return fmt.Errorf("steps: there is no slot %d", slot)
	}
	s.drop()
	switch present, err := s.fx.Present(ctx); {
	case err != nil:
		return station.Refuse(station.FixtureFault, "%v", err)
	case !present:
		return station.Refuse(station.UnitAbsent, "no unit is in slot %d", slot)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), handBack)
		defer cancel()
		err = errors.Join(err, s.setSupply(end, false), s.fx.Clamp(end, false))
	}()
	if err := s.fx.Clamp(ctx, true); err != nil {
		return station.Refuse(station.FixtureFault, "%v", err)
	}
	if err := s.coldStart(ctx, off); err != nil {
		return station.Refuse(station.FixtureFault, "%v", err)
	}
	return work(s.openPort)
}

// handBack bounds switching a slot off after work by hand.
const handBack = 10 * time.Second

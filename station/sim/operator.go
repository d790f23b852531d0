package sim

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"linefit/station"
)

// Station is the station as people at the line meet it.
type Station interface {
	View() station.View
	Do(ctx context.Context, cmd station.Command) (station.Reply, error)
	Changed() <-chan struct{}
}

// Crew are the virtual people of a line.
type Crew struct {
	World   *World
	Station Station
	// Repair brings a unit through rework so that it may run again; a
	// *station.Refusal says that it may not, or not yet where the log stands
	// ([station.LogStopped]). It may be called again where it broke off.
	Repair func(ctx context.Context, unit station.Serial) error
	// Lead decides about a unit that is held, once after each of its runs: whether
	// it runs again; refusals as with Repair. Nil: units on hold stay there.
	Lead func(ctx context.Context, unit station.Serial) (again bool, err error)
	// Again is how long to wait before a refused request that may go well later.
	Again time.Duration
	// Hands is how long a hand takes to begin with what a slot needs; it lets a
	// person see a result on the screen before the unit is gone.
	Hands time.Duration

	// handsOff leaves scanning to a person; the crew still carries units.
	handsOff atomic.Bool
	retry    map[station.Serial]time.Time
	seen     map[int]need           // what each slot needs, since when
	asked    map[station.Serial]int // the lead, after which of the unit's attempts
}

// need is what a slot waits for.
type need struct {
	state station.SlotState
	wait  station.Waiting
	run   station.RunID
	since time.Time
}

// reach is how long the hand still takes to a slot.
func (c *Crew) reach(v station.SlotView) time.Duration {
	if c.Hands <= 0 {
		return 0
	}
	n := need{v.State, v.Waiting, v.Run, time.Now()}
	if old := c.seen[v.ID]; old.state == n.state && old.wait == n.wait && old.run == n.run {
		n.since = old.since
	}
	c.seen[v.ID] = n
	return c.Hands - time.Since(n.since)
}

// HandOver gives the scanner to a person.
func (c *Crew) HandOver() { c.handsOff.Store(true) }

// Run works until every unit is out, held or scrapped, or ctx ends.
func (c *Crew) Run(ctx context.Context) error {
	c.retry, c.seen, c.asked = map[station.Serial]time.Time{}, map[int]need{}, map[station.Serial]int{}
	for {
		changed, moves := c.Station.Changed(), c.World.ledger.moved()
		wait, err := c.round(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if c.World.done() && !c.handsOff.Load() {
			return nil
		}
		if c.World.ledger.moved() == moves { // else a slot that was looked at before may have work
			rest(ctx, changed, wait)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// rest waits for a change, for so long at most where that is not 0.
func rest(ctx context.Context, changed <-chan struct{}, wait time.Duration) {
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer:
	}
}

// round looks at every slot once. wait is when to look again without a change.
func (c *Crew) round(ctx context.Context) (wait time.Duration, err error) {
	view := c.Station.View()
	if view.Health == station.HealthStopped || view.Health == station.HealthReadOnly || view.Health == station.HealthEmergency && c.handsOff.Load() {
		return c.Again, nil
	}
	if (view.Health == station.HealthHalted || view.Health == station.HealthEmergency) && !c.handsOff.Load() {
		_, err := c.Station.Do(ctx, station.Command{Kind: station.CmdResume, Operator: "lead-1", Why: "the simulated lead has looked at it"})
		return c.Again, ignoreRefusal(err)
	}
	for _, slot := range view.Slots {
		again, err := c.tend(ctx, slot)
		if err != nil {
			return 0, err
		}
		if again > 0 && (wait == 0 || again < wait) {
			wait = again
		}
	}
	again, err := c.bench(ctx)
	if again > 0 && (wait == 0 || again < wait) {
		wait = again
	}
	return wait, err
}

// tend does what a slot needs from a person.
func (c *Crew) tend(ctx context.Context, v station.SlotView) (time.Duration, error) {
	j := c.World.jigs[v.ID]
	if j == nil {
		return 0, nil
	}
	u := j.present()
	if left := c.reach(v); left > 0 {
		return left, nil
	}
	switch {
	case v.Waiting == station.WaitBin && !c.handsOff.Load():
		_, err := c.Station.Do(ctx, station.Command{Kind: station.CmdScan, Slot: v.ID, Text: "LF:BIN:" + string(v.Disposal)})
		return 0, ignoreRefusal(err)
	case v.Waiting == station.WaitRemoval && u != nil:
		return 0, c.World.Take(v)
	case v.State == station.SlotArmed && u == nil && c.handsOff.Load():
		return 0, c.World.Put(v.ID, v.Unit)
	case v.State == station.SlotFault && !c.handsOff.Load():
		_, err := c.Station.Do(ctx, station.Command{Kind: station.CmdClear, Slot: v.ID, Why: "the simulated line clears it"})
		return c.Again, ignoreRefusal(err)
	case v.State == station.SlotEmpty && !c.handsOff.Load():
		return c.feed(ctx, v.ID, u)
	}
	return 0, nil
}

func ignoreRefusal(err error) error {
	var refusal *station.Refusal
	if errors.As(err, &refusal) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// feed brings the next unit to an empty slot and scans it.
func (c *Crew) feed(ctx context.Context, slot int, u *unit) (time.Duration, error) {
	if u == nil {
		next, ok := c.World.ledger.next()
		if !ok {
			return 0, nil
		}
		if until := time.Until(c.retry[next.Serial]); until > 0 {
			return until, nil
		}
		if err := c.World.Put(slot, next.Serial); err != nil {
			return 0, err
		}
		u = c.World.jigs[slot].present()
	} else if until := time.Until(c.retry[u.st.Serial]); until > 0 {
		return until, nil
	}
	_, err := c.Station.Do(ctx, station.Command{Kind: station.CmdScan, Slot: slot, Text: u.st.Label})
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		return c.refused(slot, u, refusal.Reason)
	}
	return 0, ignoreRefusal(err)
}

// refused takes a unit away that may not run, or tries again later where the
// reason will pass.
func (c *Crew) refused(slot int, u *unit, reason *station.Reason) (time.Duration, error) {
	if c.World.jigs[slot].present() != u {
		return c.Again, nil // somebody was faster
	}
	to := Place("")
	switch reason.Code {
	case station.UnitHeld, station.MESRejected, station.IdentityMismatch:
		to = PlaceHold
	case station.UnitScrapped:
		to = PlaceScrap
	case station.UnitDuplicate:
		if strings.Contains(reason.Detail, "has passed") { // else another slot has it, by its label
			to = PlaceHold // nobody saw this very unit pass: its label may be another one's
		}
	case station.RetestLimit:
		to = PlaceRepair
	}
	if to == "" {
		c.retry[u.st.Serial] = time.Now().Add(c.Again)
		return c.Again, nil
	}
	return 0, c.World.move(slot, to, "")
}

// decide has the lead look at what is held.
func (c *Crew) decide(ctx context.Context, u UnitState) error {
	if c.Lead == nil || c.asked[u.Serial] == u.Attempt+1 {
		return nil
	}
	again, err := c.Lead(ctx, u.Serial)
	if err != nil {
		return err
	}
	c.asked[u.Serial] = u.Attempt + 1
	if !again {
		return nil
	}
	return c.World.place(u.Serial, PlaceQueue)
}

// bench repairs what waits for it. wait is when to look again without a change.
func (c *Crew) bench(ctx context.Context) (wait time.Duration, err error) {
	if c.handsOff.Load() {
		return 0, nil
	}
	for _, u := range c.World.ledger.units() {
		switch u.Place {
		case PlaceHold:
			err = c.decide(ctx, u)
		case PlaceRepair:
			err = c.repair(ctx, u)
		}
		if stands(err) {
			return c.Again, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// repair has a unit repaired and puts it where it then belongs.
func (c *Crew) repair(ctx context.Context, u UnitState) error {
	to := PlaceQueue
	if err := c.Repair(ctx, u.Serial); err != nil {
		if ctx.Err() != nil { // it stays on the bench
			return ignoreRefusal(err)
		}
		if stands(err) || ignoreRefusal(err) != nil {
			return err
		}
		to = PlaceHold
	}
	return c.World.place(u.Serial, to)
}

// stands reports whether a refusal ends when the log goes on.
func stands(err error) bool {
	var refusal *station.Refusal
	return errors.As(err, &refusal) && refusal.Reason.Code == station.LogStopped
}

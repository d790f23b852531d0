package sim

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"linefit/station"
	"linefit/station/fixture"
)

// Jig is a virtual fixture of one slot. It is a fixture.Fixture for the station
// and a place for the operator's hands.
type Jig struct {
	slot  int
	meter Meter
	edges chan struct{}

	mu      sync.Mutex // guards what follows
	unit    *unit
	power   bool
	off     time.Time // when the supply was cut last
	clamped bool
	halted  bool
	lamp    station.Lamp
}

func newJig(slot int) *Jig {
	return &Jig{slot: slot, edges: make(chan struct{}, 1), lamp: station.LampOff}
}

func (j *Jig) edge() {
	select {
	case j.edges <- struct{}{}:
	default:
	}
}

// Power implements fixture.Fixture.
func (j *Jig) Power(_ context.Context, on bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on && j.halted {
		return fixture.ErrHalted
	}
	j.supply(on)
	return nil
}

// supply switches the unit's supply. The caller holds mu.
func (j *Jig) supply(on bool) {
	j.power = on
	if j.unit == nil {
		return
	}
	now := time.Now()
	if !on {
		j.unit.module.PowerOff()
		j.off = now
		return
	}
	j.meter.begin(now)
	j.unit.dice(now.Sub(j.off) < discharge)
	if !j.off.IsZero() {
		j.meter.Charge(j.off, j.off.Add(discharge))
	}
	j.unit.module.PowerOn()
}

// discharge is how long a unit's capacitors hold its supply. A unit that gets
// power sooner after a cut has not restarted cold: it hangs.
const discharge = 250 * time.Millisecond

// Reset implements fixture.Fixture.
func (j *Jig) Reset(_ context.Context, asserted bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if asserted && j.unit != nil {
		j.unit.module.ResetPin()
	}
	return nil
}

// Clamp implements fixture.Fixture. Opening it is the release of the unit.
func (j *Jig) Clamp(_ context.Context, shut bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.clamped = shut
	if !shut {
		j.meter.end(time.Now())
	}
	return nil
}

// Lamp implements fixture.Fixture.
func (j *Jig) Lamp(_ context.Context, lamp station.Lamp) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lamp = lamp
	return nil
}

// Present implements fixture.Fixture.
func (j *Jig) Present(context.Context) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unit != nil, nil
}

// Edges implements fixture.Fixture.
func (j *Jig) Edges() <-chan struct{} { return j.edges }

// Halt implements fixture.Fixture.
func (j *Jig) Halt() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.halted = true
	j.supply(false)
	if j.lamp == station.LampPass {
		j.lamp = station.LampOff
	}
	return nil
}

// Rearm implements fixture.Fixture.
func (j *Jig) Rearm() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.halted = false
	return nil
}

// Close implements fixture.Fixture.
func (j *Jig) Close() error { return j.Halt() }

// JigState is what a person sees of a fixture.
type JigState struct {
	Unit    station.Serial // empty: none
	Power   bool
	Clamped bool
	Halted  bool
	Lamp    station.Lamp
}

// Look reads the fixture's state.
func (j *Jig) Look() JigState {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := JigState{Power: j.power, Clamped: j.clamped, Halted: j.halted, Lamp: j.lamp}
	if j.unit != nil {
		s.Unit = j.unit.st.Serial
	}
	return s
}

// put sets a unit into the slot.
func (j *Jig) put(u *unit) {
	j.mu.Lock()
	j.unit, j.off = u, time.Time{}
	j.mu.Unlock()
	j.edge()
}

// loose is the unit that a hand may take: the clamp is open.
func (j *Jig) loose() *unit {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.clamped {
		return nil
	}
	return j.unit
}

// take takes the unit out.
func (j *Jig) take() error {
	j.mu.Lock()
	u := j.unit
	j.unit = nil
	j.mu.Unlock()
	return u.remove()
}

// present is the unit in the slot.
func (j *Jig) present() *unit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unit
}

// Open opens the port of the unit in the slot, for a line whose ports are in
// memory.
func (j *Jig) Open() (io.ReadWriteCloser, error) {
	u := j.present()
	if u == nil {
		return nil, fmt.Errorf("slot %d: no unit", j.slot)
	}
	return u.open()
}

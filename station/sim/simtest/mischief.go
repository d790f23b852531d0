package simtest

import (
	"time"

	"linefit/station"
)

// View is the station's view, as somebody sees it who looks up from what others
// do with the units meanwhile. It is called by the crew only, between two
// movements of its own.
func (c clumsy) View() station.View {
	c.shift.meddle()
	return c.Station.View()
}

// meddle lets people now and then do something with the units that no screen
// asks for.
func (s *Shift) meddle() {
	s.mu.Lock()
	hit := s.dice.Float64() < s.Mischief
	s.mu.Unlock()
	if hit {
		s.mischief()
	}
}

// mischief is one such thing: units exchanged between two slots, a unit in the
// place of another, one taken out, one put in, one torn out of a shut clamp. A
// hand takes its time between two grips, or is faster than anybody can see.
func (s *Shift) mischief() {
	s.mu.Lock()
	w := s.Line.World
	slots := w.Slots()
	slot, other, n := slots[s.dice.IntN(len(slots))], slots[s.dice.IntN(len(slots))], s.dice.IntN(9)
	pause := time.Duration(s.dice.IntN(3)) * 150 * time.Millisecond
	kind := []string{"exchanged", "exchanged", "replaced", "replaced", "taken", "put in", "put in", "seated anew", "torn out"}[n]
	s.slips[kind]++
	s.mu.Unlock()
	switch kind {
	case "exchanged":
		a, b := w.Jig(slot).Look(), w.Jig(other).Look()
		if slot == other || a.Clamped || b.Clamped {
			return
		}
		s.Line.must(w.Lift(slot, false))
		s.Line.must(w.Lift(other, false))
		time.Sleep(pause)
		s.put(slot, b.Unit)
		s.put(other, a.Unit)
	case "replaced":
		s.Line.must(w.Lift(slot, false))
		time.Sleep(pause)
		s.putNext(slot)
	case "taken":
		s.Line.must(w.Lift(slot, false))
	case "put in":
		s.putNext(slot)
	case "seated anew":
		u := w.Jig(slot).Look()
		s.Line.must(w.Lift(slot, false))
		time.Sleep(pause)
		if !u.Clamped {
			s.put(slot, u.Unit)
		}
	case "torn out":
		s.Line.must(w.Lift(slot, true))
	}
}

// put sets a unit into a slot that is open and empty.
func (s *Shift) put(slot int, unit station.Serial) {
	if look := s.Line.World.Jig(slot).Look(); unit != "" && look.Unit == "" && !look.Clamped {
		s.Line.must(s.Line.World.Put(slot, unit))
	}
}

func (s *Shift) putNext(slot int) {
	if u, ok := s.Line.World.Queued(); ok {
		s.put(slot, u.Serial)
	}
}

package sim

import (
	"maps"
	"slices"

	"linefit/station"
)

// Put sets a unit of the queue into a slot: first in the world's file, then in
// the fixture.
func (w *World) Put(slot int, serial station.Serial) error {
	return w.stand(w.jigs[slot], serial, func(_ *state, u *UnitState) { u.Place, u.Slot, u.Attempt = PlaceSlot, slot, u.Attempt+1 })
}

// Take carries a unit to where its disposition says; one whose label is not the
// one on the screen goes back to the queue. It does nothing while the clamp is
// shut.
func (w *World) Take(v station.SlotView) error {
	if u := w.jigs[v.ID].present(); u != nil && !u.st.bears(v.Unit) {
		return w.move(v.ID, PlaceQueue, u.st.Last)
	}
	to := map[station.Disposition]Place{
		station.Release: PlaceOut, station.Next: PlaceShelf, station.Retest: PlaceQueue, station.Rework: PlaceRepair,
		station.Hold: PlaceHold, station.Scrap: PlaceScrap,
	}[v.Disposal]
	if to == "" {
		to = PlaceHold
	}
	return w.move(v.ID, to, v.Disposal)
}

// Lift takes whatever stands in a slot to the end of the queue, as somebody does
// who heeds no screen; with force although the clamp is shut.
func (w *World) Lift(slot int, force bool) error {
	u := w.jigs[slot].loose()
	if force {
		u = w.jigs[slot].present()
	}
	if u == nil {
		return nil
	}
	return w.carry(slot, u, PlaceQueue, u.st.Last)
}

// bears reports whether the unit's label says that it is the one with a serial.
func (u UnitState) bears(serial station.Serial) bool {
	code, err := station.ParseBarcode(u.Label)
	return err == nil && code.Unit == serial
}

// move takes a unit out of a slot, if the clamp is open.
func (w *World) move(slot int, to Place, last station.Disposition) error {
	u := w.jigs[slot].loose()
	if u == nil {
		return nil
	}
	return w.carry(slot, u, to, last)
}

// carry takes a unit out of a slot. The world's file says so before the presence
// sensor does.
func (w *World) carry(slot int, u *unit, to Place, last station.Disposition) error {
	j := w.jigs[slot]
	saw := u.sums()
	_, err := w.ledger.change(u.st.Serial, func(s *state, st *UnitState) {
		st.Place, st.Slot, st.Last = to, 0, last
		st.Saw = st.Saw.plus(saw)
		if to == PlaceQueue {
			st.Order = s.Next
			s.Next++
		}
	})
	if err != nil {
		return err
	}
	w.slotOf.Delete(u.st.EID)
	err = j.take()
	j.edge()
	return err
}

// place moves a unit that stands in no slot.
func (w *World) place(serial station.Serial, to Place) error {
	_, err := w.ledger.change(serial, func(s *state, u *UnitState) {
		u.Place = to
		if to == PlaceQueue {
			u.Order = s.Next
			s.Next++
		}
	})
	return err
}

// Bring puts a unit that stands in no slot at the end of the queue.
func (w *World) Bring(serial station.Serial) error { return w.place(serial, PlaceQueue) }

// done reports whether no unit has anywhere to go.
func (w *World) done() bool {
	return !slices.ContainsFunc(w.ledger.units(), func(u UnitState) bool {
		return u.Place == PlaceQueue || u.Place == PlaceSlot || u.Place == PlaceRepair
	})
}

// Queued is the unit that the operator takes next; false when none waits.
func (w *World) Queued() (UnitState, bool) { return w.ledger.next() }

// Units is what the world knows of its units.
func (w *World) Units() []UnitState { return w.ledger.units() }

// Slots are the numbers of the slots, ascending.
func (w *World) Slots() []int { return slices.Sorted(maps.Keys(w.jigs)) }

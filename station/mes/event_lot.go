package mes

import (
	"fmt"

	"linefit/audit"
	"linefit/station"
)

// LotEvent is the data of LotHalted: the lot was halted, or a person lets it go
// on.
type LotEvent struct {
	Seq       uint64              `json:"seq"`
	Halted    *station.LotHalted  `json:"halted,omitempty"`
	Cleared   *station.LotCleared `json:"cleared,omitempty"`
	Actor     station.Actor       `json:"actor,omitempty"`
	Equipment Equipment           `json:"equipment"`
	Simulated bool                `json:"simulated,omitempty"`
}

// lot makes the event of a lot that was halted or goes on. It is the station's,
// not that of the unit whose verdict was the last straw.
func (b box) lot(e audit.Entry) error {
	opened, err := b.station()
	if err != nil {
		return err
	}
	return b.enqueue(Item{ID: entryID(e, LotHalted), Kind: LotHalted, Refs: Refs{Seq: e.Seq, Opened: opened}})
}

// lotEvent makes the data of LotHalted.
func lotEvent(v audit.View, it Item) (l LotEvent, err error) {
	e, err := v.Entry(it.Seq)
	if err != nil {
		return l, fmt.Errorf("mes: %w", err)
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return l, fmt.Errorf("mes: entry %d: %w", it.Seq, err)
	}
	l = LotEvent{Seq: it.Seq, Actor: station.Actor(e.Actor), Simulated: e.Sim}
	switch f := f.(type) {
	case station.LotHalted:
		l.Halted = &f
	case station.LotCleared:
		l.Cleared = &f
	default:
		return l, fmt.Errorf("mes: entry %d is of type %s", it.Seq, e.Type)
	}
	l.Equipment, err = equipment(v, it.Opened)
	return l, err
}

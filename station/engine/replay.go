package engine

import (
	"encoding/binary"
	"fmt"
	"slices"

	"linefit/audit"
	"linefit/station"
)

// OpenRuns is the projection from which slots are rebuilt: for each slot the
// numbers of the entries that its present state follows from. It holds the
// entries of the open run and of the slot's fault; when the unit has left, its
// run's entries are dropped from it but for the ones that made the last result.
type OpenRuns struct{}

const openRunsName = "open_runs/1"

// Name implements audit.Projection.
func (OpenRuns) Name() string { return openRunsName }

func slotKey(slot int, seq uint64) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(slot))
	if seq == 0 {
		return b
	}
	return binary.BigEndian.AppendUint64(b, seq)
}

// Apply implements audit.Projection.
func (OpenRuns) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Slot == 0 {
		return nil
	}
	switch e.Type {
	case station.RunStarted{}.FactType(), station.SlotSwitched{}.FactType():
		if err := dropSlot(txn, e.Slot, e.Type == station.RunStarted{}.FactType()); err != nil {
			return err
		}
	}
	if e.Run == "" && !slotFacts[e.Type] {
		return nil // scans that were refused do not make state
	}
	return txn.Set(slotKey(e.Slot, e.Seq), []byte(e.Type))
}

// slotFacts make a slot's state without a run.
var slotFacts = map[string]bool{
	station.SlotFaulted{}.FactType():  true,
	station.SlotCleared{}.FactType():  true,
	station.SlotSwitched{}.FactType(): true,
}

// dropSlot forgets what a slot's state no longer follows from.
func dropSlot(txn audit.Txn, slot int, keepFaults bool) error {
	var old [][]byte
	err := txn.Iterate(slotKey(slot, 0), func(key, value []byte) error {
		if !keepFaults || !slotFacts[string(value)] {
			old = append(old, slices.Clone(key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		if err := txn.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// replaySlot evolves a slot through the entries that its state follows from.
func replaySlot(v audit.View, id int, recipes func(string) *station.Recipe) (*station.Slot, error) {
	s := station.NewSlot(id, recipes)
	p, err := v.Projection(openRunsName)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	err = p.Iterate(slotKey(id, 0), func(key, _ []byte) error {
		seqs = append(seqs, binary.BigEndian.Uint64(key[2:]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		entry, err := v.Entry(seq)
		if err != nil {
			return nil, err
		}
		f, err := station.Decode(entry.Type, entry.Data)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", seq, err)
		}
		s.Evolve(station.Envelope{Run: station.RunID(entry.Run), Unit: station.Serial(entry.Unit)}, f)
	}
	return s, nil
}

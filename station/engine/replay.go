package engine

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/station"
)

// OpenRuns is the projection from which slots are rebuilt: for each slot the
// facts that its present state follows from. It holds those of the open run and
// of the slot's fault; when the unit has left, its run's facts stay until the
// next one starts, for they made the last result. It carries the facts and not
// the numbers of their entries, so that a run goes on although the shard in
// which it began was archived. Its keys:
//
//	slot               how many facts it has, 4 bytes
//	slot, n            the n-th, from 1: a byte, 1 where it is not of a run, 2 where it
//	                   is of work by hand, then JSON
//
// slot has 2 bytes, n has 4, both big-endian. The same few keys are written
// again and again: nothing is left behind through which a later start must read.
type OpenRuns struct{}

const openRunsName = "open_runs/2"

// Name implements audit.Projection.
func (OpenRuns) Name() string { return openRunsName }

func slotKey(slot int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(slot)) }

func factKey(slot int, n uint32) []byte { return binary.BigEndian.AppendUint32(slotKey(slot), n) }

// slotFact is one fact of a slot. A very long one is left in its entry.
type slotFact struct {
	Seq  uint64          `json:"seq"`
	Type string          `json:"type"`
	Run  station.RunID   `json:"run,omitempty"`
	Unit station.Serial  `json:"unit,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// maxSlotFact bounds the data that a projection's value holds.
const maxSlotFact = audit.MaxValue - 1<<10

// Apply implements audit.Projection.
func (OpenRuns) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Slot == 0 {
		return nil
	}
	switch e.Type {
	case station.RunStarted{}.FactType(), station.SlotSwitched{}.FactType():
		started := e.Type == station.RunStarted{}.FactType()
		if err := dropSlot(txn, e.Slot, func(kind byte) bool { return started && kind == ofSlot }); err != nil {
			return err
		}
	case station.HandEnded{}.FactType():
		return dropSlot(txn, e.Slot, func(kind byte) bool { return kind != ofHand })
	}
	if e.Run == "" && kindOf(e.Type) == ofRun {
		return nil // scans that were refused do not make state
	}
	f := slotFact{Seq: e.Seq, Type: e.Type, Run: station.RunID(e.Run), Unit: station.Serial(e.Unit), Data: e.Data}
	if len(e.Data) > maxSlotFact {
		f.Data = nil
	}
	n, err := slotCount(txn, e.Slot)
	if err != nil {
		return err
	}
	return addFact(txn, e.Slot, n+1, f)
}

// Kinds of facts: what makes a slot's state without a run is not of one.
const (
	ofRun byte = iota
	ofSlot
	ofHand
)

func kindOf(factType string) byte {
	switch factType {
	case station.SlotFaulted{}.FactType(), station.SlotCleared{}.FactType(), station.SlotSwitched{}.FactType():
		return ofSlot
	case station.HandStarted{}.FactType(), station.HandIntent{}.FactType(), station.HandResult{}.FactType():
		return ofHand
	}
	return ofRun
}

func slotCount(r audit.Reader, slot int) (uint32, error) {
	value, ok, err := r.Get(slotKey(slot))
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 4 {
		return 0, fmt.Errorf("engine: slot %d: count of %d bytes", slot, len(value))
	}
	return binary.BigEndian.Uint32(value), nil
}

// addFact writes the n-th fact of a slot, which is then the last one.
func addFact(txn audit.Txn, slot int, n uint32, f slotFact) error {
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	value := []byte{kindOf(f.Type)}
	if err := txn.Set(factKey(slot, n), append(value, text...)); err != nil {
		return err
	}
	return txn.Set(slotKey(slot), binary.BigEndian.AppendUint32(nil, n))
}

// rawFact reads the n-th fact of a slot.
func rawFact(r audit.Reader, slot int, n uint32) ([]byte, error) {
	value, ok, err := r.Get(factKey(slot, n))
	if err == nil && (!ok || len(value) < 2) {
		err = fmt.Errorf("engine: fact %d of slot %d is missing", n, slot)
	}
	return value, err
}

// facts reads a slot's facts in order.
func facts(r audit.Reader, slot int) ([]slotFact, error) {
	n, err := slotCount(r, slot)
	if err != nil {
		return nil, err
	}
	list := make([]slotFact, n)
	for i := range list {
		value, err := rawFact(r, slot, uint32(i)+1)
		if err == nil {
			err = json.Unmarshal(value[1:], &list[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// dropSlot forgets what a slot's state no longer follows from; keep says of which
// kind what stays is.
func dropSlot(txn audit.Txn, slot int, keep func(kind byte) bool) error {
	n, err := slotCount(txn, slot)
	if err != nil {
		return err
	}
	kept := uint32(0)
	for i := uint32(1); i <= n; i++ {
		value, err := rawFact(txn, slot, i)
		if err != nil {
			return err
		}
		if err := txn.Delete(factKey(slot, i)); err != nil {
			return err
		}
		if keep(value[0]) {
			kept++
			if err := txn.Set(factKey(slot, kept), value); err != nil {
				return err
			}
		}
	}
	return txn.Set(slotKey(slot), binary.BigEndian.AppendUint32(nil, kept))
}

// replaySlot evolves a slot through the facts that its state follows from.
func replaySlot(v audit.View, id int, recipes func(string) *station.Recipe) (*replayed, error) {
	s := &replayed{Slot: station.NewSlot(id, recipes)}
	p, err := v.Projection(openRunsName)
	if err != nil {
		return nil, err
	}
	list, err := facts(p, id)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if f.Data == nil {
			entry, err := v.Entry(f.Seq)
			if err != nil {
				return nil, err
			}
			f.Data = entry.Data
		}
		fact, err := station.Decode(f.Type, f.Data)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", f.Seq, err)
		}
		s.Evolve(station.Envelope{Run: f.Run, Unit: f.Unit}, fact)
		if _, begins := fact.(station.RunStarted); begins {
			s.started = startedAt(v, f.Seq)
		}
	}
	return s, nil
}

// replayed is a slot as the log has it.
type replayed struct {
	*station.Slot
	started time.Time // of the open run; zero where that is not at hand
}

// startedAt is the time of an entry. An entry that is in the archive by now has
// none: how long a run takes is shown, and nothing else follows from it.
func startedAt(v audit.View, seq uint64) time.Time {
	entry, err := v.Entry(seq)
	if err != nil {
		return time.Time{}
	}
	return entry.UTC
}

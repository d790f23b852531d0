package main

import (
	"encoding/json"
	"fmt"
)

// entry is what the published meaning of entries needs.
type entry struct {
	Seq     uint64          `json:"seq"`
	Type    string          `json:"type"`
	Slot    int             `json:"slot"`
	SlotSeq uint64          `json:"slot_seq"`
	Unit    string          `json:"unit"`
	UnitSeq uint64          `json:"unit_seq"`
	Run     string          `json:"run"`
	Data    json.RawMessage `json:"data"`
}

// meaning checks what the entries say: their order, the gap-free counters of
// slots and units, that every intent of a run has its result. Of one slot it
// finds the units that were built in it since its last golden sample that passed.
type meaning struct {
	first uint64
	slots map[int]uint64
	units map[string]uint64
	open  map[string]uint64 // intents without a result yet, with their entries

	slot                       int
	unit, run, sample, verdict string   // the slot's run that is being read
	since                      []string // units, in order
}

func newMeaning(slot int) *meaning {
	return &meaning{slot: slot, slots: map[int]uint64{}, units: map[string]uint64{}, open: map[string]uint64{}}
}

// see takes the next entry.
func (m *meaning) see(raw []byte, index uint64) error {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	if index == 0 {
		m.first = e.Seq
	}
	if e.Seq != m.first+index {
		return fmt.Errorf("it says seq %d", e.Seq)
	}
	if m.slots[e.Slot]++; m.slots[e.Slot] != e.SlotSeq {
		return fmt.Errorf("slot %d counts %d, %d belongs here", e.Slot, e.SlotSeq, m.slots[e.Slot])
	}
	if e.Unit != "" {
		if m.units[e.Unit]++; m.units[e.Unit] != e.UnitSeq {
			return fmt.Errorf("unit %q counts %d, %d belongs here", e.Unit, e.UnitSeq, m.units[e.Unit])
		}
	}
	return m.fact(e)
}

// fact follows intents and results, and the runs of the slot.
func (m *meaning) fact(e entry) error {
	var data struct {
		Number  int    `json:"number"`
		Verdict string `json:"verdict"`
		Expect  struct {
			Sample string `json:"sample"`
		} `json:"expect"`
	}
	switch e.Type {
	case "intent/1", "result/1", "run.started/1", "run.verdict/1":
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return err
		}
	}
	ours := e.Slot == m.slot && e.Run != ""
	switch intent := fmt.Sprint(e.Run, " ", data.Number); {
	case e.Type == "intent/1":
		m.open[intent] = e.Seq
	case e.Type == "result/1":
		delete(m.open, intent)
	case e.Type == "run.started/1" && ours:
		m.end()
		m.unit, m.run, m.sample, m.verdict = e.Unit, e.Run, data.Expect.Sample, ""
	case e.Type == "run.verdict/1" && ours && e.Run == m.run:
		m.verdict = data.Verdict
	case e.Type == "unit.left/1" && ours:
		m.end()
	}
	return nil
}

// end closes the slot's run.
func (m *meaning) end() {
	switch {
	case m.run == "":
	case m.sample == "golden" && m.verdict == "pass":
		m.since = nil
	case m.sample == "":
		m.since = append(m.since, m.unit)
	}
	m.run = ""
}

func (m *meaning) print() {
	for intent, seq := range m.open {
		fmt.Printf("open: intent %s in entry %d has no result\n", intent, seq)
	}
	if m.slot == 0 {
		return
	}
	m.end()
	printed := map[string]bool{}
	for _, unit := range m.since {
		if !printed[unit] {
			fmt.Println("unit:", unit)
		}
		printed[unit] = true
	}
}

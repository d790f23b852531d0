// Package audittest helps to test projections without a store.
package audittest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"linefit/audit"
)

// A Memory is a projection's namespace in memory. Its zero value is empty. It
// implements [audit.Txn].
type Memory struct{ m map[string][]byte }

// Get implements [audit.Reader].
func (m *Memory) Get(key []byte) ([]byte, bool, error) {
	v, ok := m.m[string(key)]
	return bytes.Clone(v), ok, nil
}

// Iterate implements [audit.Reader].
func (m *Memory) Iterate(prefix []byte, fn func(key, value []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(m.m)) {
		v, ok := m.m[k]
		if !ok || !strings.HasPrefix(k, string(prefix)) {
			continue
		}
		if err := fn([]byte(k), bytes.Clone(v)); err == audit.ErrStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Set implements [audit.Txn].
func (m *Memory) Set(key, value []byte) error {
	if len(key) > audit.MaxKey || len(value) > audit.MaxValue {
		return fmt.Errorf("key of %d or value of %d bytes is too large", len(key), len(value))
	}
	if m.m == nil {
		m.m = map[string][]byte{}
	}
	m.m[string(key)] = append([]byte{}, value...)
	return nil
}

// Delete implements [audit.Txn].
func (m *Memory) Delete(key []byte) error {
	delete(m.m, string(key))
	return nil
}

// Equal reports whether two namespaces hold the same.
func (m *Memory) Equal(o *Memory) bool { return maps.EqualFunc(m.m, o.m, bytes.Equal) }

// A Log completes drafts to entries in memory, as a store would.
type Log struct {
	Entries []audit.Entry
	slots   map[int]uint64
	units   map[string]uint64
}

// Add normalizes drafts and appends them; the n-th entry is n milliseconds
// after 2026-01-01.
func (l *Log) Add(drafts ...audit.Draft) ([]audit.Entry, error) {
	if l.slots == nil {
		l.slots, l.units = map[int]uint64{}, map[string]uint64{}
	}
	from := len(l.Entries)
	for _, d := range drafts {
		d, err := d.Normalize()
		if err != nil {
			return nil, err
		}
		n := len(l.Entries) + 1
		l.slots[d.Slot]++
		e := audit.Entry{
			Seq: uint64(n), Type: d.Type, Slot: d.Slot, SlotSeq: l.slots[d.Slot],
			Unit: d.Unit, Run: d.Run, Actor: d.Actor, Boot: "b00t",
			UTC:  time.Date(2026, 1, 1, 0, 0, 0, n*1e6, time.UTC),
			Mono: int64(n) * 1e6, Clock: audit.ClockSynced, Data: d.Data,
		}
		if d.Unit != "" {
			l.units[d.Unit]++
			e.UnitSeq = l.units[d.Unit]
		}
		l.Entries = append(l.Entries, e)
	}
	return l.Entries[from:], nil
}

// Apply applies entries to a projection.
func Apply(p audit.Projection, m *Memory, entries ...audit.Entry) error {
	for _, e := range entries {
		if err := p.Apply(m, e); err != nil {
			return fmt.Errorf("projection %s, entry %d (%s): %w", p.Name(), e.Seq, e.Type, err)
		}
	}
	return nil
}

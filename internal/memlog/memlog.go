// Package memlog is a log in memory for tests of what is written to the audit
// log and derived from it: the same entries, views and projections as
// audit/store without a disk, with faults on command. It keeps to the store's
// contract: what a Gate acknowledged is in every later view; a write that
// failed may have taken effect all the same, but never later.
package memlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"sync"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Fault is what happens to one write.
type Fault int

// Faults.
const (
	None      Fault = iota
	Lost            // an error; nothing was recorded
	TookPlace       // an error; everything was recorded
)

// ErrFault is the error of a write with a fault.
var ErrFault = errors.New("memlog: the log failed")

// Log is a log in memory. Its methods may be called at the same time.
type Log struct {
	// Plan says what happens to the n-th write, from 1; nil: nothing bad.
	// It is set before the first write.
	Plan func(n int) Fault
	// Now gives the entries' time; nil is a second per entry from 2026 on.
	Now func() time.Time

	projections []audit.Projection

	mu      sync.Mutex
	writes  int
	entries []audit.Entry
	slots   map[int]uint64
	units   map[string]uint64
	state   map[string]*table
}

// New makes an empty log.
func New(projections ...audit.Projection) *Log {
	l := &Log{projections: projections, slots: map[int]uint64{}, units: map[string]uint64{}, state: map[string]*table{}}
	for _, p := range projections {
		l.state[p.Name()] = &table{values: map[string][]byte{}}
	}
	return l
}

// Gate appends facts and returns when every view shows them.
func (l *Log) Gate(_ context.Context, at station.Scope, facts ...station.Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	fault := None
	if l.Plan != nil {
		fault = l.Plan(l.writes)
	}
	if fault == Lost {
		return ErrFault
	}
	for _, f := range facts {
		if err := l.append(at, f); err != nil {
			return err
		}
	}
	if fault == TookPlace {
		return ErrFault
	}
	return nil
}

// Queue is Gate: in memory nothing waits.
func (l *Log) Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	return l.Gate(ctx, at, facts...)
}

// Record is Gate for one scope.
func (l *Log) Record(at station.Scope) func(context.Context, ...station.Fact) error {
	return func(ctx context.Context, facts ...station.Fact) error { return l.Gate(ctx, at, facts...) }
}

// Flush waits for nothing: every write was decided when it returned.
func (l *Log) Flush(context.Context) error { return nil }

func (l *Log) append(at station.Scope, f station.Fact) error {
	name, data, err := station.Encode(f)
	if err != nil {
		return err
	}
	d, err := audit.Draft{
		Type: name, Slot: at.Slot, Actor: string(at.Actor), Unit: string(at.Unit), Run: string(at.Run), Data: data,
	}.Normalize()
	if err != nil {
		return err
	}
	seq := uint64(len(l.entries) + 1)
	e := audit.Entry{
		Seq: seq, Type: d.Type, Slot: d.Slot, Unit: d.Unit, Run: d.Run, Actor: d.Actor, Boot: "memlog",
		UTC: time.Date(2026, 1, 1, 0, 0, int(seq), 0, time.UTC), Mono: int64(seq), Clock: audit.ClockSynced, Data: d.Data,
	}
	if l.Now != nil {
		e.UTC = l.Now().UTC()
	}
	l.slots[d.Slot]++
	e.SlotSeq = l.slots[d.Slot]
	if d.Unit != "" {
		l.units[d.Unit]++
		e.UnitSeq = l.units[d.Unit]
	}
	if e, err = audit.Decode(audit.AppendEntry(nil, e)); err != nil {
		return err
	}
	l.entries = append(l.entries, e)
	return apply(l.projections, l.state, e)
}

func apply(projections []audit.Projection, state map[string]*table, e audit.Entry) error {
	for _, p := range projections {
		if err := p.Apply(state[p.Name()], e); err != nil {
			return fmt.Errorf("memlog: projection %s, entry %d: %w", p.Name(), e.Seq, err)
		}
	}
	return nil
}

// Entries is a copy of the log.
func (l *Log) Entries() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Entry(nil), l.entries...)
}

// Reopen is the log after a crash: the same entries, everything derived anew.
func (l *Log) Reopen() (*Log, error) {
	out := New(l.projections...)
	out.Now = l.Now
	for _, e := range l.Entries() {
		out.entries = append(out.entries, e)
		out.slots[e.Slot] = e.SlotSeq
		if e.Unit != "" {
			out.units[e.Unit] = e.UnitSeq
		}
		if err := apply(out.projections, out.state, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Dump is everything that is derived, as text: equal where the state is equal.
func (l *Log) Dump() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b bytes.Buffer
	for _, p := range l.projections {
		t := l.state[p.Name()]
		for _, k := range t.keys("") {
			fmt.Fprintf(&b, "%s %q %s\n", p.Name(), k, t.values[k])
		}
	}
	return b.String()
}

// View calls fn with the state of the moment; fn must not write.
func (l *Log) View(fn func(audit.View) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fn(view{l})
}

type view struct{ l *Log }

func (v view) Head() audit.Head { return audit.Head{Size: uint64(len(v.l.entries))} }
func (v view) Last() uint64     { return uint64(len(v.l.entries)) }

func (v view) Projection(name string) (audit.Reader, error) {
	t, ok := v.l.state[name]
	if !ok {
		return nil, fmt.Errorf("memlog: no projection %q", name)
	}
	return t, nil
}

func (v view) Entry(seq uint64) (audit.Entry, error) {
	if seq == 0 || seq > v.Last() {
		return audit.Entry{}, fmt.Errorf("memlog: no entry %d", seq)
	}
	return v.l.entries[seq-1], nil
}

func (v view) Entries(first, last uint64) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for seq := max(first, 1); seq <= min(last, v.Last()); seq++ {
			if !yield(v.l.entries[seq-1], nil) {
				return
			}
		}
	}
}

func (v view) Unit(serial string) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, e := range v.l.entries {
			if e.Unit == serial && !yield(e, nil) {
				return
			}
		}
	}
}

// table is one projection's state.
type table struct{ values map[string][]byte }

func (t *table) Get(key []byte) ([]byte, bool, error) {
	v, ok := t.values[string(key)]
	return bytes.Clone(v), ok, nil
}

func (t *table) Set(key, value []byte) error {
	if len(key) > audit.MaxKey || len(value) > audit.MaxValue {
		return fmt.Errorf("memlog: key of %d bytes, value of %d", len(key), len(value))
	}
	t.values[string(key)] = bytes.Clone(value)
	return nil
}

func (t *table) Delete(key []byte) error {
	delete(t.values, string(key))
	return nil
}

func (t *table) Iterate(prefix []byte, fn func(key, value []byte) error) error {
	for _, k := range t.keys(string(prefix)) {
		err := fn([]byte(k), bytes.Clone(t.values[k]))
		if errors.Is(err, audit.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *table) keys(prefix string) []string {
	var keys []string
	for k := range t.values {
		if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

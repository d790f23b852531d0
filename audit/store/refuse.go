package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"linefit/audit"
)

// An answer is what a request gets: its entries, or why it was refused.
type answer struct {
	entries []audit.Entry
	refused *audit.RefusedError
}

// request completes a request's drafts to entries, stages what they derive, and
// adds them to the batch: all of them or, where a projection cannot take one,
// none. The log's own are always written: what a projection cannot take of them
// is an alarm.
func (c *core) request(p *pending, r *request) (answer, error) {
	if owed := c.owes(r); owed != nil {
		return answer{refused: owed}, nil
	}
	u := undo{core: c, next: c.next, clock: p.clock, ops: len(p.stage.ops), entries: len(p.stage.ends)}
	var all, theirs []audit.Entry
	for _, d := range r.drafts {
		step, stepped := c.step(p, d)
		if stepped {
			e, err := c.complete(&u, step)
			if err != nil {
				return answer{}, err
			}
			all = append(all, e)
		}
		e, err := c.complete(&u, d)
		if err != nil {
			return answer{}, err
		}
		all, theirs = append(all, e), append(theirs, e)
	}
	for _, e := range all {
		refused, err := c.d.project(p.stage, e)
		if err != nil {
			return answer{}, err
		}
		switch {
		case len(refused) == 0:
		case r.own:
			p.refused = noteRefused(p.refused, item{at: c.here()}, e, refused)
		default:
			u.back(p)
			if !r.gate {
				c.owe(r, refused[0])
			}
			return answer{refused: refused[0]}, nil
		}
	}
	for _, e := range all {
		if err := c.add(p, e); err != nil {
			return answer{}, err
		}
	}
	return answer{entries: theirs}, nil
}

// undo is how to take back what a request changed before it was added.
type undo struct {
	core         *core
	next         uint64
	clock        drifting
	ops, entries int
	counters     []func()
}

func (u *undo) back(p *pending) {
	for _, restore := range slices.Backward(u.counters) {
		restore()
	}
	u.core.next, p.clock = u.next, u.clock
	p.stage.undo(u.ops, u.entries)
}

// set sets a counter so that undo brings it back.
func set[K comparable](u *undo, m map[K]uint64, key K, n uint64) {
	old, had := m[key]
	u.counters = append(u.counters, func() {
		if had {
			m[key] = old
		} else {
			delete(m, key)
		}
	})
	m[key] = n
}

// complete makes the next entry of a draft.
func (c *core) complete(u *undo, d stamped) (audit.Entry, error) {
	e := audit.Entry{
		Seq: c.next, Type: d.Type, Slot: d.Slot, SlotSeq: c.d.slots[d.Slot] + 1,
		Unit: d.Unit, Run: d.Run, Actor: d.Actor,
		Boot: c.opt.Boot, UTC: d.utc, Mono: d.mono, Clock: d.clock,
		Sim: c.opt.Sim, Data: d.Data,
	}
	if e.Unit != "" {
		last, err := c.d.unitSeq(e.Unit, c.head.Base)
		if err != nil {
			return audit.Entry{}, err
		}
		e.UnitSeq = last + 1
		set(u, c.d.units, e.Unit, e.UnitSeq)
	}
	set(u, c.d.slots, e.Slot, e.SlotSeq)
	c.next++
	return e, nil
}

// add appends an entry's frame, and its leaf to the tree.
func (c *core) add(p *pending, e audit.Entry) error {
	raw := audit.AppendEntry(make([]byte, 0, len(e.Data)+320), e)
	if len(raw) > audit.MaxEntry {
		return fmt.Errorf("entry %d has %d bytes", e.Seq, len(raw))
	}
	p.buf = appendFrame(p.buf, kindEntry, raw)
	c.edge.add(c.tree.Size(), c.tree.Append(audit.LeafHash(raw)))
	p.item.entries = append(p.item.entries, e)
	c.took(e)
	return nil
}

// owe remembers that queued drafts were refused: whoever queued them was told
// nothing, and its next gate must not succeed.
func (c *core) owe(r *request, refused *audit.RefusedError) {
	if c.owed == nil {
		c.owed = map[int]*audit.RefusedError{}
	}
	earlier := *refused
	earlier.Earlier = true
	for _, d := range r.drafts {
		c.owed[d.Slot] = &earlier
	}
}

// owes returns the refusal that a request comes behind. A gate is told, and what
// follows it is taken again.
func (c *core) owes(r *request) *audit.RefusedError {
	if len(c.owed) == 0 || r.own {
		return nil
	}
	slots := make([]int, 0, len(r.drafts))
	for _, d := range r.drafts {
		slots = append(slots, d.Slot)
	}
	if len(r.drafts) == 0 {
		slots = slices.Sorted(maps.Keys(c.owed))
	}
	for _, slot := range slots {
		owed := c.owed[slot]
		if owed == nil {
			continue
		}
		if r.gate {
			delete(c.owed, slot)
		} else {
			c.owe(r, owed)
		}
		return owed
	}
	return nil
}

// untold are the refusals that no gate came to hear of.
func (c *core) untold() error {
	var errs []error
	for _, slot := range slices.Sorted(maps.Keys(c.owed)) {
		errs = append(errs, c.owed[slot])
	}
	return errors.Join(errs...)
}

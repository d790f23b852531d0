package mes

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"linefit/audit"
)

func outboxOf(v audit.View) (audit.Reader, error) {
	r, err := v.Projection(OutboxProjectionName)
	if err != nil {
		return nil, fmt.Errorf("mes: %w", err)
	}
	return r, nil
}

// CountOutbox counts the events by state.
func CountOutbox(v audit.View) (OutboxCount, error) {
	var n OutboxCount
	r, err := outboxOf(v)
	if err != nil {
		return n, err
	}
	_, err = audit.GetJSON(r, "n", &n)
	return n, err
}

// ItemOf finds an event by its id. A delivered one is found only while its
// unit is in the slot.
func ItemOf(v audit.View, id string) (Item, bool, error) {
	var it Item
	r, err := outboxOf(v)
	if err != nil {
		return it, false, err
	}
	ok, err := audit.GetJSON(r, "e/"+id, &it)
	return it, ok, err
}

// EachItem calls fn for the pending or the parked events in the order of the
// log, those behind entry after. fn ends it early with audit.ErrStop.
func EachItem(v audit.View, s ItemState, after uint64, fn func(Item) error) error {
	r, err := outboxOf(v)
	if err != nil {
		return err
	}
	prefix := place(s)
	return r.Iterate([]byte(prefix), func(key, id []byte) error {
		if binary.BigEndian.Uint64(key[len(prefix):]) <= after {
			return nil
		}
		var it Item
		ok, err := audit.GetJSON(r, "e/"+string(id), &it)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("mes: event %q is listed and not there", id)
		}
		return fn(it)
	})
}

// items are at most limit events in any of the states, behind entry after and in
// the order of the log, and whether there are more.
func items(v audit.View, states []ItemState, after uint64, limit int) (found []Item, more bool, err error) {
	found = []Item{}
	for _, s := range states {
		n := 0
		err := EachItem(v, s, after, func(it Item) error {
			if n++; n > limit+1 { // no page needs more of one state
				return audit.ErrStop
			}
			found = append(found, it)
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	slices.SortFunc(found, func(a, b Item) int { return cmp.Compare(a.Seq, b.Seq) })
	return found[:min(len(found), limit)], len(found) > limit, nil
}

// EachResult calls fn for the results behind entry after, in the order of the
// log; those of archived shards are left out. fn ends it early with audit.ErrStop.
func EachResult(v audit.View, after uint64, fn func(Result) error) error {
	r, err := outboxOf(v)
	if err != nil {
		return err
	}
	var count uint64
	if _, err := audit.GetJSON(r, "rn", &count); err != nil {
		return err
	}
	var failed error
	first := sort.Search(int(count), func(i int) bool {
		refs, err := nth(r, uint64(i)+1)
		failed = firstError(failed, err)
		return refs.Seq > after
	})
	for n := uint64(first) + 1; n <= count && failed == nil; n++ {
		var refs Refs
		if refs, failed = nth(r, n); failed != nil {
			break
		}
		res, err := refs.result(v)
		switch {
		case err == nil:
			err = fn(res)
		case errors.Is(err, audit.ErrArchived):
			err = nil // with its shard
		}
		failed = err
	}
	if errors.Is(failed, audit.ErrStop) {
		return nil
	}
	return failed
}

func nth(r audit.Reader, n uint64) (Refs, error) {
	var refs Refs
	ok, err := audit.GetJSON(r, string(seqKey("r/", n)), &refs)
	if err == nil && !ok {
		err = fmt.Errorf("mes: result %d is not there", n)
	}
	return refs, err
}

package mes

import (
	"encoding/json"
	"errors"
	"fmt"

	"linefit/audit"
)

// ErrNeeded is the error of entries that the outbox cannot do without yet.
var ErrNeeded = errors.New("needed for the MES")

// Archivable reports whether the outbox can do without the entries before
// first: an event that the MES has not taken, and the result of a run that is
// still open, are made from their entries. The error is [ErrNeeded] and names one.
func Archivable(v audit.View, first uint64) error {
	needed := func(what string, r Refs) error {
		if oldest := r.oldest(); oldest > 0 && oldest < first {
			return fmt.Errorf("%w: %s is made of entry %d, which is to be archived", ErrNeeded, what, oldest)
		}
		return nil
	}
	for _, state := range []ItemState{ItemPending, ItemRejected} {
		err := EachItem(v, state, 0, func(it Item) error { return needed(fmt.Sprintf("event %s (%s)", it.ID, state), it.Refs) })
		if err != nil {
			return err
		}
	}
	r, err := outboxOf(v)
	if err != nil {
		return err
	}
	return r.Iterate([]byte("o/"), func(key, value []byte) error {
		var refs Refs
		if err := json.Unmarshal(value, &refs); err != nil {
			return fmt.Errorf("mes: key %q: %w", key, err)
		}
		return needed("the result of run "+string(key[2:]), refs)
	})
}

// oldest is the oldest entry of which an event is made.
func (r Refs) oldest() uint64 {
	oldest := uint64(0)
	for _, seq := range append([]uint64{r.Seq, r.Opened, r.Started, r.Verdict}, r.Identified...) {
		if seq > 0 && (oldest == 0 || seq < oldest) {
			oldest = seq
		}
	}
	return oldest
}

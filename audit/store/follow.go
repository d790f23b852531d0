package store

import (
	"context"
	"iter"

	"linefit/audit"
)

// followChunk is how many entries a follower reads at a time.
const followChunk = 256

// Follow yields the durable entries behind seq after, in order and without a
// gap, and waits for more at the end. It ends with ctx's error, with a
// *StateError when the store is closed, or with what made reading fail; each
// is yielded once, with a zero entry. The seq of the last entry handled is
// all that a follower has to keep. The loop's body may call the store.
func (s *Store) Follow(ctx context.Context, after uint64) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for {
			changed := s.Changed()
			chunk, err := s.readChunk(after)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(audit.Entry{}, err)
				return
			}
			for _, e := range chunk {
				if !yield(e, nil) {
					return
				}
				after = e.Seq
			}
			if len(chunk) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

func (s *Store) readChunk(after uint64) ([]audit.Entry, error) {
	if after >= s.Last() && s.State().State != Closed {
		return nil, nil
	}
	var chunk []audit.Entry
	err := s.withSnapshot(func(v *snapshot) error {
		for e, err := range v.Entries(after+1, after+followChunk) {
			if err != nil {
				return err
			}
			chunk = append(chunk, e)
		}
		return nil
	})
	if err == nil && len(chunk) == 0 && s.State().State == Closed {
		return nil, &StateError{Health: s.State()}
	}
	return chunk, err
}

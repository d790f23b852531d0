package store

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// Since proves that the newest shard only grew since it had so many entries, under
// the checkpoint of its durable head: what a C2SP tlog-witness asks for. It reads
// the derived tree, so that its cost does not grow with the log; [Log.Since] does
// the same from the evidence. More entries than the log has are a
// *audit.FindingError; a log that is not what it must be is a *StateError.
func (s *Store) Since(size uint64) (audit.Consistency, error) {
	for range 3 { // a shard may be closed between the two readings
		signed, err := s.Checkpoint()
		if err != nil {
			return audit.Consistency{}, err
		}
		p, err := s.since(signed, size)
		if !errors.Is(err, errOtherShard) {
			return p, err
		}
	}
	return audit.Consistency{}, fmt.Errorf("audit/store: %w", errOtherShard)
}

var errOtherShard = errors.New("another shard has begun meanwhile")

func (s *Store) since(signed []byte, size uint64) (audit.Consistency, error) {
	head, err := audit.ParseCheckpoint(signed)
	if err != nil {
		return audit.Consistency{}, err
	}
	p := audit.Consistency{Old: audit.Checkpoint{Origin: head.Origin, Head: audit.Head{Size: size}}, New: head}
	if size > head.Size {
		return p, &audit.FindingError{Finding: audit.Finding{
			Code: audit.FindRollback, Detail: fmt.Sprintf("the witness has seen %d entries, the log has %d", size, head.Size),
		}}
	}
	if size == 0 || size == head.Size {
		return p, nil
	}
	err = s.withSnapshot(func(v *snapshot) error {
		if shard, ours := shardOf(s.opt.Key.Name(), head.Origin); !ours || shard != v.meta.Shard {
			return errOtherShard
		}
		path, err := tlog.ProveTree(int64(head.Size), int64(size), hashReader(v.Head().Size, v.tile))
		p.Path = path
		return err
	})
	return p, err
}

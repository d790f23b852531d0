package store

import (
	"context"
	"fmt"

	"linefit/audit"
)

// Consistent proves that a shard of the log only grew since a checkpoint of it
// that someone kept: old is the signed note, or its base64. The proof leads to
// the newest signed head of that shard. A checkpoint of another log, with a
// wrong signature or with another history is a *FindingError or
// *CheckpointError.
func (l *Log) Consistent(ctx context.Context, old []byte) (audit.Consistency, error) {
	c, err := l.good(ctx)
	if err != nil {
		return audit.Consistency{}, err
	}
	kept, err := l.open(audit.PlainNote(old))
	if err != nil {
		return audit.Consistency{}, err
	}
	for i, s := range c.shards {
		if s.head.Origin == kept.Origin {
			return c.consistent(ctx, i, kept)
		}
	}
	return audit.Consistency{}, &audit.FindingError{Finding: audit.Finding{
		Code: audit.FindMissing, Detail: fmt.Sprintf("the given checkpoint is of log %q, whose segments are not here", kept.Origin),
	}}
}

func (c *covered) consistent(ctx context.Context, in int, kept audit.Checkpoint) (audit.Consistency, error) {
	signed := c.shards[in].signed
	p := audit.Consistency{Old: kept, New: signed}
	if kept.Size > signed.Size {
		return p, &audit.FindingError{Finding: audit.Finding{
			Code: audit.FindRollback, Seq: c.shards[in].head.Base + signed.Size,
			Detail: fmt.Sprintf("the given checkpoint has %d entries, the log has %d", kept.Size, signed.Size),
		}}
	}
	collect := audit.NewCollector()
	if err := collect.WantTree(signed.Size, kept.Size); err != nil {
		return p, err
	}
	err := c.hashed(ctx, func(shard int, _ uint64, raw []byte) error {
		if shard == in {
			collect.Add(raw)
		}
		return nil
	})
	if err == nil {
		p.Path, err = collect.Tree(signed.Size, kept.Size)
	}
	if err == nil {
		err = p.Check()
	}
	return p, err
}

// Since proves that the newest shard only grew since it had so many entries, as a
// C2SP tlog-witness asks for it: the witness has the older head. More entries than
// the log has are a *audit.FindingError.
func (l *Log) Since(ctx context.Context, size uint64) (audit.Consistency, error) {
	c, err := l.good(ctx)
	if err != nil {
		return audit.Consistency{}, err
	}
	in := len(c.shards) - 1
	signed := c.shards[in].signed
	p := audit.Consistency{Old: audit.Checkpoint{Origin: signed.Origin, Head: audit.Head{Size: size}}, New: signed}
	if size > signed.Size {
		return p, &audit.FindingError{Finding: audit.Finding{
			Code: audit.FindRollback, Seq: c.shards[in].head.Base + signed.Size,
			Detail: fmt.Sprintf("the witness has seen %d entries, the log has %d", size, signed.Size),
		}}
	}
	if size == 0 || size == signed.Size {
		return p, nil
	}
	collect := audit.NewCollector()
	if err := collect.WantTree(signed.Size, size); err != nil {
		return p, err
	}
	err = c.hashed(ctx, func(shard int, _ uint64, raw []byte) error {
		if shard == in {
			collect.Add(raw)
		}
		return nil
	})
	if err == nil {
		p.Path, err = collect.Tree(signed.Size, size)
	}
	return p, err
}

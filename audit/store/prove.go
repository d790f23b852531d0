package store

import (
	"bytes"
	"context"
	"fmt"

	"linefit/audit"
)

// ErrNoUnit says that no entry mentions an identifier.
var ErrNoUnit = audit.ErrNoUnit

// Bundle returns the bundle of all units that an identifier finds.
func (l *Log) Bundle(ctx context.Context, id string) (audit.Bundle, error) {
	c, err := l.good(ctx)
	if err != nil {
		return audit.Bundle{}, err
	}
	units, err := c.resolve(ctx, id)
	if err != nil {
		return audit.Bundle{}, err
	}
	if len(units.Units()) == 0 {
		return audit.Bundle{}, fmt.Errorf("%w: %q", ErrNoUnit, id)
	}
	shards, collectors, err := c.bundled(ctx, units)
	if err != nil {
		return audit.Bundle{}, err
	}
	err = c.hashed(ctx, func(shard int, _ uint64, raw []byte) error {
		collectors[shard].Add(raw)
		return nil
	})
	for i := range shards {
		size := c.shards[i].signed.Size
		for j := range shards[i].Entries {
			if err == nil {
				shards[i].Entries[j].Proof, err = collectors[i].Record(size, shards[i].Entries[j].Index)
			}
		}
		if err == nil && shards[i].Link != nil {
			shards[i].Link.Proof, err = collectors[i].Record(size, 0)
		}
		if err == nil {
			err = shards[i].Count()
		}
	}
	return audit.Bundle{Format: audit.BundleFormat, ID: id, Units: units.Units(), Shards: shards}, err
}

// bundled gathers the units' entries and each shard's link, and asks the
// collectors for their proofs.
func (c *covered) bundled(ctx context.Context, units *audit.Resolver) ([]audit.BundleShard, []*audit.Collector, error) {
	shards := make([]audit.BundleShard, len(c.shards))
	collectors := make([]*audit.Collector, len(c.shards))
	for i, s := range c.shards {
		shards[i] = audit.BundleShard{
			Origin: s.head.Origin, VKey: s.head.VKey, First: s.head.Base, Sim: s.head.Sim,
			Checkpoint: string(s.signed.Note), Entries: []audit.BundleEntry{},
		}
		collectors[i] = audit.NewCollector()
	}
	err := c.each(ctx, func(shard int, seq uint64, raw []byte) error {
		index := seq - c.shards[shard].head.Base
		link := index == 0 && c.shards[shard].head.Shard > 1
		if link {
			shards[shard].Link = &audit.BundleEntry{Entry: string(raw)}
		}
		wanted := false
		if units.Maybe(raw) {
			e, err := audit.Decode(raw)
			if err != nil {
				return err
			}
			wanted = units.Has(e)
		}
		if wanted {
			shards[shard].Entries = append(shards[shard].Entries, audit.BundleEntry{Entry: string(raw), Index: index})
		}
		if wanted || link {
			return collectors[shard].WantRecord(c.shards[shard].signed.Size, index)
		}
		return nil
	})
	return shards, collectors, err
}

// Prove returns the inclusion proof of one entry, under the published
// checkpoint or the last one of its shard.
func (l *Log) Prove(ctx context.Context, seq uint64) (audit.Proof, error) {
	c, err := l.good(ctx)
	if err != nil {
		return audit.Proof{}, err
	}
	for i, s := range c.shards {
		if seq >= s.head.Base && seq-s.head.Base < s.signed.Size {
			return c.prove(ctx, i, seq)
		}
	}
	return audit.Proof{}, fmt.Errorf("audit/store: entry %d is not under a published checkpoint", seq)
}

func (c *covered) prove(ctx context.Context, in int, seq uint64) (audit.Proof, error) {
	s := c.shards[in]
	p := audit.Proof{Index: seq - s.head.Base, Checkpoint: s.signed.Note}
	collect := audit.NewCollector()
	if err := collect.WantRecord(s.signed.Size, p.Index); err != nil {
		return audit.Proof{}, err
	}
	err := c.hashed(ctx, func(shard int, n uint64, raw []byte) error {
		if n == seq {
			p.Entry = bytes.Clone(raw)
		}
		if shard == in {
			collect.Add(raw)
		}
		return nil
	})
	if err == nil {
		p.Path, err = collect.Record(s.signed.Size, p.Index)
	}
	return p, err
}

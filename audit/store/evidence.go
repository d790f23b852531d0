package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// A shardView is one shard of a running store's log, as derived state and
// segments have it, under one signed head.
type shardView struct {
	*snapshot
	head   header
	signed audit.Checkpoint
}

// shards are the shards at hand, oldest first, the newest one under its durable
// head.
func (s *Store) shards(v *snapshot) ([]shardView, error) {
	if h := s.State(); h.Cause == CauseAlarm {
		return nil, &StateError{Health: h}
	}
	note, err := audit.SignCheckpoint(v.Head(), s.key())
	if err != nil {
		return nil, err
	}
	newest, err := audit.ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	l, err := s.Log()
	if err != nil {
		return nil, err
	}
	covers, err := l.covers()
	if err != nil {
		return nil, err
	}
	var out []shardView
	for _, c := range covers {
		if c.head.Shard < v.meta.Shard {
			out = append(out, shardView{v, c.head, c.signed})
		}
	}
	key := s.key()
	return append(out, shardView{v, header{
		Origin: key.Name(), Shard: v.meta.Shard, Base: v.meta.Base, VKey: key.VKey(), Sim: s.opt.Sim,
	}, newest}), nil
}

// tile returns the data of a tile of the shard's tree.
func (s shardView) tile(level int, index uint64, width int) ([]byte, error) {
	if level == 0 && width < tileWidth {
		return s.leaves(s.head.Base, index<<tileHeight, width)
	}
	item, err := s.txn.Get(tileKey(s.head.Shard, level, index))
	if errors.Is(err, badger.ErrKeyNotFound) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("audit/store: tile %d/%d of shard %d: %w", level, index, s.head.Shard, err)
	}
	return item.ValueCopy(nil)
}

// bundle returns an entry bundle.
func (s shardView) bundle(leaf uint64, n int) ([]byte, error) {
	var out []byte
	first := s.head.Base + leaf
	for raw, err := range s.raw(first, first+uint64(n)-1) {
		if err != nil {
			return nil, err
		}
		out = audit.AppendBundled(out, raw)
		n--
	}
	if n != 0 {
		return nil, errors.New("audit/store: entries of a bundle are missing")
	}
	return out, nil
}

// entry returns an entry's bytes with its inclusion proof.
func (s shardView) entry(seq uint64) (audit.BundleEntry, error) {
	e := audit.BundleEntry{Index: seq - s.head.Base}
	for raw, err := range s.raw(seq, seq) {
		if err != nil {
			return e, err
		}
		e.Entry = string(raw)
	}
	if e.Entry == "" {
		return e, fmt.Errorf("audit/store: entry %d is not here", seq)
	}
	var err error
	if e.Proof, err = tlog.ProveRecord(int64(s.signed.Size), int64(e.Index), hashReader(s.signed.Size, s.tile)); err != nil {
		return e, fmt.Errorf("audit/store: prove entry %d: %w", seq, err)
	}
	return e, nil
}

// covers says whether an entry is under the shard's signed head.
func (s shardView) covers(seq uint64) bool {
	return seq >= s.head.Base && seq-s.head.Base < s.signed.Size
}

// Prove returns the inclusion proof of one entry under the durable head of its
// shard, from the derived tree. [Log.Prove] does the same from the evidence.
func (s *Store) Prove(seq uint64) (audit.Proof, error) {
	var p audit.Proof
	err := s.withSnapshot(func(v *snapshot) error {
		shards, err := s.shards(v)
		if err != nil {
			return err
		}
		for _, sh := range shards {
			if !sh.covers(seq) {
				continue
			}
			e, err := sh.entry(seq)
			p = audit.Proof{Index: e.Index, Entry: []byte(e.Entry), Path: e.Proof, Checkpoint: sh.signed.Note}
			return err
		}
		return fmt.Errorf("audit/store: entry %d is not here", seq)
	})
	return p, err
}

// Bundle returns the bundle of all units that an identifier finds, from derived
// state: the same as [Log.Bundle], in a time that does not grow with the log.
// It needs the projection [audit.Names].
func (s *Store) Bundle(ctx context.Context, id string) (audit.Bundle, error) {
	b := audit.Bundle{Format: audit.BundleFormat, ID: id}
	err := s.withSnapshot(func(v *snapshot) error {
		names, err := audit.UnitsOf(v, id)
		if err != nil {
			return err
		}
		entries, err := v.unitEntries(ctx, names)
		if err != nil {
			return err
		}
		units := audit.NewResolver(id)
		for again := true; again; again = units.Again() {
			for _, e := range entries {
				units.See(e)
			}
		}
		if b.Units = units.Units(); len(b.Units) == 0 {
			return fmt.Errorf("%w: %q", ErrNoUnit, id)
		}
		shards, err := s.shards(v)
		if err != nil {
			return err
		}
		b.Shards, err = bundleShards(shards, entries, units)
		return err
	})
	return b, err
}

// unitEntries returns the units' entries in order.
func (s *snapshot) unitEntries(ctx context.Context, units []string) ([]audit.Entry, error) {
	var all []audit.Entry
	for _, u := range units {
		for e, err := range s.Unit(u) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	sortEntries(all)
	return all, nil
}

// bundleShards puts entries under the heads of their shards.
func bundleShards(shards []shardView, entries []audit.Entry, units *audit.Resolver) ([]audit.BundleShard, error) {
	var out []audit.BundleShard
	for _, s := range shards {
		b := audit.BundleShard{
			Origin: s.head.Origin, VKey: s.head.VKey, First: s.head.Base, Sim: s.head.Sim,
			Checkpoint: string(s.signed.Note), Entries: []audit.BundleEntry{},
		}
		for _, e := range entries {
			if !s.covers(e.Seq) || !units.Has(e) {
				continue
			}
			be, err := s.entry(e.Seq)
			if err != nil {
				return nil, err
			}
			b.Entries = append(b.Entries, be)
		}
		if err := b.Count(); err != nil {
			return nil, err
		}
		if s.head.Shard > 1 && s.signed.Size > 0 {
			link, err := s.entry(s.head.Base)
			if err != nil {
				return nil, err
			}
			b.Link = &link
		}
		out = append(out, b)
	}
	return out, nil
}

package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"linefit/audit"
)

// Archived says what went to an archive.
type Archived struct {
	Shards  []audit.ArchivedShard `json:"shards"`
	Entries uint64                `json:"entries"`
	Bytes   int64                 `json:"bytes"` // of the segments
}

// Archive takes all shards but the newest out of the store, also while it runs:
// it exports them as tiles to dir/shards/<number>, checks these exports as an
// outsider would, copies the segments to dir/segments, durably, records that in
// the log, and only then removes the segments here. The archive must not lie in
// the store. free is asked, with a view, whether what is derived can do without
// the entries before a number; its error ends it.
func (s *Store) Archive(ctx context.Context, dir string, free func(v audit.View, first uint64) error) (Archived, error) {
	l, err := s.Log()
	if err != nil {
		return Archived{}, err
	}
	c, err := l.good(ctx)
	if err != nil {
		return Archived{}, err
	}
	last := len(c.shards) - 1
	if last < 1 {
		return Archived{Shards: []audit.ArchivedShard{}}, nil
	}
	if c.shards[last].head.Shard != l.newest().Shard {
		return Archived{}, errors.New("audit/store: the newest shard is not yet published")
	}
	if err := s.View(func(v audit.View) error { return free(v, c.shards[last].head.Base) }); err != nil {
		return Archived{}, err
	}
	a := archive{store: s, log: l, dir: dir, shards: c.shards[:last], before: c.archived}
	exported, err := c.tiles(ctx, func(i int) string {
		if i == last {
			return ""
		}
		return shardFolder(dir, c.shards[i].head.Shard)
	})
	a.out.Entries = exported.Entries
	for _, step := range []func(context.Context) error{a.check, a.copy, a.record} {
		if err != nil {
			return a.out, err
		}
		err = step(ctx)
	}
	return a.out, err
}

// archive is one archiving.
type archive struct {
	store  *Store
	log    *Log
	dir    string
	shards []shardCover
	before []audit.ArchivedShard // that left earlier: the entries that say so may leave now
	out    Archived
}

// check verifies the exports by their own files, each with the key that the
// next shard names.
func (a *archive) check(context.Context) error {
	for _, s := range a.shards {
		v, err := audit.ParseVKey(s.head.VKey)
		if err != nil {
			return err
		}
		folder := shardFolder(a.dir, s.head.Shard)
		if r := audit.CheckTiles(os.DirFS(folder), v, nil); len(r.Finding) > 0 || r.Size != s.signed.Size {
			return fmt.Errorf("audit/store: the export of shard %d in %s does not verify: %v", s.head.Shard, folder, r.Finding)
		}
		a.out.Shards = append(a.out.Shards, audit.ArchivedShard{Shard: s.head.Shard, Origin: s.head.Origin, Checkpoint: string(s.signed.Note)})
	}
	return nil
}

// segments calls fn for each segment that leaves.
func (a *archive) segments(fn func(segment) error) error {
	for _, seg := range a.log.segs {
		if seg.head.Shard > a.shards[len(a.shards)-1].head.Shard {
			return nil
		}
		if err := fn(seg); err != nil {
			return fmt.Errorf("audit/store: archive %s: %w", seg.name, err)
		}
	}
	return nil
}

// copy copies the segments and makes them durable.
func (a *archive) copy(ctx context.Context) error {
	to := filepath.Join(a.dir, segmentDir)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("audit/store: archive: %w", err)
	}
	err := a.segments(func(seg segment) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := copyDurably(filepath.Join(a.log.dir, segmentDir, seg.name), filepath.Join(to, seg.name))
		a.out.Bytes += n
		return err
	})
	if err == nil {
		err = errors.Join(OSFS().SyncDir(to), OSFS().SyncDir(a.dir))
	}
	return err
}

// record says so in the log and removes what was copied.
func (a *archive) record(ctx context.Context) error {
	s := a.store
	return s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		if err := s.appendOwn(audit.TypeShardArchived, audit.ShardArchived{Shards: append(slices.Clone(a.before), a.out.Shards...)}); err != nil {
			return err
		}
		err := a.segments(func(seg segment) error { return s.opt.FS.Remove(s.core.segmentPath(seg.name)) })
		return errors.Join(err, s.opt.FS.SyncDir(filepath.Join(s.opt.Dir, segmentDir)))
	})
}

// copyDurably copies a file, flushes the copy, and reads it back.
func copyDurably(from, to string) (n int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	wrote, read := sha256.New(), sha256.New()
	n, err = io.Copy(io.MultiWriter(out, wrote), in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return n, err
	}
	again, err := os.Open(to)
	if err != nil {
		return n, err
	}
	defer again.Close()
	if _, err := io.Copy(read, again); err != nil {
		return n, err
	}
	if !bytes.Equal(wrote.Sum(nil), read.Sum(nil)) {
		return n, errors.New("the copy is not the same")
	}
	return n, nil
}

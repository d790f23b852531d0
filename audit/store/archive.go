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
	none := Archived{Shards: []audit.ArchivedShard{}}
	if len(l.segs) > 0 && l.segs[0].head.Shard == l.newest().Shard {
		return none, nil // without reading anything
	}
	c, err := l.good(ctx)
	if err != nil {
		return Archived{}, err
	}
	last := len(c.shards) - 1
	if last < 1 {
		return none, nil
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

// record says so in the log and removes what was copied. Cut anywhere, the
// shards are here whole, or they have left whole: DIR/archived decides.
func (a *archive) record(ctx context.Context) error {
	s := a.store
	return s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		all := slices.Clone(a.before)
		for _, sh := range a.out.Shards {
			if !slices.Contains(all, sh) { // said before a crash
				all = append(all, sh)
			}
		}
		if err := s.appendOwn(audit.TypeShardArchived, audit.ShardArchived{Shards: all}); err != nil {
			return err
		}
		newest := a.shards[len(a.shards)-1].head.Shard
		if err := replaceFile(s.opt.FS, s.opt.Dir, archivedFile, fmt.Appendln(nil, newest)); err != nil {
			return fmt.Errorf("audit/store: archive: %w", err)
		}
		return s.opt.removeArchived()
	})
}

// removeArchived removes the segments of shards that have left. It finishes at
// opening what a crash cut.
func (o *Options) removeArchived() error {
	gone, err := archivedShard(o.FS, o.Dir)
	if err != nil || gone == 0 {
		return err
	}
	dir := filepath.Join(o.Dir, segmentDir)
	names, err := o.FS.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("audit/store: %w", err)
	}
	for _, name := range names {
		if shard, _, ok := parseSegmentName(name); ok && shard <= gone {
			if err := o.FS.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("audit/store: archive: %w", err)
			}
		}
	}
	if err := o.FS.SyncDir(dir); err != nil {
		return fmt.Errorf("audit/store: archive: %w", err)
	}
	if err := o.FS.Remove(filepath.Join(o.Dir, archivedFile)); err != nil {
		return fmt.Errorf("audit/store: archive: %w", err)
	}
	return o.FS.SyncDir(o.Dir)
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

package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"linefit/audit"
)

// snapshotBytes bounds the keys and values in one snapshot entry.
const snapshotBytes = 32 << 10

// Rotate ends the newest shard and begins the next: with the last checkpoint
// of the one before and a snapshot of all projections. It needs ShardKey.
// The store does it by itself after ShardEntries entries. A crash at any
// moment in between is finished at the next open.
func (s *Store) Rotate(ctx context.Context) error {
	return s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		return s.rotate()
	})
}

// rotateIfFull begins the next shard when the newest is long enough.
func (s *Store) rotateIfFull() {
	if s.opt.ShardKey == nil || s.State().State != OK || s.core.tree.Size() < s.opt.ShardEntries {
		return
	}
	if err := s.rotate(); err != nil && s.State().State == OK {
		s.stop(&StateError{Health: Health{State: Stopped, Cause: CauseWrite, Reason: err.Error()}, err: err})
	}
}

func (s *Store) rotate() error {
	next := s.core.head.Shard + 1
	key, err := s.opt.keyOf(next)
	if err != nil {
		return err
	}
	if err := s.appendOwn(audit.TypeShardClosed, audit.ShardClosed{Next: next, Origin: key.Name(), VKey: key.VKey()}); err != nil {
		return err
	}
	return s.nextShard(key)
}

// appendOwn appends one entry of the log's own. Owner only.
func (s *Store) appendOwn(typ string, fact any) error {
	data, err := audit.Marshal(fact)
	if err != nil {
		return err
	}
	d, err := audit.Draft{Type: typ, Data: data}.Normalize()
	if err != nil {
		return err
	}
	r := &request{drafts: []stamped{s.queue.stamp(d)}}
	if _, failed := s.commit([]*request{r}); failed != nil {
		s.stop(failed)
		return failed
	}
	return nil
}

// nextShard publishes the last head of the closed shard and begins the next.
func (s *Store) nextShard(key audit.Key) error {
	if err := s.publish(); err != nil {
		return err
	}
	last, err := s.Checkpoint()
	if err != nil {
		return err
	}
	h := s.core.head
	link := &audit.ShardOpened{Shard: h.Shard + 1, Origin: h.Origin, VKey: h.VKey, Checkpoint: string(last)}
	return s.beginShard(key, link, s.core.next)
}

// beginShard makes the shard's first segment, which carries the link, then
// publishes the empty shard, then appends its first entries.
func (s *Store) beginShard(key audit.Key, link *audit.ShardOpened, base uint64) error {
	c := s.core
	h := header{
		Format: 1, Origin: key.Name(), Shard: link.Shard, Base: base, First: base,
		Prev: (&audit.Tree{}).Head(), VKey: key.VKey(), Sim: s.opt.Sim, Link: link,
	}
	f, off, err := createSegment(&s.opt, h)
	if err != nil {
		return fmt.Errorf("audit/store: new shard: %w", err)
	}
	old := c.file
	c.enter(h)
	c.file, c.off, c.next, c.key, c.link = f, off, base, key, link
	if old != nil {
		err = old.Close()
	}
	s.setHead()
	if err = errors.Join(err, s.publish()); err != nil {
		return fmt.Errorf("audit/store: new shard: %w", err)
	}
	return s.openShard()
}

// finishShard goes on where a crash, or damage that was accepted, left off.
func (s *Store) finishShard(findings []audit.Finding) error {
	c := s.core
	switch {
	case len(findings) > 0:
		return s.acceptDamage(findings)
	case c.closed:
		key, err := s.opt.keyOf(c.head.Shard + 1)
		if err != nil {
			return err
		}
		return s.nextShard(key)
	case c.head.Shard > 1 && c.ready != c.head.Shard:
		return s.openShard()
	}
	return nil
}

// openShard appends what every shard but the first begins with.
func (s *Store) openShard() error {
	c := s.core
	if err := c.writeVKey(); err != nil {
		return fmt.Errorf("audit/store: new shard: %w", err)
	}
	if c.tree.Size() == 0 {
		if err := s.appendOwn(audit.TypeShardOpened, c.link); err != nil {
			return err
		}
	}
	ready := audit.ShardReady{Attempt: c.next}
	v, err := c.d.snapshot(&s.opt)
	if err != nil {
		return err
	}
	defer v.txn.Discard()
	for _, p := range s.opt.Projections {
		if err := s.appendSnapshot(v, p.Name(), &ready); err != nil {
			return err
		}
	}
	if err := s.appendOwn(audit.TypeShardReady, ready); err != nil {
		return err
	}
	return s.publish()
}

// appendSnapshot appends one projection's state in parts.
func (s *Store) appendSnapshot(v *snapshot, name string, ready *audit.ShardReady) error {
	part := audit.ShardSnapshot{Attempt: ready.Attempt, Projection: name}
	size := 0
	flush := func() error {
		if len(part.Keys) == 0 {
			return nil
		}
		ready.Parts++
		err := s.appendOwn(audit.TypeShardSnapshot, part)
		part.Keys, part.Values, size = nil, nil, 0
		return err
	}
	err := namespace(v.txn, name).Iterate(nil, func(key, value []byte) error {
		if size > 0 && size+len(key)+len(value) > snapshotBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		size += len(key) + len(value) + 8
		part.Keys = append(part.Keys, base64.StdEncoding.EncodeToString(key))
		part.Values = append(part.Values, base64.StdEncoding.EncodeToString(value))
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// loadSnapshot puts the snapshot into an empty Badger with which the shard of
// segs[from] begins. A station's first shard has none.
func (c *core) loadSnapshot(ctx context.Context, segs []segment, from int) error {
	c.next = segs[from].head.First
	if segs[from].head.Shard == 1 {
		return nil
	}
	l := &Log{fs: c.opt.FS, dir: c.opt.Dir, segs: segs[from:]}
	ready, err := l.snapshotEnd(ctx)
	if err != nil {
		return err
	}
	parts := 0
	for x, err := range l.entries(ctx) {
		if err != nil {
			return err
		}
		e, err := audit.Decode(x.raw)
		if err != nil || e.Seq > ready.Attempt+uint64(ready.Parts) {
			break
		}
		var part audit.ShardSnapshot
		if e.Type != audit.TypeShardSnapshot || e.Seq < ready.Attempt {
			continue
		}
		if err := audit.ParseFact(e, &part); err != nil {
			return err
		}
		if err := c.d.load(part); err != nil {
			return err
		}
		parts++
	}
	if parts != ready.Parts {
		return fmt.Errorf("audit/store: the snapshot of shard %d has %d parts, %d are there", segs[from].head.Shard, ready.Parts, parts)
	}
	return nil
}

// snapshotEnd finds the entry that says that the snapshot is whole.
func (l *Log) snapshotEnd(ctx context.Context) (audit.ShardReady, error) {
	for x, err := range l.entries(ctx) {
		if err != nil {
			return audit.ShardReady{}, err
		}
		e, err := audit.Decode(x.raw)
		if err != nil {
			return audit.ShardReady{}, err
		}
		if e.Type == audit.TypeShardReady {
			var ready audit.ShardReady
			return ready, audit.ParseFact(e, &ready)
		}
	}
	return audit.ShardReady{}, fmt.Errorf("audit/store: shard %d has no whole snapshot, and the shards before it are not here", l.segs[0].head.Shard)
}

// load writes a part of a snapshot.
func (d *deriver) load(part audit.ShardSnapshot) error {
	known := slices.ContainsFunc(d.projections, func(p audit.Projection) bool { return p.Name() == part.Projection })
	if !known {
		return nil // a projection that is no more
	}
	if len(part.Keys) != len(part.Values) {
		return errors.New("audit/store: snapshot with keys without values")
	}
	txn := d.db.NewTransaction(true)
	defer txn.Discard()
	ns := namespace(txn, part.Projection)
	for i := range part.Keys {
		key, err1 := base64.StdEncoding.DecodeString(part.Keys[i])
		value, err2 := base64.StdEncoding.DecodeString(part.Values[i])
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("audit/store: snapshot: %w", err)
		}
		if err := ns.Set(key, value); err != nil {
			return err
		}
	}
	return txn.Commit()
}

// Accept goes on with a log that opening found damaged: two people have seen
// the findings in State and decided. The log continues in a new shard whose
// first entry is that decision, behind every number ever seen, with the state
// that is known. Run must be running, and ShardKey set.
func (s *Store) Accept(ctx context.Context, a audit.Acceptance) error {
	if len(a.Persons) != 2 || a.Persons[0] == "" || a.Persons[1] == "" || a.Persons[0] == a.Persons[1] || a.Reason == "" {
		return errors.New("audit/store: going on takes two different persons and a reason")
	}
	return s.do(ctx, func() error {
		h := s.State()
		if h.Cause != CauseAlarm {
			return errors.New("audit/store: there is nothing to accept")
		}
		if !slices.Equal(h.Findings, a.Findings) {
			return errors.New("audit/store: the findings are not the ones that were accepted")
		}
		s.accept = &a
		defer func() { s.accept = nil }()
		return s.reopen(ctx)
	})
}

// acceptDamage begins a shard behind damage that was accepted.
func (s *Store) acceptDamage(findings []audit.Finding) error {
	if !slices.Equal(findings, s.accept.Findings) {
		return errors.New("audit/store: opening found something else than was accepted")
	}
	shard, err := newestShard(s.opt.FS, s.opt.Dir)
	if err != nil {
		return err
	}
	c := s.core
	link := &audit.ShardOpened{Shard: max(shard, 1) + 1, Origin: c.key.Name(), VKey: c.key.VKey(), Accepted: s.accept}
	base := max(c.next, c.d.meta.Applied+1, 1)
	if err := c.d.forget(max(c.next, c.base())); err != nil {
		return err
	}
	v, err := audit.ParseVKey(c.key.VKey())
	if err != nil {
		return err
	}
	notes := s.opt.Anchors
	if published, err := readFile(s.opt.FS, filepath.Join(s.opt.Dir, checkpointFile), 1<<20); err == nil {
		notes = append([][]byte{published}, notes...)
	}
	newest := audit.Checkpoint{}
	for _, note := range notes { // one that does not verify is among the findings
		if signed, err := audit.OpenCheckpoint(note, v); err == nil && (newest.Note == nil || signed.Size > newest.Size) {
			newest = signed
		}
	}
	link.Checkpoint = string(newest.Note)
	base = max(base, c.base()+newest.Size)
	key, err := s.opt.keyOf(link.Shard)
	if err != nil {
		return err
	}
	return s.beginShard(key, link, base)
}

// base is the seq of the newest shard's first entry, as far as it is known.
func (c *core) base() uint64 {
	if c.head.Base > 0 {
		return c.head.Base
	}
	return max(c.d.meta.Base, 1)
}

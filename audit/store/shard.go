package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"linefit/audit"
)

// Rotate ends the newest shard and begins the next: with the last checkpoint
// of the one before and a snapshot of all projections. It needs ShardKey.
// The store does it by itself after ShardEntries entries. A crash at any
// moment in between is finished at the next open.
func (s *Store) Rotate(ctx context.Context) error {
	return s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		if _, err := s.opt.keyOf(s.core.head.Shard + 1); err != nil {
			return err // nothing was begun
		}
		return s.rotateOrStop()
	})
}

// rotateOrStop rotates; a log that stands between two shards takes nothing more
// until it was opened again.
func (s *Store) rotateOrStop() error {
	err := s.rotate()
	if err != nil && s.State().State == OK {
		cause := CauseWrite
		if isFull(err) {
			cause = CauseDiskFull
		}
		s.stop(&StateError{Health: Health{State: Stopped, Cause: cause, Reason: err.Error()}, err: err})
	}
	return err
}

// rotateIfFull begins the next shard when the newest is long or old enough.
func (s *Store) rotateIfFull() {
	if s.opt.ShardKey == nil || s.State().State != OK || !s.due() {
		return
	}
	_ = s.rotateOrStop() // the state says so
}

// due says whether the newest shard is to be closed now.
func (s *Store) due() bool {
	c := s.core
	size, limit := c.tree.Size(), s.opt.ShardEntries
	old := s.opt.ShardAge > 0 && !c.since.IsZero() && c.synced && c.newest.Sub(c.since) > s.opt.ShardAge
	if size < limit && !old {
		return false
	}
	return s.opt.Quiet == nil || s.opt.Quiet() || size >= limit+limit/10
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
func (s *Store) appendOwn(typ string, fact any) error { return s.appendOwns(typ, []any{fact}) }

// appendOwns appends entries of the log's own, of one type, in one batch.
func (s *Store) appendOwns(typ string, facts []any) error {
	r := &request{own: true}
	for _, fact := range facts {
		data, err := audit.Marshal(fact)
		if err != nil {
			return err
		}
		d, err := audit.Draft{Type: typ, Data: data}.Normalize()
		if err != nil {
			return err
		}
		r.drafts = append(r.drafts, s.queue.stamp(d))
	}
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
	if link.Vouched, err = audit.Vouch(key, s.core.key); err != nil {
		return err
	}
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
	c.links = append(c.links, link)
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
		if !audit.Carried(p) {
			continue
		}
		if err := s.carryOver(v, p.Name(), &ready); err != nil {
			return err
		}
	}
	if err := s.appendOwn(audit.TypeShardReady, ready); err != nil {
		return err
	}
	return s.publish()
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
	if c.was.VKey != "" && c.was.Origin != c.key.Name() {
		return fmt.Errorf("audit/store: the log here is another station's, %q: it cannot go on as %q", c.was.Origin, c.key.Name())
	}
	p := c.prior(shard)
	link := p.link
	link.Shard, link.Accepted = p.shard+1, s.accept
	if err := c.d.forget(max(c.next, c.base())); err != nil {
		return err
	}
	c.d.meta.Refused = nil // accepted
	key, err := s.opt.keyOf(link.Shard)
	if err != nil {
		return err
	}
	if c.key.VKey() == link.VKey { // the station still has the key of what is here
		if link.Vouched, err = audit.Vouch(key, c.key); err != nil {
			return err
		}
	}
	return s.beginShard(key, &link, p.next)
}

// base is the seq of the newest shard's first entry, as far as it is known.
func (c *core) base() uint64 {
	if c.head.Base > 0 {
		return c.head.Base
	}
	return max(c.d.meta.Base, 1)
}

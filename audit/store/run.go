package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"linefit/audit"
)

// maxYields bounds how often the appender steps back for writers.
const maxYields = 8

// Run appends until ctx ends; then it refuses new drafts, appends what was
// accepted, publishes the head and returns. It returns ErrRunning when called
// twice, else nil: a log that cannot be written is a state, not an end, so
// that readers go on and [Store.Resume] can mend it.
func (s *Store) Run(ctx context.Context) error {
	if !s.started.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer close(s.ended)
	publish := time.NewTimer(s.opt.PublishEvery)
	publish.Stop()
	defer publish.Stop()
	armed := false
	for ctx.Err() == nil {
		appended := s.appendBatch()
		s.rotateIfFull()
		if s.finished && s.unpublished() {
			s.publishDue()
		}
		s.finished = false
		if !armed && s.unpublished() {
			publish.Reset(s.opt.PublishEvery)
			armed = true
		}
		ready := make(chan struct{}) // never, unless there may be more to append
		if appended {
			s.letWritersQueue()
			close(ready)
		}
		select {
		case work := <-s.control:
			work()
		case <-publish.C:
			s.publishDue()
			armed = false
		case <-ready:
		case <-s.queue.wake:
		case <-ctx.Done():
		}
	}
	s.drain()
	return nil
}

// drain appends what was accepted and refuses the rest.
func (s *Store) drain() {
	if s.State().State == OK {
		s.queue.close(closedError())
	}
	for s.appendBatch() {
	}
	if s.unpublished() {
		s.publishDue()
	}
	if s.State().State == OK {
		s.setHealth(Health{State: Closed, Cause: CauseClosed, Reason: "the station is stopping"})
	}
}

// letWritersQueue steps back as long as that makes requests come in: writers
// that were just acknowledged then share the next flush, instead of forming a
// second group that waits for every other one.
func (s *Store) letWritersQueue() {
	before := s.queue.len()
	for range maxYields {
		runtime.Gosched()
		now := s.queue.len()
		if now == before {
			return
		}
		before = now
	}
}

// appendBatch takes one batch from the queue, appends it and answers. It
// reports false when nothing was waiting.
func (s *Store) appendBatch() bool {
	reqs := s.queue.take()
	if len(reqs) == 0 {
		return false
	}
	answers, failed := s.commit(reqs)
	if failed != nil {
		s.stop(failed)
		for _, r := range reqs {
			s.queue.answer(r, nil, failed)
		}
		return true
	}
	for i, r := range reqs {
		if refused := answers[i].refused; refused != nil {
			s.queue.answer(r, nil, refused)
			continue
		}
		s.queue.answer(r, answers[i].entries, nil)
	}
	return true
}

// commit makes the requests' entries durable and derives from them.
func (s *Store) commit(reqs []*request) ([]answer, *StateError) {
	if h := s.State(); h.State != OK {
		return nil, &StateError{Health: h}
	}
	if err := s.opt.room(math.MaxUint64); err != nil {
		return nil, err
	}
	if err := s.core.roll(); err != nil {
		return nil, err
	}
	p, err := s.core.encode(reqs)
	if err != nil {
		return nil, &StateError{Health: Health{State: Stopped, Cause: CauseDerive, Reason: err.Error()}, err: err}
	}
	defer p.drop()
	if len(p.item.entries) == 0 {
		return p.answers, nil // only waiting for what went before, or all refused
	}
	if err := s.core.commit(p); err != nil {
		return nil, err
	}
	if after := s.opt.PublishAfter; after != nil {
		for _, e := range p.item.entries {
			s.finished = s.finished || after(e.Type)
		}
	}
	s.stats.batches.Add(1)
	s.stats.flushes.Add(1)
	s.stats.entries.Add(uint64(len(p.item.entries)))
	s.stats.bytes.Add(uint64(len(p.buf)))
	s.setHead()
	if len(p.refused) > 0 {
		return nil, &StateError{Health: alarm(bounded(p.refused)), Unknown: true}
	}
	return p.answers, nil
}

// room refuses to write when the disk is nearly full: what is left is needed
// to derive, to publish and to mend. most bounds what is asked for.
func (o *Options) room(most uint64) *StateError {
	free, total, err := o.FS.Free(o.Dir)
	if err != nil {
		e := writeError("free space", err)
		e.Unknown = false
		return e
	}
	reserve := o.Reserve
	if reserve == 0 {
		reserve = min(max(total/10, minReserve), maxReserve)
	}
	reserve = min(reserve, most)
	if free >= reserve {
		return nil
	}
	return &StateError{Health: Health{
		State: Stopped, Cause: CauseDiskFull,
		Reason: fmt.Sprintf("%d MB free in %s, %d MB are reserved", free>>20, o.Dir, reserve>>20),
	}}
}

// stop refuses everything from now on and fails what waits.
func (s *Store) stop(why *StateError) {
	after := &StateError{Health: why.Health, err: why.err}
	s.queue.close(after)
	s.setHealth(why.Health)
	for reqs := s.queue.take(); len(reqs) > 0; reqs = s.queue.take() {
		for _, r := range reqs {
			s.queue.answer(r, nil, after)
		}
	}
}

// unpublished says whether the durable head is newer than the published one.
func (s *Store) unpublished() bool {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.published != s.state.head && s.state.health.State == OK
}

// publishDue publishes; a failure stops the store.
func (s *Store) publishDue() {
	if err := s.publish(); err != nil {
		e := writeError("publish checkpoint", err)
		e.Unknown = false
		s.stop(e)
	}
}

// publish writes the signed durable head to DIR/checkpoint. Owner only.
func (s *Store) publish() error {
	signed, err := s.sign()
	if err != nil {
		return err
	}
	if err := replaceFile(s.opt.FS, s.opt.Dir, checkpointFile, signed); err != nil {
		return err
	}
	c, err := audit.ParseCheckpoint(signed)
	if err != nil {
		return err
	}
	if c.Size > 0 {
		s.core.signed = signed
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.state.published = c.Head
	return nil
}

// Checkpoint returns the signed note of the durable head. It is not yet
// published; whoever gets it can hold it against the log all the same. A log
// that is not what it must be is not signed: that is a *StateError.
func (s *Store) Checkpoint() ([]byte, error) {
	if h := s.State(); h.Cause == CauseAlarm {
		return nil, &StateError{Health: h}
	}
	return s.sign()
}

// Seal signs what a file made from this log says, with the key of the shard that
// is written ([audit.Seal]).
func (s *Store) Seal(what string, sum [sha256.Size]byte) ([]byte, error) {
	if h := s.State(); h.Cause == CauseAlarm {
		return nil, &StateError{Health: h}
	}
	s.state.Lock()
	key := s.state.key
	s.state.Unlock()
	return audit.Seal(what, sum, key)
}

func (s *Store) sign() ([]byte, error) {
	s.state.Lock()
	defer s.state.Unlock()
	if s.state.signed == nil || s.state.of != s.state.head {
		signed, err := audit.SignCheckpoint(s.state.head, s.state.key)
		if err != nil {
			return nil, err
		}
		s.state.signed, s.state.of = signed, s.state.head
	}
	return append([]byte(nil), s.state.signed...), nil
}

// Publish writes the signed durable head to DIR/checkpoint, durably, and
// returns it. Otherwise that happens within PublishEvery and at the end.
func (s *Store) Publish(ctx context.Context) ([]byte, error) {
	var signed []byte
	err := s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		s.publishDue()
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		var err error
		signed, err = s.Checkpoint()
		return err
	})
	return signed, err
}

// Resume tries to append again after the store stopped: it closes the log,
// opens and verifies it as Open does, and changes the state to what that
// finds. Run must be running. It returns an error if the state is not OK then.
func (s *Store) Resume(ctx context.Context) error {
	return s.do(ctx, func() error {
		if s.State().State == OK {
			return nil
		}
		if full := s.opt.room(math.MaxUint64); full != nil { // opening needs room too
			if s.State().State == Stopped {
				s.setHealth(full.Health)
			}
			return full
		}
		// Nothing is closed before the disk takes writes again: readers go on.
		if err := s.opt.writable(); err != nil && s.State().Cause != CauseAlarm {
			e := writeError("resume", err)
			e.Unknown = false
			s.setHealth(e.Health)
			return e
		}
		return s.reopen(ctx)
	})
}

func (s *Store) reopen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core != nil {
		s.clock = s.core.clock
		err := s.core.close()
		s.core = nil
		if err != nil && s.State().Cause == CauseAlarm {
			return fmt.Errorf("audit/store: resume: %w", err)
		}
	}
	if err := s.open(ctx); err != nil {
		s.core = nil
		cause := CauseWrite
		if isFull(err) {
			cause = CauseDiskFull
		}
		s.stop(&StateError{Health: Health{State: Stopped, Cause: cause, Reason: "resume: " + err.Error()}, err: err})
		return err
	}
	s.core.clock = s.clock
	if h := s.State(); h.State != OK {
		return &StateError{Health: h}
	}
	return nil
}

// do runs work in the appender.
func (s *Store) do(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	select {
	case s.control <- func() { done <- work() }:
		return <-done
	case <-s.ended:
		return &StateError{Health: s.State()}
	case <-ctx.Done():
		return errors.Join(errors.New("audit/store: the store is busy or not running"), context.Cause(ctx))
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// A Store is the log of one station. Gate, Queue, View, Follow, Head,
// Checkpoint, Publish, State and Resume may be called by any goroutine; Run is
// called once and is the only writer. The order at the end is: cancel Run's
// context, wait for Run, Close.
type Store struct {
	opt   Options
	lock  *os.File
	queue *queue
	// control hands work to the appender, the owner of core.
	control chan func()
	started atomic.Bool
	clock   drifting          // of the last core; the appender's
	accept  *audit.Acceptance // while Accept reopens; the appender's
	ended   chan struct{}     // closed when Run returns
	// finished says that a head is to be published at once; the appender's.
	finished bool

	// mu guards what follows. The appender holds it for writing only while it
	// replaces the core; readers hold it for reading while they use one.
	mu     sync.RWMutex
	core   *core
	closed bool
	// opening is what the last opening took.
	opening Opening

	// state guards what readers poll.
	state struct {
		sync.Mutex
		health    Health
		key       audit.Key // of the newest shard
		head      audit.Head
		last      uint64
		signed    []byte        // newest signed note, of head or an older one
		of        audit.Head    // of signed
		published audit.Head    // of DIR/checkpoint
		changed   chan struct{} // closed and replaced at every change
	}
	stats struct{ batches, flushes, entries, bytes atomic.Uint64 }
}

// Open opens the log in o.Dir, or begins one. A *LockedError says that another
// process has it. If the log is not what it must be, Open returns a store that
// reads but does not append; see [Store.State].
func Open(ctx context.Context, o Options) (*Store, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opt.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("audit/store: %w", err)
	}
	lock, err := lockDir(opt.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{opt: opt, lock: lock, queue: newQueue(opt.Now), control: make(chan func()), ended: make(chan struct{})}
	s.state.changed = make(chan struct{})
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// open opens a core and takes it over. Called before Run, or by the appender
// with mu held.
func (s *Store) open(ctx context.Context) error {
	o, err := openCore(ctx, &s.opt)
	if err != nil {
		return err
	}
	s.core, s.opening = o.core, o.summary
	s.setHead()
	if len(o.findings) > 0 && s.accept == nil {
		s.stop(&StateError{Health: alarm(o.findings)})
		return nil
	}
	if err := s.begin(ctx, o); err != nil {
		return errors.Join(err, s.core.close())
	}
	return nil
}

// begin makes an opened log ready to append: it publishes, finishes what a
// crash interrupted between two shards, and records what opening found.
func (s *Store) begin(ctx context.Context, o opened) error {
	if o.publish && len(o.findings) == 0 {
		if err := s.publish(); err != nil {
			return fmt.Errorf("audit/store: publish checkpoint: %w", err)
		}
	}
	if len(o.findings) == 0 {
		if err := s.opt.removeArchived(); err != nil {
			return err
		}
	}
	s.setHealth(Health{State: OK})
	s.queue.close(nil)
	if err := s.finishShard(o.findings); err != nil {
		return err
	}
	for _, d := range o.drafts {
		if _, err := s.queue.put(ctx, []audit.Draft{d}, false); err != nil {
			return err
		}
	}
	return nil
}

// Gate records drafts and returns when they are durable and applied to every
// projection. They stand next to one another, in one batch, with everything
// that was accepted before. Without drafts it waits for what was accepted
// before. At most 64 drafts with 256 KB of data.
//
// A *audit.DraftError or a *audit.RefusedError means that nothing was recorded. A
// *StateError says whether it can have been; so does [ErrUnknown], also when ctx
// ends.
func (s *Store) Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error) {
	normal, err := s.normalize(drafts)
	if err != nil {
		return nil, err
	}
	r, err := s.queue.put(ctx, normal, true)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.done:
		return r.entries, r.err
	case <-ctx.Done():
	}
	select {
	case <-r.done: // both: the answer counts
		return r.entries, r.err
	default:
		return nil, fmt.Errorf("audit/store: gate: %w: %w", context.Cause(ctx), ErrUnknown)
	}
}

// Queue records drafts in order without waiting for the disk. It waits while
// the queue is full. If the log stops before they are durable, the next Gate
// fails; a Gate that succeeds covers everything queued before it. If a projection
// cannot take one, nothing of its slot is recorded any more until a Gate of the
// slot, or one without drafts, was told so; Close tells what no Gate came for.
func (s *Store) Queue(ctx context.Context, drafts ...audit.Draft) error {
	normal, err := s.normalize(drafts)
	if err != nil || len(normal) == 0 {
		return err
	}
	_, err = s.queue.put(ctx, normal, false)
	return err
}

func (s *Store) normalize(drafts []audit.Draft) ([]audit.Draft, error) {
	out := make([]audit.Draft, len(drafts))
	size := 0
	for i, d := range drafts {
		n, err := d.Normalize()
		if err != nil {
			return nil, err
		}
		if s.opt.Types != nil && !s.opt.Types(n.Type) {
			return nil, &audit.DraftError{Type: n.Type, Field: "type", What: "unknown"}
		}
		out[i], size = n, size+len(n.Data)
	}
	if len(drafts) > maxCall || size > maxBatch/2 {
		return nil, &audit.DraftError{Type: drafts[0].Type, Field: "size", What: fmt.Sprintf("%d drafts with %d bytes in one call", len(drafts), size)}
	}
	return out, nil
}

// View calls fn with a consistent view that includes everything a Gate has
// acknowledged. The view ends with fn; fn must not call the store.
func (s *Store) View(fn func(audit.View) error) error {
	return s.withSnapshot(func(v *snapshot) error { return fn(v) })
}

func (s *Store) withSnapshot(fn func(*snapshot) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed || s.core == nil {
		return &StateError{Health: s.State()}
	}
	v, err := s.core.d.snapshot(&s.opt)
	if err != nil {
		return fmt.Errorf("audit/store: view: %w", err)
	}
	defer v.txn.Discard()
	return fn(v)
}

// Head returns size and root of the durable log.
func (s *Store) Head() (size uint64, root tlog.Hash) {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.head.Size, s.state.head.Root
}

// Last returns the seq of the newest durable entry, 0 if there is none.
func (s *Store) Last() uint64 {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.last
}

// Origin is the name of the log's newest shard.
func (s *Store) Origin() string { return s.key().Name() }

// VKey verifies the checkpoints of the log's newest shard.
func (s *Store) VKey() string { return s.key().VKey() }

func (s *Store) key() audit.Key {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.key
}

// Boot identifies this start of the station in its entries.
func (s *Store) Boot() string { return s.opt.Boot }

// State returns what the store can do at the moment, and why.
func (s *Store) State() Health {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.health
}

// Opening returns what the last opening of the log took.
func (s *Store) Opening() Opening {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.opening
}

// Changed returns a channel that is closed at the next change of head or
// state.
func (s *Store) Changed() <-chan struct{} {
	s.state.Lock()
	defer s.state.Unlock()
	return s.state.changed
}

// Stats are counters since Open.
type Stats struct {
	Batches, Flushes, Entries, Bytes uint64
}

// Stats returns how much was appended, and with how many flushes.
func (s *Store) Stats() Stats {
	return Stats{s.stats.batches.Load(), s.stats.flushes.Load(), s.stats.entries.Load(), s.stats.bytes.Load()}
}

// Close releases the store after Run has returned (or was never called). A queued
// draft that was refused and that no Gate came to hear of is its error.
func (s *Store) Close() error {
	if s.started.Load() {
		<-s.ended
	} else {
		s.queue.close(closedError())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.setHealth(Health{State: Closed, Cause: CauseClosed, Reason: "the store was closed"})
	var err error
	if s.core != nil {
		err = errors.Join(s.core.untold(), s.core.close())
	}
	return errors.Join(err, s.lock.Close())
}

func closedError() *StateError {
	return &StateError{Health: Health{State: Closed, Cause: CauseClosed, Reason: "the store is being closed"}}
}

func (s *Store) setHealth(h Health) {
	s.state.Lock()
	defer s.state.Unlock()
	s.state.health = h
	s.signalLocked()
}

// setHead makes the core's head the one that readers see.
func (s *Store) setHead() {
	m := s.core.d.meta
	head := m.Head
	if m.Shard != s.core.head.Shard {
		head = (&audit.Tree{}).Head()
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.state.key, s.state.head, s.state.last = s.core.key, head, m.Last
	s.signalLocked()
}

func (s *Store) signalLocked() {
	close(s.state.changed)
	s.state.changed = make(chan struct{})
}

package mes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"linefit/audit"
	"linefit/station"
)

// Log is the audit log as this package needs it; audit/store.Store is one.
type Log interface {
	View(fn func(audit.View) error) error
	// Gate returns when the drafts are durable and every projection has them.
	Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error)
	// Checkpoint is the signed note of the durable head.
	Checkpoint() ([]byte, error)
	Last() uint64
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// Retry says how deliveries are tried again.
type Retry struct {
	// Link are the delays between tries while the MES does not answer; the
	// last one repeats.
	Link []time.Duration
	// Event are the delays between tries of an event that the MES answers
	// with a fault of its own (5xx); the last one repeats.
	Event []time.Duration
}

// DefaultRetry is quick at first, since most hiccups are short, and patient
// later.
func DefaultRetry() Retry {
	return Retry{
		Link:  []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second},
		Event: []time.Duration{2 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute},
	}
}

func step(delays []time.Duration, n int) time.Duration {
	if len(delays) == 0 {
		return time.Second
	}
	return jitter(delays[min(max(n-1, 0), len(delays)-1)])
}

// OutboxOptions are an outbox's parts.
type OutboxOptions struct {
	Log    Log
	Client *Client
	Retry  Retry // zero: DefaultRetry
	// Workers bounds the deliveries at a time, of different units; zero is 4.
	Workers int
	// Anchored gets every checkpoint that the MES says it keeps, as sent. It
	// is not verified; the newest belongs to the anchors of the next opening.
	// It must not block for long. Calls come one at a time.
	Anchored func(note []byte)
	Logger   zerolog.Logger
}

// Outbox tells the MES what the log says it has to be told. All of what it has
// to tell is in the log; the fields here are about trying.
type Outbox struct {
	opt OutboxOptions
	log Log
	// anchoring is held by whoever hands a checkpoint over.
	anchoring chan struct{}

	mu      sync.Mutex // guards what follows
	blocked map[station.Serial]*backoff
	flying  map[station.Serial]bool
	waiters map[string][]chan Decision
	fresh   map[string]Decision // answers whose fact is not durable yet
	link    backoff
	probed  uint64 // number of the event tried last while the MES was away
	stopped string // why: the MES answered 410
	wake    chan struct{}
}

// backoff is how often something went wrong and when it may be tried again.
type backoff struct {
	tries int
	until time.Time
}

// NewOutbox makes an outbox. It does nothing until Run.
func NewOutbox(opt OutboxOptions) *Outbox {
	if opt.Retry.Link == nil && opt.Retry.Event == nil {
		opt.Retry = DefaultRetry()
	}
	if opt.Workers <= 0 {
		opt.Workers = 4
	}
	return &Outbox{
		opt: opt, log: opt.Log, anchoring: make(chan struct{}, 1), blocked: map[station.Serial]*backoff{}, flying: map[station.Serial]bool{},
		waiters: map[string][]chan Decision{}, fresh: map[string]Decision{}, wake: make(chan struct{}, 1),
	}
}

// OutboxStatus is what a person wants to know of the outbox.
type OutboxStatus struct {
	OutboxCount
	Link   Link      `json:"link"`
	Detail string    `json:"detail,omitempty"`
	Retry  time.Time `json:"retry,omitzero"` // when the MES is tried again, while it does not answer
}

// Link is the link's state, and what is wrong with it.
func (o *Outbox) Link() (Link, string) {
	o.mu.Lock()
	stopped := o.stopped
	o.mu.Unlock()
	if stopped != "" {
		return LinkStopped, stopped
	}
	return o.opt.Client.Link()
}

// Status counts the events and tells the state of the link.
func (o *Outbox) Status() (OutboxStatus, error) {
	var s OutboxStatus
	s.Link, s.Detail = o.Link()
	o.mu.Lock()
	if s.Link != LinkOK && s.Link != LinkNone {
		s.Retry = o.link.until
	}
	o.mu.Unlock()
	err := o.log.View(func(v audit.View) (err error) {
		s.OutboxCount, err = CountOutbox(v)
		return err
	})
	return s, err
}

// Run delivers until ctx is done. It returns an error only when the log cannot
// be read any more.
func (o *Outbox) Run(ctx context.Context) error {
	if o.opt.Client.None() {
		<-ctx.Done()
		return nil
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	for {
		changed, linkChanged := o.log.Changed(), o.opt.Client.Changed()
		items, next, err := o.choose(time.Now())
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			o.opt.Logger.Error().Err(err).Msg("outbox: the log cannot be read")
			next = time.Now().Add(step(o.opt.Retry.Link, 1))
		}
		for _, it := range items {
			workers.Go(func() {
				o.deliver(ctx, it)
				o.kick()
			})
		}
		if len(items) == 0 && o.idleProbe(ctx) {
			continue
		}
		timer := time.NewTimer(max(time.Until(next), 0))
		if next.IsZero() {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-linkChanged:
		case <-o.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// kick makes Run look again.
func (o *Outbox) kick() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// choose picks the events that may be tried now, each unit's oldest only, and
// says when to look again where nothing else happens. Their units are flying.
func (o *Outbox) choose(now time.Time) ([]Item, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	away := o.link.tries > 0
	free := o.opt.Workers
	if away { // one try at a time
		free = 1
	}
	free -= len(o.flying)
	switch {
	case o.stopped != "" || free <= 0:
		return nil, time.Time{}, nil
	case away && now.Before(o.link.until):
		return nil, o.link.until, nil
	}
	c := chooser{o: o, now: now, free: free, seen: map[station.Serial]bool{}}
	if away {
		c.behind = o.probed
	}
	err := o.log.View(func(v audit.View) error { return EachItem(v, ItemPending, 0, c.visit) })
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(c.items) == 0 && c.first != nil {
		c.items = []Item{*c.first}
	}
	for _, it := range c.items {
		o.flying[it.Unit] = true
	}
	return c.items, c.next, nil
}

// chooser walks the pending events in order. behind makes the tries at an MES
// that is away go round, so that one event at which it chokes does not stand
// before all others.
type chooser struct {
	o      *Outbox
	now    time.Time
	free   int
	behind uint64
	seen   map[station.Serial]bool
	items  []Item
	first  *Item
	next   time.Time
}

func (c *chooser) visit(it Item) error {
	if c.seen[it.Unit] || c.o.flying[it.Unit] {
		return nil
	}
	c.seen[it.Unit] = true // in order: what is behind it waits
	if b := c.o.blocked[it.Unit]; b != nil && c.now.Before(b.until) {
		if c.next.IsZero() || b.until.Before(c.next) {
			c.next = b.until
		}
		return nil
	}
	if it.Seq <= c.behind {
		if c.first == nil {
			c.first = &it
		}
		return nil
	}
	if c.items = append(c.items, it); len(c.items) == c.free {
		return audit.ErrStop
	}
	return nil
}

// idleProbe asks an MES that was away whether it is there again when no event
// is there to find out: a route check must not be the first to know. It
// reports whether it asked.
func (o *Outbox) idleProbe(ctx context.Context) bool {
	link, _ := o.opt.Client.Link()
	o.mu.Lock()
	due := link != LinkOK && o.stopped == "" && len(o.flying) == 0 && !time.Now().Before(o.link.until)
	o.mu.Unlock()
	if !due {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, o.opt.Client.opt.EventTimeout)
	defer cancel()
	note, err := o.opt.Client.Anchor(ctx)
	if err == nil {
		o.anchored(note)
	}
	link, _ = o.opt.Client.Link()
	o.linkResult(link == LinkOK, 0) // one that refuses the station is not asked without a pause either
	return true
}

// linkResult notes whether the MES answered.
func (o *Outbox) linkResult(up bool, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if up {
		o.link = backoff{}
		return
	}
	o.link.tries++
	o.link.until = time.Now().Add(max(step(o.opt.Retry.Link, o.link.tries), wait))
}

// Replay sends an event again: a parked one gets a new chance, by a person's
// decision that goes into the log; for any event, waiting ends. Unknown events
// are a *station.Refusal.
func (o *Outbox) Replay(ctx context.Context, id string, actor station.Actor, why string) error {
	var it Item
	var found bool
	err := o.log.View(func(v audit.View) (err error) {
		it, found, err = ItemOf(v, id)
		return err
	})
	if err != nil {
		return err
	}
	if !found || it.State == ItemDelivered {
		return station.Refuse(station.ScanInvalid, "there is no waiting event of that id")
	}
	if it.State == ItemRejected {
		if err := o.record(ctx, it, actor, station.OutboxReplayed{Event: id, Why: why}); err != nil {
			return err
		}
	}
	o.mu.Lock()
	o.stopped, o.link = "", backoff{}
	delete(o.blocked, it.Unit)
	o.mu.Unlock()
	o.kick()
	return nil
}

// record appends a fact about an event.
func (o *Outbox) record(ctx context.Context, it Item, actor station.Actor, f station.Fact) error {
	name, data, err := station.Encode(f)
	if err != nil {
		return err
	}
	_, err = o.log.Gate(ctx, audit.Draft{Type: name, Actor: string(actor), Unit: string(it.Unit), Run: string(it.Run), Data: data})
	if err != nil {
		return fmt.Errorf("mes: %w", err)
	}
	return nil
}

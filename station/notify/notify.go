// Package notify is the durable outbox of eUICC notifications: signed
// statements that a profile was installed, enabled, disabled or deleted, on
// their way to the servers that want to hear of it. The station takes them over
// from the eUICC as soon as they are there, so that they arrive even when the
// network is away and the unit has left.
//
// A notification lies sealed in the vault under a handle; the log says where it
// comes from, where it goes and that it arrived (station.NotificationKept and
// NotificationDelivered). What is pending follows from the log alone. Order is
// kept for each eUICC and recipient: the next one goes after the one before was
// acknowledged. Nothing is ever dropped.
package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// Send hands one notification to its server and returns nil when the server
// has acknowledged it. Sending the same one twice must do no harm.
type Send func(ctx context.Context, address string, raw []byte) error

// Options are the outbox's parts.
type Options struct {
	Views   stock.Views
	Vault   *stock.Vault
	Journal stock.Journal
	Send    Send
	// Timeout bounds one try.
	Timeout time.Duration
	// Backoff are the waits after the first, second and later failures for one
	// eUICC and recipient; the last one repeats.
	Backoff []time.Duration
	// Parallel bounds the tries at the same time.
	Parallel int
}

// Outbox owns the notifications between eUICC and server. Its methods may be
// called at the same time; Run is called once.
type Outbox struct {
	opt  Options
	wake chan struct{} // holds one token

	mu      sync.Mutex // guards what follows
	lanes   map[lane]*queue
	state   map[key]State
	changed chan struct{} // closed and replaced at every change
}

// State is how far a notification is.
type State string

// States; the zero value means that the outbox does not know it.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
)

type key struct {
	eid ident.EID
	seq int64
}

type lane struct {
	eid     ident.EID
	address string
}

// queue are the pending notifications of one lane, in order.
type queue struct {
	items    []item
	busy     bool
	failures int
	due      time.Time
}

type item struct {
	fact station.NotificationKept
	at   station.Scope
}

// New makes the outbox and reads from the log what is pending.
func New(opt Options) (*Outbox, error) {
	if len(opt.Backoff) == 0 || opt.Parallel < 1 || opt.Timeout <= 0 {
		return nil, errors.New("notify: backoff, parallel and timeout are needed")
	}
	o := &Outbox{opt: opt, wake: make(chan struct{}, 1), lanes: map[lane]*queue{}, state: map[key]State{}, changed: make(chan struct{})}
	err := opt.Views(func(v audit.View) error {
		return each(v, func(r record) error {
			o.state[key{r.Kept.EID, r.Kept.Sequence}] = r.State
			if r.State == Pending {
				o.enqueue(item{r.Kept, station.Scope{Unit: r.Unit, Run: r.Run}})
			}
			return nil
		})
	})
	return o, err
}

// enqueue appends to a lane. The caller holds mu, or nobody else has o yet.
func (o *Outbox) enqueue(it item) {
	l := lane{it.fact.EID, it.fact.Recipient}
	if o.lanes[l] == nil {
		o.lanes[l] = &queue{}
	}
	o.lanes[l].items = append(o.lanes[l].items, it)
}

// Keep takes a notification over: sealed in the vault, then in the log through
// record, then on its way. One that is known already is left as it is.
func (o *Outbox) Keep(ctx context.Context, run *station.Run, fact station.NotificationKept, raw []byte, record stock.Record) error {
	k := key{fact.EID, fact.Sequence}
	if o.State(fact.EID, fact.Sequence) != "" {
		return nil
	}
	handle, err := o.opt.Vault.Put(stock.KindNotification, stock.NewSecret(raw))
	if err != nil {
		return fmt.Errorf("keep notification %d: %w", fact.Sequence, err)
	}
	fact.Handle = handle
	if err := record(ctx, fact); err != nil {
		return fmt.Errorf("keep notification %d: %w", fact.Sequence, err)
	}
	o.mu.Lock()
	o.state[k] = Pending
	o.enqueue(item{fact, station.Scope{Unit: run.Unit, Run: run.ID}})
	o.signal()
	o.mu.Unlock()
	o.nudge()
	return nil
}

// signal tells waiters of a change. The caller holds mu.
func (o *Outbox) signal() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *Outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// State says how far a notification is.
func (o *Outbox) State(eid ident.EID, sequence int64) State {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state[key{eid, sequence}]
}

// Pending counts what is not delivered.
func (o *Outbox) Pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, q := range o.lanes {
		n += len(q.items)
	}
	return n
}

// Await returns when nothing of an eUICC is pending, or a try for it has failed
// since the call, or ctx is done: whoever holds the unit on a fixture does not
// wait for a network that is away.
func (o *Outbox) Await(ctx context.Context, eid ident.EID) {
	o.mu.Lock()
	failures := o.failures(eid)
	for {
		pending, now := o.pendingOf(eid), o.failures(eid)
		changed := o.changed
		o.mu.Unlock()
		if pending == 0 || now > failures {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		o.mu.Lock()
	}
}

func (o *Outbox) pendingOf(eid ident.EID) (n int) {
	for l, q := range o.lanes {
		if l.eid == eid {
			n += len(q.items)
		}
	}
	return n
}

func (o *Outbox) failures(eid ident.EID) (n int) {
	for l, q := range o.lanes {
		if l.eid == eid {
			n += q.failures
		}
	}
	return n
}

// Run delivers until ctx is done.
func (o *Outbox) Run(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(o.opt.Parallel)
	defer func() { _ = g.Wait() }() // lanes report through the log and have no error of their own
	for {
		wait := o.start(ctx, &g)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-o.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

// start sets lanes to work that are due, and returns when the next one is.
func (o *Outbox) start(ctx context.Context, g *errgroup.Group) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	wait := time.Hour
	for l, q := range o.lanes {
		if q.busy || len(q.items) == 0 {
			continue
		}
		if until := time.Until(q.due); until > 0 {
			wait = min(wait, until)
			continue
		}
		q.busy = true
		if !g.TryGo(func() error { o.work(ctx, l); return nil }) {
			q.busy = false // all hands are busy; the next one that is free wakes us
		}
	}
	return wait
}

// work empties a lane until it is empty or a try fails.
func (o *Outbox) work(ctx context.Context, l lane) {
	defer o.nudge()
	for {
		o.mu.Lock()
		q := o.lanes[l]
		if len(q.items) == 0 || ctx.Err() != nil {
			q.busy = false
			if len(q.items) == 0 {
				delete(o.lanes, l)
			}
			o.signal()
			o.mu.Unlock()
			return
		}
		it := q.items[0]
		o.mu.Unlock()
		err := o.deliver(ctx, it)
		o.mu.Lock()
		if err != nil {
			q.due = time.Now().Add(o.opt.Backoff[min(q.failures, len(o.opt.Backoff)-1)])
			q.failures++
			q.busy = false
			o.signal()
			o.mu.Unlock()
			return
		}
		q.items, q.failures = q.items[1:], 0
		o.state[key{it.fact.EID, it.fact.Sequence}] = Delivered
		o.signal()
		o.mu.Unlock()
	}
}

// deliver sends one notification, writes that it arrived, and erases it.
func (o *Outbox) deliver(ctx context.Context, it item) error {
	raw, err := o.opt.Vault.Get(stock.KindNotification, it.fact.Handle)
	if err != nil {
		return err
	}
	sctx, cancel := context.WithTimeout(ctx, o.opt.Timeout)
	defer cancel()
	if err := o.opt.Send(sctx, it.fact.Recipient, raw.Reveal()); err != nil {
		return err
	}
	done := station.NotificationDelivered{Handle: it.fact.Handle, Sequence: it.fact.Sequence, EID: it.fact.EID}
	if err := o.opt.Journal.Gate(ctx, it.at, done); err != nil {
		return err
	}
	return o.opt.Vault.Delete(stock.KindNotification, it.fact.Handle)
}

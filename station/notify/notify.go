// Package notify is the durable outbox of eUICC notifications: signed
// statements that a profile was installed, enabled, disabled or deleted, on
// their way to the servers that want to hear of it. The station takes them over
// from the eUICC as soon as they are there, so that they arrive even when the
// network is away and the unit has left.
//
// A notification lies sealed in the vault under a handle that follows from its
// eUICC and number; the log says where it comes from, where it goes and that it
// arrived (station.NotificationKept and NotificationDelivered). What is pending
// follows from the log alone:
//
//	crash before Kept is durable        the eUICC still has it; it is taken over again, under the same handle
//	crash between Kept and Delivered    it is sent again, which does no harm
//	crash between Delivered and erasing it is erased when the outbox is opened
//
// Order is kept for each eUICC and recipient: the next one goes after the one
// before was acknowledged. Those of a profile whose batch says so (notifications:
// hold) wait until its terms say something else. Nothing is ever dropped: one that its server refuses,
// or that the vault has lost, stays pending and is tried again.
package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	// Held reports whether the terms under which a profile was bought keep its
	// notifications back; nil: never.
	Held func(station.NotificationKept) (bool, error)
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
	working int                  // lanes that are tried now
	failed  map[ident.EID]uint64 // tries that failed, of eUICCs with something pending
	changed chan struct{}        // closed and replaced at every change
}

// State is how far a notification is.
type State string

// States; the zero value means that the outbox does not know it.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Missed    State = "missed" // the eUICC has lost it before anybody saw it
)

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
	err      error  // of the last try; nil: none has failed
	held     bool   // the first one is kept back
	told     string // handle of the one that has arrived, until it is erased
}

type item struct {
	fact  station.NotificationKept
	at    station.Scope
	since string // UTC, RFC 3339
}

// New makes the outbox and reads from the log what is pending. What was
// delivered and not erased is erased.
func New(opt Options) (*Outbox, error) {
	if len(opt.Backoff) == 0 || opt.Parallel < 1 || opt.Timeout <= 0 {
		return nil, errors.New("notify: backoff, parallel and timeout are needed")
	}
	o := &Outbox{opt: opt, wake: make(chan struct{}, 1), lanes: map[lane]*queue{}, failed: map[ident.EID]uint64{}, changed: make(chan struct{})}
	items, err := opt.Vault.List(stock.KindNotification)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	for _, i := range items {
		left[i.Handle] = true
	}
	var done []string
	err = opt.Views(func(v audit.View) error {
		if err := each(v, "p", func(r record) error { o.enqueue(r); return nil }); err != nil || len(left) == 0 {
			return err
		}
		return each(v, "d", func(r record) error {
			if left[r.Kept.Handle] {
				done = append(done, r.Kept.Handle)
			}
			return nil
		})
	})
	for _, h := range done {
		err = errors.Join(err, opt.Vault.Delete(stock.KindNotification, h))
	}
	return o, err
}

// enqueue puts a notification into its lane, in the order of numbers. The caller holds mu, or nobody else has o yet.
func (o *Outbox) enqueue(r record) {
	l := lane{r.Kept.EID, r.Kept.Recipient}
	if o.lanes[l] == nil {
		o.lanes[l] = &queue{}
	}
	q := o.lanes[l]
	at, _ := slices.BinarySearchFunc(q.items, r.Kept.Sequence, func(i item, seq int64) int { return cmp.Compare(i.fact.Sequence, seq) })
	q.items = slices.Insert(q.items, at, item{r.Kept, station.Scope{Unit: r.Unit, Run: r.Run}, r.At})
}

// Keep takes a notification over: sealed in the vault, then in the log through
// record, then on its way. One that is known already is left as it is, but for
// one that the vault has lost.
func (o *Outbox) Keep(ctx context.Context, run *station.Run, fact station.NotificationKept, raw []byte, write stock.Record) error {
	fact.Handle = o.opt.Vault.HandleFor(stock.KindNotification, fmt.Sprintf("%s/%d", fact.EID, fact.Sequence))
	r := record{Kept: fact, Unit: run.Unit, Run: run.ID, At: time.Now().UTC().Format(time.RFC3339)}
	known, state, err := o.lookup(fact.EID, fact.Sequence)
	switch {
	case err != nil:
		return err
	case state == Delivered:
		return nil
	case state == Missed: // it is there after all
		state = ""
	case state == Pending:
		r = known
	}
	if err := o.seal(fact, raw); err != nil {
		return fmt.Errorf("keep notification %d: %w", fact.Sequence, err)
	}
	if state == "" {
		if err := write(ctx, fact); err != nil {
			return fmt.Errorf("keep notification %d: %w", fact.Sequence, err)
		}
	}
	o.mu.Lock()
	if !o.queued(fact.EID, fact.Sequence) {
		o.enqueue(r)
	}
	o.signal()
	o.mu.Unlock()
	o.nudge()
	return nil
}

// Wants reports whether a notification that is on an eUICC should be given to
// [Outbox.Keep]: the outbox does not know it, or has lost what it is to send.
func (o *Outbox) Wants(eid ident.EID, sequence int64) (bool, error) {
	r, state, err := o.lookup(eid, sequence)
	if err != nil || state != Pending {
		return state != Delivered, err
	}
	o.mu.Lock()
	queued := o.queued(eid, sequence)
	o.mu.Unlock()
	_, lost := o.opt.Vault.Get(stock.KindNotification, r.Kept.Handle)
	return !queued || lost != nil, nil
}

// seal puts a notification into the vault unless it is there.
func (o *Outbox) seal(fact station.NotificationKept, raw []byte) error {
	if _, err := o.opt.Vault.Get(stock.KindNotification, fact.Handle); err == nil {
		return nil
	}
	return o.opt.Vault.Replace(stock.KindNotification, fact.Handle, stock.NewSecret(raw))
}

// queued reports whether a notification is in a lane. The caller holds mu.
func (o *Outbox) queued(eid ident.EID, seq int64) bool {
	for l, q := range o.lanes {
		if l.eid == eid && slices.ContainsFunc(q.items, func(i item) bool { return i.fact.Sequence == seq }) {
			return true
		}
	}
	return false
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

// State says how far a notification is, as the log has it.
func (o *Outbox) State(eid ident.EID, sequence int64) (State, error) {
	_, state, err := o.lookup(eid, sequence)
	return state, err
}

func (o *Outbox) lookup(eid ident.EID, sequence int64) (r record, state State, err error) {
	err = o.opt.Views(func(v audit.View) (err error) {
		r, state, err = find(v, eid, sequence)
		return err
	})
	return r, state, err
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

// Await tries at once what is pending for an eUICC, however long the outbox
// wanted to wait, and returns when nothing of it is pending, or a try has
// failed, or ctx is done: whoever holds the unit on a fixture does not wait for
// a network that is away.
func (o *Outbox) Await(ctx context.Context, eid ident.EID) {
	o.mu.Lock()
	before := o.failed[eid]
	for l, q := range o.lanes {
		if l.eid == eid {
			q.due = time.Time{}
		}
	}
	o.mu.Unlock()
	o.nudge()
	for {
		o.mu.Lock()
		over := o.pendingOf(eid) == 0 || o.failed[eid] > before
		changed := o.changed
		o.mu.Unlock()
		if over {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
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

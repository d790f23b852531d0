package notify

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/station"
	"linefit/station/stock"
)

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
				o.drop(l)
			}
			o.signal()
			o.mu.Unlock()
			return
		}
		it := q.items[0]
		o.mu.Unlock()
		held, err := o.heldBack(it.fact)
		if !held && err == nil {
			err = o.deliver(ctx, it)
		}
		o.mu.Lock()
		if q.held = held; held { // looked at again: the terms may change
			q.due, q.busy = time.Now().Add(o.opt.Backoff[len(o.opt.Backoff)-1]), false
			q.failures, q.err = 0, nil
			o.failed[l.eid]++ // nobody waits for it
			o.signal()
			o.mu.Unlock()
			return
		}
		if err != nil {
			q.due = time.Now().Add(o.opt.Backoff[min(q.failures, len(o.opt.Backoff)-1)])
			q.failures++
			q.err = err
			o.failed[l.eid]++
			q.busy = false
			o.signal()
			o.mu.Unlock()
			return
		}
		q.items = slices.DeleteFunc(q.items, func(i item) bool { return i.fact.Sequence == it.fact.Sequence })
		q.failures, q.err = 0, nil
		o.signal()
		o.mu.Unlock()
	}
}

// drop forgets an empty lane. The caller holds mu.
func (o *Outbox) drop(l lane) {
	delete(o.lanes, l)
	for other := range o.lanes {
		if other.eid == l.eid {
			return
		}
	}
	delete(o.failed, l.eid)
}

func (o *Outbox) heldBack(n station.NotificationKept) (bool, error) {
	if o.opt.Held == nil {
		return false, nil
	}
	return o.opt.Held(n)
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

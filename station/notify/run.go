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
		if o.working == o.opt.Parallel {
			continue // the next one that is free wakes us
		}
		q.busy = true
		o.working++
		g.Go(func() error { o.work(ctx, l); return nil })
	}
	return wait
}

// work empties a lane until it is empty or a try fails.
func (o *Outbox) work(ctx context.Context, l lane) {
	defer o.nudge()
	for o.one(ctx, l) {
	}
}

// one tries the first of a lane; false: the lane rests.
func (o *Outbox) one(ctx context.Context, l lane) (more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.signal()
	q := o.lanes[l]
	if len(q.items) == 0 || ctx.Err() != nil {
		o.rest(q, 0)
		if len(q.items) == 0 {
			o.drop(l)
		}
		return false
	}
	it := q.items[0]
	told := q.told == it.fact.Handle
	o.mu.Unlock()
	held, told, err := o.try(ctx, it, told)
	o.mu.Lock()
	if told {
		q.told = it.fact.Handle
	}
	switch {
	case held: // looked at again: the terms may change
		q.held, q.failures, q.err = true, 0, nil
		o.failed[l.eid]++ // nobody waits for it
		o.rest(q, o.opt.Backoff[len(o.opt.Backoff)-1])
		return false
	case err != nil:
		wait := o.opt.Backoff[min(q.failures, len(o.opt.Backoff)-1)]
		q.held, q.failures, q.err = false, q.failures+1, err
		o.failed[l.eid]++
		o.rest(q, wait)
		return false
	}
	q.items = slices.DeleteFunc(q.items, func(i item) bool { return i.fact.Sequence == it.fact.Sequence })
	q.held, q.failures, q.err = false, 0, nil
	return true
}

// rest ends the work on a lane for so long. The caller holds mu.
func (o *Outbox) rest(q *queue, wait time.Duration) {
	q.busy, q.due = false, time.Now().Add(wait)
	o.working--
}

// try sends a notification and erases it; one that has arrived already is erased
// only: a vault that failed in that has nothing to send any more.
func (o *Outbox) try(ctx context.Context, it item, told bool) (held, arrived bool, err error) {
	if !told {
		if held, err = o.heldBack(it.fact); held || err != nil {
			return held, false, err
		}
		if err := o.deliver(ctx, it); err != nil {
			return false, false, err
		}
	}
	return false, true, o.opt.Vault.Delete(stock.KindNotification, it.fact.Handle)
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

// deliver sends one notification and writes that it arrived.
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
	return o.opt.Journal.Gate(ctx, it.at, done)
}

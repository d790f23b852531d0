package mes

import (
	"errors"

	"linefit/audit"
)

// Decision is what became of an event at the MES.
type Decision struct {
	Answer string // one of the answers; rejected_hold where it was refused for good
	Ref    string
	Detail string
}

// await registers for the decision about an event; forget ends it.
func (o *Outbox) await(id string) (decided <-chan Decision, forget func()) {
	ch := make(chan Decision, 1)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiters[id] = append(o.waiters[id], ch)
	return ch, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		left := o.waiters[id][:0]
		for _, other := range o.waiters[id] {
			if other != ch {
				left = append(left, other)
			}
		}
		if len(left) == 0 {
			delete(o.waiters, id)
			return
		}
		o.waiters[id] = left
	}
}

// decided tells those who wait; the answer stays at hand until settled.
func (o *Outbox) decided(id string, d Decision) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fresh[id] = d
	for _, ch := range o.waiters[id] {
		select {
		case ch <- d:
		default: // it has one already
		}
	}
}

var errNoDecision = errors.New("mes: no decision yet")

func (o *Outbox) settled(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.fresh, id)
}

// decision is what is known of an event; errNoDecision while it waits.
func (o *Outbox) decision(id string) (Decision, error) {
	o.mu.Lock()
	d, ok := o.fresh[id]
	o.mu.Unlock()
	if ok {
		return d, nil
	}
	var it Item
	var found bool
	err := o.log.View(func(v audit.View) (err error) {
		it, found, err = ItemOf(v, id)
		return err
	})
	switch {
	case err != nil:
		return Decision{}, err
	case found && it.State == ItemDelivered:
		return Decision{Answer: it.Answer, Ref: it.Ref, Detail: it.Detail}, nil
	case found && it.State == ItemRejected:
		return Decision{Answer: AnswerRejectedHold, Detail: it.Detail}, nil
	}
	return Decision{}, errNoDecision
}

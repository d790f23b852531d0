package people

import (
	"context"
	"errors"
	"fmt"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/stock"
)

// Forget erases who a pseudonym is, by QA's decision, which stands in the log
// without the name. The error is a *station.Refusal, ErrNobody, the log's or the
// vault's; after one it may be tried again.
func (b *Book) Forget(ctx context.Context, by station.Person, who, why string) (station.Actor, error) {
	b.change.Lock()
	defer b.change.Unlock()
	p, err := b.find(who)
	if err != nil {
		return "", err
	}
	if err := by.Allow(station.RoleQA, "forgetting %s", p.actor); err != nil {
		return "", err
	}
	if err := reason(why, p); err != nil {
		return "", err
	}
	if err := b.holdsNothing(p.actor); err != nil {
		return "", err
	}
	err = b.opt.Journal.Gate(ctx, station.Scope{Actor: by.Actor}, station.OperatorForgotten{Operator: string(p.actor), Why: why})
	if err != nil {
		return "", err
	}
	return p.actor, b.erase(p)
}

// holdsNothing refuses where a person has a ticket: nobody else could go on.
func (b *Book) holdsNothing(who station.Actor) error {
	return b.opt.Views(func(v audit.View) error {
		held, err := rework.Tickets(v, rework.Filter{State: station.TicketTaken})
		if err != nil {
			return err
		}
		for _, t := range held {
			if t.Actor == who {
				return station.Refuse(station.SlotNotReady, "%s has claimed ticket %s: it must be repaired or disposed of first", who, t.ID)
			}
		}
		return nil
	})
}

func (b *Book) erase(p *person) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range p.handles {
		if err := b.opt.Vault.Delete(stock.KindPerson, h); err != nil {
			return fmt.Errorf("people: %w", err)
		}
	}
	for _, id := range p.IDs {
		delete(b.byID, id)
	}
	delete(b.byActor, p.actor)
	return nil
}

// Recover erases those whose forgetting is in the log and was cut short. It
// comes before anybody acts.
func (b *Book) Recover() (erased int, err error) {
	b.mu.RLock()
	var all []*person
	for _, p := range b.byActor {
		all = append(all, p)
	}
	b.mu.RUnlock()
	var gone []*person
	err = b.opt.Views(func(v audit.View) error {
		for _, p := range all {
			is, err := forgotten(v, p.actor)
			if err != nil {
				return err
			}
			if is {
				gone = append(gone, p)
			}
		}
		return nil
	})
	for _, p := range gone {
		err = errors.Join(err, b.erase(p))
	}
	return len(gone), err
}

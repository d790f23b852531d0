package rework

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"linefit/audit"
	"linefit/station"
)

// Role, Person and the roles are station's; a desk is where they matter most.
type (
	Role   = station.Role
	Person = station.Person
)

// Roles.
const (
	RoleOperator = station.RoleOperator
	RoleLead     = station.RoleLead
	RoleQA       = station.RoleQA
)

// Views runs fn with a consistent state of the log and all that is derived
// from it; everything that was acknowledged is in it. The View method of
// audit/store.Store is one. fn must not write to the log.
type Views func(fn func(audit.View) error) error

// Journal appends facts of any scope and returns when they, next to one another
// in the log, are durable and Views shows them. After an error it is not known
// whether they are in the log.
type Journal interface {
	Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error
}

// Desk is where people work on tickets. Its methods may be called at the same
// time; what one of them has decided is in the log before the next decides.
//
// Who may do what, by what the ticket wants:
//
//	                      retest    rework    hold   scrap
//	claim                 operator  operator  lead   operator
//	repair                operator  operator  lead   lead
//	dispose as retest     lead      lead      lead   qa
//	dispose as release    lead      lead      lead   qa
//	dispose as scrap      lead      lead      lead   operator
//
// Every disposition names its reason, and where it is not what the ticket wants
// it is an override in the log. A held unit goes on by a disposition only: to
// repair it is not enough. A unit that stands in a slot is not disposed of.
type Desk struct {
	views   Views
	journal Journal

	mu sync.Mutex // one decision at a time
}

// NewDesk makes a desk.
func NewDesk(views Views, journal Journal) *Desk { return &Desk{views: views, journal: journal} }

// need is the role that a disposition of a ticket takes.
func need(wanted, to station.Disposition) Role {
	switch {
	case wanted == station.Scrap && to == station.Scrap:
		return RoleOperator
	case wanted == station.Scrap:
		return RoleQA
	}
	return RoleLead
}

// Claim takes a ticket. ref is a ticket's id or any identifier of a unit, whose
// open ticket it then is. The error is a *station.Refusal, ErrNoTicket,
// ErrNoUnit or the log's.
func (d *Desk) Claim(ctx context.Context, by Person, ref string) (station.Ticket, error) {
	return d.change(ctx, by, ref, func(_ Unit, t station.Ticket) ([]station.Fact, error) {
		role := RoleOperator
		if t.Wanted == station.Hold {
			role = RoleLead
		}
		if err := by.Allow(role, "claiming ticket %s", t.ID); err != nil {
			return nil, err
		}
		f, err := t.Decide(station.Claim{Actor: by.Actor})
		return []station.Fact{f}, err
	})
}

// Repair records what was found and done on a ticket that by has claimed.
func (d *Desk) Repair(ctx context.Context, by Person, ref, cause, action string) (station.Ticket, error) {
	return d.change(ctx, by, ref, func(_ Unit, t station.Ticket) ([]station.Fact, error) {
		role := RoleOperator
		if t.Wanted == station.Hold || t.Wanted == station.Scrap {
			role = RoleLead
		}
		if err := by.Allow(role, "repairing on ticket %s", t.ID); err != nil {
			return nil, err
		}
		cause, err := text("cause", cause)
		if err != nil {
			return nil, err
		}
		if action, err = text("action", action); err != nil {
			return nil, err
		}
		f, err := t.Decide(station.Repair{Actor: by.Actor, Cause: cause, Action: action})
		return []station.Fact{f}, err
	})
}

// Mend is Claim and Repair in one go, for who does both. It goes on where an
// earlier call broke off, so it may be called again after an error of the log.
func (d *Desk) Mend(ctx context.Context, by Person, ref, cause, action string) (station.Ticket, error) {
	_, t, err := d.find(ref)
	if err == nil && t.State == station.TicketOpen {
		t, err = d.Claim(ctx, by, ref)
	}
	if err != nil || t.State == station.TicketDone && t.Actor == by.Actor {
		return t, err
	}
	return d.Repair(ctx, by, ref, cause, action)
}

// Dispose ends a ticket by a person's decision: to Release, Retest or Scrap.
func (d *Desk) Dispose(ctx context.Context, by Person, ref string, to station.Disposition, why string) (station.Ticket, error) {
	return d.change(ctx, by, ref, func(u Unit, t station.Ticket) ([]station.Fact, error) {
		if to != station.Release && to != station.Retest && to != station.Scrap {
			return nil, station.Refuse(station.ScanInvalid, "%q is none of release, retest, scrap", to)
		}
		if err := by.Allow(need(t.Wanted, to), "disposing of ticket %s (%s) as %s", t.ID, t.Wanted, to); err != nil {
			return nil, err
		}
		why, err := text("reason", why)
		if err != nil {
			return nil, err
		}
		if u.Open != "" || u.Slot != 0 {
			return nil, station.Refuse(station.UnitDuplicate, "the unit is in slot %d", u.Slot)
		}
		if to == station.Release && u.Factory == station.FactoryOpen {
			return nil, station.Refuse(station.KeysLeft, "in-factory provisioning is open on the unit: only the closing recipe lets it go")
		}
		f, err := t.Decide(station.CloseTicket{Disposition: to, Why: why})
		if err != nil {
			return nil, err
		}
		facts := []station.Fact{f}
		if to != t.Wanted {
			over := station.Overridden{What: "ticket " + t.ID, From: string(t.Wanted), To: string(to), Why: why}
			facts = []station.Fact{over, f}
		}
		return facts, nil
	})
}

// change finds a ticket, decides, writes and returns the ticket as it is then.
func (d *Desk) change(ctx context.Context, by Person, ref string, decide func(Unit, station.Ticket) ([]station.Fact, error)) (station.Ticket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, t, err := d.find(ref)
	if err != nil {
		return station.Ticket{}, err
	}
	facts, err := decide(u, t)
	if err != nil {
		return t, err
	}
	at := station.Scope{Unit: t.Unit, Run: t.Run, Actor: by.Actor}
	if err := d.journal.Gate(ctx, at, facts...); err != nil {
		return t, fmt.Errorf("rework: ticket %s: %w", t.ID, err)
	}
	_, t, err = d.find(t.ID)
	return t, err
}

// find finds a ticket by its id, or the open one of a unit.
func (d *Desk) find(ref string) (u Unit, t station.Ticket, err error) {
	err = d.views(func(v audit.View) error {
		t, err = TicketOf(v, ref)
		if errors.Is(err, ErrNoTicket) {
			if u, err = Find(v, ref); err != nil {
				return err
			}
			if u.Ticket == "" {
				return fmt.Errorf("%w: unit %s has no open ticket", ErrNoTicket, u.Serial)
			}
			t, err = TicketOf(v, u.Ticket)
		}
		if err != nil {
			return err
		}
		u, err = UnitOf(v, t.Unit)
		return err
	})
	return u, t, err
}

// maxText bounds what a person writes, in bytes.
const maxText = 500

func text(what, s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", station.Refuse(station.ScanInvalid, "a %s is needed", what)
	}
	if len(s) > maxText || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }) {
		return "", station.Refuse(station.ScanInvalid, "the %s has over %d bytes or characters that cannot be shown", what, maxText)
	}
	return s, nil
}

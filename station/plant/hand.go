package plant

import (
	"context"
	"fmt"
	"slices"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
	"linefit/station/engine"
	"linefit/station/steps"
	"linefit/station/stock"
)

// Hand is a person's work on the eUICC in one slot, for the time of one call. It
// belongs to the slot's goroutine.
type Hand struct {
	// Open opens the slot's port, once it is there. The module behind it was
	// started cold just before.
	Open steps.Opener

	pl   *Plant
	loan *engine.Loan
	by   station.Person
	eid  ident.EID
	unit station.Serial
	n    int // intents so far
}

// ByHand lends a slot to a person: with its unit clamped and cold started, and
// with everything in the log. Reading takes an operator, a change a lead. What
// work returns ends the work; an error means that it did not begin, or that the
// slot could not be made safe afterwards. A refusal is a *station.Refusal.
func (pl *Plant) ByHand(ctx context.Context, by station.Person, slot int, verb string, changes bool, work func(context.Context, *Hand) station.HandEnded) error {
	role := station.RoleOperator
	if changes {
		role = station.RoleLead
	}
	if err := by.Allow(role, "%s by hand in slot %d", verb, slot); err != nil {
		return err
	}
	var bench error
	err := pl.Engine.Lend(ctx, slot, by, verb, func(ctx context.Context, loan *engine.Loan) (ended station.HandEnded) {
		h := &Hand{pl: pl, loan: loan, by: by}
		bench = pl.Bench.ByHand(ctx, slot, pl.coldOff(), func(open steps.Opener) error {
			h.Open = open
			ended = work(ctx, h)
			return nil
		})
		if bench != nil {
			ended.Outcome, ended.Detail = station.Error, bench.Error()
		}
		ended.EID = h.eid
		return ended
	})
	if err == nil {
		err = bench
	}
	return err
}

// coldOff is how long this line's modules stay without supply at a cold start, as
// the recipe has it.
func (pl *Plant) coldOff() time.Duration {
	for _, s := range pl.Plan.Recipe.Steps {
		if off := s.Duration("off", 0); s.Kind == station.KindPower && off > 0 {
			return off
		}
	}
	return time.Second
}

// Take checks that this person may change this eUICC, whoever's it is: a unit
// with an open ticket is for the person who has claimed it, a released one for QA
// alone, since what was stated of it would be true no more.
func (h *Hand) Take(eid ident.EID) error {
	h.eid = eid
	return h.pl.Log.View(func(v audit.View) error {
		u, ticket, err := ownerOf(v, eid)
		if err != nil || u.Seq == 0 {
			return err
		}
		h.unit = u.Serial
		h.loan.Bind(u.Serial)
		return mayChange(h.by, u, ticket)
	})
}

// ownerOf is the unit whose eUICC was seen last, and its open ticket.
func ownerOf(v audit.View, eid ident.EID) (newest rework.Unit, ticket *station.Ticket, err error) {
	serials, err := rework.Serials(v, "eid:"+string(eid))
	if err != nil {
		return newest, nil, err
	}
	for _, serial := range serials {
		u, t, err := rework.UnitAndTicket(v, serial)
		if err != nil {
			return newest, nil, err
		}
		if u.Seq > newest.Seq {
			newest, ticket = u, t
		}
	}
	return newest, ticket, nil
}

func mayChange(by station.Person, u rework.Unit, ticket *station.Ticket) error {
	switch {
	case u.Open != "":
		return station.Refuse(station.UnitDuplicate, "run %s of unit %s is going on in slot %d", u.Open, u.Serial, u.Slot)
	case by.Role == station.RoleQA:
		return nil
	case ticket != nil && (ticket.State != station.TicketTaken || ticket.Actor != by.Actor):
		return station.Refuse(station.UnitHeld, "unit %s has the open ticket %s in queue %s: whoever changes its eUICC claims it first (linefit rework claim)", u.Serial, ticket.ID, ticket.Queue)
	case ticket == nil && u.Disposition.Good():
		return by.Allow(station.RoleQA, "changing the eUICC of unit %s, which has passed,", u.Serial)
	}
	return nil
}

// Known refuses an activation code that is, or was, in the stock: the stock gives
// it out, and to nobody twice.
func (h *Hand) Known(code string) error {
	a, err := stock.ParseActivationCode(code)
	if err != nil {
		return station.Refuse(station.ScanInvalid, "%v", err)
	}
	handle, found, err := h.pl.Ledger.Knows(a, h.eid)
	if err == nil && found {
		return station.Refuse(station.PermissionMissing, "this code is profile %s of the station's stock: it is given out by runs", handle)
	}
	return err
}

// Intent makes an intent durable. Its number and EID are filled in.
func (h *Hand) Intent(ctx context.Context, in station.HandIntent) error {
	h.n++
	in.Number, in.EID = h.n, h.eid
	return h.loan.Record(ctx, in)
}

// Result records what came of the last intent.
func (h *Hand) Result(ctx context.Context, r station.HandResult) error {
	r.Number = h.n
	return h.loan.Record(ctx, r)
}

// Seen takes the profiles that are on the eUICC after a change: those of the
// stock that are gone are spent.
func (h *Hand) Seen(ctx context.Context, there []ident.ICCID) error {
	if h.eid == "" {
		return nil
	}
	items, err := h.pl.Ledger.OfEUICC(h.eid)
	if err != nil {
		return err
	}
	for _, i := range items {
		if i.State != station.StockInstalled || i.EID != h.eid || i.ICCID == "" || slices.Contains(there, i.ICCID) {
			continue
		}
		why := station.NewReason(station.ProfileDeleted, "by hand, by %s", h.by.Actor)
		if err := h.loan.Record(ctx, station.ProfileSpent{Handle: i.Handle, Reason: why}); err != nil {
			return err
		}
	}
	return nil
}

// Last is the newest intent of a download by hand to an eUICC; false where there
// is none.
func (pl *Plant) Last(eid ident.EID) (in station.HandIntent, found bool, err error) {
	err = pl.Log.View(func(v audit.View) error {
		r, err := v.Projection(HandProjection{}.Name())
		if err != nil {
			return err
		}
		found, err = audit.GetJSON(r, string(eid), &in)
		return err
	})
	return in, found, err
}

// HandProjection keeps the newest intent of a download by hand to each eUICC: its
// keys are EIDs, its values [station.HandIntent].
type HandProjection struct{}

// Name implements audit.Projection.
func (HandProjection) Name() string { return "hand/1" }

// Apply implements audit.Projection.
func (HandProjection) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Type != (station.HandIntent{}).FactType() {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return fmt.Errorf("plant: entry %d: %w", e.Seq, err)
	}
	in := f.(station.HandIntent)
	switch in.Effect {
	case station.EffectGetBPP, station.EffectLoad, station.EffectCancel:
		return audit.SetJSON(txn, string(in.EID), in)
	}
	return nil
}

package rework

import (
	"slices"

	"linefit/station"
)

// MayRun says whether a unit may be admitted to a recipe: nil, or a
// *station.Refusal. open is its open ticket, nil where it has none. Pure.
func (p *Policy) MayRun(u Unit, open *station.Ticket, recipe string) error {
	switch {
	case u.Open != "":
		return station.Refuse(station.UnitDuplicate, "run %s of this serial is going on in slot %d", u.Open, u.Slot)
	case u.Slot != 0:
		return station.Refuse(station.UnitDuplicate, "a unit with this serial has not left slot %d", u.Slot)
	case u.Disposition == station.Scrap || open != nil && open.Wanted == station.Scrap:
		return station.Refuse(station.UnitScrapped, "the unit is to be scrapped%s", because(u))
	case open != nil && open.Wanted == station.Hold || open == nil && u.Disposition == station.Hold:
		return station.Refuse(station.UnitHeld, "the unit is on hold%s", because(u))
	case open != nil:
		return p.mayRetest(u, *open)
	case u.Disposition == station.Rework:
		return station.Refuse(station.RetestLimit, "the unit wants repair%s", because(u))
	case !p.Rerun && slices.Contains(u.Passed, recipe):
		return station.Refuse(station.UnitDuplicate, "the unit has passed recipe %s in run %s", recipe, u.Run)
	}
	return nil
}

func (p *Policy) mayRetest(u Unit, open station.Ticket) error {
	if _, err := open.Decide(station.TestAgain{}); err != nil {
		return err
	}
	if open.State != station.TicketDone && (u.Failures > p.RetestLimit || u.Inconclusive > p.InconclusiveLimit) {
		return station.Refuse(station.RetestLimit, "%d runs failed and %d came to no verdict since the last repair", u.Failures, u.Inconclusive)
	}
	return nil
}

func because(u Unit) string {
	if u.Reason == nil {
		return ""
	}
	return " (" + string(u.Reason.Code) + ")"
}

// Admit is MayRun together with the facts that the admission of this run adds:
// its ticket goes to retest.
func (p *Policy) Admit(u Unit, open *station.Ticket, recipe string, run station.RunID) ([]station.Fact, error) {
	if err := p.MayRun(u, open, recipe); err != nil {
		return nil, err
	}
	if open == nil {
		return nil, nil
	}
	f, err := open.Decide(station.TestAgain{Run: run})
	if err != nil {
		return nil, err
	}
	return []station.Fact{f}, nil
}

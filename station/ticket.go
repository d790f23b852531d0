package station

// TicketState is the state of a rework ticket.
type TicketState string

// Ticket states.
const (
	TicketOpen     TicketState = "open"
	TicketTaken    TicketState = "claimed"
	TicketDone     TicketState = "repaired"
	TicketInRetest TicketState = "retest"
	TicketShut     TicketState = "closed"
)

// Ticket is a unit's way through rework.
type Ticket struct {
	ID       string      `json:"id"`
	Unit     Serial      `json:"unit"`
	Run      RunID       `json:"run"`
	State    TicketState `json:"state"`
	Queue    string      `json:"queue"`
	Wanted   Disposition `json:"wanted"`
	Reason   *Reason     `json:"reason,omitempty"`
	Step     string      `json:"step,omitempty"`
	Failures int         `json:"failures"`
	Opened   string      `json:"opened,omitempty"` // UTC of the entry
	Actor    Actor       `json:"actor,omitempty"`  // who claimed it
	Cause    string      `json:"cause,omitempty"`
	Action   string      `json:"action,omitempty"`
	Final    Disposition `json:"final,omitempty"`
	Retest   RunID       `json:"retest,omitempty"`
}

// Ticket events.
type (
	// Claim takes a ticket for an actor.
	Claim struct{ Actor Actor }
	// Repair records what was found and done; the unit may then be tested again.
	Repair struct {
		Actor         Actor
		Cause, Action string
	}
	// TestAgain is the admission of the unit to another run.
	TestAgain struct{ Run RunID }
	// CloseTicket ends a ticket: release after a pass, scrap by decision.
	CloseTicket struct {
		Disposition Disposition
		Why         string
	}
)

func (Claim) event()       {}
func (Repair) event()      {}
func (TestAgain) event()   {}
func (CloseTicket) event() {}

// Decide says which fact follows from an event. The error is a *Refusal.
func (t Ticket) Decide(ev Event) (Fact, error) {
	if t.State == TicketShut {
		return nil, Refuse(SlotNotReady, "ticket %s is closed", t.ID)
	}
	switch ev := ev.(type) {
	case Claim:
		if t.State != TicketOpen {
			return nil, Refuse(SlotNotReady, "ticket %s is %s by %s", t.ID, t.State, t.Actor)
		}
		return TicketClaimed{Ticket: t.ID}, nil
	case Repair:
		if t.State != TicketTaken || t.Actor != ev.Actor {
			return nil, Refuse(PermissionMissing, "ticket %s is not claimed by %s", t.ID, ev.Actor)
		}
		return TicketRepaired{Ticket: t.ID, Cause: ev.Cause, Action: ev.Action}, nil
	case TestAgain:
		if t.State != TicketDone && t.Wanted != Retest {
			return nil, Refuse(RetestLimit, "ticket %s wants %s before another run", t.ID, t.Wanted)
		}
		return TicketRetested{Ticket: t.ID, Run: ev.Run}, nil
	case CloseTicket:
		return TicketClosed{Ticket: t.ID, Disposition: ev.Disposition, Why: ev.Why}, nil
	}
	return nil, Refuse(StationFault, "ticket event %T", ev)
}

// Evolve applies a fact of this ticket.
func (t Ticket) Evolve(env Envelope, actor Actor, utc string, f Fact) Ticket {
	switch f := f.(type) {
	case TicketOpened:
		return Ticket{
			ID: f.Ticket, Unit: env.Unit, Run: env.Run, State: TicketOpen, Queue: f.Queue, Wanted: f.Wanted,
			Reason: f.Reason, Step: f.Step, Failures: f.Failures, Opened: utc,
		}
	case TicketClaimed:
		t.State, t.Actor = TicketTaken, actor
	case TicketRepaired:
		t.State, t.Cause, t.Action = TicketDone, f.Cause, f.Action
	case TicketRetested:
		t.State, t.Retest = TicketInRetest, f.Run
	case TicketClosed:
		t.State, t.Final = TicketShut, f.Disposition
	}
	return t
}

// TicketOf is the ticket that a fact speaks of.
func TicketOf(f Fact) (string, bool) {
	switch f := f.(type) {
	case TicketOpened:
		return f.Ticket, true
	case TicketClaimed:
		return f.Ticket, true
	case TicketRepaired:
		return f.Ticket, true
	case TicketRetested:
		return f.Ticket, true
	case TicketClosed:
		return f.Ticket, true
	}
	return "", false
}

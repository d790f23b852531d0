package station

// TicketOpened sends a unit to rework or hold with what is known of its fault.
type TicketOpened struct {
	Ticket   string      `json:"ticket"`
	Queue    string      `json:"queue"`
	Wanted   Disposition `json:"wanted"` // retest, rework, hold or scrap
	Reason   *Reason     `json:"reason,omitempty"`
	Step     string      `json:"step,omitempty"`
	Failures int         `json:"failures"` // runs of this unit that did not pass
}

// TicketClaimed says who works on it.
type TicketClaimed struct {
	Ticket string `json:"ticket"`
}

// TicketRepaired says what was found and done.
type TicketRepaired struct {
	Ticket string `json:"ticket"`
	Cause  string `json:"cause"`
	Action string `json:"action"`
}

// TicketRetested says that the unit runs again.
type TicketRetested struct {
	Ticket string `json:"ticket"`
	Run    RunID  `json:"run"`
}

// TicketClosed ends it.
type TicketClosed struct {
	Ticket      string      `json:"ticket"`
	Disposition Disposition `json:"disposition"` // release, scrap
	Why         string      `json:"why,omitempty"`
}

// Fact types.
func (TicketOpened) FactType() string   { return "ticket.opened/1" }
func (TicketClaimed) FactType() string  { return "ticket.claimed/1" }
func (TicketRepaired) FactType() string { return "ticket.repaired/1" }
func (TicketRetested) FactType() string { return "ticket.retested/1" }
func (TicketClosed) FactType() string   { return "ticket.closed/1" }

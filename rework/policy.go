package rework

import (
	"fmt"
	"slices"

	"linefit/station"
)

// Policy says where a unit goes after a run. It is data: a strict YAML file
// ([ParsePolicy]), of which the first rule that matches counts.
type Policy struct {
	Name    string `json:"policy"`
	Version int    `json:"version"`
	// RetestLimit is how many runs may follow a failure before the unit must be
	// repaired. A repair starts the count anew.
	RetestLimit int `json:"retest_limit"`
	// InconclusiveLimit is how many runs may end without a verdict about the
	// unit before a person must look at it.
	InconclusiveLimit int `json:"inconclusive_limit"`
	// ScrapAfter is how many repairs a unit may have: when it fails after that
	// many it is scrapped. 0: never without a person's decision.
	ScrapAfter int `json:"scrap_after"`
	// Rerun says whether a unit that has passed a recipe may run it again.
	Rerun bool `json:"rerun"`
	// Queues names the queue of each disposition that opens a ticket.
	Queues map[station.Disposition]string `json:"queues"`
	Rules  []Rule                         `json:"rules"`
	// Lot says when the lot stops; see station.Lot.
	Lot []station.LotRule `json:"lot"`
}

// Rule is one line of a policy.
type Rule struct {
	Name  string              `json:"name"`
	When  Condition           `json:"when"`
	Then  station.Disposition `json:"then"`
	Queue string              `json:"queue,omitempty"` // another than the disposition's own
}

// Condition holds where everything that it names holds; one that names nothing
// always does.
type Condition struct {
	Verdict []station.Verdict `json:"verdict,omitempty"`
	// Reason lists codes; "smdp.*" is every code that begins with "smdp.".
	Reason []string        `json:"reason,omitempty"`
	Class  []station.Class `json:"class,omitempty"`
	Step   []string        `json:"step,omitempty"`
	// Failures, Repairs and Same are at least so many: failed runs since the
	// last repair, this one included; repairs; runs in a row with this reason.
	Failures int `json:"failures,omitempty"`
	Repairs  int `json:"repairs,omitempty"`
	Same     int `json:"same,omitempty"`
}

func (c Condition) empty() bool {
	return len(c.Verdict) == 0 && len(c.Reason) == 0 && len(c.Class) == 0 && len(c.Step) == 0 && c.Failures == 0 && c.Repairs == 0 && c.Same == 0
}

func (c Condition) holds(u Unit) bool {
	var code station.Code
	var class station.Class
	if u.Reason != nil {
		code, class = u.Reason.Code, u.Reason.Class
	}
	return (len(c.Verdict) == 0 || slices.Contains(c.Verdict, u.Verdict)) &&
		(len(c.Reason) == 0 || slices.ContainsFunc(c.Reason, code.Matches)) &&
		(len(c.Class) == 0 || slices.Contains(c.Class, class)) &&
		(len(c.Step) == 0 || slices.Contains(c.Step, u.Step)) &&
		u.Failures >= c.Failures && u.Repairs >= c.Repairs && u.Same >= c.Same
}

// alwaysHeld are the reasons with which no policy lets a unit go on by itself:
// nobody can say which unit it is, or what is on its eUICC.
var alwaysHeld = []station.Code{
	station.IdentityMismatch, station.IdentityChanged, station.UnitUnlisted, station.UnitReused, station.ProfileUnknown, station.EUICCTest,
}

// Names of rules that no file has.
const (
	ruleHeld         = "always-hold"
	ruleNone         = "no-rule"
	ruleUnpassed     = "release-needs-pass"
	ruleOnHold       = "on-hold"
	ruleScrapped     = "scrapped"
	ruleRetestLimit  = "retest-limit"
	ruleInconclusive = "inconclusive-limit"
	ruleScrapAfter   = "scrap-after"
	ruleMES          = "mes"
	ruleRework       = "rework-recipe"
	ruleOpen         = "factory-open"
)

// choice is what a policy makes of a unit.
type choice struct {
	to    station.Disposition
	rule  string
	queue string
}

// choose applies rules and limits to a unit with its newest verdict.
func (p *Policy) choose(u Unit) choice {
	c := p.rule(u)
	switch {
	case c.to == station.Retest && u.Failures > p.RetestLimit:
		c = choice{to: station.Rework, rule: ruleRetestLimit}
	case c.to == station.Retest && u.Inconclusive > p.InconclusiveLimit:
		c = choice{to: station.Hold, rule: ruleInconclusive}
	}
	if c.to == station.Rework && p.ScrapAfter > 0 && u.Repairs >= p.ScrapAfter && u.Verdict == station.Failed {
		c = choice{to: station.Scrap, rule: ruleScrapAfter}
	}
	if c.queue == "" {
		c.queue = p.queue(c.to)
	}
	return c
}

func (p *Policy) rule(u Unit) choice {
	if u.Verdict != station.Pass && u.Reason != nil && slices.Contains(alwaysHeld, u.Reason.Code) {
		return choice{to: station.Hold, rule: ruleHeld}
	}
	for _, r := range p.Rules {
		if !r.When.holds(u) {
			continue
		}
		if r.Then == station.Release && u.Verdict != station.Pass {
			return choice{to: station.Hold, rule: ruleUnpassed}
		}
		return choice{to: r.Then, rule: r.Name, queue: r.Queue}
	}
	return choice{to: station.Hold, rule: ruleNone}
}

func (p *Policy) queue(d station.Disposition) string {
	if q := p.Queues[d]; q != "" {
		return q
	}
	return string(d)
}

// Dispose chooses the disposition of a run that has its verdict, and with it
// what happens to tickets: one that the unit had is closed, and unless the unit
// is released a new one is opened. u and open are the unit and its open ticket
// (nil: none) as the log shows them, with or without the run's verdict. Pure.
func (p *Policy) Dispose(run *station.Run, u Unit, open *station.Ticket) station.Dispose {
	was := u.Disposition
	u = u.with(run)
	c := p.choose(u)
	if c.to == station.Release && run.Recipe != nil && run.Recipe.Rework {
		c = choice{to: station.Retest, rule: ruleRework, queue: p.queue(station.Retest)} // it was prepared, not provisioned
	}
	if c.to == station.Release && u.Factory == station.FactoryOpen {
		c = choice{to: station.Next, rule: ruleOpen} // the ship gate: its one-time keys are not deleted yet
	}
	switch { // what a person decided while the unit ran stands
	case was == station.Scrap:
		c = choice{to: station.Hold, rule: ruleScrapped, queue: p.queue(station.Hold)}
	case open != nil && open.Wanted == station.Hold && c.to != station.Scrap:
		c = choice{to: station.Hold, rule: ruleOnHold, queue: open.Queue}
	}
	d := station.UnitDisposed{Disposition: c.to, Reason: u.Reason, Rule: p.ruleName(c.rule)}
	if !c.to.Good() {
		d.Queue = c.queue
	}
	if c.rule == ruleOnHold { // its ticket stays
		return station.Dispose{Disposition: d}
	}
	return station.Dispose{Disposition: d, Before: tickets(run, u, open, c, TicketID(run.ID))}
}

// Reject replaces the disposition of a run whose result the MES does not take:
// the facts of the hold, with its ticket.
func (p *Policy) Reject(run *station.Run, u Unit, open *station.Ticket, reason *station.Reason) []station.Fact {
	u = u.with(run)
	u.Reason, u.Step = reason, ""
	c := choice{to: station.Hold, rule: ruleMES, queue: p.queue(station.Hold)}
	facts := tickets(run, u, open, c, TicketID(run.ID)+"-mes")
	return append(facts, station.UnitDisposed{Disposition: station.Hold, Reason: reason, Rule: p.ruleName(ruleMES), Queue: c.queue})
}

func (p *Policy) ruleName(rule string) string {
	return fmt.Sprintf("%s/%d:%s", p.Name, p.Version, rule)
}

// TicketID is the name of the ticket that a run opens.
func TicketID(run station.RunID) string { return "T-" + string(run) }

// tickets closes the ticket that is open and opens the one that the choice asks for.
func tickets(run *station.Run, u Unit, open *station.Ticket, c choice, id string) []station.Fact {
	var facts []station.Fact
	if open != nil {
		why := "run " + string(run.ID)
		if !c.to.Good() {
			why += ": now " + id
		}
		facts = append(facts, station.TicketClosed{Ticket: open.ID, Disposition: c.to, Why: why})
	}
	if c.to.Good() {
		return facts
	}
	return append(facts, station.TicketOpened{
		Ticket: id, Queue: c.queue, Wanted: c.to, Reason: u.Reason, Step: u.Step, Failures: u.Failures + u.Inconclusive,
	})
}

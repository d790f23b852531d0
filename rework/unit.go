package rework

import (
	"slices"

	"linefit/modem/ident"
	"linefit/station"
)

// Unit is what the log says of one unit: what rework and admission need to know
// before its next run.
type Unit struct {
	Serial station.Serial `json:"serial"`
	Runs   int            `json:"runs"`
	// Open is the run that has no disposition yet, Slot the one in which the
	// unit stands until it has left.
	Open station.RunID `json:"open,omitempty"`
	Slot int           `json:"slot,omitempty"`
	// Start is the number of the entry that started the newest run.
	Start uint64 `json:"start,omitempty"`
	// Run is the newest run with a verdict, and what follows is of that run.
	Run     station.RunID   `json:"run,omitempty"`
	Recipe  string          `json:"recipe,omitempty"`
	Verdict station.Verdict `json:"verdict,omitempty"`
	Reason  *station.Reason `json:"reason,omitempty"`
	Step    string          `json:"step,omitempty"`
	// Same counts how often that reason came up in a row.
	Same int `json:"same,omitempty"`
	// Disposition is the newest one: the policy's, the MES's or a person's.
	Disposition station.Disposition `json:"disposition,omitempty"`
	// Passed has the recipes whose newest run of this unit passed.
	Passed []string `json:"passed,omitempty"`
	// Failures and Inconclusive count the runs since the last repair that
	// failed, or came to no verdict about the unit.
	Failures     int `json:"failures"`
	Inconclusive int `json:"inconclusive"`
	Repairs      int `json:"repairs"`
	// Ticket is the open one; a unit never has two.
	Ticket string        `json:"ticket,omitempty"`
	IMEI   ident.IMEI    `json:"imei,omitempty"`
	EID    ident.EID     `json:"eid,omitempty"`
	ICCIDs []ident.ICCID `json:"iccids,omitempty"`
	// Factory is station.FactoryOpen while one-time keys of in-factory
	// provisioning may be left: the unit does not ship.
	Factory string `json:"factory,omitempty"`
	Seq     uint64 `json:"seq"` // of the newest entry about it
}

// started, judged and the others are what a fact changes.
func (u *Unit) started(run station.RunID, slot int, recipe string) {
	u.Runs++
	u.Open, u.Slot, u.Recipe = run, slot, recipe
}

func (u *Unit) judged(run station.RunID, v station.RunVerdict) {
	same := 1
	if u.Reason != nil && v.Reason != nil && u.Reason.Code == v.Reason.Code {
		same = u.Same + 1
	}
	u.Run, u.Verdict, u.Reason, u.Step, u.Same = run, v.Verdict, v.Reason, v.Step, same
	u.Passed = slices.DeleteFunc(u.Passed, func(name string) bool { return name == u.Recipe })
	switch v.Verdict {
	case station.Pass:
		u.Same = 0
		u.Passed = append(u.Passed, u.Recipe)
	case station.Failed:
		u.Failures++
	default:
		u.Inconclusive++
	}
	u.identified(v.IMEI, v.EID)
	if len(v.ICCIDs) > 0 {
		u.ICCIDs = v.ICCIDs
	}
	if v.Factory != "" {
		u.Factory = v.Factory
	}
}

func (u *Unit) identified(imei ident.IMEI, eid ident.EID) {
	if imei != "" {
		u.IMEI = imei
	}
	if eid != "" {
		u.EID = eid
	}
}

func (u *Unit) disposed(run station.RunID, d station.Disposition) {
	u.Disposition = d
	if u.Open == run {
		u.Open = ""
	}
}

func (u *Unit) repaired() {
	u.Repairs++
	u.Failures, u.Inconclusive, u.Same = 0, 0, 0
}

// with is the unit with this run's verdict, whether the log's view had it
// already or not.
func (u Unit) with(run *station.Run) Unit {
	if run.Verdict == nil || u.Run == run.ID {
		return u
	}
	u.Passed = slices.Clone(u.Passed)
	u.Recipe = run.Started.Recipe
	u.judged(run.ID, *run.Verdict)
	return u
}

// Counts are the units by what became of them last, and the tickets.
type Counts struct {
	station.Counts
	Closed int `json:"closed"` // tickets
}

// counter is the count in which the unit stands; nil while it has no result.
func (u Unit) counter(n *Counts) *int {
	switch {
	case u.Disposition == station.Scrap:
		return &n.Scrapped
	case u.Disposition == station.Hold || u.Ticket != "":
		return &n.Held
	case u.Verdict == station.Pass:
		return &n.Passed
	case u.Verdict != station.Unset:
		return &n.Failed
	}
	return nil
}

package report

import (
	"fmt"
	"strings"
	"time"

	"linefit/station"
	"linefit/station/text"
)

// Story is what happened to one unit, in plain words. Every line names the
// entry that it comes from.
type Story struct {
	Unit    station.Serial  `json:"unit"`
	State   string          `json:"state"` // release, retest, rework, hold or scrap; running; new: no run yet
	Sample  string          `json:"sample,omitempty"`
	Reason  *station.Reason `json:"reason,omitempty"`
	Step    string          `json:"step,omitempty"`
	Runs    int             `json:"runs"`
	Passed  int             `json:"passed"`
	Repairs int             `json:"repairs"`
	Summary []string        `json:"summary"` // what it is, where it stands, what to do
	Open    []string        `json:"open"`    // what is not known or not done
	Lines   []Line          `json:"lines"`   // what happened, in order
}

// Line is one thing that happened.
type Line struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Head bool      `json:"head,omitempty"` // begins a run
	Mark Mark      `json:"mark,omitempty"`
	Text string    `json:"text"`
}

// Mark says whether a line is good or bad news.
type Mark string

// Marks.
const (
	MarkNone Mark = ""
	MarkGood Mark = "good"
	MarkBad  Mark = "bad"
)

// Text is the story for a terminal.
func (s Story) Text(c *text.Catalogue) string {
	var b strings.Builder
	for i, said := range s.Summary {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(said + "\n")
	}
	for i, said := range s.Open {
		if i == 0 {
			b.WriteString("\n" + c.T("why.open") + "\n")
		}
		b.WriteString("  ? " + said + "\n")
	}
	for _, l := range s.Lines {
		if l.Head {
			fmt.Fprintf(&b, "\n%s\n", l.Text)
			continue
		}
		mark := map[Mark]string{MarkGood: "+", MarkBad: "!"}[l.Mark]
		fmt.Fprintf(&b, "  %s %-1s %s  [%d]\n", l.At.Format("15:04:05"), mark, l.Text, l.Seq)
	}
	return b.String()
}

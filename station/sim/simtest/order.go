package simtest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/sim"
)

// story is a run as the log's entries tell it, read without the station's
// machines.
type story struct {
	unit    station.Serial
	slot    int
	verdict *station.RunVerdict
	to      station.Disposition
	left    bool
	intents map[effectNumber]bool
}

type effectNumber struct {
	effect station.EffectName
	number int
}

// stories are the runs of a log by their name, and the last one of each unit.
type stories struct {
	runs map[string]*story
	last map[station.Serial]*story
	in   map[int]string // the run of each slot
}

// checkOrder reads the log entry by entry: a slot has one run at a time, a run
// one beginning, one verdict and one end, and nothing is done in it after its
// verdict. Then it holds against that what the world has of every unit, what the
// MES was told, and the station's own counts.
func (l *Line) checkOrder(a *Account) {
	s := &stories{runs: map[string]*story{}, last: map[station.Serial]*story{}, in: map[int]string{}}
	for _, e := range l.Entries() {
		f, err := station.Decode(e.Type, e.Data)
		if errors.Is(err, station.ErrUnknownFact) {
			continue // the store's own
		}
		l.must(err)
		if e.Run != "" && e.Slot != 0 {
			s.take(a, e, f)
		}
	}
	l.checkPlaces(a, s)
	l.checkTold(a, s)
	l.checkCounts(a, s)
}

// take takes in an entry of a run.
func (s *stories) take(a *Account, e audit.Entry, f station.Fact) {
	r := s.runs[e.Run]
	if _, begins := f.(station.RunStarted); begins {
		if r != nil {
			a.problem("entry %d: run %s begins once more", e.Seq, e.Run)
		}
		if other := s.in[e.Slot]; other != "" {
			a.problem("entry %d: run %s begins in slot %d, where %s has not left", e.Seq, e.Run, e.Slot, other)
		}
		r = &story{unit: station.Serial(e.Unit), slot: e.Slot, intents: map[effectNumber]bool{}}
		s.runs[e.Run], s.last[r.unit], s.in[e.Slot] = r, r, e.Run
		return
	}
	if r == nil {
		return // before it begins: what admission writes
	}
	if string(r.unit) != e.Unit || r.slot != e.Slot {
		a.problem("entry %d: run %s is of %s in slot %d, not of %s in slot %d", e.Seq, e.Run, r.unit, r.slot, e.Unit, e.Slot)
	}
	switch f := f.(type) {
	case station.RunVerdict:
		if r.verdict != nil {
			a.problem("entry %d: run %s has another verdict, %s after %s", e.Seq, e.Run, f.Verdict, r.verdict.Verdict)
		}
		r.verdict = &f
	case station.UnitDisposed:
		if r.verdict == nil {
			a.problem("entry %d: run %s is disposed of without a verdict", e.Seq, e.Run)
		}
		r.to = f.Disposition
	case station.UnitLeft:
		if s.in[e.Slot] != e.Run || r.to == "" {
			a.problem("entry %d: %s leaves slot %d, which has run %q", e.Seq, e.Run, e.Slot, s.in[e.Slot])
		}
		r.left, s.in[e.Slot] = true, ""
	case station.Intent:
		n := effectNumber{f.Effect, f.Number}
		if r.intents[n] || r.verdict != nil {
			a.problem("entry %d: run %s intends %s %d a second time, or after its verdict", e.Seq, e.Run, f.Effect, f.Number)
		}
		r.intents[n] = true
	}
}

// checkPlaces: a unit is out only if its own last run passed, on its own eUICC and
// module, and scrap only if the log says so.
func (l *Line) checkPlaces(a *Account, s *stories) {
	for _, u := range l.World.Units() {
		r := s.last[u.Serial]
		good := r != nil && r.verdict != nil && r.verdict.Verdict == station.Pass && r.to.Good()
		if e := (*station.Evidence)(nil); good {
			if e = r.verdict.Evidence; e == nil || e.EID != u.EID || r.verdict.IMEI != u.IMEI || r.verdict.EID != u.EID {
				good = false
			}
		}
		switch u.Place {
		case sim.PlaceOut, sim.PlaceShelf:
			if !good {
				a.problem("%s is at %q, and the log has no pass of it: %+v", u.Serial, u.Place, r)
			}
		case sim.PlaceScrap:
			if r == nil || r.to != station.Scrap {
				a.problem("%s is scrap, and the log does not say so: %+v", u.Serial, r)
			}
		}
	}
}

// Rested is the account of a line on which nothing is under way any more: no unit
// is between two places, and the slots are dark and empty.
func (l *Line) Rested() Account {
	l.t.Helper()
	a := l.Account()
	for _, u := range l.World.Units() {
		if u.Place == sim.PlaceQueue || u.Place == sim.PlaceSlot || u.Place == sim.PlaceRepair {
			a.problem("%s is at %q in the end", u.Serial, u.Place)
		}
	}
	for _, slot := range l.World.Slots() {
		if look := l.World.Jig(slot).Look(); look.Unit != "" || look.Power || look.Lamp == station.LampPass {
			a.problem("slot %d in the end: %+v", slot, look)
		}
	}
	return a
}

// checkTold: the MES has one result of each run, the one that the log has.
func (l *Line) checkTold(a *Account, s *stories) {
	var kept struct {
		Events map[string]struct {
			Type string `json:"type"`
			Data struct {
				Run     string              `json:"run"`
				Unit    station.Serial      `json:"unit"`
				Verdict station.Verdict     `json:"verdict"`
				To      station.Disposition `json:"disposition"`
			} `json:"data"`
		} `json:"events"`
	}
	text, err := os.ReadFile(filepath.Join(l.Dir, "sim", "mes.json"))
	if l.opt.MES == "none" || l.opt.Beside != nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.must(err)
	l.must(json.Unmarshal(text, &kept))
	told := map[string]int{}
	for _, e := range kept.Events {
		if e.Type != "linefit.UnitsTested.v1" {
			continue
		}
		r := s.runs[e.Data.Run]
		if told[e.Data.Run]++; r == nil || r.verdict == nil || r.unit != e.Data.Unit || r.verdict.Verdict != e.Data.Verdict {
			a.problem("the MES was told of run %s: %+v; the log has %+v", e.Data.Run, e.Data, r)
		}
	}
	for name := range s.runs {
		if told[name] != 1 {
			a.problem("the MES has %d results of run %s", told[name], name)
		}
	}
}

// checkCounts: the station counts what there is.
func (l *Line) checkCounts(a *Account, s *stories) {
	var n rework.Counts
	l.must(l.st.View(func(v audit.View) (err error) {
		n, err = rework.Count(v)
		return err
	}))
	passed := 0
	for _, r := range s.last {
		if r.verdict != nil && r.verdict.Verdict == station.Pass && r.to.Good() {
			passed++
		}
	}
	if n.Runs != len(s.runs) || n.Passed != passed || n.Passed+n.Failed+n.Held+n.Scrapped != len(s.last) || min(n.Failed, n.Held, n.Tickets, n.Closed) < 0 {
		a.problem("the station counts %+v; there are %d runs of %d units, %d passed", n, len(s.runs), len(s.last), passed)
	}
}

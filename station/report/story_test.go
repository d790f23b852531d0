package report_test

import (
	"fmt"
	"strings"
	"testing"

	"linefit/station"
	"linefit/station/report"
	"linefit/station/text"
)

func tell(l *line, unit station.Serial, lang text.Lang) report.Story {
	t := report.NewTeller(unit, text.For(lang))
	for _, e := range l.log.Entries {
		if e.Unit == string(unit) {
			t.See(e)
		}
	}
	return t.Story()
}

// career is a unit that failed, was interrupted, repaired and passed.
func career(t testing.TB) *line {
	l := newLine(t)
	trouble := station.NewReason(station.EUICCRefused, "EnableProfile: catBusy (5)")
	at := l.run(run{unit: "SN1", slot: 2, fw: "R01", handle: "h1", order: "WO-7", open: true})
	l.add(at,
		station.StepEnded{Step: "bind", Kind: station.KindBind, Attempt: 1, Outcome: station.OK, Measured: []station.Measurement{{Name: "bound_by", Value: "label"}}},
		station.Intent{Effect: station.EffectGetBPP, Number: 1, ICCID: "89880000001000000023"},
		station.Result{Effect: station.EffectGetBPP, Number: 1, Outcome: station.OK},
		station.Intent{Effect: station.EffectLoad, Number: 2, ICCID: "89880000001000000023"},
		station.NotificationKept{Handle: "n1", Sequence: 7, Operation: "install", Recipient: "smdp.example"},
		station.Result{Effect: station.EffectLoad, Number: 2, Outcome: station.OK, State: "installed", ICCID: "89880000001000000023"},
		station.ProfileCommitted{Handle: "h1", ICCID: "89880000001000000023"},
		station.Intent{Effect: station.EffectEnable, Number: 3, ICCID: "89880000001000000023"},
		station.RunResumed{Step: "boot", Open: "enable", Attempt: 1, Outcome: station.Aborted},
		station.StepEnded{Step: "boot", Kind: station.KindBoot, Attempt: 2, Outcome: station.OK},
		station.StepEnded{Step: "enable", Kind: station.KindEnable, Attempt: 2, Outcome: station.Error, Millis: 5, Reason: trouble, Trace: "> 80", Then: station.ThenClose},
		station.RunVerdict{Verdict: station.Failed, Step: "enable", Reason: trouble},
		station.TicketOpened{Ticket: "T-1", Queue: "repair", Wanted: station.Rework, Reason: trouble, Failures: 1},
		station.UnitDisposed{Disposition: station.Rework, Queue: "repair", Reason: trouble, Rule: "default/1:x"}, station.UnitLeft{})
	return l
}

// shape is what a story tells, without its words: entry, mark, "#" for a run.
func shape(s report.Story) string {
	var out []string
	for _, l := range s.Lines {
		head := ""
		if l.Head {
			head = "#"
		}
		out = append(out, fmt.Sprint(head, l.Seq, map[report.Mark]string{report.MarkGood: "+", report.MarkBad: "!"}[l.Mark]))
	}
	return strings.Join(out, " ")
}

func TestStory(t *testing.T) {
	l := career(t)
	s := tell(l, "SN1", text.English)
	if got, want := shape(s), "#1 1 2+ 5 6+ 8+ 11+ 12 14! 15+ 16! 16 17! 18 19! 20"; got != want {
		t.Errorf("it tells %s, want %s", got, want)
	}
	if s.State != "rework" || s.Runs != 1 || s.Passed != 0 || s.Repairs != 0 || len(s.Open) != 2 || s.Reason.Code != station.EUICCRefused || s.Step != "enable" {
		t.Errorf("%+v", s)
	}
	for _, lang := range text.Langs() {
		c := text.For(lang)
		s := tell(l, "SN1", lang)
		for i, want := range []string{
			c.T("why.state.rework", "unit", "SN1"),
			c.T("why.because", "reason", c.Reason(station.EUICCRefused), "detail", "EnableProfile: catBusy (5)", "step", "enable"),
			c.T("why.advice", "advice", c.Advice(station.EUICCRefused)),
		} {
			if s.Summary[i] != want {
				t.Errorf("%s: it says %q, want %q", lang, s.Summary[i], want)
			}
		}
		for _, part := range []string{"SN1", "T-1", "catBusy", "490154203237518", "89049032123451234512345678901235", "89880000001000000023", "smdp.example", "R01", "WO-7", "[16]"} {
			if !strings.Contains(s.Text(c), part) {
				t.Errorf("%s: nothing of %s in\n%s", lang, part, s.Text(c))
			}
		}
	}
	by := station.Scope{Unit: "SN1", Actor: "tech-1"}
	l.add(by, station.TicketClaimed{Ticket: "T-1"}, station.TicketRepaired{Ticket: "T-1", Cause: "contacts", Action: "cleaned"})
	at := l.run(run{unit: "SN1", slot: 1, fw: "R01", handle: "h1", order: "WO-7", open: true})
	l.add(at, station.StepEnded{
		Step: "readback", Kind: station.KindReadback, Attempt: 1, Outcome: station.OK,
		Measured: []station.Measurement{{Name: "card_iccid", Value: "89880000001000000023"}, {Name: "state", Value: "enabled"}},
	},
		station.NotificationDelivered{Handle: "n1", Sequence: 7},
		station.RunVerdict{Verdict: station.Pass}, station.TicketClosed{Ticket: "T-1", Disposition: station.Release}, station.UnitDisposed{Disposition: station.Release, Rule: "default/1:passed"})
	s = tell(l, "SN1", text.English)
	if s.State != "release" || len(s.Open) != 0 || s.Repairs != 1 || s.Passed != 1 || s.Runs != 2 {
		t.Errorf("%+v", s)
	}
	if got, want := shape(s), "21 22 #23 23 24+ 27 28+ 30+ 31 32"; !strings.HasSuffix(got, want) {
		t.Errorf("it tells %s, want at its end %s", got, want)
	}
}

// TestStoryOfHostileUnits: what devices and people said reaches no terminal as
// a command.
func TestStoryOfHostileUnits(t *testing.T) {
	l := newLine(t)
	evil := "\u202e<b>\u200b"
	at := l.run(run{unit: "SN1", slot: 1, fw: evil, order: evil, step: "x", reason: station.NewReason(station.ProfileReadback, "%s", "a\x1b[2Jb"+evil)})
	l.add(at, station.Overridden{What: "\x1b[31m", From: "a", To: "b", Why: evil}, station.UnitAcknowledged{Bin: evil})
	for _, lang := range text.Langs() {
		if s := tell(l, "SN1", lang).Text(text.For(lang)); strings.ContainsAny(s, "\x1b\u202e\u200b") {
			t.Errorf("%s: %q", lang, s)
		}
	}
}

func TestStoryOfNothing(t *testing.T) {
	if s := tell(newLine(t), "SN1", text.English); s.State != "new" || len(s.Lines) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestReasonsAreToldOnce: ticket and disposition repeat the verdict's reason;
// another one is told.
func TestReasonsAreToldOnce(t *testing.T) {
	l := newLine(t)
	at := l.run(run{unit: "SN1", slot: 1, reason: fails()})
	other := station.NewReason(station.MESRejected, "wrong order")
	l.add(at, station.UnitDisposed{Disposition: station.Hold, Reason: other, Rule: "default/1:mes"})
	s := tell(l, "SN1", text.English)
	said := s.Text(text.For(text.English))
	if n := strings.Count(said, "disabled, not enabled"); n != 2 { // step and verdict
		t.Errorf("the reason is told %d times:\n%s", n, said)
	}
	if !strings.Contains(s.Summary[1], "wrong order") || strings.Count(said, "wrong order") != 2 || s.State != "hold" {
		t.Errorf("the other reason:\n%s", said)
	}
}

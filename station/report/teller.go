package report

import (
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/text"
)

// Teller tells the story of one unit from its entries, in order.
type Teller struct {
	c       *text.Catalogue
	story   Story
	run     *Run
	told    *station.Reason // of the run's verdict
	ids     station.UnitIdentified
	boundBy string
	smooth  []string // steps that went well since the last line
	smoothE audit.Entry
	tickets map[string]station.Ticket
	intents []intent          // without a result yet
	iccid   map[string]string // ICCID to what is known of the profile
	order   []string
	smdp    map[string]string
	pending []station.NotificationKept
	results map[string]string // CloudEvents id to why the MES refused it
}

type intent struct {
	run string
	station.Intent
}

// answered reports whether a result says what became of an intent: its own, or
// one that was found by reading the eUICC; that also settles what the loaded
// package was asked for.
func (in intent) answered(run string, r station.Result) bool {
	if r.Number > 0 {
		return in.run == run && in.Number == r.Number
	}
	return in.Effect == r.Effect || r.Effect == station.EffectLoad && in.Effect == station.EffectGetBPP
}

// NewTeller returns a Teller for a unit, in a catalogue's language.
func NewTeller(unit station.Serial, c *text.Catalogue) *Teller {
	return &Teller{
		c: c, story: Story{Unit: unit, Summary: []string{}, Open: []string{}, Lines: []Line{}},
		tickets: map[string]station.Ticket{}, iccid: map[string]string{}, smdp: map[string]string{}, results: map[string]string{},
	}
}

// See takes the unit's next entry.
func (t *Teller) See(e audit.Entry) {
	f, err := station.Decode(e.Type, e.Data)
	if err != nil { // of another version: its text is all there is
		t.say(e, MarkNone, t.c.Entry(e.Type, e.Data))
		return
	}
	if t.run != nil && string(t.run.ID) == e.Run {
		t.run.evolve(f)
	}
	if id, ok := station.TicketOf(f); ok {
		t.tickets[id] = t.tickets[id].Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: station.Serial(e.Unit)},
			station.Actor(e.Actor), e.UTC.Format(time.RFC3339), f)
	}
	switch f := f.(type) {
	case station.RunStarted:
		t.start(e, f)
	case station.StepEnded, station.StepsEnded:
		for _, s := range station.StepsOf(f) {
			t.step(e, s)
		}
	case station.UnitIdentified:
		t.identified(f)
	case station.Intent:
		t.intents = append(t.intents, intent{e.Run, f})
	case station.Result:
		t.result(e, f)
	case station.ProfileReserved:
		t.profile(string(f.ICCID), t.c.Word("stock", string(station.StockReserved)), f.SMDP)
		t.say(e, MarkNone, t.c.Fact(f))
	case station.NotificationKept:
		t.pending = append(t.pending, f)
	case station.NotificationDelivered:
		t.pending = slices.DeleteFunc(t.pending, func(n station.NotificationKept) bool { return n.Handle == f.Handle })
	default:
		t.fact(e, f)
	}
}

// fact tells what needs no more than its own text.
func (t *Teller) fact(e audit.Entry, f station.Fact) {
	mark := MarkNone
	switch f := f.(type) {
	case station.RunVerdict:
		mark, t.told = MarkBad, f.Reason
		if f.Verdict == station.Pass {
			mark = MarkGood
			t.story.Passed++
			t.intents = nil // what was read back answers them all
		}
	case station.UnitDisposed:
		t.story.State, t.story.Reason = string(f.Disposition), f.Reason
		if !f.Disposition.Good() {
			mark = MarkBad
		}
	case station.TicketRepaired:
		t.story.Repairs++
	case station.TicketClosed:
		if f.Disposition == station.Scrap || f.Disposition == station.Release {
			t.story.State = string(f.Disposition)
		}
	case station.ProfileCommitted:
		t.profile(string(f.ICCID), t.c.Word("stock", string(station.StockInstalled)), "")
	case station.OutboxRejected:
		t.results[f.Event] = t.c.Fact(f)
		mark = MarkBad
	case station.OutboxDelivered:
		delete(t.results, f.Event)
	case station.Overridden, station.ProfileQuarantined, station.ProfileSpent, station.RunResumed:
		mark = MarkBad
	}
	f = t.once(f)
	who := ""
	if e.Actor != string(station.ActorStation) && e.Actor != string(station.ActorMES) {
		who = text.Printable(e.Actor)
	}
	t.say(e, mark, t.c.T("why.by", "text", t.c.Fact(f), "actor", who))
}

// once leaves out a reason that the run's verdict has just told.
func (t *Teller) once(f station.Fact) station.Fact {
	if t.told == nil {
		return f
	}
	switch d := f.(type) {
	case station.UnitDisposed:
		if d.Reason != nil && *d.Reason == *t.told {
			d.Reason = nil
			return d
		}
	case station.TicketOpened:
		if d.Reason != nil && *d.Reason == *t.told {
			d.Reason = nil
			return d
		}
	}
	return f
}

func (t *Teller) start(e audit.Entry, f station.RunStarted) {
	t.flush()
	t.run = &Run{Unit: station.Serial(e.Unit), ID: station.RunID(e.Run), Slot: e.Slot, Sample: f.Expect.Sample}
	t.story.Runs++
	t.told = nil
	t.story.State, t.story.Reason, t.story.Sample = "running", nil, f.Expect.Sample
	t.story.Lines = append(t.story.Lines, Line{Seq: e.Seq, At: e.UTC, Head: true, Text: t.c.T("why.run",
		"number", t.story.Runs, "slot", e.Slot, "time", e.UTC.Format("2006-01-02 15:04:05"), "actor", text.Printable(e.Actor))})
	t.say(e, MarkNone, t.c.T("why.recipe", "recipe", f.Recipe, "version", f.Version, "order", text.Printable(f.WorkOrder),
		"sku", text.Printable(f.SKU), "route", t.c.Word("answer", f.Route)))
	if f.Expect.IMEI != "" || f.Expect.EID != "" {
		t.say(e, MarkNone, t.c.T("why.expected", "source", f.Expect.Source, "imei", f.Expect.IMEI, "eid", f.Expect.EID))
	}
}

// step tells an attempt; those that went well are joined in one line.
func (t *Teller) step(e audit.Entry, f station.StepEnded) {
	t.measured(f)
	if f.Outcome == station.OK || f.Outcome == station.Skipped {
		name := text.Printable(f.Step)
		if f.Attempt > 1 {
			name = t.c.T("why.step_again", "step", name, "try", f.Attempt)
		}
		t.smooth, t.smoothE = append(t.smooth, name), e
		return
	}
	said := t.c.Fact(f)
	switch f.Then {
	case "":
	case station.ThenClose:
		said = t.c.T("why.then_close", "text", said)
	default:
		said = t.c.T("why.then", "text", said, "step", text.Printable(f.Then))
	}
	t.say(e, MarkBad, said)
	for _, m := range f.Measured {
		if m.Bad != "" {
			t.say(e, MarkBad, t.c.T("why.limit", "name", text.Printable(m.Name), "value", text.Printable(m.Value), "limit", text.Printable(m.Bad)))
		}
	}
	if f.Trace != "" {
		t.say(e, MarkNone, t.c.T("why.trace", "seq", e.Seq))
	}
}

// measured takes what a step saw that belongs to the unit's summary.
func (t *Teller) measured(f station.StepEnded) {
	values := map[string]string{}
	for _, m := range f.Measured {
		values[m.Name] = m.Value
	}
	if by := values["bound_by"]; by != "" {
		t.boundBy = by
	}
	if f.Kind != station.KindReadback || len(t.order) == 0 {
		return
	}
	iccid := t.order[len(t.order)-1]
	if values["card_iccid"] != "" {
		iccid = values["card_iccid"]
	}
	switch state := values["state"]; {
	case state != "":
		t.profile(iccid, t.c.Word("state", state), "")
	case f.Outcome != station.OK: // what the eUICC said when it was enabled no longer holds
		t.profile(iccid, t.c.T("why.not_as_should"), "")
	}
}

// flush tells the steps that went well.
func (t *Teller) flush() {
	if len(t.smooth) == 0 {
		return
	}
	said := t.c.T("why.well", "steps", strings.Join(t.smooth, ", "))
	t.smooth = nil
	t.story.Lines = append(t.story.Lines, Line{Seq: t.smoothE.Seq, At: t.smoothE.UTC, Mark: MarkGood, Text: said})
}

func (t *Teller) say(e audit.Entry, mark Mark, said string) {
	t.flush()
	t.story.Lines = append(t.story.Lines, Line{Seq: e.Seq, At: e.UTC, Mark: mark, Text: said})
}

// result tells an irreversible effect with what became of it.
func (t *Teller) result(e audit.Entry, f station.Result) {
	t.intents = slices.DeleteFunc(t.intents, func(in intent) bool { return in.answered(e.Run, f) })
	if f.State != "" && f.ICCID != "" {
		t.profile(string(f.ICCID), t.c.Word("state", f.State), "")
	}
	mark := MarkGood
	if f.Outcome != station.OK {
		mark = MarkBad
	}
	said := t.c.Fact(f)
	if f.By == "reconcile" {
		said = t.c.T("why.reconciled", "text", said)
	}
	t.say(e, mark, said)
}

func (t *Teller) profile(iccid, state, smdp string) {
	if iccid == "" {
		return
	}
	if _, known := t.iccid[iccid]; !known {
		t.order = append(t.order, iccid)
	}
	t.iccid[iccid] = state
	if smdp != "" {
		t.smdp[iccid] = smdp
	}
}

func (t *Teller) identified(f station.UnitIdentified) {
	r := Run{Maker: t.ids.Maker, Model: t.ids.Model, Firmware: t.ids.Firmware, IMEI: t.ids.IMEI, EID: t.ids.EID, Route: t.ids.Route, Platform: t.ids.Platform}
	r.identify(f)
	t.ids = station.UnitIdentified{Maker: r.Maker, Model: r.Model, Firmware: r.Firmware, IMEI: r.IMEI, EID: r.EID, Route: r.Route, Platform: r.Platform, Generation: t.ids.Generation}
	if f.Generation != "" {
		t.ids.Generation = f.Generation
	}
}

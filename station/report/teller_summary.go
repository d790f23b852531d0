package report

import (
	"slices"

	"linefit/station"
	"linefit/station/text"
)

// Story is the story over all entries seen. The teller is used up.
func (t *Teller) Story() Story {
	t.flush()
	if t.story.State == "" {
		t.story.State = "new"
	}
	if t.run != nil {
		t.story.Step = t.run.Step
		if t.story.Reason == nil {
			t.story.Reason = t.run.Reason
		}
	}
	t.summarize()
	t.loose()
	return t.story
}

// loose tells what is not known or not done.
func (t *Teller) loose() {
	for _, in := range t.intents {
		t.story.Open = append(t.story.Open, t.c.T("why.unknown_effect", "effect", t.c.Word("effect", string(in.Effect)), "iccid", in.ICCID))
	}
	for _, n := range t.pending {
		t.story.Open = append(t.story.Open, t.c.T("why.undelivered", "recipient", text.Printable(n.Recipient),
			"sequence", n.Sequence, "operation", t.c.Word("operation", n.Operation)))
	}
	for _, why := range t.results {
		t.story.Open = append(t.story.Open, why)
	}
	slices.Sort(t.story.Open)
}

func (t *Teller) summarize() {
	c, s := t.c, &t.story
	add := func(said string) { s.Summary = append(s.Summary, said) }
	add(c.T("why.state."+s.State, "unit", text.Printable(string(s.Unit))))
	if s.Sample != "" {
		add(c.T("why.sample", "sample", s.Sample))
	}
	if s.Reason != nil && !station.Disposition(s.State).Good() {
		add(c.T("why.because", "reason", c.Reason(s.Reason.Code), "detail", text.Printable(s.Reason.Detail), "step", text.Printable(s.Step)))
		add(c.T("why.advice", "advice", c.Advice(s.Reason.Code)))
	}
	for _, id := range t.openTickets() {
		k := t.tickets[id]
		add(c.T("why.ticket", "ticket", text.Printable(k.ID), "state", c.Word("ticket", string(k.State)), "queue", text.Printable(k.Queue), "actor", text.Printable(string(k.Actor))))
	}
	add(c.T("why.runs", "runs", s.Runs, "passed", s.Passed, "repairs", s.Repairs))
	id := t.ids
	if id.IMEI != "" || id.Model != "" {
		add(c.T("why.module", "maker", text.Printable(id.Maker), "model", text.Printable(id.Model), "firmware", text.Printable(id.Firmware), "imei", id.IMEI))
	}
	if id.EID != "" {
		p := station.Platform{}
		if id.Platform != nil {
			p = *id.Platform
		}
		add(c.T("why.euicc", "eid", id.EID, "label", text.Printable(p.Label), "firmware", text.Printable(p.Firmware), "svn", text.Printable(p.SVN),
			"generation", id.Generation, "route", id.Route))
	}
	if t.boundBy != "" {
		add(c.T("why.bound", "by", text.Printable(t.boundBy)))
	}
	for _, iccid := range t.order {
		add(c.T("why.profile", "iccid", iccid, "state", t.iccid[iccid], "smdp", text.Printable(t.smdp[iccid])))
	}
}

func (t *Teller) openTickets() []string {
	var ids []string
	for id, k := range t.tickets {
		if k.State != station.TicketShut {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

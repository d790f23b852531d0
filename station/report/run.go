package report

import (
	"slices"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Run is one run as its entries tell it.
type Run struct {
	Unit      station.Serial `json:"unit"`
	ID        station.RunID  `json:"run"`
	Slot      int            `json:"slot"`
	First     uint64         `json:"first"` // seq of run.started
	Last      uint64         `json:"last"`  // seq of the last entry seen of it
	Started   time.Time      `json:"started"`
	Ended     time.Time      `json:"ended"` // of the last entry seen of it
	Number    int            `json:"number"`
	Sample    string         `json:"sample,omitempty"` // golden or failing: a reference unit
	Recipe    string         `json:"recipe"`
	Version   int            `json:"version"`
	Digest    string         `json:"digest"`
	WorkOrder string         `json:"work_order,omitempty"`
	SKU       string         `json:"sku,omitempty"`
	Software  string         `json:"software,omitempty"` // of the station
	Maker     string         `json:"maker,omitempty"`
	Model     string         `json:"model,omitempty"`
	Firmware  string         `json:"firmware,omitempty"`
	IMEI      ident.IMEI     `json:"imei,omitempty"`
	EID       ident.EID      `json:"eid,omitempty"`
	ICCIDs    []ident.ICCID  `json:"iccids,omitempty"`
	Route     string         `json:"route,omitempty"` // of APDUs
	// Generation of the eUICC: sgp22, sgp32 or sgp02.
	Generation string `json:"generation,omitempty"`
	// Kind of the unit: its generation, or sgp41 for in-factory provisioning;
	// Factory is then closed, or open while it may not ship.
	Kind     string              `json:"kind,omitempty"`
	Factory  string              `json:"factory,omitempty"`
	Platform *station.Platform   `json:"platform,omitempty"`
	SMDP     string              `json:"smdp,omitempty"`
	Batch    string              `json:"batch,omitempty"` // of profiles, as ordered
	Verdict  station.Verdict     `json:"verdict"`         // "" while there is none
	Step     string              `json:"step,omitempty"`
	Reason   *station.Reason     `json:"reason,omitempty"`
	Disposal station.Disposition `json:"disposition,omitempty"`
	Resumes  int                 `json:"resumes,omitempty"`
	Millis   int64               `json:"ms"` // all attempts together

	prepared string // the eUICC was identified as one of in-factory provisioning

	judged bool // out is known
	out    bool // what it began with is not what is looked for
}

// Aborted reports whether a run was ended by something that is not its own, so
// that it says nothing about the unit.
func (r *Run) Aborted() bool {
	return r.Verdict != station.Pass && r.Reason != nil && slices.Contains(notItsOwn, r.Reason.Code)
}

var notItsOwn = []station.Code{
	station.OperatorAbort, station.EmergencyStop, station.LotStopped, station.LogStopped, station.Interrupted,
}

// Counted reports whether a run counts for yield.
func (r *Run) Counted() bool { return r.Verdict != station.Unset && r.Sample == "" && !r.Aborted() }

// evolve applies a fact of this run.
func (r *Run) evolve(f station.Fact) {
	switch f := f.(type) {
	case station.RunResumed:
		r.Resumes++
	case station.StepEnded, station.StepsEnded:
		for _, s := range station.StepsOf(f) {
			r.Millis += s.Millis
		}
	case station.UnitIdentified:
		r.identify(f)
	case station.ProfileReserved:
		r.SMDP = f.SMDP
	case station.RunVerdict:
		r.Verdict, r.Step, r.Reason, r.ICCIDs, r.Factory = f.Verdict, f.Step, f.Reason, f.ICCIDs, f.Factory
		r.Kind = station.UnitKind(r.Generation, r.prepared, r.Factory)
		r.Millis = max(r.Millis, f.Millis)
	case station.UnitDisposed:
		r.Disposal = f.Disposition
		if f.Reason != nil {
			r.Reason = f.Reason
		}
	}
}

func (r *Run) identify(f station.UnitIdentified) {
	for _, m := range []struct {
		to   *string
		from string
	}{
		{&r.Maker, f.Maker}, {&r.Model, f.Model}, {&r.Firmware, f.Firmware}, {&r.Route, f.Route},
		{&r.Generation, f.Generation}, {(*string)(&r.IMEI), string(f.IMEI)}, {(*string)(&r.EID), string(f.EID)},
	} {
		if m.from != "" {
			*m.to = m.from
		}
	}
	if f.Platform != nil {
		r.Platform = f.Platform
	}
	if f.Prepared != "" {
		r.prepared = f.Prepared
	}
	r.Kind = station.UnitKind(r.Generation, r.prepared, r.Factory)
}

// tracker follows the runs of a log: at most one is open in each slot.
type tracker struct {
	open     map[int]*Run
	software string
	want     func(r *Run, factType string) bool // nil: everything is read
	unread   uint64                             // entries whose data this version does not understand
}

func newTracker() *tracker { return &tracker{open: map[int]*Run{}} }

// event is what one entry did to a run.
type event struct {
	run  *Run         // nil: the entry belongs to no open run
	fact station.Fact // nil: not read
	over []*Run       // runs that ended with this entry
}

// see takes the next entry.
func (t *tracker) see(e audit.Entry) event {
	var ev event
	r := t.open[e.Slot]
	if r != nil && string(r.ID) != e.Run {
		r = nil
	}
	if r != nil && e.Seq > r.Last {
		r.Last, r.Ended = e.Seq, e.UTC
	}
	if r != nil && t.want != nil && !t.want(r, e.Type) {
		ev.run = r
		return ev
	}
	switch e.Type {
	case station.RunStarted{}.FactType():
		return t.start(e)
	case station.StationOpened{}.FactType():
		if f, ok := t.decode(e).(station.StationOpened); ok {
			t.software = f.Software
			ev.fact = f
		}
		return ev
	case station.UnitLeft{}.FactType():
		if r != nil {
			delete(t.open, e.Slot)
			return event{run: r, over: []*Run{r}}
		}
		return ev
	}
	ev.run = r
	if r == nil && t.want != nil {
		return ev
	}
	if ev.fact = t.decode(e); ev.fact != nil && r != nil {
		r.evolve(ev.fact)
	}
	return ev
}

func (t *tracker) start(e audit.Entry) (ev event) {
	f, ok := t.decode(e).(station.RunStarted)
	if !ok {
		return ev
	}
	if old := t.open[e.Slot]; old != nil {
		ev.over = append(ev.over, old)
	}
	ev.fact = f
	ev.run = &Run{
		Unit: station.Serial(e.Unit), ID: station.RunID(e.Run), Slot: e.Slot, First: e.Seq, Last: e.Seq, Started: e.UTC, Ended: e.UTC,
		Number: f.Number, Sample: f.Expect.Sample, Recipe: f.Recipe, Version: f.Version, Digest: f.Digest,
		WorkOrder: f.WorkOrder, SKU: f.SKU, Batch: f.Batch, Software: t.software,
	}
	t.open[e.Slot] = ev.run
	return ev
}

// decode reads an entry's fact, nil where this version cannot.
func (t *tracker) decode(e audit.Entry) station.Fact {
	if _, own := logFacts[e.Type]; own {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		t.unread++
		return nil
	}
	return f
}

// logFacts are the types that the log writes about itself.
var logFacts = map[string]struct{}{
	audit.TypeClockStep: {}, audit.TypeTailDropped: {}, audit.TypeScrubbed: {},
	audit.TypeShardClosed: {}, audit.TypeShardOpened: {}, audit.TypeShardSnapshot: {}, audit.TypeShardReady: {}, audit.TypeShardArchived: {},
}

// rest returns the runs that are still open, by slot.
func (t *tracker) rest() []*Run {
	var open []*Run
	for _, r := range t.open {
		open = append(open, r)
	}
	slices.SortFunc(open, func(a, b *Run) int { return a.Slot - b.Slot })
	return open
}

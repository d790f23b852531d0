package report

import (
	"hash/maphash"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Limits of what a report keeps of names that devices and servers gave.
const (
	maxCodes   = 500
	maxSteps   = 500
	maxInterop = 1000
	maxKinds   = 16
	maxBars    = 250_000
	maxWaiting = 10_000
)

// Builder makes a Report from the entries of a log, in order.
type Builder struct {
	window Window
	t      *tracker
	seed   maphash.Seed

	station  Station
	units    map[uint64]unitState
	yield    Yield
	excluded Excluded
	bars     map[int64]*Bar
	failures map[station.Code]*failure
	steps    map[stepKey]*stepStat
	slots    map[int]*slotStat
	interop  map[Combination]*interop
	kinds    map[string]*kindStat
	samples  map[Sample]*Sample // by slot and kind
	refused  map[station.Code]int
	waiting  map[station.Serial]Waiting
	work     histogram
	inSlot   histogram
	lost     int64
	used     int64
	effects  EffectCount
	open     map[station.RunID]*openRun
	capped   map[string]bool
	first    uint64
	last     uint64
}

// NewBuilder returns a Builder for the runs that started in a window; zero
// times do not bound it.
func NewBuilder(since, until time.Time) *Builder {
	return &Builder{
		window: Window{Since: since, Until: until}, t: newTracker(), seed: maphash.MakeSeed(),
		units: map[uint64]unitState{}, bars: map[int64]*Bar{}, failures: map[station.Code]*failure{},
		steps: map[stepKey]*stepStat{}, slots: map[int]*slotStat{}, interop: map[Combination]*interop{}, kinds: map[string]*kindStat{},
		samples: map[Sample]*Sample{}, refused: map[station.Code]int{}, waiting: map[station.Serial]Waiting{},
		effects: EffectCount{Intents: map[station.EffectName]int{}}, open: map[station.RunID]*openRun{},
		excluded: Excluded{Aborted: map[station.Code]int{}}, capped: map[string]bool{},
	}
}

// unitState is what a report keeps of a unit.
type unitState struct{ first, last, disposal uint8 }

// Outcomes in a unitState; 0 is none.
const (
	outPass uint8 = iota + 1
	outFail
	outOther
)

// Disposals in a unitState; 0 is none or open.
const (
	outReleased uint8 = iota + 1
	outScrapped
	outHeld
	outNext
)

// openRun is what is kept of a run until it ends, beside Run.
type openRun struct {
	steps     int               // attempts so far
	kinds     map[string]string // of the steps, by id
	unclosed  map[int]bool
	downloads []int64
	loading   map[string]bool // profiles that it has begun to load, by handle; false: counted
}

// Add takes the next entry.
func (b *Builder) Add(e audit.Entry) {
	if b.first == 0 {
		b.first = e.Seq
	}
	b.last = e.Seq
	ev := b.t.see(e)
	in := ev.run != nil && b.in(ev.run.Started)
	switch f := ev.fact.(type) {
	case station.StationOpened:
		b.station.StationOpened = f
		b.station.Starts++
	case station.RunStarted:
		if in {
			b.begin(ev.run)
		}
	case station.StepEnded, station.StepsEnded:
		for _, s := range station.StepsOf(f) {
			if in {
				b.step(ev.run, s)
			}
		}
	case station.Intent:
		if in && ev.run.Sample == "" {
			x := b.extra(ev.run)
			b.effects.Intents[f.Effect]++
			x.unclosed[f.Number] = true
			if _, again := x.loading[f.Profile]; f.Effect == station.EffectLoad && !again {
				x.loading[f.Profile] = true
			}
		}
	case station.Result:
		if in && ev.run.Sample == "" {
			delete(b.extra(ev.run).unclosed, f.Number)
		}
	case station.ProfileCommitted:
		if in && ev.run.Sample == "" {
			b.installed(b.extra(ev.run), f.Handle)
		}
	case station.SlotFaulted:
		if b.in(e.UTC) {
			b.slot(e.Slot).Faults++
		}
	case station.ScanRefused:
		if b.in(e.UTC) && (len(b.refused) < maxCodes || b.refused[f.Reason.Code] > 0) {
			b.refused[f.Reason.Code]++
		}
	case station.UnitDisposed:
		if in {
			b.disposed(ev.run, f, e.UTC)
		}
	case station.TicketClosed:
		b.closed(station.Serial(e.Unit), f)
	}
	for _, r := range ev.over {
		b.over(r, e.Type == station.UnitLeft{}.FactType())
	}
}

func (b *Builder) in(at time.Time) bool {
	return (b.window.Since.IsZero() || !at.Before(b.window.Since)) && (b.window.Until.IsZero() || at.Before(b.window.Until))
}

func (b *Builder) begin(r *Run) {
	if b.window.First.IsZero() || r.Started.Before(b.window.First) {
		b.window.First = r.Started
	}
	if r.Started.After(b.window.Last) {
		b.window.Last = r.Started
	}
}

func (b *Builder) extra(r *Run) *openRun {
	x := b.open[r.ID]
	if x == nil {
		x = &openRun{kinds: map[string]string{}, unclosed: map[int]bool{}, loading: map[string]bool{}}
		b.open[r.ID] = x
	}
	return x
}

// installed counts a profile that a run has loaded; a retry, or a later run, only
// finds it again.
func (b *Builder) installed(x *openRun, handle string) {
	if x.loading[handle] {
		x.loading[handle] = false
		b.effects.Downloads++
	}
}

// disposed notes where a unit went. Reference units are no product.
func (b *Builder) disposed(r *Run, f station.UnitDisposed, at time.Time) {
	if r.Sample != "" {
		return
	}
	key := maphash.String(b.seed, string(r.Unit))
	u := b.units[key]
	u.disposal = map[station.Disposition]uint8{station.Release: outReleased, station.Scrap: outScrapped, station.Next: outNext}[f.Disposition]
	if u.disposal == 0 {
		u.disposal = outHeld
	}
	b.units[key] = u
	delete(b.waiting, r.Unit)
	if f.Disposition.Good() {
		return
	}
	w := Waiting{Unit: r.Unit, Disposal: f.Disposition, Queue: f.Queue, Step: r.Step, Slot: r.Slot, Since: at}
	if f.Reason != nil {
		w.Code = f.Reason.Code
	}
	if len(b.waiting) >= maxWaiting {
		b.capped["waiting"] = true
		return
	}
	b.waiting[r.Unit] = w
}

// closed notes a person's decision on a unit in rework.
func (b *Builder) closed(unit station.Serial, f station.TicketClosed) {
	key := maphash.String(b.seed, string(unit))
	u, known := b.units[key]
	if !known || f.Disposition != station.Scrap && f.Disposition != station.Release {
		return
	}
	if w, ok := b.waiting[unit]; ok && f.Disposition == station.Scrap {
		w.Disposal, w.Queue = station.Scrap, ""
		b.waiting[unit] = w
	} else {
		delete(b.waiting, unit)
	}
	u.disposal = outReleased
	if f.Disposition == station.Scrap {
		u.disposal = outScrapped
	}
	b.units[key] = u
}

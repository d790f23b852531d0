package report

import (
	"hash/maphash"
	"time"

	"linefit/station"
)

type stepKey struct{ step, kind string }

type stepStat struct {
	StepStat
	ok    histogram
	place int // sum over attempts of where in the run they stood
}

type failure struct {
	Failure
	slots    map[int]bool
	decided  map[string]int
	attempts map[string]int
}

type slotStat struct {
	SlotStat
	work histogram
}

type interop struct {
	Interop
	download histogram
	reasons  map[station.Code]int
}

type kindStat struct {
	KindStat
	work histogram
}

// kind counts a run for the kind of its unit; first says that it is the unit's
// first one here.
func (b *Builder) kind(r *Run, first bool) {
	k := b.kinds[r.Kind]
	if k == nil {
		if len(b.kinds) >= maxKinds {
			b.capped["kinds"] = true
			return
		}
		k = &kindStat{KindStat: KindStat{Kind: r.Kind}}
		b.kinds[r.Kind] = k
	}
	k.Runs++
	if first {
		k.Units++
	}
	switch r.Verdict {
	case station.Pass:
		k.Pass++
		k.Profiles += len(r.ICCIDs)
		k.work.add(r.Millis)
	case station.Failed:
		k.Fail++
	default:
		k.Inconclusive++
	}
}

// step counts an attempt.
func (b *Builder) step(r *Run, f station.StepEnded) {
	x := b.extra(r)
	x.steps++
	x.kinds[f.Step] = f.Kind
	b.used += f.Millis
	good := f.Outcome == station.OK || f.Outcome == station.Skipped
	if f.Kind == station.KindDownload && f.Outcome == station.OK {
		x.downloads = append(x.downloads, f.Millis)
	}
	if r.Sample != "" {
		return
	}
	if !good {
		b.lost += f.Millis
	}
	if s := b.stepStat(f.Step, f.Kind); s != nil {
		s.Attempts++
		s.place += x.steps
		if f.Attempt > 1 {
			s.Retried++
		}
		if f.Outcome == station.OK {
			s.ok.add(f.Millis)
		} else if !good {
			s.Failed++
		}
	}
	if good || f.Reason == nil {
		return
	}
	if c := b.failure(f.Reason); c != nil {
		c.Attempts++
		c.attempts[f.Step]++
		c.saw(r.Slot, r.Ended)
	}
}

func (f *failure) saw(slot int, at time.Time) {
	f.slots[slot] = true
	if at.After(f.Last) {
		f.Last = at
	}
}

func (b *Builder) stepStat(step, kind string) *stepStat {
	key := stepKey{step, kind}
	s := b.steps[key]
	if s == nil {
		if len(b.steps) >= maxSteps {
			b.capped["steps"] = true
			return nil
		}
		s = &stepStat{StepStat: StepStat{Step: step, Kind: kind}}
		b.steps[key] = s
	}
	return s
}

func (b *Builder) failure(reason *station.Reason) *failure {
	c := b.failures[reason.Code]
	if c == nil {
		if len(b.failures) >= maxCodes {
			b.capped["failures"] = true
			return nil
		}
		c = &failure{
			Failure: Failure{Code: reason.Code, Class: reason.Class, Example: reason.Detail},
			slots:   map[int]bool{}, decided: map[string]int{}, attempts: map[string]int{},
		}
		b.failures[reason.Code] = c
	}
	return c
}

func (b *Builder) slot(id int) *slotStat {
	s := b.slots[id]
	if s == nil {
		s = &slotStat{SlotStat: SlotStat{Slot: id}}
		b.slots[id] = s
	}
	return s
}

// over counts a run that has ended; left says that its unit has left.
func (b *Builder) over(r *Run, left bool) {
	x := b.extra(r)
	delete(b.open, r.ID)
	if !b.in(r.Started) {
		return
	}
	switch {
	case r.Sample != "":
		b.sample(r)
		return
	case r.Verdict == station.Unset:
		b.excluded.Open++
		return
	}
	b.effects.Unanswered += len(x.unclosed)
	bar := b.bar(r.Started)
	s := b.slot(r.Slot)
	if r.Aborted() {
		b.excluded.Aborted[r.Reason.Code]++
		s.Aborted++
		if bar != nil {
			bar.Aborted++
		}
		return
	}
	b.count(r, s, bar)
	b.combine(r, x)
	if r.Verdict != station.Pass {
		b.decided(r, x)
		return
	}
	b.work.add(r.Millis)
	s.work.add(r.Millis)
	if left {
		b.inSlot.add(r.Ended.Sub(r.Started).Milliseconds())
	}
}

// count counts a counted run for its slot, its unit and its bar.
func (b *Builder) count(r *Run, s *slotStat, bar *Bar) {
	if bar == nil {
		bar = &Bar{}
	}
	out := outOther
	b.yield.Runs++
	s.Runs++
	switch r.Verdict {
	case station.Pass:
		out = outPass
		b.yield.Pass++
		s.Pass++
		bar.Pass++
	case station.Failed:
		out = outFail
		b.yield.Fail++
		s.Fail++
		bar.Fail++
	default:
		b.yield.Inconclusive++
		s.Inconclusive++
		bar.Inconclusive++
	}
	key := maphash.String(b.seed, string(r.Unit))
	u := b.units[key]
	b.kind(r, u.first == 0)
	if u.first == 0 {
		u.first = out
	} else {
		b.yield.Retests++
	}
	u.last = out
	b.units[key] = u
}

// decided counts what decided a run that did not pass.
func (b *Builder) decided(r *Run, x *openRun) {
	reason := r.Reason
	if reason == nil {
		reason = station.NewReason(station.StationFault, "")
	}
	if c := b.failure(reason); c != nil {
		c.Runs++
		c.decided[r.Step]++
		c.saw(r.Slot, r.Ended)
	}
	if s := b.steps[stepKey{r.Step, x.kinds[r.Step]}]; s != nil {
		s.Decided++
	}
}

// combine counts a run for its combination.
func (b *Builder) combine(r *Run, x *openRun) {
	c := Combination{Maker: r.Maker, Model: r.Model, Firmware: r.Firmware, Route: r.Route, Generation: r.Generation, Kind: r.Kind, SMDP: r.SMDP}
	if p := r.Platform; p != nil {
		c.EUM, c.Platform, c.EUICC, c.SVN, c.Package, c.SAS = p.EUM, p.Label, p.Firmware, p.SVN, p.Profile, p.SAS
	}
	row := b.interop[c]
	if row == nil {
		if len(b.interop) >= maxInterop {
			b.capped["interoperability"] = true
			return
		}
		row = &interop{Interop: Interop{Combination: c}, reasons: map[station.Code]int{}}
		b.interop[c] = row
	}
	row.Runs++
	for _, ms := range x.downloads {
		row.download.add(ms)
	}
	switch r.Verdict {
	case station.Pass:
		row.Pass++
		return
	case station.Failed:
		row.Fail++
	default:
		row.Inconclusive++
	}
	if r.Reason != nil && (len(row.reasons) < maxCodes || row.reasons[r.Reason.Code] > 0) {
		row.reasons[r.Reason.Code]++
	}
}

func (b *Builder) sample(r *Run) {
	if r.Verdict == station.Unset || r.Aborted() {
		return
	}
	b.excluded.Samples++
	b.slot(r.Slot).Samples++
	key := Sample{Slot: r.Slot, Kind: r.Sample}
	s := b.samples[key]
	if s == nil {
		s = new(key)
		b.samples[key] = s
	}
	s.Runs++
	if (r.Verdict == station.Pass) == (r.Sample == station.SampleGolden) {
		s.AsTold++
	}
	if r.Started.After(s.Last) {
		s.Last = r.Started
	}
}

// finest is the length of the bars that are kept, in seconds.
const finest = 300

// bar is the bar of a run, nil where there are too many: a clock gone wild.
func (b *Builder) bar(at time.Time) *Bar {
	key := at.Unix() / finest
	bar := b.bars[key]
	if bar == nil {
		if len(b.bars) >= maxBars {
			b.capped["trend"] = true
			return nil
		}
		bar = &Bar{}
		b.bars[key] = bar
	}
	return bar
}

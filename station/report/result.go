package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Result is the report over all entries added. The builder is used up.
func (b *Builder) Result() Report {
	for _, r := range b.t.rest() {
		b.over(r, false)
	}
	r := Report{
		Format: Format, Log: Source{First: b.first, Last: b.last}, Window: b.window, Station: b.station, Yield: b.yields(),
		Failures: b.pareto(), Steps: b.stepStats(), Slots: b.slotStats(), Kinds: b.kindStats(), Interop: b.combinations(),
		Cycle:    Cycle{Slot: b.inSlot.times(), Work: b.work.times(), Lost: b.lost, Used: b.used},
		Excluded: b.excluded, Effects: b.effects, Unread: b.t.unread,
		Samples: []Sample{}, Refused: []Refusal{}, Waiting: []Waiting{},
	}
	r.Trend, r.TrendStep = trend(b.bars)
	for _, s := range b.samples {
		r.Samples = append(r.Samples, *s)
	}
	slices.SortFunc(r.Samples, func(a, b Sample) int { return cmp.Or(a.Slot-b.Slot, cmp.Compare(a.Kind, b.Kind)) })
	for code, n := range b.refused {
		r.Refused = append(r.Refused, Refusal{code, n})
	}
	slices.SortFunc(r.Refused, func(a, b Refusal) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Code, b.Code)) })
	for _, w := range b.waiting {
		r.Waiting = append(r.Waiting, w)
	}
	slices.SortFunc(r.Waiting, func(a, b Waiting) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Unit, b.Unit)) })
	r.Capped = slices.Sorted(maps.Keys(b.capped))
	return r
}

func (b *Builder) yields() Yield {
	y := b.yield
	for _, u := range b.units {
		switch u.disposal {
		case outScrapped:
			y.Scrapped++
		case outHeld:
			y.Held++
		}
		if u.first == 0 {
			continue
		}
		y.Units++
		count(u.first, &y.FirstPass, &y.FirstFail, &y.FirstOther)
		count(u.last, &y.FinalPass, &y.FinalFail, &y.FinalOther)
	}
	y.FPYPermille, y.FinPermille = permille(y.FirstPass, y.Units), permille(y.FinalPass, y.Units)
	y.FPYLow, y.FPYHigh = wilson(y.FirstPass, y.Units)
	return y
}

func count(out uint8, pass, fail, other *int) {
	switch out {
	case outPass:
		*pass++
	case outFail:
		*fail++
	default:
		*other++
	}
}

// permille rounds down, so that only all of them are 1000.
func permille(part, all int) int {
	if all == 0 {
		return 0
	}
	return 1000 * part / all
}

// wilson is the 95 % Wilson score interval of a share, in permille.
func wilson(part, all int) (low, high int) {
	if all == 0 {
		return 0, 1000
	}
	const z = 1.959964
	n, p := float64(all), float64(part)/float64(all)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return int(math.Floor(1000 * max(mid-half, 0))), int(math.Ceil(1000 * min(mid+half, 1)))
}

func (b *Builder) pareto() []Failure {
	out := []Failure{}
	for _, f := range b.failures {
		f.Slots = slices.Sorted(maps.Keys(f.slots))
		if f.Step = most(f.decided); f.Step == "" {
			f.Step = most(f.attempts)
		}
		out = append(out, f.Failure)
	}
	slices.SortFunc(out, func(a, b Failure) int {
		return cmp.Or(b.Runs-a.Runs, b.Attempts-a.Attempts, cmp.Compare(a.Code, b.Code))
	})
	return out
}

// most is the key with the highest count, the first by name of several.
func most(counts map[string]int) string {
	best := ""
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		if best == "" || counts[k] > counts[best] {
			best = k
		}
	}
	return best
}

// stepStats are in the order in which runs take the steps.
func (b *Builder) stepStats() []StepStat {
	all := slices.Collect(maps.Values(b.steps))
	place := func(s *stepStat) float64 { return float64(s.place) / float64(max(s.Attempts, 1)) }
	slices.SortFunc(all, func(a, b *stepStat) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Kind, b.Kind))
	})
	out := []StepStat{}
	for _, s := range all {
		s.Times = s.ok.times()
		out = append(out, s.StepStat)
	}
	return out
}

func (b *Builder) slotStats() []SlotStat {
	out := []SlotStat{}
	runs, pass := 0, 0
	for _, s := range b.slots {
		runs, pass = runs+s.Runs, pass+s.Pass
	}
	for _, s := range b.slots {
		s.Work = s.work.times()
		s.Permille = permille(s.Pass, s.Runs)
		s.Low, s.High = wilson(s.Pass, s.Runs)
		s.Worse = s.Runs > 0 && runs > s.Runs && s.High < permille(pass-s.Pass, runs-s.Runs)
		if s.Slot > 0 {
			out = append(out, s.SlotStat)
		}
	}
	slices.SortFunc(out, func(a, b SlotStat) int { return a.Slot - b.Slot })
	return out
}

// kindStats lists the kinds of units, most runs first.
func (b *Builder) kindStats() []KindStat {
	out := []KindStat{}
	for _, k := range b.kinds {
		k.Work, k.Permille = k.work.times(), permille(k.Pass, k.Runs)
		out = append(out, k.KindStat)
	}
	slices.SortFunc(out, func(a, b KindStat) int { return cmp.Or(b.Runs-a.Runs, cmp.Compare(a.Kind, b.Kind)) })
	return out
}

func (b *Builder) combinations() []Interop {
	out := []Interop{}
	for _, row := range b.interop {
		row.Download, row.Reasons = row.download.times(), []InteropCause{}
		for code, n := range row.reasons {
			row.Reasons = append(row.Reasons, InteropCause{code, n})
		}
		slices.SortFunc(row.Reasons, func(a, b InteropCause) int { return cmp.Or(b.Runs-a.Runs, cmp.Compare(a.Code, b.Code)) })
		out = append(out, row.Interop)
	}
	slices.SortFunc(out, func(a, b Interop) int { return cmp.Or(b.Runs-a.Runs, a.Combination.compare(b.Combination)) })
	return out
}

func (c Combination) fields() []string {
	return []string{c.Maker, c.Model, c.Firmware, c.Route, c.Generation, c.Kind, c.EUM, c.Platform, c.EUICC, c.SVN, c.Package, c.SAS, c.SMDP}
}

func (c Combination) compare(d Combination) int { return slices.Compare(c.fields(), d.fields()) }

// shownBars is how many bars fit into the trend.
const shownBars = 72

// trend joins bars to longer ones of which all fit, empty ones between them
// included. It returns the length of a bar in seconds.
func trend(fine map[int64]*Bar) ([]Bar, int64) {
	keys := slices.Sorted(maps.Keys(fine))
	if len(keys) == 0 {
		return []Bar{}, finest
	}
	first, last := keys[0], keys[len(keys)-1]
	step := int64(1)
	for _, minutes := range []int64{5, 10, 30, 60, 120, 240, 480, 1440, 7 * 1440, 28 * 1440} {
		if step = minutes * 60 / finest; last/step-first/step < shownBars {
			break
		}
	}
	for last/step-first/step >= shownBars {
		step *= 2
	}
	bars := make([]Bar, last/step-first/step+1)
	for i := range bars {
		bars[i].At = time.Unix((first/step+int64(i))*step*finest, 0).UTC()
	}
	for _, k := range keys {
		bar, f := &bars[k/step-first/step], fine[k]
		bar.Pass += f.Pass
		bar.Fail += f.Fail
		bar.Inconclusive += f.Inconclusive
		bar.Aborted += f.Aborted
	}
	return bars, step * finest
}

// Total is all runs of a bar.
func (b Bar) Total() int { return b.Pass + b.Fail + b.Inconclusive + b.Aborted }

// AbortedTotal is all runs that were ended by something that is not their own.
func (x Excluded) AbortedTotal() int {
	n := 0
	for _, c := range x.Aborted {
		n += c
	}
	return n
}

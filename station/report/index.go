package report

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"linefit/audit"
	"linefit/station"
)

// RunIndex is the projection with which [FindIndexed] answers. Its terms:
//
//	slot=<n>     what a query can ask of the runs in a slot
//	golden=<n>   golden samples' runs in a slot began
//	opened       the station was started
//	imported     profiles were imported
func RunIndex() audit.Index { return audit.Index{ID: "runs/1", Terms: runTerms} }

func runTerms(e audit.Entry) []string {
	switch e.Type {
	case station.StationOpened{}.FactType():
		return []string{"opened"}
	case station.StockImported{}.FactType():
		return []string{"imported"}
	}
	if !finds[e.Type] {
		return nil
	}
	terms := []string{slotTerm(e.Slot)}
	if e.Type == (station.RunStarted{}).FactType() {
		if f, err := station.Decode(e.Type, e.Data); err == nil && f.(station.RunStarted).Expect.Sample == station.SampleGolden {
			terms = append(terms, fmt.Sprintf("golden=%d", e.Slot))
		}
	}
	return terms
}

func slotTerm(slot int) string { return fmt.Sprintf("slot=%d", slot) }

// maxSlot is the largest number of a slot.
const maxSlot = 64

// FindIndexed answers a query from derived state: the same as a [Finder] over
// the evidence, in a time that grows with the slots that are asked for and, with
// SinceGolden, with what was built since, not with the log. first is the oldest
// entry that is at hand.
func FindIndexed(v audit.View, q Query) (out Found, first uint64, err error) {
	x := indexed{v: v, q: q, index: RunIndex(), finder: NewFinder(q)}
	for e, err := range v.Entries(1, v.Last()) {
		if err != nil {
			return out, 0, err
		}
		x.first = e.Seq
		break
	}
	if err := x.collect(); err != nil {
		return out, 0, err
	}
	slices.Sort(x.seqs)
	for e, err := range pick(v, slices.Compact(x.seqs)) {
		if err != nil {
			return out, 0, err
		}
		x.finder.See(e)
	}
	return x.finder.Result(), x.first, nil
}

// pick reads the entries of ascending numbers, all at once where the view can.
func pick(v audit.View, seqs []uint64) iter.Seq2[audit.Entry, error] {
	if p, ok := v.(interface {
		Pick(seqs []uint64) iter.Seq2[audit.Entry, error]
	}); ok {
		return p.Pick(seqs)
	}
	return func(yield func(audit.Entry, error) bool) {
		for _, seq := range seqs {
			e, err := v.Entry(seq)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// indexed is one query that is being answered.
type indexed struct {
	v      audit.View
	q      Query
	index  audit.Index
	finder *Finder
	first  uint64
	seqs   []uint64
}

// collect finds the entries that matter.
func (x *indexed) collect() error {
	terms := []string{"opened"}
	if x.q.Batch != "" {
		terms = append(terms, "imported")
	}
	for _, term := range terms {
		if err := x.add(term, x.first); err != nil {
			return err
		}
	}
	slots := x.q.Slots
	if len(slots) == 0 {
		for n := 1; n <= maxSlot; n++ {
			slots = append(slots, n)
		}
	}
	for _, slot := range slots {
		from, err := x.since(slot)
		if err != nil {
			return err
		}
		if err := x.add(slotTerm(slot), from); err != nil {
			return err
		}
	}
	return nil
}

func (x *indexed) add(term string, from uint64) error {
	return x.index.Find(x.v, term, from, x.v.Last(), func(seq uint64) error {
		x.seqs = append(x.seqs, seq)
		return nil
	})
}

// since is the entry from which a slot's runs are looked at: where the last
// golden sample that passed began, with SinceGolden, else the oldest at hand.
func (x *indexed) since(slot int) (uint64, error) {
	if !x.q.SinceGolden {
		return x.first, nil
	}
	var began []uint64
	err := x.index.Find(x.v, fmt.Sprintf("golden=%d", slot), x.first, x.v.Last(), func(seq uint64) error {
		began = append(began, seq)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, seq := range slices.Backward(began) {
		good, err := x.passed(slot, seq)
		if err != nil {
			return 0, err
		}
		if good {
			return seq, nil
		}
	}
	return x.first, nil
}

// passed reports whether the golden sample whose run began with an entry passed
// before the query's end: what a Finder over that run alone says.
func (x *indexed) passed(slot int, seq uint64) (bool, error) {
	one := NewFinder(Query{SinceGolden: true, Slots: []int{slot}, Until: x.q.Until})
	run := ""
	err := x.index.Find(x.v, slotTerm(slot), seq, x.v.Last(), func(seq uint64) error {
		e, err := x.v.Entry(seq)
		if err != nil {
			return err
		}
		run = cmp.Or(run, e.Run)
		if e.Run != run {
			return audit.ErrStop
		}
		one.See(e)
		return nil
	})
	if err != nil && !errors.Is(err, audit.ErrStop) {
		return false, err
	}
	_, good := one.Result().Golden[fmt.Sprint(slot)]
	return good, nil
}

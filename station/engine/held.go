package engine

import (
	"context"
	"time"

	"linefit/station"
)

// held are attempts that ended well and are not in the log yet. A run has many
// that only look or switch (clamp, power, boot, identify, read back), so they
// wait for the next fact of the slot and stand before it in one entry. The wait
// ends with the first attempt that does not end well, with any other fact, when
// a unit is bound, before a step begins that cannot be undone or may take long,
// and when the station stops. Who dies meanwhile begins again at the recipe's restart, as after any
// interruption: the entry would have changed only how much counts as repeated.
type held struct {
	steps []station.StepEnded
	ended []time.Time
	size  int // of their entry, about
}

// Limits of an entry of several attempts, in size far below the log's own of
// 60 KB. maxHeldFor is the longest timeout of a step that attempts wait through.
const (
	maxHeld     = 32
	maxHeldSize = 16 << 10
	maxHeldFor  = 30 * time.Second
)

// take holds facts back where they are one attempt that may wait; else they are
// to be recorded, after what is held.
func (h *held) take(facts []station.Fact) bool {
	f, ok := facts[0].(station.StepEnded)
	if !ok || len(facts) > 1 || !f.Well() {
		return false
	}
	size := 200
	for _, m := range f.Measured {
		size += len(m.Name) + len(m.Value) + len(m.Bad) + 40
	}
	if len(h.steps) == maxHeld || h.size+size > maxHeldSize {
		return false
	}
	h.steps, h.ended, h.size = append(h.steps, f), append(h.ended, time.Now()), h.size+size
	return true
}

// asked reports whether other slots ask the log for what was just held: which unit
// uses the module. It may not wait.
func (h *held) asked() bool { return h.steps[len(h.steps)-1].Kind == station.KindBind }

// facts are what is held, as it is recorded.
func (h *held) facts() []station.Fact {
	switch len(h.steps) {
	case 0:
		return nil
	case 1:
		return []station.Fact{h.steps[0]}
	}
	all := station.StepsEnded{}
	for i, s := range h.steps {
		all.Steps = append(all.Steps, station.PastStep{StepEnded: s, Ago: time.Since(h.ended[i]).Milliseconds()})
	}
	return []station.Fact{all}
}

// record appends facts of this slot and evolves after the acknowledgement.
// Attempts that ended well are held back first: they go with what comes next.
func (r *runner) record(ctx context.Context, facts ...station.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	var err error
	switch {
	case !r.held.take(facts):
		err = r.append(ctx, facts...)
	case r.held.asked():
		err = r.append(ctx)
	}
	if err != nil {
		return err
	}
	for _, f := range facts {
		r.slot.Evolve(r.env, f)
	}
	r.publish()
	return nil
}

// append appends what is held back, and facts behind it.
func (r *runner) append(ctx context.Context, facts ...station.Fact) error {
	if facts = append(r.held.facts(), facts...); len(facts) == 0 {
		return nil
	}
	if err := r.e.append(ctx, r, facts...); err != nil {
		return err
	}
	r.held = held{}
	return nil
}

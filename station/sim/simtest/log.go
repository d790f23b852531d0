package simtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/station"
	"linefit/station/plant"
)

// Pace is how soon facts that are not waited for become durable. A real log
// lies between the two ends.
type Pace int

// Paces.
const (
	AsItComes Pace = iota // the store's own
	Eager                 // every fact is a batch of its own, durable at once
	Lazy                  // facts stay in memory until the next gate
)

// log is the store as one process has it.
type log struct {
	*store.Store
	p    *process
	pace Pace

	mu   sync.Mutex // guards what follows
	held []audit.Draft

	back   sync.Mutex  // held while what was recorded unknown is read
	failed atomic.Bool // an append failed since then
}

// Gate implements engine.Log and the journals.
func (g *log) Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error) {
	if g.p.dead.Load() {
		return nil, errDead
	}
	g.p.line.witnessed(drafts)
	g.mu.Lock()
	all := append(g.held, drafts...)
	g.held = nil
	g.mu.Unlock()
	l := g.p.line
	if err := l.writing(g, all); err != nil {
		return nil, err
	}
	entries, err := g.Store.Gate(ctx, all...)
	if err != nil {
		g.failed.Store(true)
		return nil, err
	}
	if err := l.written(g.p, entries); err != nil {
		return nil, err
	}
	if len(drafts) == 0 { // whoever asks wants to know what there is
		g.lookBack()
	}
	return entries[len(entries)-len(drafts):], nil
}

// Queue implements engine.Log and the journals.
func (g *log) Queue(ctx context.Context, drafts ...audit.Draft) error {
	switch {
	case g.p.dead.Load():
		return errDead
	case g.pace == Eager: // a gate
		_, err := g.Gate(ctx, drafts...)
		return err
	case g.pace == Lazy:
		g.p.line.witnessed(drafts)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.held = append(g.held, drafts...)
		return nil
	}
	g.p.line.witnessed(drafts)
	if err := g.p.line.writing(g, drafts); err != nil {
		return err
	}
	err := g.Store.Queue(ctx, drafts...)
	if err != nil {
		g.failed.Store(true)
	}
	return err
}

// Await implements engine.Log.
func (g *log) Await(ctx context.Context) error {
	if g.p.dead.Load() {
		return errDead
	}
	return plant.Await(ctx, g)
}

// lookBack reads what was recorded although its append failed.
func (g *log) lookBack() {
	g.back.Lock()
	defer g.back.Unlock()
	if g.failed.Swap(false) {
		g.p.line.remember()
	}
}

// AwaitStop implements engine.Log.
func (g *log) AwaitStop(ctx context.Context) { plant.AwaitStop(ctx, g) }

// Resume implements plant.Waiter: a dead process writes nothing.
func (g *log) Resume(ctx context.Context) error {
	if g.p.dead.Load() {
		return errDead
	}
	return g.Store.Resume(ctx)
}

// writing strikes before facts reach the disk.
func (l *Line) writing(g *log, drafts []audit.Draft) error {
	for _, d := range drafts {
		how := l.plan.at(Fact(d.Type))
		switch {
		case how == "":
			continue
		case how == KilledAfter:
			l.killAt(g.Last() + 1)
		case how.kills():
			g.p.kill()
			return errDead
		case how.before():
			g.p.line.disk.Add(storetest.Rule{Type: d.Type, Nth: 1, Fault: storetest.Failed})
		default:
			g.p.line.disk.Add(storetest.Rule{Type: d.Type, Nth: 1, Fault: storetest.TookEffect})
		}
	}
	if n := l.failAt.Load(); n != 0 && g.Last()+uint64(len(drafts)) >= n {
		l.failAt.Store(0)
		l.disk.Add(storetest.Rule{Nth: 1, Fault: storetest.Fault(l.failHow.Load()), Delay: time.Duration(l.failDelay.Load())})
	}
	if n := l.killBefore.Load(); n != 0 && g.Last()+uint64(len(drafts)) >= n {
		l.killBefore.Store(0)
		g.p.kill()
		return errDead
	}
	return nil
}

// witnessed shows the witness results as soon as the station knows them.
func (l *Line) witnessed(drafts []audit.Draft) {
	for _, d := range drafts {
		if f, err := station.Decode(d.Type, d.Data); err == nil {
			if r, ok := f.(station.Result); ok {
				l.witness.writing(station.Serial(d.Unit), d.Run, r, l.vault.Load())
			}
		}
	}
}

// written strikes after facts became durable and before anyone is told, and
// remembers what the log has said of the slots.
func (l *Line) written(p *process, entries []audit.Entry) error {
	l.mu.Lock()
	for _, e := range entries {
		l.durable(e)
	}
	l.mu.Unlock()
	if n := l.killAfter.Load(); n != 0 && len(entries) > 0 && entries[len(entries)-1].Seq >= n {
		l.killAfter.Store(0)
		p.kill()
	}
	if p.dead.Load() {
		return errDead
	}
	return nil
}

// killAt kills the station right after an entry became durable.
func (l *Line) killAt(seq uint64) { l.killAfter.Store(seq) }

// said is what the log says of a slot's run.
type said struct {
	run, unit string
	verdict   station.Verdict
	disposed  station.Disposition
}

// durable takes note of an entry. The caller holds l.mu.
func (l *Line) durable(e audit.Entry) {
	f, err := station.Decode(e.Type, e.Data)
	if errors.Is(err, station.ErrUnknownFact) {
		return // the store's own
	}
	if err != nil {
		l.t.Errorf("entry %d: %v", e.Seq, err)
		return
	}
	l.witness.durable(e, f)
	s := l.said[e.Slot]
	switch f := f.(type) {
	case station.RunStarted:
		s = said{run: e.Run, unit: e.Unit}
		if l.started[e.Unit] == nil {
			l.started[e.Unit] = map[string]bool{}
		}
		l.started[e.Unit][e.Run] = true
	case station.RunVerdict:
		s.verdict = f.Verdict
	case station.UnitDisposed:
		s.disposed = f.Disposition
	}
	l.said[e.Slot] = s
}

// remember reads from the log what it has said of the slots, what was recorded
// although its append failed included.
func (l *Line) remember() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.must(l.st.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			l.durable(e)
		}
		return nil
	}))
}

// passShown holds a pass lamp against what is durable, and against the unit that
// stands there.
func (l *Line) passShown(slot int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passes++
	s := l.said[slot]
	if there := l.World.Jig(slot).Look().Unit; there != "" && string(there) != s.unit {
		l.t.Errorf("slot %d shows PASS for unit %s, and %q stands there", slot, s.unit, there)
	}
	if s.verdict != station.Pass || !s.disposed.Good() {
		l.t.Errorf("slot %d shows PASS; durable are verdict %q and disposition %q of run %s", slot, s.verdict, s.disposed, s.run)
	}
}

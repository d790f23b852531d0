package simtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/plant"
	"linefit/station/sim"
)

func testKey(t testing.TB) audit.Key {
	t.Helper()
	key, _, err := audit.NewKey("test.example/line")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// patience is how long, in the bubble's time, something may take.
const patience = 2 * time.Hour

// Run is one run of a unit as the log has it.
type Run struct {
	*station.Run
	Refused *station.Reason // the unit was not admitted, and there is no run
}

// Code is the reason's code of a run that did not pass.
func (r Run) Code() station.Code {
	if r.Verdict == nil || r.Verdict.Reason == nil {
		return ""
	}
	return r.Verdict.Reason.Code
}

// Next puts the first unit of the queue into a slot.
func (l *Line) Next(slot int) sim.UnitState {
	l.t.Helper()
	u, ok := l.World.Queued()
	if !ok {
		l.t.Fatal("no unit waits")
	}
	l.must(l.World.Put(slot, u.Serial))
	return u
}

// RunUnit takes the first unit of the queue through one run in a slot, from the
// scan until the unit has left and everybody was told, through kills and
// restarts. The unit is then where its disposition sends it.
func (l *Line) RunUnit(slot int) Run {
	l.t.Helper()
	u := l.Next(slot)
	return l.finish(slot, u, l.runs(u.Serial))
}

// Finish takes a unit that stands in a slot and was scanned to the end of its
// run, as [Line.RunUnit] does.
func (l *Line) Finish(slot int, u sim.UnitState) Run {
	l.t.Helper()
	return l.finish(slot, u, 0)
}

func (l *Line) finish(slot int, u sim.UnitState, before int) Run {
	l.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		refused, done := l.tend(slot, u, before)
		switch {
		case refused != nil:
			return Run{Refused: refused}
		case done:
			runs := l.Runs(u.Serial)
			return runs[len(runs)-1]
		}
	}
	status, err := l.Station.Outbox.Status()
	l.t.Fatalf("slot %d does not come to an end: %+v, fixture %+v, %d runs, MES %+v %v, %d notifications", slot, l.View(slot),
		l.World.Jig(slot).Look(), l.runs(u.Serial), status, err, l.Station.Notify.Pending())
	return Run{}
}

// RunAll lets the virtual people of a line work on all slots until every unit is
// out, held or scrapped and everybody was told. Nothing may be killed meanwhile.
func (l *Line) RunAll() {
	l.t.Helper()
	crew := &sim.Crew{World: l.World, Station: l.Station, Again: 200 * time.Millisecond, Repair: func(ctx context.Context, unit station.Serial) error {
		by := rework.Person{Actor: "technician-1", Role: rework.RoleOperator}
		_, err := l.Station.Desk.Mend(ctx, by, string(unit), "found", "mended")
		return plant.Later(err)
	}}
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	l.must(crew.Run(ctx))
	if ctx.Err() != nil {
		l.t.Fatalf("the crew does not come to an end: %+v, units %+v", l.Station.View(), l.World.Units())
	}
	l.Drain()
}

// runs counts a unit's runs that are durable.
func (l *Line) runs(unit station.Serial) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.started[string(unit)])
}

// Allow has people decide that a unit whose run did not pass may run again, as
// its disposition asks for, and puts it at the end of the queue.
func (l *Line) Allow(unit station.Serial, d station.Disposition) {
	l.t.Helper()
	ctx, desk, ref := l.t.Context(), l.Station.Desk, string(unit)
	by := rework.Person{Actor: "qa-1", Role: rework.RoleQA}
	var err error
	switch d {
	case station.Retest:
	case station.Rework:
		_, err = desk.Claim(ctx, by, ref)
		if err == nil {
			_, err = desk.Repair(ctx, by, ref, "found", "mended")
		}
	default:
		_, err = desk.Dispose(ctx, by, ref, station.Retest, "looked at")
	}
	l.must(err)
	l.must(l.World.Bring(unit))
}

// tend does what the slot needs from a person, and waits for a change.
func (l *Line) tend(slot int, u sim.UnitState, before int) (refused *station.Reason, done bool) {
	l.t.Helper()
	changed, logged := l.Station.Changed(), l.st.Changed()
	v, look := l.View(slot), l.World.Jig(slot).Look()
	ran := l.runs(u.Serial) > before
	var err error
	switch {
	case v.Waiting == station.WaitBin:
		err = l.do(station.Command{Kind: station.CmdScan, Slot: slot, Text: "LF:BIN:" + string(v.Disposal)})
	case v.Waiting == station.WaitRemoval && look.Unit != "" && !look.Clamped:
		l.must(l.World.Take(v))
		return nil, false
	case v.State == station.SlotEmpty && look.Unit == u.Serial && !ran:
		err = l.do(station.Command{Kind: station.CmdScan, Slot: slot, Text: u.Label})
		var r *station.Refusal
		if errors.As(err, &r) && !l.isDead() && !passing[r.Reason.Code] {
			return r.Reason, false
		}
		if err != nil { // the refusal is a change by itself: time must pass before the next scan
			changed, logged = nil, nil
		}
	case v.State != station.SlotArmed && v.State != station.SlotRunning && v.State != station.SlotDone && look.Unit == "" && ran && l.drained():
		// The log has the unit's leaving, and whoever asks sees it.
		if _, err = l.Station.log.Gate(l.t.Context()); err == nil {
			return nil, true
		}
	}
	if err != nil && !l.isDead() {
		l.t.Logf("slot %d: %v", slot, err)
	}
	l.pause(changed, logged)
	return nil, false
}

// passing are refusals that a later scan does not meet.
var passing = map[station.Code]bool{station.LogStopped: true, station.SlotNotReady: true, station.MESUnreachable: true}

func (l *Line) isDead() bool { return l.Station.p.dead.Load() }

// Pause lets the line go on for a second at most.
func (l *Line) Pause() { l.pause(nil, nil) }

// pause waits for a change, and brings a killed station back.
func (l *Line) pause(changed, logged <-chan struct{}) {
	l.t.Helper()
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-l.Station.p.killed:
	case <-changed:
	case <-logged:
	case <-t.C:
	}
	if l.isDead() {
		l.Restart()
	}
}

// Drain waits until SM-DP+ and MES have heard everything.
func (l *Line) Drain() {
	l.t.Helper()
	for end := time.Now().Add(patience); !l.drained(); {
		if time.Now().After(end) {
			l.t.Fatal("MES or SM-DP+ do not hear everything")
		}
		l.pause(l.Station.Changed(), l.st.Changed())
	}
}

func (l *Line) drained() bool {
	status, err := l.Station.Outbox.Status()
	told := l.opt.offline() || l.Station.Notify.Pending() == 0 // nobody is told without a network
	return err == nil && status.Pending == 0 && told
}

func (l *Line) do(cmd station.Command) error {
	_, err := l.Station.Do(context.Background(), cmd)
	return err
}

// Do carries out a command.
func (l *Line) Do(cmd station.Command) error { return l.do(cmd) }

// View is a slot as a client sees it.
func (l *Line) View(slot int) station.SlotView {
	for _, v := range l.Station.View().Slots {
		if v.ID == slot {
			return v
		}
	}
	return station.SlotView{}
}

// Wait waits, through kills and restarts, until a slot's view is as wanted.
func (l *Line) Wait(slot int, want func(station.SlotView) bool) station.SlotView {
	l.t.Helper()
	for end := time.Now().Add(patience); ; {
		changed, logged := l.Station.Changed(), l.st.Changed()
		v := l.View(slot)
		if want(v) {
			return v
		}
		if time.Now().After(end) {
			l.t.Fatalf("slot %d: %+v", slot, v)
		}
		l.pause(changed, logged)
	}
}

// TakeOut waits until the unit in a slot may be taken out, and takes it: a slot
// may ask for that a moment before its clamp is open.
func (l *Line) TakeOut(slot int) {
	l.t.Helper()
	l.must(l.World.Take(l.Wait(slot, func(v station.SlotView) bool {
		return v.Waiting == station.WaitRemoval && !l.World.Jig(slot).Look().Clamped
	})))
}

// Entries are the log's entries.
func (l *Line) Entries() []audit.Entry {
	l.t.Helper()
	var out []audit.Entry
	l.must(l.st.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	}))
	return out
}

// Runs are a unit's runs as the log has them, the oldest first.
func (l *Line) Runs(unit station.Serial) []Run {
	l.t.Helper()
	slots := map[station.RunID]*station.Slot{}
	var order []station.RunID
	l.must(l.st.View(func(v audit.View) error {
		for e, err := range v.Unit(string(unit)) {
			if err != nil {
				return err
			}
			id := station.RunID(e.Run)
			if id == "" {
				continue
			}
			if slots[id] == nil {
				slots[id] = station.NewSlot(e.Slot, l.recipe)
				order = append(order, id)
			}
			f, err := station.Decode(e.Type, e.Data)
			if err != nil {
				return err
			}
			if _, left := f.(station.UnitLeft); !left {
				slots[id].Evolve(station.Envelope{Run: id, Unit: unit}, f)
			}
		}
		return nil
	}))
	var out []Run
	for _, id := range order {
		if r := slots[id].Run; r != nil {
			out = append(out, Run{Run: r})
		}
	}
	return out
}

func (l *Line) recipe(digest string) *station.Recipe {
	if digest == l.opt.Recipe.Digest() {
		return l.opt.Recipe
	}
	return nil
}

// Head is the number of the newest entry.
func (l *Line) Head() uint64 { return l.st.Last() }

package engine

import (
	"maps"
	"slices"
	"time"

	"linefit/station"
)

func sortInts(ids []int) { slices.Sort(ids) }

// publish makes the slot's present state visible. It is called by the slot's
// goroutine only.
func (r *runner) publish() {
	v := station.SlotView{
		ID: r.id, State: r.slot.State, Lamp: r.lamp, Waiting: r.waiting, Fault: r.slot.Fault, Last: r.slot.Last,
	}
	if run := r.slot.Run; run != nil {
		r.viewRun(&v, run)
	} else {
		v.Waiting = station.WaitNothing // the unit has left: nobody is to take the next one out
	}
	if r.stands != nil {
		v.State, v.Fault, v.Waiting, v.Verdict, v.Disposal = station.SlotFault, r.stands, station.WaitNothing, "", ""
	}
	r.e.mu.Lock()
	r.e.views[r.id] = v
	r.e.mu.Unlock()
	r.e.notify()
}

func (r *runner) viewRun(v *station.SlotView, run *station.Run) {
	v.Unit, v.Run, v.IMEI, v.EID = run.Unit, run.ID, run.Identity.IMEI, run.Identity.EID
	v.Unwatched = r.unwatched
	v.StartedAt, v.ElapsedMS = r.started.UTC().Format(time.RFC3339), time.Since(r.started).Milliseconds()
	if run.Recipe != nil {
		v.Recipe, v.Steps = run.Recipe.Name, len(run.Recipe.Steps)
	}
	if run.Profile != nil {
		v.ICCID = run.Profile.ICCID
	}
	r.mu.Lock()
	step := r.step
	r.mu.Unlock()
	if step.running {
		v.Step, v.Kind, v.Index, v.Attempt = step.step.ID, step.step.Kind, step.index, step.attempt
	}
	if v.Steps > 0 {
		v.Progress = min(100, (run.At*100+step.progress)/v.Steps)
	}
	if run.Verdict != nil {
		v.Verdict, v.Reason, v.Progress, v.ElapsedMS = run.Verdict.Verdict, run.Verdict.Reason, 100, run.Millis
	}
	if run.Disposition != nil {
		v.Disposal = run.Disposition.Disposition
		if run.Disposition.Reason != nil {
			v.Reason = run.Disposition.Reason
		}
	}
}

// notify wakes everybody who waits for a change.
func (e *Engine) notify() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.version++
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *Engine) setHealth(h station.Health, detail string) {
	e.mu.Lock()
	e.health, e.detail = h, detail
	if h == station.HealthStopped {
		for id, v := range e.views { // no lamp is lit and nothing is shown as passed that the log may not have
			v.Waiting, v.Lamp = station.WaitLog, station.LampOff
			if v.State != station.SlotEmpty {
				v.Verdict, v.Disposal = "", ""
			}
			e.views[id] = v
		}
	}
	e.mu.Unlock()
	e.notify()
}

// View is a snapshot: the slots in order, and the station's health. The caller
// completes it with what it knows of stock, MES and log.
func (e *Engine) View() station.View {
	e.mu.Lock()
	defer e.mu.Unlock()
	v := station.View{
		Station: e.opt.Opened.Station, Software: e.opt.Opened.Software, Simulated: e.opt.Opened.Simulated != "",
		Health: e.health, Detail: e.detail,
	}
	if e.stopped && v.Health == station.HealthOK {
		v.Health, v.Detail = station.HealthEmergency, ""
	}
	for _, id := range slices.Sorted(maps.Keys(e.views)) {
		v.Slots = append(v.Slots, e.views[id])
	}
	return v
}

// Changed returns a channel that is closed at the next change of the view.
func (e *Engine) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changed
}

package engine

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"linefit/station"
)

// Do carries out a command. A refusal is a *station.Refusal; it is in the log
// and nothing else has changed. Where the log stops under the command the refusal
// is [station.LogStopped]: whether it was recorded is seen when the log goes on.
func (e *Engine) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	if cmd.Operator == "" {
		cmd.Operator = "operator"
	}
	reply, err := e.dispatch(ctx, cmd)
	if errors.Is(err, errLog) {
		err = station.Refuse(station.LogStopped, "%s", err)
	}
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		e.logRefusal(ctx, cmd, refusal)
	}
	return reply, err
}

// logRefusal keeps what was refused. The scanned text is kept only where it is
// a label or a command barcode: what else a scanner can read may be a secret,
// and a badge says who somebody is.
func (e *Engine) logRefusal(ctx context.Context, cmd station.Command, refusal *station.Refusal) {
	f := station.ScanRefused{Reason: *refusal.Reason}
	if b, err := station.ParseBarcode(cmd.Text); err == nil && b.Verb != station.VerbOperator && !strings.Contains(cmd.Text, "$") {
		f.Text = cmd.Text
	} else if cmd.Unit != "" {
		f.Text = string(cmd.Unit)
	}
	_ = e.append(ctx, nil, f) // where the log is stopped the refusal stands all the same
}

func (e *Engine) dispatch(ctx context.Context, cmd station.Command) (station.Reply, error) {
	switch cmd.Kind {
	case station.CmdScan:
		return e.scan(ctx, cmd)
	case station.CmdStart:
		return e.start(ctx, cmd)
	case station.CmdAbort:
		return e.abort(cmd)
	case station.CmdAck:
		return e.event(ctx, cmd, station.Acknowledge{Bin: cmd.Text})
	case station.CmdDisable:
		return e.event(ctx, cmd, station.Switch{To: station.SlotDisabled, Why: cmd.Why})
	case station.CmdEnable:
		return e.event(ctx, cmd, station.Switch{To: station.SlotEmpty, Why: cmd.Why})
	case station.CmdClear:
		return e.event(ctx, cmd, station.Cleared{Why: cmd.Why})
	case station.CmdHalt:
		return e.halt(ctx, cmd)
	case station.CmdResume:
		return e.resume(ctx, cmd)
	}
	return station.Reply{}, station.Refuse(station.ScanInvalid, "command %q is not known", cmd.Kind)
}

// runner finds a slot's owner; there is none while the log is stopped.
func (e *Engine) runner(slot int) (*runner, station.SlotView, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.opt.Fixtures[slot]; !ok {
		return nil, station.SlotView{}, station.Refuse(station.ScanInvalid, "there is no slot %d", slot)
	}
	r := e.runners[slot]
	if r == nil && e.detail == "" {
		return nil, station.SlotView{}, station.Refuse(station.LogStopped, "the station is still starting")
	}
	if r == nil {
		return nil, station.SlotView{}, station.Refuse(station.LogStopped, "%s", e.detail)
	}
	return r, e.views[slot], nil
}

// event sends an event to a slot and waits for its answer.
func (e *Engine) event(ctx context.Context, cmd station.Command, ev station.Event) (station.Reply, error) {
	r, view, err := e.runner(cmd.Slot)
	if err != nil {
		return station.Reply{}, err
	}
	if view.State == station.SlotRunning || view.State == station.SlotArmed || view.State == station.SlotHand {
		return station.Reply{}, station.Refuse(station.SlotNotReady, "slot %d is %s", cmd.Slot, view.State)
	}
	return station.Reply{Slot: cmd.Slot}, r.send(ctx, request{event: ev, actor: cmd.Operator})
}

// send hands a request to the slot's goroutine.
func (r *runner) send(ctx context.Context, req request) error {
	req.reply = make(chan error, 1)
	select {
	case r.inbox <- req:
	case <-r.gone: // the session ended after the caller had found the slot
		return station.Refuse(station.LogStopped, "slot %d is not worked on", r.id)
	case <-ctx.Done():
		return station.Refuse(station.SlotNotReady, "slot %d is busy", r.id)
	}
	select {
	case err := <-req.reply:
		return err
	case <-ctx.Done():
		return fmt.Errorf("slot %d: no answer: %w", r.id, ctx.Err())
	}
}

// start admits a unit to a slot.
func (e *Engine) start(ctx context.Context, cmd station.Command) (station.Reply, error) {
	r, view, err := e.runner(cmd.Slot)
	if err != nil {
		return station.Reply{}, err
	}
	if view.State != station.SlotEmpty {
		return station.Reply{}, station.Refuse(station.SlotNotReady, "slot %d is %s", cmd.Slot, view.State)
	}
	if err := e.claim(cmd.Unit, cmd.Slot); err != nil {
		return station.Reply{}, err
	}
	defer e.unclaim(cmd.Unit)
	id := newRunID()
	grant, err := e.opt.Admission.Admit(ctx, id, Ask{Unit: cmd.Unit, Slot: cmd.Slot, Operator: cmd.Operator, Expect: cmd.Expect})
	if err != nil {
		return station.Reply{}, err
	}
	if e.inStop() { // while the MES was asked
		grant.undo(ctx)
		return station.Reply{}, station.Refuse(station.EmergencyStop, "no unit begins before someone resumes")
	}
	err = r.send(ctx, request{
		event: station.Admit{Run: id, Unit: cmd.Unit, Recipe: grant.Recipe, Started: grant.Started, Before: grant.Before},
		env:   station.Envelope{Run: id, Unit: cmd.Unit}, actor: cmd.Operator,
	})
	if refused(err) { // any other error does not say whether the run began
		grant.undo(ctx)
	}
	if err != nil {
		return station.Reply{}, err
	}
	return station.Reply{Slot: cmd.Slot, Run: id, Text: "scan.started"}, nil
}

// undo takes back what admission did for a run that did not begin.
func (g Grant) undo(ctx context.Context) {
	if g.Undo != nil {
		g.Undo(context.WithoutCancel(ctx))
	}
}

// claim keeps one serial from being admitted twice at the same time.
func (e *Engine) claim(unit station.Serial, slot int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.health != station.HealthOK {
		return station.Refuse(station.LogStopped, "%s", e.detail)
	}
	if e.stopped {
		return station.Refuse(station.EmergencyStop, "it is in force; scan LF:RESUME when the bench is safe")
	}
	if at, ok := e.admitting[unit]; ok {
		return station.Refuse(station.UnitDuplicate, "unit is being admitted to slot %d", at)
	}
	for id, v := range e.views {
		if v.Unit == unit && v.State != station.SlotEmpty {
			return station.Refuse(station.UnitDuplicate, "unit is in slot %d", id)
		}
	}
	e.admitting[unit] = slot
	return nil
}

func (e *Engine) unclaim(unit station.Serial) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.admitting, unit)
}

// newRunID draws a run's name: 16 characters, 80 random bits.
func newRunID() station.RunID {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return station.RunID(strings.ToLower(base32.StdEncoding.EncodeToString(b[:])))
}

func (e *Engine) abort(cmd station.Command) (station.Reply, error) {
	r, view, err := e.runner(cmd.Slot)
	if err != nil {
		return station.Reply{}, err
	}
	if view.State != station.SlotRunning && view.State != station.SlotArmed && view.State != station.SlotHand {
		return station.Reply{}, station.Refuse(station.SlotNotReady, "slot %d is %s", cmd.Slot, view.State)
	}
	r.abort(station.NewReason(station.OperatorAbort, "by %s %s", cmd.Operator, cmd.Why))
	return station.Reply{Slot: cmd.Slot, Text: "scan.aborted"}, nil
}

// halt is the emergency stop: every supply off at once, then the runs end, then
// the log hears of it. It stays in force until someone resumes.
func (e *Engine) halt(ctx context.Context, cmd station.Command) (station.Reply, error) {
	e.mu.Lock()
	again := e.stopped
	e.stopped = true
	if !again {
		e.stoppedBy = cmd.Operator
	}
	e.mu.Unlock()
	var errs []error
	for _, id := range e.ids {
		errs = append(errs, e.opt.Fixtures[id].Halt())
		if r, view, err := e.runner(id); err == nil && (view.State == station.SlotRunning || view.State == station.SlotArmed || view.State == station.SlotHand) {
			r.abort(station.NewReason(station.EmergencyStop, "by %s", cmd.Operator))
		}
	}
	e.notify()
	if !again {
		if err := e.appendAs(ctx, cmd.Operator, station.StationHalted{}); err != nil {
			errs = append(errs, fmt.Errorf("the supplies are off, and the log has not taken it: %w", err))
		}
	}
	return station.Reply{Text: "scan.halted"}, errors.Join(errs...)
}

// resume lets the fixtures work again after an emergency stop, and a halted lot
// go on.
func (e *Engine) resume(ctx context.Context, cmd station.Command) (station.Reply, error) {
	why := cmd.Why
	if why == "" {
		why = "command barcode"
	}
	if e.inStop() {
		if err := e.appendAs(ctx, cmd.Operator, station.StationResumed{Why: why}); err != nil {
			return station.Reply{}, err
		}
	}
	e.mu.Lock()
	e.stopped = false
	e.mu.Unlock()
	defer e.notify()
	var errs []error
	for _, id := range e.ids {
		errs = append(errs, e.opt.Fixtures[id].Rearm())
	}
	if e.opt.Resume != nil {
		facts, err := e.opt.Resume(why)
		errs = append(errs, err)
		if len(facts) > 0 {
			errs = append(errs, e.appendAs(ctx, cmd.Operator, facts...))
			e.notify()
		}
	}
	return station.Reply{Text: "scan.resumed"}, errors.Join(errs...)
}

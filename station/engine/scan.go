package engine

import (
	"context"
	"sync"
	"time"

	"linefit/station"
)

// binder remembers the first half of a binding: a slot label that waits for a
// unit label, or a unit that waits for a presence edge.
type binder struct {
	assign Assign
	within time.Duration

	mu    sync.Mutex // guards what follows
	slot  int
	unit  station.Barcode
	since time.Time
}

// takeSlot gives and forgets the slot that was scanned in time, 0 if none was.
func (b *binder) takeSlot() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	slot := b.slot
	if time.Since(b.since) > b.within {
		slot = 0
	}
	b.slot = 0
	return slot
}

func (b *binder) setSlot(slot int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot, b.unit, b.since = slot, station.Barcode{}, time.Now()
}

func (b *binder) setUnit(code station.Barcode) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slot, b.unit, b.since = 0, code, time.Now()
}

// takeUnit gives and forgets the unit that waits for a presence edge.
func (b *binder) takeUnit() (station.Barcode, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	code := b.unit
	b.unit = station.Barcode{}
	return code, code.Unit != "" && time.Since(b.since) <= b.within
}

// scan carries out whatever a scanner read.
func (e *Engine) scan(ctx context.Context, cmd station.Command) (station.Reply, error) {
	code, err := station.ParseBarcode(cmd.Text)
	if err != nil {
		return station.Reply{}, err
	}
	if code.Slot == 0 {
		code.Slot = cmd.Slot
	}
	switch code.Verb {
	case "":
		return e.scanUnit(ctx, cmd, code)
	case station.VerbSlot:
		if _, _, err := e.runner(code.Slot); err != nil {
			return station.Reply{}, err
		}
		e.binder.setSlot(code.Slot)
		return station.Reply{Slot: code.Slot, Text: "scan.slot_chosen"}, nil
	case station.VerbBin:
		return e.scanBin(ctx, cmd, code)
	}
	kind, ok := verbCommands[code.Verb]
	if !ok {
		return station.Reply{}, station.Refuse(station.ScanInvalid, "command %s is one of the screen's", code.Verb)
	}
	if code.Slot == 0 {
		code.Slot = e.binder.takeSlot()
	}
	return e.dispatch(ctx, station.Command{Kind: kind, Slot: code.Slot, Operator: cmd.Operator, Why: "command barcode"})
}

var verbCommands = map[string]station.CommandKind{
	station.VerbAck: station.CmdAck, station.VerbAbort: station.CmdAbort, station.VerbHalt: station.CmdHalt,
	station.VerbResume: station.CmdResume, station.VerbClear: station.CmdClear,
	station.VerbEnable: station.CmdEnable, station.VerbDisable: station.CmdDisable,
}

// scanBin acknowledges the result of the slot that was named, or of the only
// one that waits for it.
func (e *Engine) scanBin(ctx context.Context, cmd station.Command, code station.Barcode) (station.Reply, error) {
	slot := code.Slot
	if slot == 0 {
		slot = e.binder.takeSlot()
	}
	if slot == 0 {
		slot = e.only(station.WaitBin)
	}
	if slot == 0 {
		return station.Reply{}, station.Refuse(station.ScanInvalid, "several units, or none, wait for a bin: scan the slot first")
	}
	return e.dispatch(ctx, station.Command{Kind: station.CmdAck, Slot: slot, Text: code.Arg, Operator: cmd.Operator})
}

// only is the slot that alone waits for something, 0 if there is none or more.
func (e *Engine) only(w station.Waiting) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := 0
	for id, v := range e.views {
		if v.Waiting == w {
			if found != 0 {
				return 0
			}
			found = id
		}
	}
	return found
}

// scanUnit binds a unit to a slot: the one the caller or a slot label named,
// else the one where it is put next.
func (e *Engine) scanUnit(ctx context.Context, cmd station.Command, code station.Barcode) (station.Reply, error) {
	slot := code.Slot
	if slot == 0 {
		slot = e.binder.takeSlot()
	}
	if slot != 0 {
		expect := code.Expect
		if cmd.Expect.Source != "" {
			expect = cmd.Expect
		}
		if expect.Source == "" {
			expect.Source = "scan"
		}
		return e.start(ctx, station.Command{Slot: slot, Unit: code.Unit, Operator: cmd.Operator, Expect: expect})
	}
	if e.binder.assign == AssignPresence {
		e.binder.setUnit(code)
		return station.Reply{Text: "scan.insert_unit"}, nil
	}
	return station.Reply{}, station.Refuse(station.ScanInvalid, "scan the slot first, then the unit")
}

// bindArrivals starts the unit that was scanned last in the slot into which a
// unit is put, until ctx is done.
func (e *Engine) bindArrivals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case slot := <-e.arrivals:
			code, ok := e.binder.takeUnit()
			if !ok {
				continue
			}
			expect := code.Expect
			if expect.Source == "" {
				expect.Source = "presence"
			}
			// A refusal is in the log and on the screen; nothing else hangs on it.
			_, _ = e.Do(ctx, station.Command{Kind: station.CmdStart, Slot: slot, Unit: code.Unit, Expect: expect})
		}
	}
}

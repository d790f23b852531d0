package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"linefit/modem/modemsim"
	"linefit/station"
	"linefit/station/fixture"
)

// simBoard is a slot's virtual fixture: the module's supply and reset pin, a
// clamp, lamps and a presence sensor.
type simBoard struct {
	module  *modemsim.Module
	faults  func(attempt int) modemsim.Faults
	changed chan struct{}

	mu       sync.Mutex // guards what follows
	attempts int
	powered  bool
	out      bool // no unit is in the slot
}

func newSimBoard(m *modemsim.Module, faults func(attempt int) modemsim.Faults) *simBoard {
	return &simBoard{module: m, faults: faults, changed: make(chan struct{}, 1)}
}

// Power implements fixture.Board. A unit that is not there cannot boot.
func (b *simBoard) Power(on bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.apply(on, b.out)
	return nil
}

// apply switches the module where supply and presence change what it gets.
func (b *simBoard) apply(powered, out bool) {
	before, now := b.powered && !b.out, powered && !out
	b.powered, b.out = powered, out
	switch {
	case now && !before:
		b.attempts++
		b.module.SetFaults(b.faults(b.attempts))
		b.module.PowerOn()
	case before && !now:
		b.module.PowerOff()
	}
}

// place puts the unit in or takes it out.
func (b *simBoard) place(in bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in == !b.out {
		return
	}
	b.apply(b.powered, !in)
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Reset implements fixture.Board: the module starts anew.
func (b *simBoard) Reset(asserted bool) error {
	if asserted {
		b.module.ResetPin()
	}
	return nil
}

// Clamp implements fixture.Board.
func (b *simBoard) Clamp(bool) error { return nil }

// Lamp implements fixture.Board.
func (b *simBoard) Lamp(station.Lamp) error { return nil }

// Present implements fixture.Board.
func (b *simBoard) Present() (in, sensor bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.out, true
}

// Changed implements fixture.Board.
func (b *simBoard) Changed() <-chan struct{} { return b.changed }

// simFixtureListener listens where --fixture says; a socket that a dead process
// has left is replaced.
func simFixtureListener(ctx context.Context, address string) (net.Listener, error) {
	network, rest, ok := strings.Cut(address, ":")
	if !ok || rest == "" || network != "unix" && network != "tcp" {
		return nil, exit(exitUsage, fmt.Errorf("--fixture %s: wanted: unix:PATH or tcp:HOST:PORT", address))
	}
	if network == "unix" {
		if c, err := net.Dial("unix", rest); err == nil {
			return nil, exit(exitMissing, errors.Join(fmt.Errorf("--fixture %s: another program listens there", address), c.Close()))
		}
		if st, err := os.Lstat(rest); err == nil && st.Mode()&os.ModeSocket != 0 {
			if err := os.Remove(rest); err != nil {
				return nil, exit(fileCode(err), err)
			}
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, rest)
	if err != nil {
		return nil, exit(fileCode(err), fmt.Errorf("--fixture: %w", err))
	}
	return l, nil
}

var _ fixture.Board = (*simBoard)(nil)

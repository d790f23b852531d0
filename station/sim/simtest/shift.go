package simtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"linefit/audit/store"
	"linefit/modem/smdpsim"
	"linefit/rework"
	"linefit/station"
	"linefit/station/plant"
	"linefit/station/sim"
)

// Shift are people who work at a line for a while, and what goes wrong for a
// while and not at one command.
type Shift struct {
	Line  *Line
	Hands time.Duration // how long a hand takes to begin with what a slot needs
	Slips float64       // share of an operator's actions that go wrong first
	// Mischief is the share of glances at the screen before which somebody does
	// with units what it does not ask for, also while the station is dead.
	Mischief float64

	mu    sync.Mutex // guards what follows
	dice  *rand.Rand
	slips map[string]int
}

// NewShift begins a shift; what people do wrong follows from seed.
func NewShift(l *Line, seed uint64) *Shift {
	return &Shift{Line: l, dice: rand.New(rand.NewPCG(seed, 8)), slips: map[string]int{}}
}

// Work lets people work for so long, through kills and restarts, or until every
// unit is out, held or scrapped. It reports whether that is so.
func (s *Shift) Work(d time.Duration) (done bool) {
	s.Line.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		killed, over := s.work(time.Until(end))
		switch {
		case over:
			return true
		case killed:
			s.Line.RestartAfter(func() {
				if s.Mischief > 0 {
					s.mischief()
				}
			})
		}
	}
	return false
}

// work is one life of the station.
func (s *Shift) work(d time.Duration) (killed, over bool) {
	l := s.Line
	st := l.Station
	ctx, cancel := context.WithTimeout(l.t.Context(), d)
	defer cancel()
	crew := &sim.Crew{World: l.World, Station: clumsy{Station: st, shift: s}, Again: time.Minute, Hands: s.Hands, Repair: func(ctx context.Context, unit station.Serial) error {
		by := rework.Person{Actor: "technician-1", Role: rework.RoleOperator}
		_, err := st.Desk.Mend(ctx, by, string(unit), "contacts", "cleaned and reseated")
		return plant.Later(err)
	}}
	s.switchOn(ctx)
	ended := make(chan error, 1)
	go func() { ended <- crew.Run(ctx) }()
	select {
	case <-st.p.killed:
		cancel()
		if err := <-ended; err != nil {
			l.t.Logf("in a dead station: %v", err)
		}
		return true, false
	case err := <-ended:
		if st.p.dead.Load() {
			return true, false
		}
		var stopped *store.StateError
		if errors.As(err, &stopped) { // a person tries again
			l.Pause()
			return false, false
		}
		if ctx.Err() == nil {
			l.must(err)
		}
		return false, ctx.Err() == nil
	}
}

// switchOn takes slots back into use that were left off: the station died, the
// log stopped or the hour ended while the operator had one off. What fails now is
// tried again in the next hour.
func (s *Shift) switchOn(ctx context.Context) {
	for _, v := range s.Line.Station.View().Slots {
		if v.State == station.SlotDisabled {
			_, _ = s.Line.Station.Do(ctx, station.Command{Kind: station.CmdEnable, Slot: v.ID, Operator: "lead-1", Why: "left off"})
		}
	}
}

// Made are the operator's errors so far, by kind.
func (s *Shift) Made() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slips
}

// NoMES takes the MES away, or brings it back.
func (s *Shift) NoMES(away bool) { s.Line.away(away, "mes/validate", "mes/events", "mes/checkpoints") }

// NoNetwork takes every SM-DP+ away, or brings them back.
func (s *Shift) NoNetwork(away bool) {
	s.Line.away(away, Server(smdpsim.InitiateAuthentication), Server(smdpsim.AuthenticateClient),
		Server(smdpsim.GetBoundProfilePackage), Server(smdpsim.HandleNotification), Server(smdpsim.CancelSession))
}

func (l *Line) away(away bool, points ...Point) {
	for _, p := range points {
		if away {
			l.FaultAlways(p, Failed)
		} else {
			l.plan.remove(p)
		}
	}
}

// clumsy is a station in front of which an operator makes mistakes.
type clumsy struct {
	sim.Station
	shift *Shift
}

// Do carries out a command, and before it now and then a wrong one.
func (c clumsy) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	wrong, kind := c.shift.slip(cmd, c.View())
	if kind == "" {
		return c.Station.Do(ctx, cmd)
	}
	if _, err := c.Station.Do(ctx, wrong); err == nil && kind == "another unit's label" {
		return station.Reply{}, nil // the station took it, and will see
	} else if err != nil {
		var refusal *station.Refusal
		if !errors.As(err, &refusal) && ctx.Err() == nil && !c.shift.Line.isDead() {
			c.shift.Line.t.Errorf("%s: %v", kind, err)
		}
	}
	if wrong.Kind == station.CmdDisable {
		if _, err := c.Station.Do(ctx, station.Command{Kind: station.CmdEnable, Slot: wrong.Slot, Operator: "op-7", Why: "clean"}); err != nil {
			return station.Reply{}, err
		}
	}
	return c.Station.Do(ctx, cmd)
}

// slip draws what an operator does before the right thing; "" is nothing.
func (s *Shift) slip(cmd station.Command, view station.View) (wrong station.Command, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cmd.Kind != station.CmdScan || s.dice.Float64() >= s.Slips {
		return wrong, ""
	}
	wrong = cmd
	other := view.Slots[s.dice.IntN(len(view.Slots))]
	switch n := s.dice.IntN(8); n {
	case 0:
		units := s.Line.World.Units()
		kind, wrong.Text = "another unit's label", units[s.dice.IntN(len(units))].Label
	case 1:
		kind, wrong.Text = "a barcode of something else", "4006381333931;?"
	case 2:
		kind, wrong.Text = "the wrong bin", "LF:BIN:release"
	case 3:
		kind, wrong.Slot = "the wrong slot", other.ID
	case 4:
		kind, wrong = "abort", station.Command{Kind: station.CmdAbort, Slot: other.ID, Operator: "op-7", Why: "wrong order"}
	case 5:
		kind, wrong = "acknowledged unseen", station.Command{Kind: station.CmdAck, Slot: other.ID, Operator: "op-7"}
	case 6:
		kind, wrong = "emergency stop", station.Command{Kind: station.CmdHalt, Operator: "op-7", Why: "smoke"}
	case 7:
		kind, wrong = "slot switched off", station.Command{Kind: station.CmdDisable, Slot: cmd.Slot, Operator: "op-7", Why: "dirty"}
	}
	s.slips[kind]++
	return wrong, kind
}

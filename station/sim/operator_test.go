package sim_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"linefit/configs"
	"linefit/modem/modemsim"
	"linefit/station"
	"linefit/station/sim"
)

// idle is a station that has nothing to do.
type idle struct{}

func (idle) View() station.View { return station.View{Health: station.HealthOK} }
func (idle) Do(context.Context, station.Command) (station.Reply, error) {
	return station.Reply{}, nil
}
func (idle) Changed() <-chan struct{} { return nil }

// line is a virtual line with one unit, which stands on the repair bench.
func line(t *testing.T) *sim.World {
	t.Helper()
	personas, err := modemsim.LoadPersonas(configs.FS, "personas")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.Open(sim.Options{Dir: t.TempDir(), Units: 1, Slots: 1, Seed: 1, Faults: "none", Personas: personas, Mix: sim.Mixes, Memory: true, Cap: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	unit := w.Units()[0].Serial
	if err := w.Put(1, unit); err != nil {
		t.Fatal(err)
	}
	if err := w.Take(station.SlotView{ID: 1, Unit: unit, Disposal: station.Rework}); err != nil {
		t.Fatal(err)
	}
	return w
}

// A technician who is called away leaves the unit on the bench: it is repaired
// when the line goes on, and nobody has to decide about it.
func TestRepairBrokenOff(t *testing.T) {
	w := line(t)
	ctx, stop := context.WithCancel(t.Context())
	crew := sim.Crew{World: w, Station: idle{}, Repair: func(context.Context, station.Serial) error {
		stop()
		return fmt.Errorf("gate: %w", context.Canceled)
	}}
	if err := crew.Run(ctx); err != nil {
		t.Error(err)
	}
	if at := w.Units()[0].Place; at != sim.PlaceRepair {
		t.Errorf("the unit is at %q", at)
	}
}

// scanned is a station with an empty slot, which ends the shift at a scan.
type scanned struct {
	idle
	stop context.CancelFunc
}

func (scanned) View() station.View {
	return station.View{Health: station.HealthOK, Slots: []station.SlotView{{ID: 1, State: station.SlotEmpty}}}
}

func (s scanned) Do(context.Context, station.Command) (station.Reply, error) {
	s.stop()
	return station.Reply{}, nil
}

// A unit that comes back from the bench is put into the empty slot although
// nothing has changed at the station meanwhile. A crew that waited for that would
// wait for ever, which the bubble calls a deadlock.
func TestRepairedUnitIsFed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := line(t)
		ctx, stop := context.WithCancel(t.Context())
		crew := sim.Crew{World: w, Station: scanned{stop: stop}, Repair: func(context.Context, station.Serial) error { return nil }}
		if err := crew.Run(ctx); err != nil {
			t.Error(err)
		}
		if u := w.Units()[0]; u.Place != sim.PlaceSlot || u.Attempt != 2 {
			t.Errorf("%+v", u)
		}
	})
}

package sim_test

import (
	"context"
	"fmt"
	"testing"

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

// A technician who is called away leaves the unit on the bench: it is repaired
// when the line goes on, and nobody has to decide about it.
func TestRepairBrokenOff(t *testing.T) {
	personas, err := modemsim.LoadPersonas(configs.FS, "personas")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.Open(sim.Options{Dir: t.TempDir(), Units: 1, Slots: 1, Seed: 1, Faults: "none", Personas: personas, Mix: sim.Mixes, Memory: true, Cap: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	unit := w.Units()[0].Serial
	if err := w.Put(1, unit); err != nil {
		t.Fatal(err)
	}
	if err := w.Take(station.SlotView{ID: 1, Unit: unit, Disposal: station.Rework}); err != nil {
		t.Fatal(err)
	}
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

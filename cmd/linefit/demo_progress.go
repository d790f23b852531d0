package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"linefit/station"
	"linefit/station/plant"
	"linefit/station/text"
)

// progress prints a line for every run that comes to its end, and when the
// station stops and goes on.
type progress struct {
	w     io.Writer
	plant *plant.Plant
	units int
	seen  map[int]station.RunID // last run printed, by slot
	ended int
	state station.Health
}

func newProgress(w io.Writer, p *plant.Plant, units int) *progress {
	return &progress{w: w, plant: p, units: units, seen: map[int]station.RunID{}, state: station.HealthOK}
}

// follow prints until the function that it returns is called.
func (p *progress) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			changed := p.plant.Changed()
			p.look()
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (p *progress) look() {
	v := p.plant.View()
	if v.Health != p.state {
		p.state = v.Health
		if v.Health == station.HealthOK {
			fmt.Fprintln(p.w, "the station goes on")
		} else {
			fmt.Fprintf(p.w, "the station stands (%s): %s\n", v.Health, text.Printable(v.Detail))
		}
	}
	for _, s := range v.Slots {
		if s.Last == nil || p.seen[s.ID] == s.Last.Run {
			continue
		}
		p.seen[s.ID] = s.Last.Run
		p.ended++
		line := fmt.Sprintf("%4d  slot %2d  %-10s %-12s %-8s %5.1f s", p.ended, s.ID, s.Last.Unit, s.Last.Verdict, s.Last.Disposition, float64(s.Last.Millis)/1000)
		if s.Last.Reason != nil {
			line += "  " + s.Last.Step + ": " + s.Last.Reason.String()
		}
		fmt.Fprintln(p.w, line)
	}
}

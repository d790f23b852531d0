package handover

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Record is what a log has of a unit's newest run.
type Record struct {
	Unit    station.Serial
	Run     station.RunID
	At      time.Time // the run's start, UTC
	Station string    // that made it
	Started station.RunStarted
	Module  station.UnitIdentified
	Verdict station.Verdict
	// Disposition is the policy's, or a person's who closed the unit's ticket.
	Disposition station.Disposition
	// Onboarding is what the cold unit showed; nil where the run did not come
	// so far, or the unit has no IoT eUICC.
	Onboarding *station.EIMOnboarded
}

// why says why a record is not handed over; empty where it is.
func (r *Record) why() string {
	switch {
	case r.Onboarding == nil:
		return "its last run has read no eIM"
	case r.Verdict != station.Pass:
		return fmt.Sprintf("its last run ended %s", orOpen(string(r.Verdict)))
	case r.Disposition != station.Release:
		return fmt.Sprintf("it was not released (%s)", orOpen(string(r.Disposition)))
	}
	return ""
}

func orOpen(s string) string {
	if s == "" {
		return "open"
	}
	return s
}

// Collector keeps the newest run of each unit.
type Collector struct {
	since, until time.Time
	station      string
	units        map[station.Serial]*Record
}

// NewCollector collects units whose newest run started in a window; zero times
// do not bound it.
func NewCollector(since, until time.Time) *Collector {
	return &Collector{since: since, until: until, units: map[station.Serial]*Record{}}
}

// See takes the next entry of a log.
func (c *Collector) See(e audit.Entry) error {
	if !wanted[e.Type] {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	unit := station.Serial(e.Unit)
	switch f := f.(type) {
	case station.StationOpened:
		c.station = f.Station
		return nil
	case station.RunStarted:
		c.units[unit] = &Record{Unit: unit, Run: station.RunID(e.Run), At: e.UTC.UTC(), Station: c.station, Started: f}
		return nil
	}
	r := c.units[unit]
	if closed, ok := f.(station.TicketClosed); ok {
		if r != nil {
			r.Disposition = closed.Disposition
		}
		return nil
	}
	if r == nil || string(r.Run) != e.Run {
		return nil // of a run that began before this log
	}
	r.see(f)
	return nil
}

var wanted = station.TypesOf(
	station.StationOpened{}, station.RunStarted{}, station.UnitIdentified{}, station.EIMOnboarded{},
	station.RunVerdict{}, station.UnitDisposed{}, station.TicketClosed{},
)

func (r *Record) see(f station.Fact) {
	switch f := f.(type) {
	case station.UnitIdentified:
		for to, from := range map[*string]string{
			&r.Module.Maker: f.Maker, &r.Module.Model: f.Model, &r.Module.Firmware: f.Firmware, &r.Module.Generation: f.Generation,
		} {
			if from != "" {
				*to = from
			}
		}
	case station.EIMOnboarded:
		r.Onboarding = &f
	case station.RunVerdict:
		r.Verdict = f.Verdict
	case station.UnitDisposed:
		r.Disposition = f.Disposition
	}
}

// LeftOut is a unit that has to do with an eIM and is not handed over.
type LeftOut struct {
	Unit station.Serial `json:"unit"`
	Why  string         `json:"why"`
}

// records are the units of the window by serial.
func (c *Collector) records() []*Record {
	var out []*Record
	for _, unit := range slices.Sorted(maps.Keys(c.units)) {
		r := c.units[unit]
		if r.At.Before(c.since) || !c.until.IsZero() && !r.At.Before(c.until) || r.Started.Expect.Sample != "" {
			continue
		}
		out = append(out, r)
	}
	return out
}

// EIMs are the eIMs of the units that can be handed over.
func (c *Collector) EIMs() []string {
	seen := map[string]bool{}
	for _, r := range c.records() {
		if r.why() != "" {
			continue
		}
		for _, e := range r.Onboarding.EIMs {
			seen[e.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// concerns reports whether a unit that is left out belongs into the account of
// an eIM: one with an IoT eUICC.
func (r *Record) concerns() bool { return r.Module.Generation == generationIoT || r.Onboarding != nil }

const generationIoT = "sgp32"

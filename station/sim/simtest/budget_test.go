package simtest_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// What a passing unit may leave in the log: entries, and their bytes.
const (
	mostEntries = 40
	mostBytes   = 20_000
)

// TestPassingUnitInTheLog holds a passing unit of every generation, with every
// shipped recipe, to the log's budget: 40 entries and 20 KB. However few they
// are, each effect that cannot be undone has its intent and its result, and each
// step of the recipe has its end.
func TestPassingUnitInTheLog(t *testing.T) {
	factory := func(provider string, packages int) *simtest.Factory {
		return &simtest.Factory{Keys: packages + 2, Orders: []simtest.FactoryOrder{{Provider: provider, Packages: packages}}}
	}
	es10c := func(_ sim.UnitState, c *euiccsim.Options) { c.ES10cOnIoT = true }
	for _, row := range []struct {
		name    string
		recipe  string
		options simtest.Options
		change  func(*station.Recipe) *station.Recipe
	}{
		{"consumer", "consumer", simtest.Options{}, nil},
		{"IoT", "iot", simtest.Options{}, nil},
		{"IoT with ES10c", "iot", simtest.Options{Card: es10c}, nil},
		{"M2M", "m2m", simtest.Options{}, nil},
		{"in-factory, two profiles", "factory", simtest.Options{Factory: factory("linefit demo", 3)}, nil},
		{"in-factory, four profiles", "factory", simtest.Options{Factory: factory("linefit demo", 5)}, four},
		{"in-factory, Manufacturing Step", "factory-manufacturing", simtest.Options{Factory: factory("linefit base", 2)}, nil},
		{"in-factory, Configuration Step", "factory-configuration", simtest.Options{Factory: factory("linefit customer", 2)}, alone},
		{"fleet, consumer", "fleet", simtest.Options{Fleet: sim.Fleet{euiccsim.SGP22}}, nil},
		{"fleet, IoT", "fleet", simtest.Options{Fleet: sim.Fleet{euiccsim.SGP32}}, nil},
		{"fleet, in-factory", "fleet", simtest.Options{Fleet: sim.Fleet{sim.SGP41}, Factory: factory("linefit demo", 3)}, nil},
		{"fleet, M2M", "fleet", simtest.Options{Fleet: sim.Fleet{euiccsim.SGP02}}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := row.options
				o.Recipe = simtest.Recipe(t, row.recipe)
				if row.change != nil {
					o.Recipe = row.change(o.Recipe)
				}
				l := simtest.New(t, o)
				u, _ := l.World.Queued()
				pass(t, l, 1)
				withinBudget(t, l, string(u.Serial), o.Recipe)
				l.Check()
			})
		})
	}
}

// alone is a Configuration Step without a Manufacturing Step before it.
func alone(r *station.Recipe) *station.Recipe {
	one, changed := int64(1), *r
	changed.Steps = slices.Clone(r.Steps)
	changed.Steps[r.Index("readback")].Limits = []station.Limit{{Measure: "profiles", Min: &one}}
	return &changed
}

// four has it load four profiles.
func four(r *station.Recipe) *station.Recipe {
	changed := *r
	changed.Steps = slices.Clone(r.Steps)
	changed.Steps[r.Index("load")].Params = map[string][]string{"profiles": {"4"}, "spares": {"1"}}
	return &changed
}

func withinBudget(t *testing.T, l *simtest.Line, unit string, r *station.Recipe) {
	t.Helper()
	n, size, kind := 0, 0, ""
	ended, open := map[string]bool{}, map[int]bool{}
	for _, e := range l.Entries() {
		if e.Unit != unit {
			continue
		}
		n, size = n+1, size+len(audit.AppendEntry(nil, e))
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range station.StepsOf(f) {
			ended[s.Step] = true
		}
		switch f := f.(type) {
		case station.Intent:
			open[f.Number] = true
		case station.Result:
			if !open[f.Number] {
				t.Errorf("result %d without an intent: %s", f.Number, e.Data)
			}
			delete(open, f.Number)
		case station.RunVerdict:
			kind = station.UnitKind(f.Generation, "", f.Factory)
		}
	}
	t.Logf("%s: %d entries, %d bytes", t.Name(), n, size)
	if n == 0 || n > mostEntries || size > mostBytes {
		t.Errorf("%d entries with %d bytes", n, size)
	}
	if len(open) > 0 {
		t.Errorf("intents without a result: %v", open)
	}
	for _, s := range r.Steps {
		if s.For(kind) && !ended[s.ID] {
			t.Errorf("step %s left no end", s.ID)
		}
	}
}

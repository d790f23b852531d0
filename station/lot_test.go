package station_test

import (
	"testing"

	"linefit/station"
)

func TestLot(t *testing.T) {
	verdict := func(v station.Verdict, c station.Code) station.RunVerdict {
		return station.RunVerdict{Verdict: v, Reason: station.NewReason(c, "test")}
	}
	bad := verdict(station.Failed, station.ProfileRefused)
	type seen struct {
		unit station.Serial
		fact station.Fact
	}
	for _, c := range []struct {
		name string
		seen []seen
		halt bool
	}{
		{"three units in a row", []seen{{"A", bad}, {"B", bad}, {"C", bad}}, true},
		{"a pass in between", []seen{{"A", bad}, {"B", bad}, {"P", verdict(station.Pass, "")}, {"C", bad}}, false},
		{"one unit three times", []seen{{"A", bad}, {"A", bad}, {"A", bad}}, false},
		{"another reason in between", []seen{{"A", bad}, {"B", bad}, {"X", verdict(station.Inconclusive, station.CodeRefused)}, {"C", bad}}, false},
		{"a unit's own fault in between", []seen{{"A", bad}, {"B", bad}, {"X", verdict(station.Failed, station.ModuleSilent)}, {"C", bad}}, true},
		{"units' own faults", []seen{{"A", verdict(station.Failed, station.ModuleSilent)}, {"B", verdict(station.Failed, station.ModuleSilent)}, {"C", verdict(station.Failed, station.ModuleSilent)}, {"D", verdict(station.Failed, station.ModuleSilent)}}, false},
		{"cleared", []seen{{"A", bad}, {"B", bad}, {"C", bad}, {"", station.LotHalted{}}, {"", station.LotCleared{}}, {"D", bad}}, false},
		{"halted once", []seen{{"A", bad}, {"B", bad}, {"C", bad}, {"", station.LotHalted{}}, {"D", bad}}, false},
	} {
		var l station.Lot
		for _, s := range c.seen {
			l = l.Evolve(station.Envelope{Unit: s.unit}, s.fact)
		}
		if f, halt := l.Decide(); halt != c.halt || halt && len(f.Units) != 3 {
			t.Errorf("%s: %+v halts: %v", c.name, l, halt)
		}
	}
}

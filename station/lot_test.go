package station_test

import (
	"fmt"
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
	refused := verdict(station.Inconclusive, station.SMDPRefused)
	pass := verdict(station.Pass, "")
	many := func(n int, f station.Fact) (list []seen) {
		for i := range n {
			list = append(list, seen{station.Serial(fmt.Sprint("P", i)), f})
		}
		return list
	}
	for _, c := range []struct {
		name string
		seen []seen
		halt int // units of the halt, 0: none
	}{
		{"two units in a row", []seen{{"A", bad}, {"B", bad}}, 2},
		{"passes in between", []seen{{"A", bad}, {"P", pass}, {"Q", pass}, {"B", bad}}, 2},
		{"long ago", append(append([]seen{{"A", bad}}, many(7, pass)...), seen{"B", bad}), 0},
		{"not so long ago", append(append([]seen{{"A", bad}}, many(6, pass)...), seen{"B", bad}), 2},
		{"one unit three times", []seen{{"A", bad}, {"A", bad}, {"A", bad}}, 0},
		{"another reason in between", []seen{{"A", bad}, {"X", refused}, {"B", bad}}, 2},
		{"two reasons in turn", []seen{{"A", refused}, {"B", verdict(station.Inconclusive, station.CodeRefused)}, {"C", refused}, {"D", verdict(station.Inconclusive, station.CodeRefused)}, {"E", refused}}, 3},
		{"two of three", []seen{{"A", refused}, {"B", refused}}, 0},
		{"units' own faults", many(9, verdict(station.Failed, station.ModuleSilent)), 0},
		{"cleared", []seen{{"A", bad}, {"B", bad}, {"", station.LotHalted{}}, {"", station.LotCleared{}}, {"D", bad}}, 0},
		{"halted once", []seen{{"A", bad}, {"B", bad}, {"", station.LotHalted{}}, {"D", bad}, {"E", bad}}, 0},
	} {
		var l station.Lot
		for _, s := range c.seen {
			l = l.Evolve(station.Envelope{Unit: s.unit}, s.fact)
		}
		if f, halt := l.Decide(station.DefaultLot()); len(f.Units) != c.halt || halt != (c.halt > 0) {
			t.Errorf("%s: %+v halts: %v %+v", c.name, l, halt, f)
		}
		if _, halt := l.Decide(nil); halt {
			t.Errorf("%s: halts without a rule", c.name)
		}
	}
}

// TestLotIsBounded: what is remembered does not grow with the shift.
func TestLotIsBounded(t *testing.T) {
	var l station.Lot
	for i := range 10 * station.MaxLotWindow {
		l = l.Evolve(station.Envelope{Unit: station.Serial(fmt.Sprint(i))}, station.RunVerdict{Verdict: station.Pass})
	}
	if len(l.Recent) != station.MaxLotWindow {
		t.Errorf("%d verdicts are remembered", len(l.Recent))
	}
}

package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestFactoryKilledAtEveryFact kills the station at every entry of a run of
// in-factory provisioning that is about packages and one-time keys. Whatever the
// moment, the unit gets its two profiles, no package is tried twice, no key is
// left, and the loading report says of every package what its eUICC signed.
func TestFactoryKilledAtEveryFact(t *testing.T) {
	prepared := &simtest.Factory{Keys: 4, Orders: []simtest.FactoryOrder{{Provider: "linefit demo", Packages: 3}}}
	for _, line := range []struct {
		name    string
		options simtest.Options
		points  int // the last ones of killPoints
	}{
		{"alone", simtest.Options{Recipe: simtest.Recipe(t, "factory"), Factory: prepared}, len(killPoints)},
		// A unit whose keys are gone is none that downloads.
		{"beside others", simtest.Options{Recipe: simtest.Recipe(t, "fleet"), Fleet: sim.Fleet{sim.SGP41}, Factory: prepared}, 1},
	} {
		first, last := factoryFacts(t, line.options)
		for _, p := range killPoints[len(killPoints)-line.points:] {
			for n := first; n <= last; n++ {
				t.Run(fmt.Sprintf("%s/%s/%d", line.name, p.name, n-first), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := line.options
						o.Pace = p.pace
						l := simtest.New(t, o)
						p.kill(l, n)
						checkFactoryRun(t, l)
					})
				})
			}
		}
	}
}

// factoryFacts are the entries from the first package to the last fact about
// keys.
func factoryFacts(t *testing.T, o simtest.Options) (first, last uint64) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, o)
		l.RunUnit(1)
		for _, e := range l.Entries() {
			f, err := station.Decode(e.Type, e.Data)
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case station.ProfileReserved:
				if first == 0 {
					first = e.Seq
				}
			case station.StepEnded, station.StepsEnded:
				for _, s := range station.StepsOf(f) {
					if s.Kind == station.KindClose {
						last = e.Seq
					}
				}
			}
		}
	})
	if first == 0 || last <= first {
		t.Fatalf("entries %d to %d", first, last)
	}
	return first, last
}

func checkFactoryRun(t *testing.T, l *simtest.Line) {
	t.Helper()
	u, _ := l.World.Queued()
	r := l.RunUnit(1)
	if l.Restarts() != 1 {
		t.Fatalf("killed %d times", l.Restarts())
	}
	if r.Verdict.Verdict != station.Pass || r.Disposition.Disposition != station.Release || r.Verdict.Factory != station.FactoryClosed {
		t.Errorf("%+v, %v, %s", r.Verdict, r.Verdict.Reason, r.Disposition.Disposition)
	}
	if len(r.Verdict.ICCIDs) != 2 || len(r.OpenIntents()) > 0 || len(l.Runs(u.Serial)) != 1 {
		t.Errorf("profiles %v, open %v", r.Verdict.ICCIDs, r.OpenIntents())
	}
	a := l.Check()
	if n := len(a.Cards[u.EID]); n != 2 {
		t.Errorf("%d profiles on the card", n)
	}
	report, _, _ := l.Report()
	tried := 0
	for _, row := range report.Packages {
		if row.Status != ifpp.Unused {
			tried++
		}
	}
	if report.Counts.Installed != 2 || tried > 3 || !report.EUICCs[0].MayShip {
		t.Errorf("%+v", report.Counts)
	}
}

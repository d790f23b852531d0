package simtest_test

import (
	"testing"
	"testing/synctest"

	"linefit/station"
	"linefit/station/sim/simtest"
)

// TestCodesSurviveARebuild: after everything derived was dropped and derived anew,
// in the middle of a lot and with a notification under way, every code that is
// not spent still works, and none that is spent is offered again.
func TestCodesSurviveARebuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 6, Spare: -1})
		for n := range 6 {
			if r := l.RunUnit(1); r.Verdict == nil || r.Verdict.Verdict != station.Pass {
				t.Fatalf("unit %d: %+v %v", n, r.Verdict, r.Refused)
			}
			if n%2 == 0 {
				if got := l.Rebuild(); !got.Same {
					t.Errorf("after unit %d the rebuild gives something else: %+v", n, got)
				}
			}
		}
		a := l.Check()
		if a.Profiles.Installed != 6 || a.Profiles.Available != 0 {
			t.Errorf("%+v", a.Profiles)
		}
		for iccid, o := range a.Orders {
			if o.Deliveries != 1 {
				t.Errorf("order of %s: %d deliveries", iccid, o.Deliveries)
			}
		}
	})
}

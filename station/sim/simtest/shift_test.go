package simtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit/store/storetest"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestShift is a whole shift of eight hours on sixteen slots, with faults of
// modules, cards, SM-DP+ and MES, an operator who makes mistakes, an hour without
// MES, one without network, a kill and a disk that fails. At its end cards and
// SM-DP+ are asked what became of every unit and profile.
func TestShift(t *testing.T) {
	for _, c := range []struct {
		faults string
		units  int
		csim   bool
	}{{"typical", 104, false}, {"harsh", 64, true}} {
		t.Run(c.faults, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { shift(t, c.faults, c.units, c.csim) })
		})
	}
}

func shift(t *testing.T, faults string, units int, csim bool) {
	l := simtest.New(t, simtest.Options{
		Units: units, Slots: 16, Spare: 24, Seed: 3, Faults: faults, CSIM: csim,
		Mix: []string{"demo-eg25", "demo-sara-r5", "demo-le910", "demo-nrf91", "demo-generic"},
	})
	begin := time.Now()
	s := simtest.NewShift(l, 3)
	s.Hands, s.Slips = 18*time.Minute, 0.15
	s.Work(time.Hour)
	s.NoMES(true)
	s.Work(time.Hour)
	s.NoMES(false)
	l.KillAfter(l.Head() + 7)
	s.Work(time.Hour)
	s.NoNetwork(true)
	s.Work(time.Hour)
	s.NoNetwork(false)
	l.FailAt(l.Head()+5, storetest.TookEffect)
	s.Work(time.Hour)
	l.FailAt(l.Head()+5, storetest.Full)
	s.Work(30 * time.Minute)
	l.MakeSpace()
	s.Work(time.Until(begin.Add(8 * time.Hour)))
	worked := time.Since(begin)
	if worked < 6*time.Hour {
		t.Errorf("a shift of %v", worked)
	}
	for n := 0; !s.Work(time.Hour); n++ { // what is under way comes to its end
		if n == 24 {
			t.Fatalf("the line does not come to rest: %+v", l.Station.View())
		}
	}
	l.Drain()
	a := l.Check()
	places, held := map[sim.Place]int{}, map[station.Code]int{}
	for _, u := range l.World.Units() {
		places[u.Place]++
		if runs := l.Runs(u.Serial); len(runs) > 0 && u.Place != sim.PlaceOut {
			held[runs[len(runs)-1].Code()]++
		}
		if u.Place != sim.PlaceOut && u.Place != sim.PlaceHold && u.Place != sim.PlaceScrap {
			t.Errorf("%s is at %q", u.Serial, u.Place)
		}
		if u.Place == sim.PlaceOut && u.Last != station.Release {
			t.Errorf("%s is out, its disposition was %s", u.Serial, u.Last)
		}
	}
	if a.Profiles.Unaccounted != 0 || a.Registrations != 0 || l.Restarts() == 0 || len(s.Made()) < 5 {
		t.Errorf("%+v, %d registrations, %d restarts, errors made %v", a.Profiles, a.Registrations, l.Restarts(), s.Made())
	}
	t.Logf("%v of line time, %v in all: units %v, not out for %v, profiles %+v, %d entries, %d restarts, errors made %v",
		worked, time.Since(begin), places, held, a.Profiles, l.Head(), l.Restarts(), s.Made())
}

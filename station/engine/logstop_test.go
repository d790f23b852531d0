package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit/store/storetest"
	"linefit/station"
	"linefit/station/sim/simtest"
)

// TestLogStopsAtEveryFact lets the disk fail at every entry of a run: nothing
// was written, everything was though the writer was told otherwise, half was.
// The station stops, comes back with the log, and ends the run as it would have;
// simtest watches that no pass lamp is ever lit without the durable verdict.
func TestLogStopsAtEveryFact(t *testing.T) {
	for i, run := range consumerRuns {
		first, last := measure(t, run)
		for _, f := range []struct {
			name  string
			fault storetest.Fault
			step  uint64 // the store's own tests tear every batch
		}{{"failed", storetest.Failed, 1}, {"took effect", storetest.TookEffect, 1}, {"torn", storetest.Torn, 5}} {
			for n := first + uint64(i); n <= last; n += f.step + 3*uint64(i) { // most facts are those of the first run
				t.Run(fmt.Sprintf("%s/%s/%d", run.name, f.name, n), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := run.options
						o.Pace = simtest.Eager
						l := simtest.New(t, o)
						l.FailAt(n, f.fault)
						run.check(t, l, 0)
					})
				})
			}
		}
	}
}

// TestFullDisk: while the disk is full slots stand, no pass is shown and nothing
// is admitted; after space was made the work goes on.
func TestFullDisk(t *testing.T) {
	first, last := measure(t, consumerRuns[0])
	for n := first; n <= last; n += 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{Pace: simtest.Eager})
				l.FailAt(n, storetest.Full)
				u := l.Next(1)
				_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
				l.Wait(1, func(v station.SlotView) bool { return v.Waiting == station.WaitLog })
				lit, look := l.Passes(), l.World.Jig(1).Look()
				if look.Power || look.Lamp == station.LampPass {
					t.Errorf("while the log stands: %+v", look)
				}
				for range 5 {
					l.Pause()
				}
				if err := l.Do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "OTHER"}); err == nil {
					t.Error("a unit was admitted without a log")
				}
				if l.Passes() != lit || l.Station.View().Health != station.HealthStopped {
					t.Errorf("the pass lamp was lit %d times; health %s", l.Passes()-lit, l.Station.View().Health)
				}
				l.MakeSpace()
				if r := l.Finish(1, u); r.Verdict.Verdict != station.Pass {
					t.Errorf("%+v", r.Verdict)
				}
				l.Check()
			})
		})
	}
}

// TestLogStopsWhileNobodyWorks: the disk fails when the MES's answer to the last
// unit is written and no slot has anything to write any more. The log goes on by
// itself, and the MES is not told again and again.
func TestLogStopsWhileNobodyWorks(t *testing.T) {
	for _, how := range []simtest.How{simtest.Failed, simtest.TookEffect} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{Pace: simtest.Eager})
				l.FaultAlways("mes/events", simtest.Failed)
				u := l.Next(1)
				if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
					t.Fatal(err)
				}
				l.TakeOut(1)
				l.Wait(1, func(v station.SlotView) bool { return v.State == station.SlotEmpty })
				synctest.Wait()
				l.Mend()
				l.Fault(simtest.Fact(station.OutboxDelivered{}.FactType()), how)
				l.Drain()
				if l.Struck() < 1 {
					t.Error("the disk has not failed")
				}
				// The MES may have been told before the log goes on.
				for end := time.Now().Add(time.Minute); l.Station.View().Health != station.HealthOK && time.Now().Before(end); {
					l.Pause()
				}
				if h := l.Station.View().Health; h != station.HealthOK {
					t.Errorf("health %s", h)
				}
				l.Check()
			})
		})
	}
}

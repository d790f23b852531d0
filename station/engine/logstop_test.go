package engine_test

import (
	"errors"
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

// TestLogHangs: a flush takes longer than the engine waits for one. The slot
// stands until it is known what the log has, and then goes on from there: no
// fact comes twice, none is decided upon that is not seen.
func TestLogHangs(t *testing.T) {
	first, last := measure(t, consumerRuns[0])
	for n := first; n <= last; n += 3 {
		for _, d := range []time.Duration{70 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprintf("%d/%v", n, d), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := simtest.New(t, simtest.Options{Pace: simtest.Eager})
					l.SlowAt(n, d)
					r := l.RunUnit(1)
					if r.Refused != nil || r.Verdict == nil || r.Disposition == nil {
						t.Fatalf("%+v, the log has %v", r, types(l))
					}
					if r.Verdict.Verdict != station.Pass || r.Disposition.Disposition != station.Release {
						t.Errorf("%+v %+v", r.Verdict, r.Disposition)
					}
					seen := map[string]int{}
					for _, e := range l.Entries() {
						if seen[e.Type]++; seen[e.Type] > 1 && (e.Type == (station.RunStarted{}).FactType() || e.Type == (station.RunVerdict{}).FactType() || e.Type == (station.UnitDisposed{}).FactType() || e.Type == (station.UnitLeft{}).FactType()) {
							t.Errorf("%s for the %d. time", e.Type, seen[e.Type])
						}
					}
					l.Check()
				})
			})
		}
	}
}

// types are the log's entries by type, those of slots with the slot's number.
func types(l *simtest.Line) (out []string) {
	for _, e := range l.Entries() {
		out = append(out, fmt.Sprintf("%d:%s", e.Slot, e.Type))
	}
	return out
}

// TestAbortThatComesTooLate: an operator aborts when the last step has ended and
// the disk takes its time over the verdict. It is about that run and no other.
func TestAbortThatComesTooLate(t *testing.T) {
	var verdict uint64
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Pace: simtest.Eager})
		l.RunUnit(1)
		for _, e := range l.Entries() {
			if e.Type == (station.RunVerdict{}).FactType() {
				verdict = e.Seq
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, Pace: simtest.Eager})
		l.SlowAt(verdict, 10*time.Second)
		u := l.Next(1)
		if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
			t.Fatal(err)
		}
		for l.Head() < verdict-1 {
			l.Pause()
		}
		for range 3 {
			l.Pause()
		}
		if v := l.View(1); v.State != station.SlotRunning || v.Step != "" {
			t.Fatalf("the verdict is not on its way: %+v", v)
		}
		if err := l.Do(station.Command{Kind: station.CmdAbort, Slot: 1}); err != nil {
			t.Fatal(err)
		}
		for _, r := range []simtest.Run{l.Finish(1, u), l.RunUnit(1)} {
			if r.Verdict.Verdict != station.Pass {
				t.Errorf("%s: %s", r.Unit, r.Code())
			}
		}
		l.Check()
	})
}

// TestPassLampOfAUnitThatIsGone: the log takes its time over a unit's leaving,
// and the next one is put into the slot meanwhile. No lamp says that it has
// passed.
func TestPassLampOfAUnitThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, Pace: simtest.Eager})
		passed(l)
		l.Drain()
		l.SlowAt(l.Head()+1, 30*time.Second)
		l.TakeOut(1)
		synctest.Wait() // the station sees it leave
		u := l.Next(1)
		if v, look := l.View(1), l.World.Jig(1).Look(); v.State != station.SlotDone || v.Waiting != station.WaitNothing || look.Lamp == station.LampPass {
			t.Errorf("%+v %+v", v, look)
		}
		l.Wait(1, func(v station.SlotView) bool { return v.State == station.SlotEmpty })
		if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
			t.Fatal(err)
		}
		if r := l.Finish(1, u); r.Verdict.Verdict != station.Pass {
			t.Errorf("%+v", r.Verdict)
		}
		l.Check()
	})
}

// TestWhatPeopleWereToldIsInTheLog: a command that was carried out is in the log
// also where that stops right behind it; one that came while it stood gets there
// when it goes on.
func TestWhatPeopleWereToldIsInTheLog(t *testing.T) {
	has := func(l *simtest.Line, want station.Fact) (n int) {
		for _, e := range l.Entries() {
			if e.Type == want.FactType() {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		cmd  station.Command
		fact station.Fact
	}{
		{station.Command{Kind: station.CmdDisable, Slot: 1, Why: "dirty"}, station.SlotSwitched{}},
		{station.Command{Kind: station.CmdHalt}, station.StationHalted{}},
	} {
		t.Run(string(c.cmd.Kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{})
				l.FailAt(l.Head()+1, storetest.Full)
				var refusal *station.Refusal
				if err := l.Do(c.cmd); !errors.As(err, &refusal) || refusal.Reason.Code != station.LogStopped {
					t.Errorf("a command that the log does not have: %v", err)
				}
				if n := has(l, c.fact); n != 0 {
					t.Fatalf("%d in the log of a full disk", n)
				}
				l.MakeSpace()
				for l.Station.View().Health == station.HealthStopped {
					l.Pause()
				}
				synctest.Wait()
				if halted := c.cmd.Kind == station.CmdHalt; has(l, c.fact) != map[bool]int{true: 1}[halted] || (l.Station.View().Health == station.HealthEmergency) != halted {
					t.Errorf("%s %d times, health %s", c.fact.FactType(), has(l, c.fact), l.Station.View().Health)
				}
			})
		})
	}
}

// TestLogStopsAtTheStationsFirstFact: the log has it in the end, so the MES hears
// of every run.
func TestLogStopsAtTheStationsFirstFact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{})
		opened := func() (n int) {
			for _, e := range l.Entries() {
				if e.Type == (station.StationOpened{}).FactType() {
					n++
				}
			}
			return n
		}
		before := opened()
		l.Fault(simtest.Fact(station.StationOpened{}.FactType()), simtest.Failed)
		l.Reopen()
		for l.Station.View().Health == station.HealthStopped {
			l.Pause()
		}
		synctest.Wait()
		if n := opened() - before; l.Struck() != 1 || n != 1 {
			t.Errorf("the start is in the log %d times, after %d faults", n, l.Struck())
		}
		if r := l.RunUnit(1); r.Verdict.Verdict != station.Pass {
			t.Errorf("%+v", r.Verdict)
		}
		l.Check()
	})
}

package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"linefit/audit/store/storetest"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// passed brings a unit to its pass: it may be taken out, and has not been.
func passed(l *simtest.Line) {
	u := l.Next(1)
	_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
	l.Wait(1, func(v station.SlotView) bool {
		return v.Waiting == station.WaitRemoval && !l.World.Jig(1).Look().Clamped
	})
}

// carried expects that the unit in the slot is no more than carried away: it is
// not the one that has passed there, and it passes in a run of its own.
func carried(t *testing.T, l *simtest.Line, lit int, u sim.UnitState) {
	t.Helper()
	if n := l.Passes(); n != lit {
		t.Errorf("the pass lamp was lit %d times more", n-lit)
	}
	if v := l.View(1); v.State == station.SlotDone {
		if !v.Unwatched || v.Lamp == station.LampPass || v.Unit == u.Serial {
			t.Errorf("%+v", v)
		}
		l.TakeOut(1)
		l.Wait(1, func(v station.SlotView) bool { return v.State == station.SlotEmpty })
		l.Next(1)
	}
	_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
	if r := l.Finish(1, u); r.Verdict.Verdict != station.Pass {
		t.Errorf("%+v", r.Verdict)
	}
	l.Check()
}

// TestTheNextUnitIsThereBeforeTheLastHasLeft: the log stops at the entry that
// says that a unit has left, and the next one is put into the slot meanwhile.
func TestTheNextUnitIsThereBeforeTheLastHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		passed(l)
		l.Drain()
		lit := l.Passes()
		l.FailAt(l.Head()+1, storetest.Full)
		l.TakeOut(1)
		synctest.Wait() // the station sees it leave
		if h := l.Station.View().Health; h != station.HealthStopped {
			t.Fatalf("health %s", h)
		}
		next := l.Next(1)
		l.MakeSpace()
		l.Wait(1, func(v station.SlotView) bool {
			return l.Station.View().Health == station.HealthOK && v.Waiting != station.WaitLog
		})
		synctest.Wait()
		carried(t, l, lit, next)
	})
}

// TestExchangedWhileTheStationIsDead: the unit that has passed is taken and
// another one put into its slot while nobody watches.
func TestExchangedWhileTheStationIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		passed(l)
		lit, v := l.Passes(), l.View(1)
		var next sim.UnitState
		l.RestartAfter(func() {
			if err := l.World.Take(v); err != nil {
				t.Fatal(err)
			}
			next = l.Next(1)
		})
		synctest.Wait()
		carried(t, l, lit, next)
	})
}

// TestNotMovedWhileTheLogStood: the sensor has seen no change while the log
// stood, so the unit is the one that has passed, and its lamp says so again.
func TestNotMovedWhileTheLogStood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, Slots: 2})
		passed(l)
		lit := l.Passes()
		l.Fault(simtest.Fact(station.RunStarted{}.FactType()), simtest.Failed)
		u := l.Next(2)
		_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 2, Text: u.Label})
		l.Wait(1, func(station.SlotView) bool { return l.Struck() == 1 && l.Passes() > lit })
		synctest.Wait()
		if v := l.View(1); v.Unwatched || v.Lamp != station.LampPass {
			t.Errorf("%+v", v)
		}
	})
}

// TestAdmittedIntoASessionThatIsOver: while the MES is asked about a unit the
// engine ends; the command is answered.
func TestAdmittedIntoASessionThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.office.asked = make(chan struct{})
		l.start()
		l.jigs[1].put(true)
		answer := make(chan error, 1)
		go func() { answer <- l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}) }()
		synctest.Wait()
		l.stop()
		close(l.office.asked)
		var refusal *station.Refusal
		if err := <-answer; !errors.As(err, &refusal) || refusal.Reason.Code != station.LogStopped {
			t.Error(err)
		}
	})
}

// TestExchangedFasterThanAnybodySees: while the slot's goroutine is at something
// else one unit goes and another comes. All that it finds is a sensor that has
// moved.
func TestExchangedFasterThanAnybodySees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		passed(l)
		lit := l.Passes()
		l.TakeOut(1)
		next := l.Next(1)
		synctest.Wait()
		carried(t, l, lit, next)
	})
}

// TestSensorThatFailsOnce: the presence sensor cannot be read when the unit has
// left. The slot is out of work, looks again, and lets the next unit in when
// somebody has cleared it.
func TestSensorThatFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		passed(l)
		l.Fault(simtest.Fixture("present"), simtest.Failed)
		l.TakeOut(1)
		if v := l.Wait(1, func(v station.SlotView) bool { return v.State != station.SlotDone }); v.State != station.SlotFault {
			t.Errorf("%+v", v)
		}
		if err := l.Do(station.Command{Kind: station.CmdClear, Slot: 1, Why: "plugged in"}); err != nil {
			t.Fatal(err)
		}
		if r := l.RunUnit(1); r.Verdict.Verdict != station.Pass {
			t.Errorf("%+v", r.Verdict)
		}
		l.Check()
	})
}

// TestExchangedBeforeTheLastSession: units are exchanged while the log stands, and
// then it stands once more. What the sensor has told one session the next one knows.
func TestExchangedBeforeTheLastSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		passed(l)
		l.Drain()
		lit := l.Passes()
		stop := func(meanwhile func()) {
			l.FailAt(l.Head()+1, storetest.Full)
			_ = l.Do(station.Command{Kind: station.CmdHalt})
			synctest.Wait() // it stands
			meanwhile()
			l.MakeSpace()
			for l.Station.View().Health == station.HealthStopped {
				l.Pause()
			}
			if err := l.Do(station.Command{Kind: station.CmdResume}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		var next sim.UnitState
		v := l.View(1)
		stop(func() {
			if err := l.World.Take(v); err != nil {
				t.Fatal(err)
			}
			next = l.Next(1)
		})
		stop(func() {})
		carried(t, l, lit, next)
	})
}

// TestClampIsShutAgain: a run goes on behind the step that has shut the clamp, and
// the clamp has opened with the process's end. Nobody takes the unit out before
// its verdict.
func TestClampIsShutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{})
		l.Fault(simtest.Card("EnableProfile"), simtest.KilledAfter)
		u := l.Next(1)
		_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
		shut := false
		l.Wait(1, func(station.SlotView) bool {
			look := l.World.Jig(1).Look()
			v := l.View(1) // after the look: the clamp opens behind the verdict only
			shut = shut || l.Restarts() == 1 && v.State == station.SlotRunning && look.Clamped
			if shut && v.State == station.SlotRunning && !look.Clamped {
				t.Errorf("the clamp is open: %+v", v)
			}
			return v.Waiting == station.WaitRemoval
		})
		if l.Restarts() != 1 || !shut {
			t.Errorf("%d restarts, the clamp was shut: %v", l.Restarts(), shut)
		}
		l.TakeOut(1)
		l.Drain()
		l.Check()
	})
}

// TestExchangedBeforeTheLamp: in a fixture that holds nothing units are exchanged
// between the last step and the lamp.
func TestExchangedBeforeTheLamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.start()
		defer func() { l.stop() }()
		l.jigs[1].put(true)
		l.office.accepting = func() {
			l.jigs[1].put(false)
			l.jigs[1].put(true)
		}
		if err := l.do(station.Command{Kind: station.CmdScan, Slot: 1, Text: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := l.view(1); v.Waiting != station.WaitRemoval || !v.Unwatched || l.jigs[1].showed(station.LampPass) {
			t.Errorf("%+v", v)
		}
	})
}

// TestExchangedForAnotherFamily: while the station is dead somebody puts a unit of
// another family into the place of one whose module is known. It starts with its
// radio on and announces nothing, and is told to be quiet before it registers.
func TestExchangedForAnotherFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, Mix: []string{"demo-sara-r5", "demo-le910"}})
		quiet := l.Next(1)
		_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: quiet.Label})
		l.Finish(1, quiet)
		said := l.Next(1)
		_ = l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: said.Label})
		l.Wait(1, func(v station.SlotView) bool { return v.IMEI == said.IMEI && v.EID != "" })
		l.RestartAfter(func() {
			if err := l.World.Lift(1, true); err != nil {
				t.Fatal(err)
			}
			if err := l.World.Put(1, quiet.Serial); err != nil {
				t.Fatal(err)
			}
		})
		if r := l.Finish(1, said); r.Verdict.Verdict == station.Pass {
			t.Errorf("another unit's run: %+v", r.Verdict)
		}
		if n := l.Account().Registrations; n != 0 {
			t.Errorf("%d attempts to register on a network", n)
		}
	})
}

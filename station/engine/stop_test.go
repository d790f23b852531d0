package engine_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"linefit/station"
)

// An emergency stop stays in force, through restarts, until a person ends it:
// nothing starts, a run that a crash left open is not powered again, everybody
// sees it, and the log says who.
func TestEmergencyStopStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 2)
		l.start()
		defer func() { l.stop() }()
		if err := l.do(station.Command{Kind: station.CmdHalt, Operator: "op7"}); err != nil {
			t.Fatal(err)
		}
		refused := func(when string) {
			t.Helper()
			l.jigs[1].put(true)
			err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"})
			var refusal *station.Refusal
			if !errors.As(err, &refusal) || refusal.Reason.Code != station.EmergencyStop {
				t.Errorf("%s: a unit was taken: %v", when, err)
			}
			if h := l.eng.View().Health; h != station.HealthEmergency {
				t.Errorf("%s: health %s", when, h)
			}
		}
		refused("at once")
		l.stop()
		l.start()
		refused("after a restart")
		if got := l.types(0); !slices.Contains(got, "station.halted/1") || slices.Contains(got, "station.resumed/1") {
			t.Errorf("log: %v", got)
		}
		if err := l.do(station.Command{Kind: station.CmdResume, Operator: "lead"}); err != nil {
			t.Fatal(err)
		}
		if h := l.eng.View().Health; h != station.HealthOK {
			t.Errorf("health %s", h)
		}
		l.stop()
		l.start()
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if v := l.view(1); v.Verdict != station.Pass {
			t.Errorf("%+v", v)
		}
	})
}

// The plug is pulled between the emergency stop and the end of the run: at the
// next start the supply stays off and the run ends as stopped.
func TestEmergencyStopOutlivesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.bench.script = hangsInDownload
		l.start()
		defer func() { l.stop() }()
		l.jigs[1].put(true)
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		since := l.view(1).StartedAt
		l.stop() // the run stays open
		time.Sleep(7 * time.Second)
		l.start()
		synctest.Wait()
		if v := l.view(1); v.State != station.SlotRunning || v.StartedAt != since || v.ElapsedMS < 7000 {
			t.Fatalf("%+v, began %s", v, since)
		}
		l.stop()
		l.stopBefore = true // the stop is the last thing that the log has heard of
		l.start()
		synctest.Wait()
		if v := l.view(1); v.Verdict != station.Inconclusive || v.Reason == nil || v.Reason.Code != station.EmergencyStop {
			t.Errorf("%+v %v", v, v.Reason)
		}
		if l.jigs[1].power || !l.jigs[1].halted {
			t.Error("the supply is on in an emergency stop")
		}
	})
}

package simtest_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

func alarms(t *testing.T, l *simtest.Line) (out []stock.Alarm) {
	t.Helper()
	if err := l.Store().View(func(v audit.View) (err error) { out, err = stock.Alarms(v, false); return err }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCodeUsedElsewhereIsAnAlarm: somebody else's eUICC has used a code of this
// station. The provider's list shows it, or the SM-DP+ when it is tried here, or
// the eUICC itself when it comes here.
func TestCodeUsedElsewhereIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		l := simtest.New(t, simtest.Options{Units: 3, Logs: &logs})
		units := l.World.Units()
		l.Elsewhere(units[2], 1, false) // before it comes to this line
		room := l.Station.Room()
		pass(t, l, 1)
		for range 2 { // the same finding is raised once
			found, err := room.Reconcile(t.Context(), "anna", stock.Lists{Server: serverList(t, l)})
			if err != nil || len(found) == 0 || found[0].Kind != stock.Foreign {
				t.Fatalf("%+v %v", found, err)
			}
		}
		got := alarms(t, l)
		if len(got) != 1 || got[0].Kind != station.AlarmForeign || got[0].EID != units[2].EID || len(got[0].Evidence) == 0 {
			t.Fatalf("%+v", got)
		}
		if i := itemOf(t, l, got[0].Handle); i.State != station.StockQuarantined || i.Reason.Code != station.StockForeign {
			t.Errorf("what somebody else has used is %s %v", i.State, i.Reason)
		}
		if n := counts(t, l); n.Alarms != 1 {
			t.Errorf("%+v", n)
		}
		asked := l.OrdersAsked()
		pass(t, l, 1) // with another code, at once
		if n := l.OrdersAsked() - asked; n > 4 {
			t.Errorf("%d requests for one download", n)
		}
		l.Drain()
		if n := l.World.MES().Types()["linefit.StockAlarm.v1"]; n != 1 {
			t.Errorf("the MES heard of %d alarms", n)
		}
		by := station.Person{Actor: "anna", Role: station.RoleOperator}
		if err := room.EndAlarm(t.Context(), by, got[0].ID, "asked the provider"); err == nil {
			t.Error("an operator ended an alarm")
		}
		by.Role = station.RoleLead
		if err := room.EndAlarm(t.Context(), by, got[0].ID, "asked the provider"); err != nil {
			t.Error(err)
		}
		if _, err := room.Reconcile(t.Context(), "anna", stock.Lists{Server: serverList(t, l)}); err != nil || len(alarms(t, l)) != 0 {
			t.Errorf("an alarm that was ended came back: %v", err)
		}
		l.Rebuild()
		if n := counts(t, l); n.Alarms != 0 {
			t.Errorf("after a rebuild %+v", n)
		}
	})
}

// At the line: the SM-DP+ says that a code is used up which nobody here has tried.
func TestRefusedUntriedCodeIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2})
		l.Elsewhere(l.World.Units()[1], 0, true)
		r := l.RunUnit(1)
		got := alarms(t, l)
		if len(got) != 1 || got[0].Kind != station.AlarmRefused || got[0].Handle != r.Profile.Handle || !strings.Contains(got[0].Detail, "nobody here has tried it") {
			t.Fatalf("%v %+v", r.Code(), got)
		}
		// And the unit that has it comes here.
		if r := l.RunUnit(1); r.Code() != station.ProfileDuplicate {
			t.Errorf("%v %v", r.Refused, r.Code())
		}
		if got := alarms(t, l); len(got) != 2 || got[0].Kind != station.AlarmForeign {
			t.Errorf("%+v", got)
		}
	})
}

func itemOf(t *testing.T, l *simtest.Line, handle string) (i station.StockItem) {
	t.Helper()
	if err := l.Store().View(func(v audit.View) (err error) { i, _, err = stock.ItemOf(v, handle); return err }); err != nil {
		t.Fatal(err)
	}
	return i
}

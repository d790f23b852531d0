package simtest_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestNotificationsAfterTheUnits: with no way to the SM-DP+ for notifications
// units pass and leave; what their eUICCs have to say is kept over a kill and
// arrives later, in order.
func TestNotificationsAfterTheUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 3})
		l.FaultAlways(simtest.Server(smdpsim.HandleNotification), simtest.Failed)
		for range 3 {
			leave(t, l)
		}
		waiting := l.Station.Notify.Pending()
		if waiting < 6 {
			t.Errorf("%d notifications wait, of three installations and enablings", waiting)
		}
		l.Restart()
		if n := l.Station.Notify.Pending(); n != waiting {
			t.Errorf("%d notifications wait after the kill, %d before", n, waiting)
		}
		l.Mend()
		l.Drain()
		for iccid, o := range l.Check().Orders {
			var told []smdpsim.ProfileEvent
			for _, r := range o.Receipts {
				told = append(told, r.Event)
			}
			if o.State == smdpsim.StateInstalled && !slices.Equal(told, []smdpsim.ProfileEvent{smdpsim.EventInstall, smdpsim.EventEnable}) {
				t.Errorf("profile %s: its operator was told of %v", iccid, told)
			}
		}
	})
}

// TestNotificationThatIsNotErased: the vault fails in erasing a notification that
// has arrived. It is not sent again, and those behind it follow.
func TestNotificationThatIsNotErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l *simtest.Line
		var once sync.Once
		l = simtest.New(t, simtest.Options{Server: func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == smdpsim.HandleNotification {
				once.Do(func() { // what stands in the item's place can be moved, not written over
					items, err := filepath.Glob(filepath.Join(l.Dir, "vault", "*.notification"))
					if err != nil || len(items) == 0 {
						t.Errorf("no notification in the vault: %v", err)
						return
					}
					if err := errors.Join(os.Remove(items[0]), os.MkdirAll(filepath.Join(items[0], "in the way"), 0o700)); err != nil {
						t.Error(err)
					}
				})
			}
			return smdpsim.Fault{}
		}})
		l.RunUnit(1)
		l.Drain()
		for iccid, o := range l.Check().Orders {
			if n := len(o.Receipts); o.State == smdpsim.StateInstalled && n != 2 {
				t.Errorf("profile %s: its operator was told %d times", iccid, n)
			}
		}
	})
}

// TestFullQueueOnTheCard: a notification from before the line, on an eUICC whose
// list is full, is taken over at intake, before anything of this station can push
// it out, and its operator hears of it although the unit is held.
func TestFullQueueOnTheCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{
			Card: func(_ sim.UnitState, c *euiccsim.Options) { c.Notifications = 1 },
			Code: func(n int, _ []string) bool { return n > 0 }, // the first profile came to the unit elsewhere
		})
		u, _ := l.World.Queued()
		l.Elsewhere(u, 0, true)
		codes, err := l.World.Codes()
		if err != nil {
			t.Fatal(err)
		}
		told := func() bool {
			a, err := l.World.Account()
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(a.Orders[codes[0].ICCID].Receipts, func(r smdpsim.Receipt) bool { return r.Event == smdpsim.EventEnable })
		}
		if told() {
			t.Fatal("the operator knows already: this test proves nothing")
		}
		if r := l.RunUnit(1); r.Code() != station.EUICCLeftover || r.Disposition.Disposition != station.Hold {
			t.Errorf("%v, %s", r.Verdict.Reason, r.Disposition.Disposition)
		}
		if !told() {
			t.Error("the notification from before is lost")
		}
	})
}

// leave takes the next unit through a run and out of the slot, whoever has not
// heard of it by then.
func leave(t *testing.T, l *simtest.Line) sim.UnitState {
	t.Helper()
	u := l.Next(1)
	if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
		t.Fatal(err)
	}
	v := l.Wait(1, func(v station.SlotView) bool { return v.Waiting == station.WaitRemoval || v.Waiting == station.WaitBin })
	if v.Verdict != station.Pass {
		t.Fatalf("%+v %v", v, v.Reason)
	}
	l.TakeOut(1)
	l.Wait(1, func(v station.SlotView) bool { return v.State == station.SlotEmpty })
	return u
}

// TestRefusedNotifications: a server that refuses costs no unit and is
// not asked without end; the screen names it and says why, also after a restart;
// once it takes them, nothing is missing.
func TestRefusedNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		var asked atomic.Int64
		l := simtest.New(t, simtest.Options{Units: 2, Server: func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point != smdpsim.HandleNotification || mended.Load() {
				return smdpsim.Fault{}
			}
			asked.Add(1)
			return smdpsim.Fault{Kind: smdpsim.FaultRefuse, Status: &smdpsim.Status{Subject: "8.1", Reason: "6.1", Message: "no"}}
		}})
		leave(t, l)
		leave(t, l)
		l.Restart()
		before := asked.Load()
		time.Sleep(20 * time.Minute)
		n := l.Station.View().Notifications
		r, stuck := n.Stuck()
		if !stuck || n.Pending < 4 || r.Address != sim.SMDPHost || r.EUICCs != 2 || r.Pending != n.Pending || r.Since == "" || !strings.Contains(r.Error, "400") {
			t.Errorf("the screen shows %+v", n)
		}
		if n := asked.Load() - before; n > 2*20*60+10 { // two eUICCs, a second between two tries
			t.Errorf("asked %d times in twenty minutes", n)
		}
		mended.Store(true)
		l.Drain()
		if n := l.Station.View().Notifications; n.Pending != 0 || len(n.Recipients) != 0 {
			t.Errorf("the screen shows %+v after everything arrived", n)
		}
		l.Check()
	})
}

// second is a recipient of notifications beside the SM-DP+.
const second = "notifications.second.test"

// twoRecipients has eUICCs tell two servers of enabling.
func twoRecipients(_ int, o *smdpsim.Order) {
	events := []smdpsim.ProfileEvent{smdpsim.EventEnable}
	o.Metadata.Recipients = []smdpsim.Recipient{{Address: sim.SMDPHost, Events: events}, {Address: second, Events: events}}
}

// TestTwoRecipients: one that is down keeps its own notifications waiting and
// nobody else's.
func TestTwoRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		l := simtest.New(t, simtest.Options{Order: twoRecipients, Hosts: []string{second}, AllowHost: func(host string) error {
			if host == second && !up.Load() {
				return errNotAllowed
			}
			return nil
		}})
		leave(t, l)
		time.Sleep(time.Minute)
		n := l.Station.View().Notifications
		if r, stuck := n.Stuck(); !stuck || n.Pending != 1 || r.Address != second {
			t.Errorf("waiting: %+v", n)
		}
		up.Store(true)
		l.Drain()
		l.Check()
	})
}

// TestLostOnTheCard: a list that is too short loses a notification between two
// looks of the station. That is seen, and said once.
func TestLostOnTheCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Order: twoRecipients, Hosts: []string{second}, Card: func(_ sim.UnitState, c *euiccsim.Options) { c.Notifications = 1 }})
		u, _ := l.World.Queued()
		r := l.RunUnit(1)
		if r.Verdict.Verdict != station.Pass {
			t.Fatalf("%v", r.Verdict.Reason)
		}
		var lost []station.NotificationMissed
		for _, e := range l.Entries() {
			if f, err := station.Decode(e.Type, e.Data); err == nil {
				if m, ok := f.(station.NotificationMissed); ok {
					lost = append(lost, m)
				}
			}
		}
		if len(lost) != 1 || lost[0].EID != u.EID || len(lost[0].Sequences) != 1 {
			t.Errorf("lost, in the log: %+v", lost)
		}
		if n := l.Station.View().Notifications.Missed; n != 1 {
			t.Errorf("%d lost, on the screen", n)
		}
		l.Check()
	})
}

// TestHeldNotifications: what a batch's terms keep back is sent to nobody, costs
// no unit anything, and goes out once a lead says so.
func TestHeldNotifications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		l := simtest.New(t, simtest.Options{Units: 2, Server: func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == smdpsim.HandleNotification {
				told.Add(1)
			}
			return smdpsim.Fault{}
		}})
		change := func(to string) {
			t.Helper()
			by := station.Person{Actor: "lead-1", Role: station.RoleLead}
			if err := l.Station.Ledger.Notifications(t.Context(), by, "demo", to, "the contract says so", l.Station.Journal); err != nil {
				t.Fatal(err)
			}
		}
		change("hold")
		begin := time.Now()
		leave(t, l)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("the unit waited %v", took)
		}
		l.Restart()
		leave(t, l)
		time.Sleep(time.Hour)
		if n := l.Station.View().Notifications; told.Load() != 0 || n.Held < 4 || n.Pending != 0 {
			t.Errorf("%d sent; the screen shows %+v", told.Load(), n)
		}
		change("send")
		l.Drain()
		if n := l.Station.View().Notifications; n.Held != 0 {
			t.Errorf("the screen shows %+v", n)
		}
		l.Check()
		err := l.Station.Ledger.Notifications(t.Context(), station.Person{Actor: "op", Role: station.RoleOperator}, "demo", "hold", "x", l.Station.Journal)
		if err == nil {
			t.Error("an operator may change it")
		}
		if err := l.Station.Ledger.Notifications(t.Context(), station.Person{Actor: "lead-1", Role: station.RoleLead}, "nobody's", "hold", "x", l.Station.Journal); err == nil {
			t.Error("a batch that is not there")
		}
	})
}

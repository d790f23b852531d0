package simtest_test

import (
	"slices"
	"testing"
	"testing/synctest"

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
			u := l.Next(1)
			if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
				t.Fatal(err)
			}
			v := l.Wait(1, func(v station.SlotView) bool { return v.Waiting == station.WaitRemoval || v.Waiting == station.WaitBin })
			if v.Verdict != station.Pass {
				t.Fatalf("%+v %v", v, v.Reason)
			}
			if err := l.World.Take(v); err != nil {
				t.Fatal(err)
			}
			l.Wait(1, func(v station.SlotView) bool { return v.State == station.SlotEmpty })
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

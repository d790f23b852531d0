package rework_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/rework"
	"linefit/station"
)

var (
	op   = rework.Person{Actor: "op1", Role: rework.RoleOperator}
	op2  = rework.Person{Actor: "op2", Role: rework.RoleOperator}
	lead = rework.Person{Actor: "lead1", Role: rework.RoleLead}
	qa   = rework.Person{Actor: "qa1", Role: rework.RoleQA}
)

// A unit fails, fails again, is repaired, passes.
func TestRepairStory(t *testing.T) {
	f := newFloor(t)
	if d := f.run("SN1", station.ModuleSilent); d != station.Retest {
		t.Fatalf("first failure: %s", d)
	}
	if n := f.counts(); n.Held != 1 || n.Tickets != 1 || n.Runs != 1 {
		t.Errorf("%+v", n)
	}
	if d := f.run("SN1", station.SIMAbsent); d != station.Rework {
		t.Fatalf("second failure: %s", d)
	}
	_, err := f.start("SN1")
	wantRefusal(t, err, station.RetestLimit)
	f.crash()
	_, err = f.desk.Repair(ctx, op, "SN1", "cold joint", "reflowed U4")
	wantRefusal(t, err, station.PermissionMissing) // not claimed
	claimed := must(f.desk.Claim(ctx, op, "T-r2"))(t)
	if claimed.State != station.TicketTaken || claimed.Actor != "op1" || claimed.Queue != "repair" {
		t.Errorf("claimed %+v", claimed)
	}
	_, err = f.desk.Claim(ctx, op2, "SN1")
	wantRefusal(t, err, station.SlotNotReady)
	_, err = f.desk.Repair(ctx, op2, "SN1", "x", "y")
	wantRefusal(t, err, station.PermissionMissing)
	_, err = f.desk.Repair(ctx, op, "SN1", " ", "y")
	wantRefusal(t, err, station.ScanInvalid)
	_, err = f.desk.Repair(ctx, op, "SN1", "x", "bell\a")
	wantRefusal(t, err, station.ScanInvalid)
	repaired := must(f.desk.Repair(ctx, op, "eid:"+string(eidOf(t, "SN1")), "cold joint", "reflowed U4"))(t)
	if repaired.State != station.TicketDone || repaired.Cause != "cold joint" {
		t.Errorf("repaired %+v", repaired)
	}
	if u, _ := f.unit("SN1"); u.Failures != 0 || u.Repairs != 1 || u.Runs != 2 {
		t.Errorf("unit %+v", u)
	}
	if d := f.run("SN1", ""); d != station.Release {
		t.Fatalf("after the repair: %s", d)
	}
	if n := f.counts(); n.Passed != 1 || n.Tickets != 0 || n.Closed != 2 || n.Held != 0 || n.Runs != 3 {
		t.Errorf("%+v", n)
	}
	_, err = f.start("SN1")
	wantRefusal(t, err, station.UnitDuplicate)
	f.crash()
	err = f.log.View(func(v audit.View) error {
		u, err := rework.Find(v, "SN1")
		if err != nil {
			return err
		}
		s, err := rework.StoryOf(v, u)
		if len(s.Runs) != 3 || len(s.Tickets) != 2 || s.Runs[1].Rule != "default/1:retest-limit" || s.Runs[2].Disposition != station.Release ||
			s.Tickets[1].Retest != "r3" || s.Tickets[1].Final != station.Release {
			t.Errorf("story %+v", s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A unit whose identity is not certain goes on by nobody's hand but a lead's
// or QA's, with a reason, and that stands in the log as an override.
func TestHoldOpensNoHole(t *testing.T) {
	f := newFloor(t)
	if d := f.run("SN1", station.IdentityMismatch); d != station.Hold {
		t.Fatalf("%s", d)
	}
	_, err := f.start("SN1")
	wantRefusal(t, err, station.UnitHeld)
	_, err = f.desk.Claim(ctx, op, "SN1")
	wantRefusal(t, err, station.PermissionMissing)
	for _, to := range []station.Disposition{station.Release, station.Retest, station.Scrap} {
		_, err = f.desk.Dispose(ctx, op, "SN1", to, "looks fine")
		wantRefusal(t, err, station.PermissionMissing)
	}
	for _, nobody := range []rework.Person{{}, {Actor: "x"}, {Actor: "x", Role: "admin"}, {Role: rework.RoleQA}} {
		_, err = f.desk.Dispose(ctx, nobody, "SN1", station.Release, "looks fine")
		wantRefusal(t, err, station.PermissionMissing)
	}
	// Claimed and repaired by a lead it is still on hold.
	must(f.desk.Claim(ctx, lead, "SN1"))(t)
	must(f.desk.Repair(ctx, lead, "SN1", "labels swapped", "labels changed"))(t)
	_, err = f.start("SN1")
	wantRefusal(t, err, station.UnitHeld)
	_, err = f.desk.Dispose(ctx, lead, "SN1", station.Retest, "")
	wantRefusal(t, err, station.ScanInvalid)
	_, err = f.desk.Dispose(ctx, lead, "SN1", station.Rework, "x")
	wantRefusal(t, err, station.ScanInvalid)
	entries := len(f.log.Entries())
	shut := must(f.desk.Dispose(ctx, lead, "SN1", station.Retest, "labels changed, IMEI compared by hand"))(t)
	if shut.State != station.TicketShut || shut.Final != station.Retest {
		t.Errorf("%+v", shut)
	}
	added := f.log.Entries()[entries:]
	if len(added) != 2 || added[0].Type != "override/1" || added[0].Actor != "lead1" || added[0].Unit != "SN1" ||
		!strings.Contains(string(added[0].Data), `"from":"hold","to":"retest","why":"labels changed, IMEI compared by hand"`) {
		t.Errorf("%+v", added)
	}
	_, err = f.desk.Dispose(ctx, lead, shut.ID, station.Release, "again")
	wantRefusal(t, err, station.SlotNotReady)
	if d := f.run("SN1", ""); d != station.Release {
		t.Fatalf("%s", d)
	}
}

func TestScrap(t *testing.T) {
	f := newFloor(t)
	f.run("SN1", station.ModuleFirmware)
	_, err := f.desk.Dispose(ctx, op, "SN1", station.Scrap, "burnt")
	wantRefusal(t, err, station.PermissionMissing)
	must(f.desk.Dispose(ctx, lead, "SN1", station.Scrap, "burnt"))(t)
	if n := f.counts(); n.Scrapped != 1 || n.Tickets != 0 || n.Closed != 1 {
		t.Errorf("%+v", n)
	}
	_, err = f.start("SN1")
	wantRefusal(t, err, station.UnitScrapped)
	_, err = f.desk.Claim(ctx, qa, "SN1")
	if !errors.Is(err, rework.ErrNoTicket) {
		t.Error(err)
	}

	for i := range 3 { // two repairs, then the policy scraps
		want := station.Rework
		if i == 2 {
			want = station.Scrap
		}
		if d := f.run("SN2", station.ModuleFirmware); d != want {
			t.Fatalf("%d: %s", i, d)
		}
		if i < 2 {
			must(f.desk.Claim(ctx, op, "SN2"))(t)
			must(f.desk.Repair(ctx, op, "SN2", "firmware", "flashed"))(t)
		}
	}
	_, err = f.desk.Dispose(ctx, lead, "SN2", station.Retest, "one more")
	wantRefusal(t, err, station.PermissionMissing)
	must(f.desk.Dispose(ctx, op, "SN2", station.Scrap, "in the bin, counted"))(t)
	if n := f.counts(); n.Scrapped != 2 || n.Tickets != 0 {
		t.Errorf("%+v", n)
	}
}

// A unit in a slot is not disposed of, and what was decided while it was being
// admitted stands.
func TestDisposeWhileRunning(t *testing.T) {
	f := newFloor(t)
	f.run("SN1", station.ModuleSilent)
	run, err := f.start("SN1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.desk.Dispose(ctx, qa, "SN1", station.Scrap, "x")
	wantRefusal(t, err, station.UnitDuplicate)
	_, err = f.start("SN1")
	wantRefusal(t, err, station.UnitDuplicate)
	// Somebody was faster than the admission: the ticket is closed as scrap.
	f.write("SN1", "r1", station.TicketClosed{Ticket: "T-r1", Disposition: station.Scrap, Why: "race"})
	f.write("SN1", run, station.TicketRetested{Ticket: "T-r1", Run: run}) // brings nothing back
	if _, open := f.unit("SN1"); open != nil {
		t.Errorf("a closed ticket came back: %+v", open)
	}
	if d := f.end("SN1", run, ""); d != station.Hold {
		t.Errorf("a scrapped unit that passes is %s", d)
	}
}

func TestFindAndList(t *testing.T) {
	f := newFloor(t)
	f.run("SN1", station.ModuleSilent)
	f.run("SN2", station.ModuleFirmware)
	f.run("SN3", "")
	f.run("a:b", station.SIMAbsent)
	f.write("SN9", "r9", station.UnitIdentified{IMEI: "490154203237518"})
	f.write("SN8", "r8", station.UnitIdentified{IMEI: "490154203237518"})
	err := f.log.View(func(v audit.View) error {
		for id, want := range map[string]string{
			"SN1": "SN1", "sn:SN2": "SN2", "eid:" + string(eidOf(t, "SN3")): "SN3", "a:b": "a:b",
		} {
			if u, err := rework.Find(v, id); err != nil || string(u.Serial) != want {
				t.Errorf("%s: %v, %v", id, u.Serial, err)
			}
		}
		for id, want := range map[string]error{
			"SN7": rework.ErrNoUnit, "imei:1": rework.ErrNoUnit, "imei:490154203237518": rework.ErrManyUnits,
			"eid:" + string(eidOf(t, "none")): rework.ErrNoUnit,
		} {
			if _, err := rework.Find(v, id); !errors.Is(err, want) {
				t.Errorf("%s: %v", id, err)
			}
		}
		for _, c := range []struct {
			filter rework.Filter
			want   string
		}{
			{rework.Filter{}, "[T-r2 T-r1 T-r4]"}, // queue repair, then retest
			{rework.Filter{Queue: "retest"}, "[T-r1 T-r4]"},
			{rework.Filter{State: station.TicketTaken}, "[]"},
			{rework.Filter{Closed: true}, "[T-r1 T-r2 T-r4]"},
			{rework.Filter{Unit: "SN2"}, "[T-r2]"},
			{rework.Filter{State: station.TicketShut}, "[]"},
		} {
			list, err := rework.Tickets(v, c.filter)
			ids := []string{}
			for _, t := range list {
				ids = append(ids, t.ID)
			}
			if err != nil || fmt.Sprint(ids) != c.want {
				t.Errorf("%+v: %v, %v", c.filter, ids, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.desk.Claim(ctx, op, "T-nothing")
	if !errors.Is(err, rework.ErrNoUnit) {
		t.Error(err)
	}
}

func TestOneClaimWins(t *testing.T) {
	f := newFloor(t)
	f.run("SN1", station.ModuleFirmware)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			_, err := f.desk.Claim(ctx, rework.Person{Actor: station.Actor(fmt.Sprint("op", i)), Role: rework.RoleOperator}, "SN1")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d claims won", won)
	}
}

func TestDeskTellsOfAFailedLog(t *testing.T) {
	f := newFloor(t)
	f.run("SN1", station.ModuleFirmware)
	before := len(f.log.Entries())
	desk := rework.NewDesk(f.log.View, failing{})
	if _, err := desk.Claim(ctx, op, "SN1"); !errors.Is(err, memlog.ErrFault) {
		t.Error(err)
	}
	if len(f.log.Entries()) != before {
		t.Error("something was written")
	}
}

// TestMendGoesOnWhereItBrokeOff: whatever the log took of an earlier call, and
// whatever somebody else has done with the ticket.
func TestMendGoesOnWhereItBrokeOff(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  func(*floor) error
		refused station.Code
		more    int // entries
	}{
		{"open", func(*floor) error { return nil }, "", 2},
		{"claimed", func(f *floor) error { _, err := f.desk.Claim(ctx, op, "SN1"); return err }, "", 1},
		{"claimed by somebody else", func(f *floor) error { _, err := f.desk.Claim(ctx, op2, "SN1"); return err }, station.PermissionMissing, 0},
		{"repaired", func(f *floor) error { _, err := f.desk.Mend(ctx, op, "SN1", "x", "y"); return err }, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFloor(t)
			f.run("SN1", station.SIMAbsent)
			f.run("SN1", station.SIMAbsent)
			if err := c.before(f); err != nil {
				t.Fatal(err)
			}
			n := len(f.log.Entries())
			ticket, err := f.desk.Mend(ctx, op, "SN1", "cold joint", "reflowed")
			if c.refused != "" {
				wantRefusal(t, err, c.refused)
			} else if err != nil || ticket.State != station.TicketDone {
				t.Errorf("%+v, %v", ticket, err)
			}
			if got := len(f.log.Entries()) - n; got != c.more {
				t.Errorf("%d entries more, not %d", got, c.more)
			}
		})
	}
}

type failing struct{}

func (failing) Gate(context.Context, station.Scope, ...station.Fact) error { return memlog.ErrFault }

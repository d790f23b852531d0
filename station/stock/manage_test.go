package stock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/stock"
)

var (
	operator = station.Person{Actor: "op1", Role: station.RoleOperator}
	lead     = station.Person{Actor: "lead1", Role: station.RoleLead}
	qa       = station.Person{Actor: "qa1", Role: station.RoleQA}
)

func nothingRuns(station.StockItem) bool { return false }

// quarantined brings a profile into quarantine for a reason, after so many
// downloads.
func (w *world) quarantined(code station.Code, downloads int) station.StockItem {
	w.t.Helper()
	item := w.mustReserve(want("r1", eid(w.t, 1)))
	for n := range downloads {
		w.write("r1", station.Intent{Effect: station.EffectGetBPP, Number: n + 1, Profile: item.Handle})
	}
	w.write("r1", station.ProfileQuarantined{Handle: item.Handle, Reason: station.NewReason(code, "")})
	return w.item(item.Handle)
}

func TestDecisions(t *testing.T) {
	for _, c := range []struct {
		name      string
		code      station.Code
		downloads int
		by        station.Person
		do        string
		why       string
		want      station.StockState
		refusal   station.Code
	}{
		{"released by a lead", station.CodeRefused, 0, lead, "release", "code corrected", station.StockAvailable, ""},
		{"not by an operator", station.CodeRefused, 0, operator, "release", "x", "", station.PermissionMissing},
		{"not without a reason", station.CodeRefused, 0, lead, "release", "", "", station.ScanInvalid},
		{"not by a lead where a server knows an EID", station.SameEUICCOnly, 1, lead, "release", "x", "", station.PermissionMissing},
		{"by QA then", station.SameEUICCOnly, 1, qa, "release", "order reset by the provider", station.StockAvailable, ""},
		{"never while it may be installed", station.ProfileUnknown, 1, qa, "release", "x", "", station.ProfileUnknown},
		{"found installed", station.ProfileUnknown, 1, lead, "installed", "seen on the card", station.StockInstalled, ""},
		{"found absent", station.ProfileUnknown, 1, lead, "absent", "seen on the card", station.StockQuarantined, ""},
		{"found spent", station.ProfileUnknown, 1, lead, "spent", "provider's list", station.StockSpent, ""},
		{"found unused, by a lead", station.ProfileUnknown, 1, lead, "unused", "x", "", station.PermissionMissing},
		{"found unused, by QA", station.ProfileUnknown, 1, qa, "unused", "provider's list", station.StockAvailable, ""},
		{"found nonsense", station.ProfileUnknown, 1, qa, "melted", "x", "", station.ScanInvalid},
	} {
		w := newWorld(t)
		w.importCSV(threeCodes)
		item := w.quarantined(c.code, c.downloads)
		d := stock.Decision{By: c.by, Handle: item.Handle, Why: c.why, Running: nothingRuns}
		before := len(w.log.Entries())
		var err error
		var after station.StockItem
		if c.do == "release" {
			after, err = w.ledger.Release(ctx, d, w.log)
		} else {
			after, err = w.ledger.Resolve(ctx, d, stock.Finding(c.do), w.log)
		}
		var r *station.Refusal
		switch {
		case c.refusal != "" && (!errors.As(err, &r) || r.Reason.Code != c.refusal || len(w.log.Entries()) != before):
			t.Errorf("%s: %v", c.name, err)
		case c.refusal == "" && (err != nil || after.State != c.want):
			t.Errorf("%s: %+v, %v", c.name, after, err)
		case c.refusal == "":
			over := w.log.Entries()[before]
			if over.Type != "override/1" || over.Actor != string(c.by.Actor) || !strings.Contains(string(over.Data), c.why) {
				t.Errorf("%s: %s %s", c.name, over.Type, over.Data)
			}
		}
		w.crash()
		if a := w.anomalies(); len(a) != 0 {
			t.Errorf("%s: anomalies %v", c.name, a)
		}
	}
}

func TestDecisionsLeaveUsedProfilesAlone(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	item := w.mustReserve(want("r1", eid(t, 1)))
	d := stock.Decision{By: qa, Handle: item.Handle, Why: "x", Running: func(i station.StockItem) bool { return i.Run == "r1" }}
	_, err := w.ledger.Release(ctx, d, w.log)
	refused(t, err, station.SlotNotReady)
	d.Running = nothingRuns // the run is over and never settled it
	if i, err := w.ledger.Release(ctx, d, w.log); err != nil || i.State != station.StockAvailable {
		t.Errorf("%+v, %v", i, err)
	}
	item = w.mustReserve(want("r2", eid(t, 1)))
	w.write("r2", station.ProfileCommitted{Handle: item.Handle, ICCID: item.ICCID, EID: eid(t, 1)})
	d.Handle = item.Handle
	_, err = w.ledger.Release(ctx, d, w.log)
	refused(t, err, station.SlotNotReady)
	d.Handle = "nonsense"
	if _, err = w.ledger.Release(ctx, d, w.log); !errors.Is(err, stock.ErrNoProfile) {
		t.Error(err)
	}
}

func TestQuarantineAfterRestore(t *testing.T) {
	w := newWorld(t)
	w.importCSV(longList(100))
	w.mustReserve(want("r1", eid(t, 1)))
	if _, err := w.ledger.Quarantine(ctx, operator, stock.Filter{}, "backup restored", w.log); err == nil {
		t.Error("an operator quarantined the stock")
	}
	n, err := w.ledger.Quarantine(ctx, lead, stock.Filter{}, "backup restored", w.log)
	if err != nil || n != 99 {
		t.Fatalf("%d, %v", n, err)
	}
	w.crash()
	_, err = w.reserve(want("r2", eid(t, 2)))
	refused(t, err, station.StockEmpty)
	w.mustReserve(want("r1", eid(t, 1))) // what was under way goes on
	if c := w.count(); c.Quarantined != 99 || c.Reserved != 1 {
		t.Errorf("%+v", c)
	}
}

// A used code leaves the vault after its time, is in the log as erased, and is
// not taken in again.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.log.Now = time.Now
		list := "batch,activation_code\nB,LPA:1$s.example$" + canary + "-1\nB,LPA:1$s.example$" + canary + "-2\n"
		w.importCSV(list)
		item := w.mustReserve(want("r1", eid(t, 1)))
		w.write("r1", station.ProfileCommitted{Handle: item.Handle, ICCID: "8949000000000000018", EID: eid(t, 1)})
		time.Sleep(24 * time.Hour)
		if n, err := w.ledger.Erase(ctx, 48*time.Hour, w.log); err != nil || n != 0 {
			t.Fatalf("too early: %d, %v", n, err)
		}
		time.Sleep(48 * time.Hour)
		entries := len(w.log.Entries())
		for i, want := range []int{1, 0} {
			if n, err := w.ledger.Erase(ctx, 48*time.Hour, w.log); err != nil || n != want {
				t.Fatalf("%d: %d, %v", i, n, err)
			}
		}
		if added := w.log.Entries()[entries:]; len(added) != 1 || string(added[0].Data) != fmt.Sprintf(`{"handles":[%q]}`, item.Handle) {
			t.Errorf("%+v", added)
		}
		if _, err := w.ledger.Vault().Get(stock.KindCode, item.Handle); !errors.Is(err, stock.ErrNoItem) {
			t.Errorf("the code is still there: %v", err)
		}
		w.crash()
		_, err := w.tryImport("again.csv", list)
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || len(problems) != 2 {
			t.Errorf("the erased code was taken in again: %v", err)
		}
		searchCanaries(t, w.dir, canary)
	})
}

// A bound package that a crash left behind goes with its time; one that is
// stock stays.
func TestErasePackages(t *testing.T) {
	w := newWorld(t)
	left := put(t, w.ledger.Vault(), stock.KindPackage, "of a download that never ended")
	prepared := put(t, w.ledger.Vault(), stock.KindPackage, "prepared for an eUICC")
	w.write("r1", station.StockImported{Handle: prepared, Batch: "B", Kind: "package", SMDP: "s.example", EID: eid(t, 1)})
	w.erase(0, 2) // it may be one that is being loaded
	long := time.Now().Add(-25 * time.Hour)
	for _, h := range []string{left, prepared} {
		if err := os.Chtimes(filepath.Join(w.dir, h+".package"), long, long); err != nil {
			t.Fatal(err)
		}
	}
	w.erase(26*time.Hour, 2)
	w.erase(time.Hour, 1)
	if _, err := w.ledger.Vault().Get(stock.KindPackage, prepared); err != nil {
		t.Error(err)
	}
	if _, err := w.ledger.Vault().Get(stock.KindPackage, left); !errors.Is(err, stock.ErrNoItem) {
		t.Error(err)
	}
}

// erase erases and wants so many packages to stay.
func (w *world) erase(keep time.Duration, packages int) {
	w.t.Helper()
	if _, err := w.ledger.Erase(ctx, keep, w.log); err != nil {
		w.t.Fatal(err)
	}
	if items, err := w.ledger.Vault().List(stock.KindPackage); err != nil || len(items) != packages {
		w.t.Errorf("%d packages, %v", len(items), err)
	}
}

// The station stops between the fact and the erasure: the next one finishes it
// and writes no second fact.
func TestEraseInterrupted(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	item := w.mustReserve(want("r1", eid(t, 1)))
	w.write("r1", station.ProfileSpent{Handle: item.Handle}, station.StockErased{Handles: []string{item.Handle}})
	w.crash()
	entries := len(w.log.Entries())
	if n, err := w.ledger.Erase(ctx, time.Hour, w.log); err != nil || n != 1 || len(w.log.Entries()) != entries {
		t.Errorf("%d, %v", n, err)
	}
	err := w.log.View(func(v audit.View) error {
		items, err := w.ledger.Vault().List(stock.KindCode, stock.KindSeen)
		if len(items) != 3 || items[2].Kind != stock.KindSeen {
			t.Errorf("%v", items)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

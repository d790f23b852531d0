package simtest_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

func pass(t *testing.T, l *simtest.Line, n int) {
	t.Helper()
	for range n {
		if r := l.RunUnit(1); r.Verdict == nil || r.Verdict.Verdict != station.Pass {
			t.Fatalf("%+v %+v", r.Refused, r.Verdict)
		}
	}
}

func counts(t *testing.T, l *simtest.Line) (n station.StockCount) {
	t.Helper()
	err := l.Store().View(func(v audit.View) (err error) {
		n, err = stock.Count(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// serverList is what the SM-DP+ says of its orders.
func serverList(t *testing.T, l *simtest.Line) []stock.ServerRow {
	t.Helper()
	var b strings.Builder
	b.WriteString("iccid,state,eid\n")
	for _, o := range l.World.Provider().Orders() {
		fmt.Fprintf(&b, "%s,%s,%s\n", o.ICCID, o.State, o.EID)
	}
	rows, err := stock.ReadServerList("orders.csv", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Yesterday's store is put back after many more units: no code is given out
// before the stock was reconciled with the SM-DP+'s list, and then none is used
// twice.
func TestRestoredStoreUsesNothingTwice(t *testing.T) {
	before, since, after := 3, 8, 4
	if os.Getenv("LINEFIT_SOAK") != "" {
		before, since, after = 40, 200, 40
	}
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: before + since + after, Spare: 3, Mix: []string{"demo-eg25"}})
		pass(t, l, before)
		backup := l.Backup()
		pass(t, l, since)
		if f := l.PutBack(backup); len(f) != 2 || f[0].Code != audit.FindRestored || f[1].Code != audit.FindRollback {
			t.Fatalf("%+v", f)
		}
		n := counts(t, l)
		if n.Available != 0 || n.Reserved != 0 || n.Quarantined != since+after+3 {
			t.Fatalf("%+v", n)
		}
		asked := len(l.World.Provider().Orders())
		r := l.RunUnit(1)
		if r.Verdict == nil || r.Verdict.Verdict == station.Pass || counts(t, l).Available != 0 {
			t.Fatalf("a unit got a code before anything was reconciled: %+v %+v", r.Refused, r.Verdict)
		}
		t.Logf("before the reconciliation: %v, of %d orders", r.Code(), asked)
		l.Reopen() // it is remembered
		if n := counts(t, l); n.Available != 0 {
			t.Fatalf("%+v", n)
		}
		reconcile(t, l, after+3)
		if n := counts(t, l); n.Available != after+3 || n.Quarantined != since {
			t.Fatalf("after the reconciliation %+v; %d were used since the backup", n, since)
		}
		for _, u := range l.World.Units() {
			if u.Last != station.Release && u.Last != "" {
				l.Allow(u.Serial, u.Last)
			}
		}
		pass(t, l, after)
		onceEach(t, l, before+since+after)
	})
}

// unitList is what the MES says of finished units.
func unitList(t *testing.T, l *simtest.Line) []stock.UnitRow {
	t.Helper()
	a, err := l.World.Account()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("serial,eid,iccid\n")
	for _, u := range l.World.Units() {
		for _, p := range a.Cards[u.EID] {
			fmt.Fprintf(&b, "%s,%s,%s\n", u.Serial, u.EID, p.ICCID)
		}
	}
	rows, err := stock.ReadUnitList("units.csv", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// reconcile puts back what SM-DP+, MES and log agree that nobody has used: first
// shown, then refused to who may not, then done, with the station killed in the
// middle of it.
func reconcile(t *testing.T, l *simtest.Line, want int) {
	t.Helper()
	room := l.Station.Room()
	lists := stock.Lists{Server: serverList(t, l), Units: unitList(t, l)}
	qa := station.Person{Actor: "qa-1", Role: station.RoleQA}
	before := counts(t, l)
	if _, err := room.Apply(t.Context(), qa, "restored", stock.Lists{Server: lists.Server}, false, false); !errors.Is(err, stock.ErrLists) {
		t.Fatalf("one list alone: %v", err)
	}
	plan, err := room.Apply(t.Context(), station.Person{}, "", lists, false, true)
	if err != nil || len(plan.Release) != want || plan.Applied || counts(t, l) != before {
		t.Fatalf("dry: %d of %d, %v", len(plan.Release), want, err)
	}
	if _, err := room.Apply(t.Context(), station.Person{Actor: "anna", Role: station.RoleLead}, "restored", lists, false, false); err == nil {
		t.Fatal("a lead may not")
	}
	// What the lists do not agree on stays.
	less := stock.Lists{Server: lists.Server, Units: append(slices.Clone(lists.Units), stock.UnitRow{At: "units.csv:99", Serial: "X", ICCID: plan.Release[0].ICCID})}
	if p, err := room.Apply(t.Context(), qa, "", less, false, true); err != nil || len(p.Release) != want-1 || !slices.ContainsFunc(p.Keep, func(k stock.Kept) bool { return strings.Contains(k.Why, "units.csv:99") }) {
		t.Fatalf("%+v %v", p, err)
	}
	l.Fault(simtest.Fact("override/1"), simtest.KilledBefore)
	if _, err := room.Apply(t.Context(), qa, "disk replaced", lists, false, false); err == nil {
		t.Fatal("a killed station applied it")
	}
	l.Restart()
	if n := counts(t, l); n.Available != want {
		t.Fatalf("after the kill: %+v", n)
	}
	said := ""
	for _, e := range l.Entries() {
		if e.Type == (station.Overridden{}).FactType() && e.Actor == "qa-1" {
			said = string(e.Data)
		}
	}
	if !strings.Contains(said, "disk replaced") || !strings.Contains(said, fmt.Sprintf("%d profiles", want)) {
		t.Errorf("the log says %s", said)
	}
	if p, err := l.Station.Room().Apply(t.Context(), qa, "again", lists, false, false); err != nil || p.Applied || len(p.Release) != 0 {
		t.Errorf("once more: %+v %v", p, err)
	}
}

// onceEach holds the SM-DP+'s own books: no profile went to two eUICCs.
func onceEach(t *testing.T, l *simtest.Line, want int) {
	t.Helper()
	used := 0
	for _, o := range l.World.Provider().Orders() {
		eids := map[ident.EID]bool{}
		for _, b := range o.Bindings {
			eids[b.EID] = true
		}
		if len(eids) > 1 || len(o.Installs) > 1 {
			t.Errorf("order %s: bound for %d eUICCs, installed %d times", o.ID, len(eids), len(o.Installs))
		}
		if o.State == smdpsim.StateInstalled {
			used++
		}
	}
	if used != want {
		t.Errorf("%d profiles are installed, %d units passed", used, want)
	}
}

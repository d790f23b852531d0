package simtest_test

import (
	"fmt"
	"os"
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
		reconcile(t, l)
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

// reconcile puts back what the SM-DP+ says is as new.
func reconcile(t *testing.T, l *simtest.Line) {
	t.Helper()
	room := l.Station.Room()
	found, err := room.Reconcile(t.Context(), "qa-1", stock.Lists{Server: serverList(t, l)})
	if err != nil {
		t.Fatal(err)
	}
	qa := station.Person{Actor: "qa-1", Role: station.RoleQA}
	for _, d := range found {
		if d.Resolve != stock.FoundUnused {
			continue
		}
		if _, err := room.Resolve(t.Context(), stock.Decision{By: qa, Handle: d.Handle, Why: "as new, says the provider"}, d.Resolve); err != nil {
			t.Fatal(err)
		}
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

package stock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"linefit/station"
	"linefit/station/stock"
)

func issue(ref, code string) stock.Issue {
	return stock.Issue{Ref: ref, Code: stock.NewSecret([]byte("LPA:1$smdp.example.com$" + code)), Batch: station.StockBatch{Batch: "M", Provider: "p"}}
}

func ordered(n int) stock.Ordered {
	return stock.Ordered{Unit: station.Serial(fmt.Sprint("SN-r", n)), Run: station.RunID(fmt.Sprint("r", n)), Customer: "acme"}
}

// TestIssueRefuses what cannot be used, with a fact for the MES and without any
// part of the code in error, log or state.
func TestIssueRefuses(t *testing.T) {
	with := func(change func(*stock.Issue)) stock.Issue {
		i := issue("R-1", canary)
		change(&i)
		return i
	}
	for name, c := range map[string]struct {
		in   stock.Issue
		want string
	}{
		"no ref":           {with(func(i *stock.Issue) { i.Ref = "" }), "ref is missing"},
		"ref not text":     {with(func(i *stock.Issue) { i.Ref = "a\nb" }), "ref is missing"},
		"the code as ref":  {with(func(i *stock.Issue) { i.Ref = "x-" + canary }), "shows the code"},
		"code in the name": {with(func(i *stock.Issue) { i.Batch.Purchase = canary }), "shows the code"},
		"no code":          {with(func(i *stock.Issue) { i.Code = stock.NewSecret([]byte("1$" + canary)) }), "activation_code"},
		"confirmation":     {with(func(i *stock.Issue) { i.Code = stock.NewSecret([]byte("LPA:1$s.example$" + canary + "$$1")) }), "confirmation_code is missing"},
		"expired":          {with(func(i *stock.Issue) { i.Expires = "2001-01-01" }), "expired on 2001-01-01"},
		"date":             {with(func(i *stock.Issue) { i.Expires = "soon" }), "no date"},
		"ICCID":            {with(func(i *stock.Issue) { i.ICCID = "12" }), "iccid"},
		"EID":              {with(func(i *stock.Issue) { i.EID = "89" }), "eid"},
		"other customer":   {with(func(i *stock.Issue) { i.Batch.Customer = "other" }), "another customer"},
		"cap":              {with(func(i *stock.Issue) { i.Cap = -3 }), "cap"},
	} {
		w := newWorld(t)
		w.ledger.FromMES()
		handle, err := w.ledger.Issue(ctx, c.in, ordered(1), w.log)
		var refusal *station.Refusal
		if handle != "" || !errors.As(err, &refusal) || refusal.Reason.Code != station.MESProfile || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q %v", name, handle, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v %s", err, err, c.in.Code, w.log.Dump()), canary) {
			t.Errorf("%s: the code is shown", name)
		}
		if last := w.last(); last.Type != (station.StockRefused{}).FactType() || strings.Contains(string(last.Data), canary) {
			t.Errorf("%s: the log ends with %s %s", name, last.Type, last.Data)
		}
		if items, err := w.ledger.Vault().List(); err != nil || len(items) > 0 {
			t.Errorf("%s: %v in the vault", name, items)
		}
	}
}

// TestIssueAgain: what the same unit, another unit, and another handing-out of
// the same code come to.
func TestIssueAgain(t *testing.T) {
	w := newWorld(t)
	w.ledger.FromMES()
	take := func(ref, code string, n int) (string, error) {
		return w.ledger.Issue(ctx, issue(ref, code), ordered(n), w.log)
	}
	h, err := take("R-1", canary, 1)
	if err != nil || h == "" {
		t.Fatal(err)
	}
	if again, err := take("R-1", canary, 1); err != nil || again != h {
		t.Errorf("the same run: %q %v", again, err)
	}
	if _, err := take("R-2", canary, 2); err == nil || !strings.Contains(err.Error(), "SN-r1") {
		t.Errorf("another unit: %v", err)
	}
	if n := w.count(); n.Alarms != 1 || n.Reserved != 1 {
		t.Errorf("%+v", n)
	}
	w.crash() // the fingerprints are read again
	w.ledger.FromMES()
	if _, err := take("R-3", strings.ToLower(canary), 3); err == nil {
		t.Error("after a crash, in small letters: taken")
	}
	idle := func(station.StockItem) bool { return false }
	if n, err := w.ledger.Tidy(ctx, idle, 0, w.log); err != nil || n != 1 {
		t.Fatalf("%d %v", n, err)
	}
	if n := w.count(); n.Returned != 1 || n.Total != 0 || n.Reserved != 0 {
		t.Errorf("%+v", n)
	}
	var refusal *station.Refusal
	if _, err := take("R-1", canary, 1); !errors.As(err, &refusal) || refusal.Reason.Code != station.MESUnreachable {
		t.Errorf("what went back comes again as it was: %v", err)
	}
	other, err := take("R-4", canary, 2)
	if err != nil || other == "" || other == h {
		t.Fatalf("handed out anew: %q %v", other, err)
	}
	if i := w.byRun("r2"); i.Handle != other || i.Issue != "R-4" {
		t.Errorf("%+v", i)
	}
	if _, err := w.ledger.Tidy(ctx, idle, 0, w.log); err != nil { // gives it back, and erases the first
		t.Fatal(err)
	}
	if _, err := w.ledger.Tidy(ctx, idle, 0, w.log); err != nil {
		t.Fatal(err)
	}
	if codes, err := w.ledger.Vault().List(stock.KindCode, stock.KindSeen); err != nil || len(codes) != 0 {
		t.Errorf("%v %v", codes, err)
	}
	if _, err := w.tryImport("codes.csv", "batch,activation_code\nB,LPA:1$a.example$X\n"); !errors.Is(err, stock.ErrFromMES) {
		t.Errorf("a list: %v", err)
	}
}

// TestIssueIsMended: the code was sealed and the log did not take its fact; the
// next start writes it, and what never began goes back.
func TestIssueIsMended(t *testing.T) {
	w := newWorld(t)
	w.ledger.FromMES()
	if _, err := w.ledger.Issue(ctx, issue("R-1", canary), ordered(1), failing{w.log}); err == nil {
		t.Fatal("no error")
	}
	if n := w.count(); n.Total != 0 {
		t.Fatalf("%+v", n)
	}
	w.crash()
	if n, err := w.ledger.Tidy(ctx, func(station.StockItem) bool { return false }, 0, w.log); err != nil || n != 1 {
		t.Fatalf("%d %v", n, err)
	}
	types := ""
	for _, e := range w.log.Entries() {
		types += e.Type + " " + e.Unit + "; "
	}
	if types != "stock.imported/1 SN-r1; profile.released/1 SN-r1; " {
		t.Errorf("the log has %s", types)
	}
	if n := w.count(); n.Returned != 1 {
		t.Errorf("%+v", n)
	}
}

// failing is a journal that takes nothing.
type failing struct{ stock.Journal }

func (failing) Gate(_ context.Context, _ station.Scope, _ ...station.Fact) error {
	return errors.New("full")
}

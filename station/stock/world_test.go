package stock_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

var ctx = context.Background()

// world is a station's stock: log, vault and ledger, and how to crash it.
type world struct {
	t      testing.TB
	log    *memlog.Log
	dir    string
	ledger *stock.Ledger
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, log: memlog.New(stock.Projection{}), dir: filepath.Join(t.TempDir(), "vault")}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	v, err := stock.OpenVault(ctx, w.dir, testKey)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger = stock.NewLedger(w.log.View, v, w.log.Flush)
}

// crash drops everything in memory; log and vault stay.
func (w *world) crash() {
	w.t.Helper()
	before := w.log.Dump()
	log, err := w.log.Reopen()
	if err != nil {
		w.t.Fatal(err)
	}
	if after := log.Dump(); after != before {
		w.t.Fatalf("rebuilt state differs:\n%s\n---\n%s", before, after)
	}
	w.log = log
	w.open()
}

func (w *world) importCSV(text string) stock.Imported {
	w.t.Helper()
	out, err := w.ledger.Import(ctx, stock.Source{Name: "codes.csv", Data: []byte(text)}, station.Scope{Actor: "op1"}, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func scope(unit, run string) station.Scope {
	return station.Scope{Slot: 1, Unit: station.Serial(unit), Run: station.RunID(run)}
}

func (w *world) reserve(want stock.Want) (station.StockItem, error) {
	return w.ledger.Reserve(ctx, want, w.log.Record(station.Scope{Slot: 1, Unit: want.Unit, Run: want.Run}))
}

func (w *world) mustReserve(want stock.Want) station.StockItem {
	w.t.Helper()
	i, err := w.reserve(want)
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) write(run string, facts ...station.Fact) {
	w.t.Helper()
	if err := w.log.Gate(ctx, scope("SN-"+run, run), facts...); err != nil {
		w.t.Fatal(err)
	}
}

// count is the projection's count; that of the entries alone must be the same.
func (w *world) count() (n station.StockCount) {
	w.t.Helper()
	if err := w.log.View(func(v audit.View) (err error) { n, err = stock.Count(v); return err }); err != nil {
		w.t.Fatal(err)
	}
	var tally stock.Tally
	for _, e := range w.log.Entries() {
		if err := tally.Add(e); err != nil {
			w.t.Fatal(err)
		}
	}
	if counted, whole := tally.Count(); counted != n || !whole {
		w.t.Fatalf("by the entries %+v, by the projection %+v", counted, n)
	}
	return n
}

func (w *world) item(handle string) (i station.StockItem) {
	w.t.Helper()
	err := w.log.View(func(v audit.View) (err error) { i, _, err = stock.ItemOf(v, handle); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) anomalies() (all []stock.Anomaly) {
	w.t.Helper()
	err := w.log.View(func(v audit.View) (err error) { all, err = stock.Anomalies(v); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func want(run string, eid ident.EID) stock.Want {
	return stock.Want{Run: station.RunID(run), Unit: station.Serial("SN-" + run), EID: eid}
}

func eid(t testing.TB, n int) ident.EID {
	e, err := ident.EIDWithCheck(fmt.Sprintf("8904903212345123451234567890%02d", n))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func refused(t *testing.T, err error, code station.Code) {
	t.Helper()
	refusal(t, err, code)
}

func refusal(t *testing.T, err error, code station.Code) *station.Refusal {
	t.Helper()
	var r *station.Refusal
	if !errors.As(err, &r) || r.Reason.Code != code {
		t.Fatalf("%v, not a refusal %s", err, code)
	}
	return r
}

func (w *world) last() audit.Entry {
	all := w.log.Entries()
	return all[len(all)-1]
}

func (w *world) byRun(run station.RunID) (i station.StockItem) {
	w.t.Helper()
	err := w.log.View(func(v audit.View) error {
		items, err := stock.ByRun(v, run)
		if len(items) > 0 {
			i = items[0]
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

package stock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/station"
	"linefit/station/stock"
)

const threeCodes = `batch,activation_code,iccid,operator
B1,LPA:1$smdp.example.com$CODE-ONE,8949000000000000018,op
B1,LPA:1$smdp.example.com$CODE-TWO,8949000000000000026,op
B1,LPA:1$smdp.example.com$CODE-THREE,8949000000000000034,op
`

func TestReserveInImportOrder(t *testing.T) {
	w := newWorld(t)
	if out := w.importCSV(threeCodes); out.Profiles != 3 || fmt.Sprint(out.Batches) != "[B1]" || len(out.Warnings) != 0 {
		t.Fatalf("imported %+v", out)
	}
	for i, code := range []string{"CODE-ONE", "CODE-TWO", "CODE-THREE"} {
		item := w.mustReserve(want(fmt.Sprint("r", i), eid(t, i)))
		if item.State != station.StockReserved || item.EID != eid(t, i) || item.Unit == "" {
			t.Errorf("reserved as %+v", item)
		}
		a, err := w.ledger.Code(ctx, item.Handle)
		if err != nil || a.MatchingID.RevealText() != code || a.SMDP != "smdp.example.com" {
			t.Errorf("code %d: %v %v", i, a.MatchingID.RevealText(), err)
		}
		if got := w.item(item.Handle); got.Handle != item.Handle || got.Run != item.Run || got.State != item.State {
			t.Errorf("returned %+v, in the ledger %+v", item, got)
		}
	}
	r := refusal(t, func() error { _, err := w.reserve(want("r9", eid(t, 9))); return err }(), station.StockEmpty)
	if r.Reason.Detail != "no profile is left" {
		t.Errorf("detail %q", r.Reason.Detail)
	}
	if n := w.count(); n != (station.StockCount{Total: 3, Reserved: 3}) {
		t.Errorf("counts %+v", n)
	}
	if a := w.anomalies(); len(a) != 0 {
		t.Errorf("anomalies %v", a)
	}
}

// A run that goes on after a crash gets what it had, and another eUICC does not
// get it under that run.
func TestReserveAgainForTheSameRun(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	first := w.mustReserve(want("r1", eid(t, 1)))
	w.write("r1", station.Intent{Effect: station.EffectGetBPP, Number: 1, Profile: first.Handle})
	w.crash()
	again := w.mustReserve(want("r1", eid(t, 1)))
	if again.Handle != first.Handle || again.Downloads != 1 {
		t.Errorf("got %+v", again)
	}
	entries := w.log.Entries()
	f, err := station.Decode(entries[len(entries)-1].Type, entries[len(entries)-1].Data)
	if err != nil {
		t.Fatal(err)
	}
	if r := f.(station.ProfileReserved); r.Downloads != 0 {
		t.Errorf("this run's own download counts as an earlier run's: %+v", r)
	}
	_, err = w.reserve(want("r1", eid(t, 2)))
	refused(t, err, station.IdentityChanged)
}

func TestSameEUICCOnly(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	item := w.mustReserve(want("r1", eid(t, 1)))
	w.write("r1", station.Intent{Effect: station.EffectGetBPP, Number: 1, Profile: item.Handle},
		station.ProfileQuarantined{Handle: item.Handle, Reason: station.NewReason(station.SameEUICCOnly, "absent")})
	if other := w.mustReserve(want("r2", eid(t, 2))); other.Handle == item.Handle {
		t.Fatal("another eUICC got a code that the server knows with the first one's EID")
	}
	again := w.mustReserve(want("r3", eid(t, 1)))
	if again.Handle != item.Handle {
		t.Fatalf("the same eUICC got %s", again.Handle)
	}
	// That run ends before it asks the server: the order still knows the EID.
	run := &station.Run{ID: "r3", Profile: &station.ProfileReserved{Handle: again.Handle, Downloads: 1}}
	f := station.Settle(run)
	if q, ok := f.(station.ProfileQuarantined); !ok || q.Reason.Code != station.SameEUICCOnly {
		t.Errorf("settled as %#v", f)
	}
}

// Where it is not known whether a profile is installed, or it is, the same
// eUICC gets that one and the run is told.
func TestEUICCGetsWhatItMayHave(t *testing.T) {
	for _, c := range []struct {
		settled station.Fact
		was     string
	}{
		{station.ProfileQuarantined{Reason: station.NewReason(station.ProfileUnknown, "silent")}, station.StateUnknown},
		{station.ProfileCommitted{ICCID: "8949000000000000018"}, station.StateInstalled},
	} {
		t.Run(c.was, func(t *testing.T) {
			w := newWorld(t)
			w.importCSV(threeCodes)
			item := w.mustReserve(want("r1", eid(t, 1)))
			switch f := c.settled.(type) {
			case station.ProfileQuarantined:
				f.Handle = item.Handle
				c.settled = f
			case station.ProfileCommitted:
				f.Handle, f.EID = item.Handle, eid(t, 1)
				c.settled = f
			}
			w.write("r1", station.Intent{Effect: station.EffectGetBPP, Number: 1, Profile: item.Handle}, c.settled)
			wrong := want("r2", eid(t, 1))
			wrong.Batch = "B2"
			_, err := w.reserve(wrong)
			if c.was == station.StateUnknown {
				refused(t, err, station.ProfileUnknown)
			} else {
				refused(t, err, station.StockEmpty) // another batch's profile may stand beside it
			}
			for _, run := range []string{"r3", "r3"} { // the second time after a crash
				if again := w.mustReserve(want(run, eid(t, 1))); again.Handle != item.Handle {
					t.Fatalf("got %+v", again)
				}
				f, err := station.Decode(w.last().Type, w.last().Data)
				if err != nil {
					t.Fatal(err)
				}
				if r := f.(station.ProfileReserved); r.Was != c.was || r.Downloads != 1 {
					t.Errorf("reserved %+v", r)
				}
				w.crash()
			}
			if other := w.mustReserve(want("r4", eid(t, 2))); other.Handle == item.Handle {
				t.Error("another eUICC got it")
			}
		})
	}
}

func TestCapIsKept(t *testing.T) {
	w := newWorld(t)
	w.importCSV("batch,activation_code,cap\nB,LPA:1$s.example$A,2\n")
	for run := 1; run <= 2; run++ {
		id := fmt.Sprint("r", run)
		item := w.mustReserve(want(id, eid(t, 1)))
		w.write(id, station.Intent{Effect: station.EffectGetBPP, Number: 1, Profile: item.Handle},
			station.ProfileQuarantined{Handle: item.Handle, Reason: station.NewReason(station.SameEUICCOnly, "absent")})
	}
	_, err := w.reserve(want("r3", eid(t, 1)))
	refused(t, err, station.StockEmpty)
}

func TestBoundProfilesGoToTheirEUICC(t *testing.T) {
	w := newWorld(t)
	w.importCSV(fmt.Sprintf("batch,activation_code,eid\nB,LPA:1$s.example$FREE,\nB,LPA:1$s.example$,%s\n", eid(t, 1)))
	if i := w.mustReserve(want("r1", eid(t, 1))); i.Bound != eid(t, 1) {
		t.Errorf("the bound one was not taken first: %+v", i)
	}
	w.mustReserve(want("r2", eid(t, 2)))
	_, err := w.reserve(want("r3", eid(t, 1)))
	refused(t, err, station.StockEmpty)
}

// forSomebody has profiles of several batches, customers and orders.
func forSomebody(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.importCSV(`batch,activation_code,operator,customer,sku,region
B1,LPA:1$s.example$A,op1,,,EU
B2,LPA:1$s.example$B,op2,acme,,
B3,LPA:1$s.example$C,op2,acme,sku-x,US
`)
	json := `{"batch":{"name":"B4","work_order":"WO-7","countries":["DE","FR"],"billing":"download"},"profiles":[{"activation_code":"LPA:1$s.example$D"}]}`
	if _, err := w.ledger.Import(ctx, stock.Source{Name: "b4.json", Data: []byte(json)}, station.Scope{}, w.log); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatIsForWhom(t *testing.T) {
	for _, c := range []struct {
		name string
		want stock.Want
		left int
	}{
		{"nothing said", stock.Want{}, 1},
		{"another customer", stock.Want{Customer: "other"}, 1},
		{"acme", stock.Want{Customer: "acme"}, 2},
		{"acme with SKU", stock.Want{Customer: "acme", SKU: "sku-x"}, 3},
		{"acme with SKU of batch B3", stock.Want{Customer: "acme", SKU: "sku-x", Batch: "B3"}, 1},
		{"another's batch", stock.Want{Customer: "other", SKU: "sku-x", Batch: "B3"}, 0},
		{"operator", stock.Want{Operator: "op2", Customer: "acme"}, 1},
		{"region", stock.Want{Region: "EU"}, 1},
		{"work order", stock.Want{WorkOrder: "WO-7"}, 2},
		{"another work order of that batch", stock.Want{WorkOrder: "WO-8", Batch: "B4"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := forSomebody(t)
			for n := 1; ; n++ {
				order := c.want
				order.Run, order.Unit, order.EID = station.RunID(fmt.Sprint("r", n)), station.Serial(fmt.Sprint("SN", n)), eid(t, n)
				_, err := w.reserve(order)
				if err == nil {
					continue
				}
				refused(t, err, station.StockEmpty)
				if n-1 != c.left {
					t.Errorf("%d units got one, not %d", n-1, c.left)
				}
				return
			}
		})
	}
}

func TestTermsOfABatch(t *testing.T) {
	w := forSomebody(t)
	wanted := want("r1", "")
	wanted.Batch, wanted.Customer = "B3", "other"
	_, err := w.reserve(wanted)
	r := refusal(t, err, station.StockEmpty)
	if !strings.Contains(r.Reason.Detail, "1 other customer") || !strings.Contains(r.Reason.Detail, "other batch") {
		t.Errorf("detail %q", r.Reason.Detail)
	}
	wanted = want("r2", eid(t, 2))
	wanted.WorkOrder, wanted.Batch = "WO-7", "B4"
	w.mustReserve(wanted)
	err = w.log.View(func(v audit.View) error {
		b, ok, err := stock.Terms(v, "B4")
		if !ok || b.Billing != "download" || fmt.Sprint(b.Countries) != "[DE FR]" {
			t.Errorf("terms %+v", b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Time passes: a profile is used on its last day and not after.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC, 2000-01-01
		w := newWorld(t)
		w.importCSV("batch,activation_code,expires\nB,LPA:1$s.example$A,2000-01-01\nB,LPA:1$s.example$B,2000-01-02\n")
		if i := w.mustReserve(want("r1", eid(t, 1))); i.Expires != "2000-01-01" {
			t.Errorf("got %+v", i)
		}
		w.write("r1", station.ProfileReleased{Handle: w.byRun("r1").Handle})
		time.Sleep(24*time.Hour + time.Second)
		if i := w.mustReserve(want("r2", eid(t, 2))); i.Expires != "2000-01-02" {
			t.Errorf("got %+v", i)
		}
		_, err := w.reserve(want("r3", eid(t, 3)))
		if r := refusal(t, err, station.StockEmpty); !strings.Contains(r.Reason.Detail, "1 expired") {
			t.Errorf("detail %q", r.Reason.Detail)
		}
	})
}

func TestManySlotsNeverShare(t *testing.T) {
	w := newWorld(t)
	var text strings.Builder
	text.WriteString("batch,activation_code\n")
	for i := range 64 {
		fmt.Fprintf(&text, "B,LPA:1$s.example$C%d\n", i)
	}
	w.importCSV(text.String())
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]station.RunID{}
	for i := range 80 {
		wg.Go(func() {
			item, err := w.reserve(want(fmt.Sprint("r", i), eid(t, i)))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				return
			}
			if run, double := got[item.Handle]; double {
				t.Errorf("%s went to %s and %s", item.Handle, run, item.Run)
			}
			got[item.Handle] = item.Run
		})
	}
	wg.Wait()
	if len(got) != 64 || w.count().Reserved != 64 {
		t.Errorf("%d reserved, counts %+v", len(got), w.count())
	}
	if a := w.anomalies(); len(a) != 0 {
		t.Errorf("anomalies %v", a)
	}
}

// A reservation whose write failed belongs to nobody else until the log says
// what became of it.
func TestFailedReservation(t *testing.T) {
	for _, fault := range []memlog.Fault{memlog.Lost, memlog.TookPlace} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			w := newWorld(t)
			w.importCSV("batch,activation_code\nB,LPA:1$s.example$A\n")
			failing := func(ctx context.Context, facts ...station.Fact) error {
				if fault == memlog.TookPlace {
					w.write("r1", facts...)
				}
				return memlog.ErrFault
			}
			if _, err := w.ledger.Reserve(ctx, want("r1", eid(t, 1)), failing); !errors.Is(err, memlog.ErrFault) {
				t.Fatal(err)
			}
			item, err := w.reserve(want("r2", eid(t, 2)))
			switch fault {
			case memlog.TookPlace:
				refused(t, err, station.StockEmpty)
				if own := w.mustReserve(want("r1", eid(t, 1))); own.Run != "r1" {
					t.Errorf("got %+v", own)
				}
			case memlog.Lost: // the log has decided: nothing was recorded
				if err != nil || item.Run != "r2" {
					t.Errorf("%+v, %v", item, err)
				}
			}
			if a := w.anomalies(); len(a) != 0 {
				t.Errorf("anomalies %v", a)
			}
		})
	}
}

func TestCodeLeavesOnlyAfterReservation(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	var handle string
	err := w.log.View(func(v audit.View) error {
		return stock.List(v, stock.Filter{State: station.StockAvailable}, func(i station.StockItem) error {
			handle = i.Handle
			return audit.ErrStop
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ledger.Code(ctx, handle)
	refused(t, err, station.VaultFault)
	_, err = w.ledger.Code(ctx, "nonsense")
	refused(t, err, station.VaultFault)
	item := w.mustReserve(want("r1", eid(t, 1)))
	if err := w.ledger.Vault().Delete(stock.KindCode, item.Handle); err != nil {
		t.Fatal(err)
	}
	_, err = w.ledger.Code(ctx, item.Handle)
	refused(t, err, station.VaultFault)
}

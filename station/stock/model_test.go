package stock_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// TestNothingIsGivenTwice runs shifts of random length: reservations by units
// that come again, downloads, every way in which a run can settle, writes that
// fail with and without effect, crashes. It holds after each step: a code that
// a server has seen with one EID is never given to another one, no profile
// belongs to two runs, and every profile is in exactly one state.
func TestNothingIsGivenTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer func() { w.ledger = nil }()
		text := "batch,activation_code,cap\n"
		total := rapid.IntRange(1, 8).Draw(rt, "stock")
		for i := range total {
			text += fmt.Sprintf("B,LPA:1$s.example$C%d,3\n", i)
		}
		w.importCSV(text)
		m := model{w: w, t: rt, total: total, asked: map[string]ident.EID{}, holder: map[string]station.RunID{}, runs: map[station.RunID]*open{}}
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": m.reserve, "download": m.download, "settle": m.settle, "crash": func(*rapid.T) { w.crash() }, "": m.check,
		})
		w.crash()
		m.check(rt)
	})
}

type open struct {
	unit    int
	profile *station.ProfileReserved
	intents []station.Intent
}

type model struct {
	w      *world
	t      *rapid.T
	total  int
	next   int
	asked  map[string]ident.EID     // the EID that the server knows of a code
	holder map[string]station.RunID // who was given a code and has not settled it
	runs   map[station.RunID]*open
}

func (m *model) pick(t *rapid.T) (station.RunID, *open) {
	ids := make([]string, 0, len(m.runs))
	for id := range m.runs {
		ids = append(ids, string(id))
	}
	if len(ids) == 0 {
		t.Skip("no run")
	}
	id := station.RunID(rapid.SampledFrom(sorted(ids)).Draw(t, "run"))
	return id, m.runs[id]
}

func (m *model) reserve(t *rapid.T) {
	unit := rapid.IntRange(1, 4).Draw(t, "unit")
	var id station.RunID
	for other, o := range m.runs {
		if o.unit == unit { // the unit is running: the run goes on and asks again
			id = other
		}
	}
	if id == "" {
		m.next++
		id = station.RunID(fmt.Sprint("r", m.next))
		m.runs[id] = &open{unit: unit}
	}
	run := m.runs[id]
	wants := stock.Want{Run: id, Unit: station.Serial(fmt.Sprint("SN", unit)), EID: eid(m.w.t, unit)}
	scope := station.Scope{Slot: unit, Run: id, Unit: wants.Unit}
	fault := rapid.SampledFrom([]string{"none", "none", "lost", "took place"}).Draw(t, "fault")
	item, err := m.w.ledger.Reserve(ctx, wants, m.faulty(scope, fault))
	if err != nil {
		return
	}
	if other, held := m.holder[item.Handle]; held && other != id {
		t.Fatalf("%s is held by %s and was given to %s", item.Handle, other, id)
	}
	if known, asked := m.asked[item.Handle]; asked && known != wants.EID {
		t.Fatalf("%s is known with EID %s and was given to %s", item.Handle, known, wants.EID)
	}
	if run.profile != nil && run.profile.Handle != item.Handle {
		t.Fatalf("%s had %s and was given %s too", id, run.profile.Handle, item.Handle)
	}
	if _, err := m.w.ledger.Code(ctx, item.Handle); err != nil {
		t.Fatal(err)
	}
	m.holder[item.Handle] = id
	f, err := station.Decode(m.w.last().Type, m.w.last().Data)
	if err != nil {
		t.Fatal(err)
	}
	profile := f.(station.ProfileReserved)
	if item.Downloads != profile.Downloads+len(run.intents) {
		t.Fatalf("%d downloads, of which %d by earlier runs and %d by this one", item.Downloads, profile.Downloads, len(run.intents))
	}
	run.profile = &profile
}

func (m *model) download(t *rapid.T) {
	id, run := m.pick(t)
	if run.profile == nil || len(run.intents)+run.profile.Downloads >= 3 {
		t.Skip("nothing to download")
	}
	in := station.Intent{Effect: station.EffectGetBPP, Number: len(run.intents) + 1, Profile: run.profile.Handle}
	m.w.write(string(id), in)
	run.intents = append(run.intents, in)
	m.asked[in.Profile] = eid(m.w.t, run.unit)
}

// settle ends a run as the engine would: with what Settle makes of it.
func (m *model) settle(t *rapid.T) {
	id, run := m.pick(t)
	delete(m.runs, id)
	if run.profile == nil { // it may be reserved all the same: a start finds that out
		m.strand(id)
		return
	}
	r := &station.Run{ID: id, Profile: run.profile, Intents: run.intents, Identity: station.UnitIdentified{EID: eid(m.w.t, run.unit)}}
	for _, in := range run.intents {
		r.Results = append(r.Results, station.Result{Effect: in.Effect, Number: in.Number, Outcome: station.OK})
	}
	if len(run.intents) > 0 {
		state := rapid.SampledFrom([]string{station.StateInstalled, station.StateAbsent, station.StateUnknown}).Draw(t, "state")
		r.Results = append(r.Results, station.Result{Effect: station.EffectLoad, Number: 99, State: state, ICCID: "8949000000000000018"})
	}
	code := rapid.SampledFrom([]station.Code{"", station.CodeSpent, station.CodeRefused, station.ProfileRefused, station.SMDPUnreachable}).Draw(t, "reason")
	if code != "" {
		r.Failed = &station.Failure{Reason: station.NewReason(code, "")}
	}
	m.w.write(string(id), station.Settle(r))
	delete(m.holder, run.profile.Handle)
}

// strand settles what was reserved for a run that never heard of it.
func (m *model) strand(id station.RunID) {
	var items []station.StockItem
	err := m.w.log.View(func(v audit.View) (err error) {
		items, err = stock.ByRun(v, id)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, i := range items {
		m.w.write(string(id), station.ProfileQuarantined{Handle: i.Handle, Reason: station.NewReason(station.Interrupted, "")})
	}
}

func (m *model) check(t *rapid.T) {
	n := m.w.count()
	if n.Total != m.total || n.Available+n.Reserved+n.Installed+n.Quarantined+n.Spent != n.Total {
		t.Fatalf("counts do not add up: %+v", n)
	}
	states := map[station.StockState]int{}
	err := m.w.log.View(func(v audit.View) error {
		return stock.List(v, stock.Filter{}, func(i station.StockItem) error {
			states[i.State]++
			if run, held := m.holder[i.Handle]; held && (i.State != station.StockReserved || i.Run != run) {
				t.Fatalf("%s is %s of run %q, given to %s", i.Handle, i.State, i.Run, run)
			}
			if i.Cap > 0 && i.Downloads > i.Cap {
				t.Fatalf("%s was asked for %d times", i.Handle, i.Downloads)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if states[station.StockAvailable] != n.Available || states[station.StockReserved] != n.Reserved ||
		states[station.StockInstalled] != n.Installed || states[station.StockQuarantined] != n.Quarantined || states[station.StockSpent] != n.Spent {
		t.Fatalf("counts %+v, items %v", n, states)
	}
	for _, a := range m.w.anomalies() {
		if a.Type != (station.ProfileCommitted{}).FactType() { // all profiles are installed with one ICCID here
			t.Fatalf("anomaly %+v", a)
		}
	}
}

func (m *model) faulty(at station.Scope, fault string) stock.Record {
	return func(_ context.Context, facts ...station.Fact) error {
		if fault != "lost" {
			if err := m.w.log.Gate(ctx, at, facts...); err != nil {
				return err
			}
		}
		if fault != "none" {
			return memlog.ErrFault
		}
		return nil
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

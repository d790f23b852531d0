package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/plant"
)

// scriptStore writes a store with the shift below: a station that was switched
// off in order.
func scriptStore(ts *testscript.TestScript, _ bool, args []string) {
	stop := openScriptStore(ts, ts.MkAbs(args[0]))
	ts.Check(stop())
}

// scriptRunning leaves the station running until the script ends.
func scriptRunning(ts *testscript.TestScript, _ bool, args []string) {
	stop := openScriptStore(ts, ts.MkAbs(args[0]))
	ts.Defer(func() { ts.Check(stop()) })
}

func openScriptStore(ts *testscript.TestScript, dir string) (stop func() error) {
	key, _, err := audit.NewKey("factory.example/line-1/st-1")
	ts.Check(err)
	// Time goes on by 100 ms with each entry, from a Monday morning.
	var mu sync.Mutex
	ticks := int64(0)
	s, err := store.Open(context.Background(), store.Options{
		Dir: dir, Key: key, Projections: plant.Projections(), Boot: "b00t", Reserve: 1,
		Now: func() (time.Time, int64, string) {
			mu.Lock()
			defer mu.Unlock()
			ticks++
			mono := ticks * int64(100*time.Millisecond)
			return time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC).Add(time.Duration(mono)), mono, audit.ClockSynced
		},
	})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w := &shift{ts: ts, j: plant.Journal{Log: s}}
	w.write()
	_, err = s.Publish(ctx)
	ts.Check(err)
	return func() error {
		cancel()
		if err := <-done; err != nil {
			return err
		}
		return s.Close()
	}
}

// shift writes a small shift: SN1 passes; SN2 fails, is repaired and passes; a
// golden sample passes in slot 1; SN3 passes there after it; SN4 is aborted by
// an emergency stop; a unit with a hostile serial never answers.
type shift struct {
	ts   *testscript.TestScript
	j    plant.Journal
	runs int
}

func (w *shift) add(at station.Scope, facts ...station.Fact) {
	w.ts.Check(w.j.Gate(context.Background(), at, facts...))
}

func (w *shift) write() {
	w.add(station.Scope{}, station.StationOpened{Software: "1.2.3", Site: "plant", Line: "line-1", Station: "st-1", Slots: 2, MES: "none", Next: 1},
		station.StockImported{Handle: "h1", Batch: "B1", SMDP: "smdp.example", ICCID: iccidOf(1)},
		station.StockImported{Handle: "h2", Batch: "B2", SMDP: "smdp.example", ICCID: iccidOf(2)},
		station.StockImported{Handle: "h3", Batch: "B2", SMDP: "smdp.example", ICCID: iccidOf(3)})
	w.run("SN1", 1, "", nil)
	w.run("SN2", 2, "", station.NewReason(station.ProfileReadback, "disabled, not enabled"))
	by := station.Scope{Unit: "SN2", Actor: "tech-1"}
	w.add(by, station.TicketClaimed{Ticket: "T-2"}, station.TicketRepaired{Ticket: "T-2", Cause: "contacts", Action: "cleaned"})
	w.run("SN2", 1, "", nil)
	w.run("GOLD", 1, station.SampleGolden, nil)
	w.run("SN3", 1, "", nil)
	w.run("SN4", 2, "", station.NewReason(station.EmergencyStop, ""))
	w.run(`<script>"&'`, 2, "", station.NewReason(station.ModuleSilent, "no answer"))
}

// Identities with right check digits, by number.
var (
	scriptIMEI = []string{"490154203237518", "356741080000028", "352161120000033", "352656110000042"}
	scriptEID  = []string{"89049032123451234512345678901235", "89049032000000010000000000000295", "89049032000000010000000000000392", "89049032000000010000000000000489"}
)

func iccidOf(n int) ident.ICCID {
	return ident.ICCID([]string{"89880000001000000015", "89880000001000000023", "89880000001000000031", "89880000001000000049"}[n-1])
}

var scriptNumbers = map[string]int{"SN1": 1, "SN2": 2, "SN3": 3, "GOLD": 4}

func (w *shift) run(unit string, slot int, sample string, reason *station.Reason) {
	w.runs++
	at := station.Scope{Slot: slot, Unit: station.Serial(unit), Run: station.RunID(fmt.Sprintf("run%d", w.runs)), Actor: "op-7"}
	w.add(at, station.RunStarted{
		Recipe: "consumer", Version: 3, Digest: fmt.Sprintf("%064x", 0xabcdef), WorkOrder: "WO-1", Route: "none", Number: 1,
		Expect: station.Expect{Sample: sample},
	})
	at.Actor = station.ActorStation
	step := func(id, kind string, o station.Outcome, ms int64) station.StepEnded {
		return station.StepEnded{Step: id, Kind: kind, Attempt: 1, Outcome: o, Millis: ms}
	}
	v := station.RunVerdict{Verdict: station.Pass, Millis: 1500}
	n := scriptNumbers[unit]
	if n > 0 {
		imei, eid := ident.IMEI(scriptIMEI[n-1]), ident.EID(scriptEID[n-1])
		v.IMEI, v.EID = imei, eid
		w.add(at, step("boot", station.KindBoot, station.OK, 500),
			station.UnitIdentified{Maker: "Quectel", Model: "EG25", Firmware: fmt.Sprintf("EG25GGBR07A0%d", n), IMEI: imei},
			station.UnitIdentified{Route: "cgla", EID: eid, Generation: "sgp22", Platform: &station.Platform{EUM: "89049032", Firmware: "1.0.0", SVN: "2.5.0"}})
	}
	if n > 0 && n < 4 {
		w.add(at, station.ProfileReserved{Handle: fmt.Sprint("h", n), SMDP: "smdp.example", ICCID: iccidOf(n)},
			station.Intent{Effect: station.EffectLoad, Number: 1, ICCID: iccidOf(n)},
			station.Result{Effect: station.EffectLoad, Number: 1, Outcome: station.OK, State: "installed", ICCID: iccidOf(n)},
			station.ProfileCommitted{Handle: fmt.Sprint("h", n), ICCID: iccidOf(n), EID: ident.EID(scriptEID[n-1])},
			step("download", station.KindDownload, station.OK, 1000))
	}
	if reason == nil {
		w.add(at, v, station.UnitDisposed{Disposition: station.Release, Rule: "default/1:passed"}, station.UnitLeft{})
		return
	}
	failed := step("readback", station.KindReadback, station.Fail, 20)
	failed.Reason, failed.Then, v.Verdict = reason, station.ThenClose, station.Inconclusive
	v.Step, v.Reason = "readback", reason
	if reason.Class == station.ClassUnit {
		v.Verdict = station.Failed
	}
	w.add(at, failed, v, station.TicketOpened{Ticket: fmt.Sprint("T-", w.runs), Queue: "repair", Wanted: station.Rework, Reason: reason, Failures: 1},
		station.UnitDisposed{Disposition: station.Rework, Queue: "repair", Reason: reason, Rule: "default/1:x"}, station.UnitLeft{})
}

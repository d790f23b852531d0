// Package biglog makes long logs for tests and benchmarks: the entries that the
// shipped recipe leaves of one unit after another, slot by slot, as a line of
// one year has them, with a golden sample at the beginning of each shift.
package biglog

import (
	"context"
	"fmt"
	"strings"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// PerUnit is the number of entries that a passing unit leaves.
const PerUnit = 39

// Log takes drafts in order.
type Log interface {
	Queue(ctx context.Context, drafts ...audit.Draft) error
}

// Options say what to write.
type Options struct {
	Units int
	Slots int
	// Shift is the number of units after which every slot has a golden sample
	// again; zero is none.
	Shift int
	// Stock imports each unit's profile first, one entry more for each unit.
	Stock bool
}

// Write writes the entries of units that pass, and returns the serials of those
// that were built in a slot after its last golden sample.
func Write(ctx context.Context, log Log, o Options) (after map[int][]station.Serial, err error) {
	after = map[int][]station.Serial{}
	w := writer{ctx: ctx, log: log}
	w.put(0, "", "", station.StationOpened{Software: "0.1.0", Site: "bench", Station: "bench", Slots: o.Slots, MES: "http://mes.test", Next: 1})
	sample := 0
	for n := 1; n <= o.Units && w.err == nil; n++ {
		if o.Shift > 0 && (n-1)%o.Shift == 0 {
			for slot := 1; slot <= o.Slots; slot++ {
				sample++
				w.unit(o.Units+sample, slot, station.SampleGolden, o.Stock)
			}
			clear(after)
		}
		slot := 1 + (n-1)%o.Slots
		after[slot] = append(after[slot], Serial(n))
		w.unit(n, slot, "", o.Stock)
	}
	return after, w.err
}

// Serial is the n-th unit's.
func Serial(n int) station.Serial { return station.Serial(fmt.Sprintf("LF%09d", n)) }

// EID is that of the n-th unit, without regard for its check digits.
func EID(n int) ident.EID { return ident.EID(fmt.Sprintf("8904903200000001%016d", n)) }

// ICCID is that of the n-th unit's profile, without regard for its check digit.
func ICCID(n int) ident.ICCID { return ident.ICCID(fmt.Sprintf("898800000%011d", n)) }

// IMEI is the n-th unit's, without regard for its check digit.
func IMEI(n int) ident.IMEI { return ident.IMEI(fmt.Sprintf("35216112%07d", n)) }

// Firmware is what the n-th unit's module runs: every tenth an older one.
func Firmware(n int) string {
	if n%10 == 0 {
		return "EG25GGBR07A07M2G"
	}
	return "EG25GGBR07A08M2G"
}

func handle(n int) string { return fmt.Sprintf("bench%021d", n) }

type writer struct {
	ctx context.Context
	log Log
	err error
}

func (w *writer) put(slot int, unit station.Serial, run station.RunID, facts ...station.Fact) {
	for _, f := range facts {
		if w.err != nil {
			return
		}
		name, data, err := station.Encode(f)
		if err == nil {
			err = w.log.Queue(w.ctx, audit.Draft{Type: name, Slot: slot, Unit: string(unit), Run: string(run), Actor: string(station.ActorStation), Data: data})
		}
		w.err = err
	}
}

// unit writes all that one run leaves.
func (w *writer) unit(n, slot int, sample string, imported bool) {
	serial, run := Serial(n), station.RunID(fmt.Sprintf("run%013d", n))
	eid, iccid, imei := EID(n), ICCID(n), IMEI(n)
	if imported {
		w.put(0, "", "", station.StockImported{Handle: handle(n), Batch: "bench", SMDP: "smdp.test", ICCID: iccid, Operator: "bench", Cap: 5})
	}
	at := func(f ...station.Fact) { w.put(slot, serial, run, f...) }
	step := func(id, kind string, measured ...station.Measurement) {
		at(station.StepEnded{Step: id, Kind: kind, Attempt: 1, Outcome: station.OK, Millis: 137, Measured: measured})
	}
	m := func(pairs ...string) (list []station.Measurement) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, station.Measurement{Name: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	intents := 0
	intent := func(e station.EffectName, res station.Result, more ...station.Fact) {
		intents++
		at(station.Intent{Effect: e, Number: intents, ICCID: iccid, Profile: handle(n), SMDP: "smdp.test", Transaction: strings.Repeat("7a", 16), Watermark: -1, Class: 2})
		at(more...)
		res.Effect, res.Number, res.Outcome, res.By = e, intents, station.OK, "answer"
		at(res)
	}
	note := func(seq int64, op string) {
		h := fmt.Sprintf("%s%d", handle(n)[:25], seq)
		at(station.NotificationKept{Handle: h, Sequence: seq, Operation: op, ICCID: iccid, Recipient: "smdp.test", EID: eid})
		w.put(0, serial, run, station.NotificationDelivered{Handle: h, Sequence: seq, EID: eid})
	}
	at(station.RunStarted{
		Recipe: "consumer", Version: 1, Digest: strings.Repeat("9952aaeb", 8), WorkOrder: fmt.Sprintf("WO-%06d", n/500), Route: "confirmed", RouteRef: string(run), Number: 1,
		Expect: station.Expect{Source: "label", IMEI: imei, EID: eid, Sample: sample},
	})
	step("clamp", "fixture.clamp")
	step("power-on", "fixture.power")
	step("boot", "module.boot", m("boot_ms", "504")...)
	step("radio-quiet", "module.radio_off")
	at(station.UnitIdentified{Maker: "Quectel", Model: "EG25", Firmware: Firmware(n), IMEI: imei})
	step("identify", "module.identify", m("model", "EG25", "firmware", Firmware(n), "maker", "Quectel", "imei", string(imei), "tac", "35216112")...)
	at(station.UnitIdentified{Route: "cgla", EID: eid, Generation: "sgp22", Platform: &station.Platform{
		SVN: "2.5.0", Firmware: "1.0.0", Profile: "2.3.1", SAS: "LF-TEST-0001", EUM: "89049032", Label: "bench/virtual", FreeNVM: 524288,
	}})
	step("euicc", "euicc.identify", m("eid", string(eid), "generation", "sgp22", "svn", "2.5.0", "euicc_firmware", "1.0.0", "free_nvm", "524288")...)
	step("bind", "unit.bind", m("bound_by", "label")...)
	step("precheck", "euicc.precheck", m("free_nvm", "524288", "profiles", "0", "notifications", "0")...)
	at(station.ProfileReserved{Handle: handle(n), ICCID: iccid, SMDP: "smdp.test", EID: eid, Cap: 5})
	step("reserve", "profile.reserve")
	intent(station.EffectGetBPP, station.Result{})
	intent(station.EffectLoad, station.Result{State: station.StateInstalled, ICCID: iccid, AID: "a0000005591010ffffffff8900001000", Sequence: 1})
	at(station.ProfileCommitted{Handle: handle(n), ICCID: iccid, EID: eid})
	note(1, "install")
	step("download", "profile.download", m("apdus", "68", "round_trips", "3", "bpp_bytes", "12758")...)
	intent(station.EffectEnable, station.Result{State: "enabled", ICCID: iccid})
	step("enable", "profile.enable")
	step("restart", "unit.restart", m("boot_ms", "370")...)
	step("readback", "profile.readback", m("state", "enabled", "eid", string(eid), "card_iccid", string(iccid), "iccid", string(iccid))...)
	note(2, "enable")
	intent(station.EffectRemove, station.Result{})
	step("notify", "notification.handover", m("pending", "0", "delivered", "2")...)
	step("ship-state", "unit.ship_state")
	step("power-down", "module.power_down")
	step("power-off", "fixture.power")
	at(station.RunVerdict{
		Verdict: station.Pass, IMEI: imei, EID: eid, ICCIDs: []ident.ICCID{iccid}, BoundBy: "label", Millis: 2085,
		Evidence: &station.Evidence{ICCID: iccid, EID: eid, State: "enabled", Seen: iccid},
	})
	at(station.UnitDisposed{Disposition: station.Release, Rule: "default/1:passed"})
	w.put(0, serial, run, station.OutboxDelivered{Event: string(run) + ".UnitsTested", Status: 200, Attempt: 1, Answer: "confirmed", Ref: string(run)})
	at(station.RunAccepted{Answer: "confirmed", Ref: string(run)}, station.UnitLeft{})
}

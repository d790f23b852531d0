package report_test

import (
	"fmt"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/audittest"
	"linefit/station"
)

// line writes a log by hand: one entry each second from 2026-03-02 06:00 UTC.
type line struct {
	t    testing.TB
	log  audittest.Log
	now  time.Time
	runs int
}

func newLine(t testing.TB) *line {
	return &line{t: t, now: time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)}
}

func (l *line) add(at station.Scope, facts ...station.Fact) {
	l.t.Helper()
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			l.t.Fatal(err)
		}
		_, err = l.log.Add(audit.Draft{Type: name, Slot: at.Slot, Unit: string(at.Unit), Run: string(at.Run), Actor: string(at.Actor), Data: data})
		if err != nil {
			l.t.Fatal(err)
		}
		l.log.Entries[len(l.log.Entries)-1].UTC = l.now
		l.now = l.now.Add(time.Second)
	}
}

// a run as the tests write it.
type run struct {
	unit   string
	slot   int
	sample string
	fw     string // "": it was never identified
	reason *station.Reason
	step   string
	order  string
	handle string
	digest string
	open   bool // no verdict yet
	stays  bool // the unit has not left
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// run writes a run: identification, a step that ends OK, one that decides.
func (l *line) run(r run) station.Scope {
	l.t.Helper()
	l.runs++
	at := station.Scope{Slot: r.slot, Unit: station.Serial(r.unit), Run: station.RunID(fmt.Sprintf("run%d", l.runs)), Actor: "op1"}
	if r.digest == "" {
		r.digest = digest
	}
	l.add(at, station.RunStarted{Recipe: "consumer", Version: 1, Digest: r.digest, WorkOrder: r.order, Route: "none", Number: l.runs,
		Expect: station.Expect{Sample: r.sample}})
	at.Actor = station.ActorStation
	l.add(at, station.StepEnded{Step: "boot", Kind: station.KindBoot, Attempt: 1, Outcome: station.OK, Millis: 500})
	if r.fw != "" {
		l.add(at, station.UnitIdentified{Maker: "Maker", Model: "M1", Firmware: r.fw, IMEI: "490154203237518"},
			station.UnitIdentified{Route: "cgla", EID: "89049032123451234512345678901235", Generation: "sgp22",
				Platform: &station.Platform{EUM: "89049032", Firmware: "3.1", SVN: "2.3.0"}})
	}
	if r.handle != "" {
		l.add(at, station.ProfileReserved{Handle: r.handle, SMDP: "smdp.example", ICCID: "89880000001000000023"})
	}
	if r.open {
		return at
	}
	v, d := station.Pass, station.Release
	if r.reason != nil {
		if r.step == "" {
			r.step = "readback"
		}
		v, d = station.Inconclusive, station.Retest
		if r.reason.Class == station.ClassUnit {
			v = station.Failed
		}
		l.add(at, station.StepEnded{Step: r.step, Kind: station.KindReadback, Attempt: 1, Outcome: station.Fail, Millis: 20, Reason: r.reason, Then: station.ThenClose})
	} else {
		r.step = ""
	}
	l.add(at, station.RunVerdict{Verdict: v, Step: r.step, Reason: r.reason, IMEI: "490154203237518", Millis: 520},
		station.UnitDisposed{Disposition: d, Rule: "test/1:x", Queue: map[bool]string{true: "retest"}[d == station.Retest], Reason: r.reason})
	if !r.stays {
		l.add(at, station.UnitLeft{})
	}
	return at
}

func fails() *station.Reason {
	return station.NewReason(station.ProfileReadback, "disabled, not enabled")
}
func backend() *station.Reason { return station.NewReason(station.SMDPUnreachable, "EOF") }
func estop() *station.Reason   { return station.NewReason(station.EmergencyStop, "") }

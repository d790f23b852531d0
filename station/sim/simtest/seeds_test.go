package simtest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit/store/storetest"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestSeeds makes a line anew for each seed: modules, cards, SM-DP+, MES,
// operator, disk and the moments of kills all follow from it. Then world and log
// are held against one another: queue, profiles, every INTENT with its RESULT or
// an UNKNOWN that was read back, the log's own counters. LINEFIT_SEEDS says how
// many, LINEFIT_SEED which one alone.
func TestSeeds(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			return otherwise
		}
		return n
	}
	first, n := number("LINEFIT_SEED", 1), number("LINEFIT_SEEDS", 8)
	if os.Getenv("LINEFIT_SEED") != "" {
		n = 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { seeded(t, seed) })
		})
	}
}

// seeded is one line.
func seeded(t *testing.T, seed uint64) {
	d := &disturber{t: t, dice: rand.New(rand.NewPCG(seed, 77)), seed: seed}
	defer func() {
		if t.Failed() {
			t.Logf("seed %d:%s", seed, d.said)
		}
	}()
	d.open()
	for range 1 + d.dice.IntN(4) {
		d.strike()
		d.shift.Work(time.Duration(1+d.dice.IntN(20)) * time.Minute)
		d.relent()
	}
	d.line.KillAfter(0)
	d.line.KillBefore(0)
	d.line.FailAt(0, 0)
	d.line.Mend()
	d.shift.Mischief = 0
	for n := 0; !d.shift.Work(time.Hour); n++ {
		if n == 12 {
			t.Fatalf("the line does not come to rest: %+v", d.line.Station.View())
		}
		d.line.MakeSpace()
	}
	d.line.Drain()
	for _, slot := range d.line.World.Slots() { // the log has the last unit's leaving, or a result that nobody was there to see
		d.line.Wait(slot, func(v station.SlotView) bool {
			return v.State == station.SlotEmpty || v.State == station.SlotFault || v.State == station.SlotDone && v.Waiting == station.WaitBin
		})
	}
	for _, p := range d.line.Rested().Problems {
		// A module that is mute at boot, which is one of the faults, may be on the
		// air before anybody can tell it not to.
		if d.faults == "none" || !strings.HasSuffix(p, "attempts to register on a network") {
			t.Error(p)
		}
	}
	if d.codes {
		issuesAgree(t, d.line)
	}
}

// disturber draws a line and what happens to it.
type disturber struct {
	t      *testing.T
	dice   *rand.Rand
	seed   uint64
	line   *simtest.Line
	shift  *simtest.Shift
	faults string
	codes  bool   // from the MES
	said   string // what was drawn
}

func one[T any](d *disturber, of ...T) T { return of[d.dice.IntN(len(of))] }

// open makes the line: consumer units mostly, else a fleet of all kinds, IoT
// ones, units of in-factory provisioning with no network, or codes from the MES.
func (d *disturber) open() {
	d.faults = one(d, "none", "typical", "typical", "harsh")
	o := simtest.Options{
		Units: 2 + d.dice.IntN(2), Slots: 1 + d.dice.IntN(2), Spare: 3, Seed: d.seed, Faults: d.faults,
		CSIM: d.dice.IntN(4) == 0, Mix: []string{"demo-eg25", "demo-sara-r5", "demo-le910", "demo-nrf91", "demo-generic"}[d.dice.IntN(5):],
		Pace: one(d, simtest.AsItComes, simtest.AsItComes, simtest.Eager, simtest.Lazy),
	}
	kind := one(d, "consumer", "consumer", "consumer", "fleet", "iot", "factory", "codes")
	switch kind {
	case "fleet":
		o.Recipe, o.Factory, o.Units, o.Spare = simtest.Recipe(d.t, "fleet"), fleetFactory, 4, 4
	case "iot":
		o.Recipe = simtest.Recipe(d.t, "iot")
	case "factory":
		o.Recipe, o.Factory = simtest.Recipe(d.t, "factory"), fleetFactory
	case "codes":
		o.MESCodes, d.codes = true, true
	}
	if d.dice.IntN(8) == 0 { // the second unit bears the first one's label
		label := ""
		o.Label = func(u sim.UnitState) string {
			if label == "" {
				label = u.Label
			}
			return one(d, u.Label, label)
		}
	}
	d.line = simtest.New(d.t, o)
	d.shift = simtest.NewShift(d.line, d.seed)
	d.shift.Hands, d.shift.Slips = time.Second, 0.1*float64(d.dice.IntN(3))
	d.shift.Mischief = one(d, 0, 0, 0.01, 0.05)
	d.said = fmt.Sprintf(" %s, faults %s, slips %.1f, mischief %.2f;", kind, d.faults, d.shift.Slips, d.shift.Mischief)
}

// disturbances are what can happen to a line beside what its own faults and
// people do; each is for the time until relent.
var disturbances = []struct {
	name string
	do   func(d *disturber, l *simtest.Line, at uint64)
}{
	{"killed", func(d *disturber, l *simtest.Line, at uint64) { one(d, l.KillAfter, l.KillBefore)(at) }},
	{"killed", func(d *disturber, l *simtest.Line, at uint64) { one(d, l.KillAfter, l.KillBefore)(at) }},
	{"killed again and again", func(d *disturber, l *simtest.Line, at uint64) {
		l.KillAfter(at)
		for range 3 {
			l.KillAgain(1 + uint64(d.dice.IntN(9)))
		}
	}},
	{"power cut", func(d *disturber, l *simtest.Line, at uint64) {
		l.CutPower()
		one(d, l.KillAfter, l.KillBefore)(at)
	}},
	{"log stops", func(d *disturber, l *simtest.Line, at uint64) {
		l.FailAt(at, one(d, storetest.Failed, storetest.TookEffect, storetest.Torn))
	}},
	{"log stops", func(d *disturber, l *simtest.Line, at uint64) {
		l.FailAt(at, one(d, storetest.Failed, storetest.TookEffect, storetest.Torn))
	}},
	{"disk full", func(d *disturber, l *simtest.Line, at uint64) { l.FailAt(at, storetest.Full) }},
	{"disk full at once", func(_ *disturber, l *simtest.Line, _ uint64) { l.Full() }},
	{"disk hangs", func(d *disturber, l *simtest.Line, at uint64) {
		l.SlowAt(at, one(d, 3*time.Second, 70*time.Second, 5*time.Minute))
	}},
	{"fact", func(d *disturber, l *simtest.Line, _ uint64) {
		l.FaultLater(simtest.Fact(one(d, seedFacts...).FactType()), one(d, simtest.Failed, simtest.TookEffect, simtest.KilledBefore, simtest.KilledAfter), d.dice.IntN(2))
	}},
	{"fact", func(d *disturber, l *simtest.Line, _ uint64) {
		l.FaultLater(simtest.Fact(one(d, seedFacts...).FactType()), one(d, simtest.Failed, simtest.TookEffect, simtest.KilledBefore, simtest.KilledAfter), d.dice.IntN(2))
	}},
	{"no MES", func(d *disturber, _ *simtest.Line, _ uint64) { d.shift.NoMES(true) }},
	{"no network", func(d *disturber, _ *simtest.Line, _ uint64) { d.shift.NoNetwork(true) }},
	{"MES", func(d *disturber, l *simtest.Line, _ uint64) {
		l.FaultLater(one(d, simtest.Point("mes/validate"), "mes/events"), one(d, seedHows...), d.dice.IntN(2))
	}},
	{"server", func(d *disturber, l *simtest.Line, _ uint64) {
		at := simtest.Server(one(d, smdpsim.InitiateAuthentication, smdpsim.AuthenticateClient, smdpsim.GetBoundProfilePackage, smdpsim.HandleNotification, smdpsim.CancelSession))
		l.Fault(at, one(d, seedHows...))
	}},
	{"load", func(d *disturber, l *simtest.Line, _ uint64) {
		l.Fault(simtest.Load(one(d, -1, 1, 2, 3, 4)), one(d, append(seedHows, simtest.PowerBefore, simtest.PowerAfter)...))
	}},
	{"card", func(d *disturber, l *simtest.Line, _ uint64) {
		l.FaultLater(simtest.Card(one(d, seedFunctions...)), one(d, append(seedHows, simtest.PowerBefore, simtest.PowerAfter, simtest.Reboot)...), d.dice.IntN(2))
	}},
	{"fixture", func(d *disturber, l *simtest.Line, _ uint64) {
		at := simtest.Fixture(one(d, "power-on", "power-off", "clamp", "open", "present", "lamp"))
		l.FaultLater(at, one(d, simtest.Failed, simtest.KilledBefore, simtest.KilledAfter), d.dice.IntN(3))
	}},
	{"started anew", func(_ *disturber, l *simtest.Line, _ uint64) { l.Reopen() }},
	{"rebuilt", func(_ *disturber, l *simtest.Line, _ uint64) { l.Rebuild() }},
}

var (
	seedFacts = []station.Fact{
		station.RunStarted{}, station.ProfileReserved{}, station.Intent{}, station.Result{}, station.ProfileCommitted{}, station.RunVerdict{},
		station.UnitDisposed{}, station.RunAccepted{}, station.UnitAcknowledged{}, station.UnitLeft{}, station.OutboxDelivered{}, station.NotificationKept{},
		station.NotificationDelivered{}, station.SlotFaulted{}, station.SlotCleared{}, station.TicketClaimed{}, station.TicketRepaired{}, station.RunResumed{},
	}
	seedHows      = []simtest.How{simtest.Failed, simtest.TookEffect, simtest.Lost, simtest.AnswerLost, simtest.KilledBefore, simtest.KilledAfter}
	seedFunctions = []string{"EnableProfile", "RemoveNotification", "CancelSession", "DeleteOneTimeKeys", "AddInitialEim", "DeleteProfile"}
)

// strike draws a disturbance.
func (d *disturber) strike() {
	at := d.line.Head() + 1 + uint64(d.dice.IntN(60))
	what := disturbances[d.dice.IntN(len(disturbances))]
	d.said += fmt.Sprintf(" %s@%d", what.name, at)
	what.do(d, d.line, at)
}

// relent ends what lasts.
func (d *disturber) relent() {
	d.shift.NoMES(false)
	d.shift.NoNetwork(false)
	d.line.MakeSpace()
}

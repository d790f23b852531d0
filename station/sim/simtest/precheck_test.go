package simtest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/configs"
	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/eim"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
	"linefit/station/steps"
	"linefit/station/text"
)

// precheck is something that can be known before money moves.
type precheck struct {
	name    string
	recipe  string // default consumer
	change  func(*station.Recipe)
	options func(*simtest.Options)
	prepare func(*testing.T, *simtest.Line)
	want    station.Code
	to      station.Disposition // default hold
}

// with changes a parameter of the recipe's steps of a kind.
func with(kind, name string, values ...string) func(*station.Recipe) {
	return func(r *station.Recipe) {
		for i, s := range r.Steps {
			if s.Kind != kind {
				continue
			}
			params := map[string][]string{}
			for k, v := range s.Params {
				params[k] = v
			}
			params[name] = values
			r.Steps[i].Params = params
		}
	}
}

// answering changes what the eUICC answers to a function.
func answering(function string, change func([]byte) []byte) func(*simtest.Options) {
	return both(card(func(c *euiccsim.Options) { c.Direct = true }), func(o *simtest.Options) {
		o.Answer = func(_ sim.UnitState, f string, response []byte) []byte {
			if f == function {
				return change(response)
			}
			return response
		}
	})
}

// pairingList imports lines for the line's first unit and another.
func pairingList(lines func(u sim.UnitState) string) func(*testing.T, *simtest.Line) {
	return func(t *testing.T, l *simtest.Line) {
		t.Helper()
		u, _ := l.World.Queued()
		data := "imei,eid,firmware,bootstrap_iccid\n490154203237518,89049032123451234512345678901235,,\n" + lines(u)
		lead := station.Person{Actor: "lead-1", Role: station.RoleLead}
		if _, err := l.Station.Pairing.Import(t.Context(), lead, "list.csv", []byte(data), false); err != nil {
			t.Fatal(err)
		}
	}
}

// delivered is a card that comes with the demo's eIM.
func delivered(t *testing.T) func(*simtest.Options) {
	data, err := configs.FS.ReadFile("eim/demo.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := eim.Parse("demo.json", data)
	if err != nil {
		t.Fatal(err)
	}
	n, err := wire.Parse(list[0].Raw)
	if err != nil {
		t.Fatal(err)
	}
	return card(func(c *euiccsim.Options) { c.EIMs = [][]byte{n.Value} })
}

// testProfile is a card whose test profile is enabled.
func testProfile(t *testing.T, class int) func(*simtest.Options) {
	pkg, err := smdpsim.GenericProfile("8988000000000000025", "001010123456789", "test", 1)
	if err != nil {
		t.Fatal(err)
	}
	return card(func(c *euiccsim.Options) { c.Preloaded = []euiccsim.Preloaded{{Package: pkg, Class: class}} })
}

const otherCI = "0102030405060708090A0B0C0D0E0F1011121314"

func prechecks(t *testing.T) []precheck {
	return []precheck{
		{name: "EID check digits", options: answering("GetEID", func(b []byte) []byte {
			b = slices.Clone(b)
			b[len(b)-3] ^= 0x01 // the last byte before the status word
			return b
		}), want: station.EUICCInvalidEID, to: station.Rework},
		{name: "eUICC maker", change: with(station.KindEUICC, "eum", "89033023"), want: station.EUICCMaker},
		{name: "IoT on a consumer line", options: func(o *simtest.Options) { o.Fleet = sim.Fleet{euiccsim.SGP32} }, want: station.EUICCGeneration},
		{name: "M2M on a consumer line", options: func(o *simtest.Options) { o.Fleet = sim.Fleet{euiccsim.SGP02} }, want: station.EUICCM2M},
		{name: "on no pairing list", prepare: pairingList(func(sim.UnitState) string { return "" }), want: station.UnitUnlisted},
		{name: "no list where one is required", change: with(station.KindBind, "pairing", "required"), want: station.UnitUnlisted},
		{name: "another eUICC than listed", prepare: pairingList(func(u sim.UnitState) string {
			return string(u.IMEI) + ",89049032000000010000000000000392,,\n"
		}), want: station.IdentityMismatch},
		{name: "another module than listed", prepare: pairingList(func(u sim.UnitState) string {
			return "356741080000028," + string(u.EID) + ",,\n"
		}), want: station.IdentityMismatch},
		{name: "another firmware than listed", prepare: pairingList(func(u sim.UnitState) string {
			return string(u.IMEI) + "," + string(u.EID) + ",OLD-1,\n"
		}), want: station.IdentityMismatch},
		{name: "module of another unit", prepare: func(t *testing.T, l *simtest.Line) { used(t, l) }, want: station.UnitReused},
		{name: "free memory", options: card(func(c *euiccsim.Options) { c.FreeNVM = 8000 }), want: station.EUICCMemory, to: station.Rework},
		{name: "CI of the station", options: func(o *simtest.Options) { o.Trust = steps.Trust{CIs: []string{otherCI}} }, want: station.EUICCUntrusted},
		{name: "CI of the recipe", change: with(station.KindPrecheck, "ci", otherCI), want: station.EUICCUntrusted},
		{name: "test CI in production", change: nil, options: testCIs, want: station.EUICCTest},
		{name: "policy rules", change: both2(with(station.KindPrecheck, "pprs", "1"), with(station.KindPrecheck, "owner", "001-01")),
			options: card(func(c *euiccsim.Options) { c.RAT = []euiccsim.RATRule{} }), want: station.ProfilePolicy},
		{name: "policy rule forbidden", change: both2(with(station.KindPrecheck, "pprs", "2"), with(station.KindPrecheck, "owner", "001-01")),
			options: card(func(c *euiccsim.Options) { c.ForbiddenPPRs = []int{2} }), want: station.ProfilePolicy},
		{name: "ICCID already there", prepare: elsewhere(0), want: station.ProfileDuplicate},
		{name: "ICCID already there, leftovers allowed", change: with(station.KindPrecheck, "leftovers", "allow"), prepare: elsewhere(0), want: station.ProfileDuplicate},
		{name: "profile of somebody else", options: func(o *simtest.Options) { o.Code = func(n int, _ []string) bool { return n > 0 } },
			prepare: elsewhere(0), want: station.EUICCLeftover},
		{name: "session of somebody else", options: both(fault(euiccsim.FaultLoadElement, 1), func(o *simtest.Options) { o.Code = func(n int, _ []string) bool { return n > 0 } }),
			prepare: func(t *testing.T, l *simtest.Line) { u, _ := l.World.Queued(); l.ElsewhereFails(u, 0) }, want: station.EUICCSession},
		{name: "notifications of somebody else", change: both2(with(station.KindPrecheck, "leftovers", "allow"), with(station.KindPrecheck, "notifications", "refuse")),
			options: func(o *simtest.Options) { o.Code = func(n int, _ []string) bool { return n > 0 } },
			prepare: func(t *testing.T, l *simtest.Line) { u, _ := l.World.Queued(); l.Elsewhere(u, 0, true) }, want: station.EUICCPending},
		{name: "test profile", options: testProfile(t, 0), want: station.EUICCTestProfile},
		{name: "test profile, leftovers allowed", change: with(station.KindPrecheck, "leftovers", "allow"), options: testProfile(t, 0), want: station.EUICCTestProfile},
		{name: "delivered with an eIM", recipe: "iot", options: delivered(t), want: station.EIMPresent},
		{name: "eIM that should be there", recipe: "iot", change: with(station.KindPrecheck, "eim", "delivered"), want: station.EIMMissing, to: station.Retest},
		{name: "IPA in the eUICC", recipe: "iot", options: card(func(c *euiccsim.Options) { c.IPAe = true }), want: station.IPAEUICC},
		{name: "IPA in the module", recipe: "iot", options: func(o *simtest.Options) { o.Persona = "quectel-rg650" }, want: station.IPAModule},
	}
}

func both2(list ...func(*station.Recipe)) func(*station.Recipe) {
	return func(r *station.Recipe) {
		for _, f := range list {
			f(r)
		}
	}
}

func testCIs(o *simtest.Options) {
	o.Trusting = func(ci string) steps.Trust {
		return steps.Trust{CIs: []string{ci}, TestCIs: []string{ci}, Production: true}
	}
}

// elsewhere gives the unit the n-th profile behind the station's back.
func elsewhere(n int) func(*testing.T, *simtest.Line) {
	return func(_ *testing.T, l *simtest.Line) {
		u, _ := l.World.Queued()
		l.Elsewhere(u, n, false)
	}
}

// used lets another unit have had this one's module.
func used(t *testing.T, l *simtest.Line) {
	t.Helper()
	u, _ := l.World.Queued()
	at := station.Scope{Slot: 1, Unit: "OTHER", Run: "earlier"}
	err := l.Station.Journal.Gate(t.Context(), at, station.UnitIdentified{IMEI: u.IMEI}, station.UnitIdentified{EID: u.EID},
		station.StepEnded{Step: "bind", Kind: station.KindBind, Attempt: 1, Outcome: station.OK})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrechecks: what can be known is known before a profile is reserved. No
// code leaves the ledger, no server is asked, nothing changes on the eUICC; each
// has its own reason, with advice in every language.
func TestPrechecks(t *testing.T) {
	for _, c := range prechecks(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := c.recipe
			if name == "" {
				name = "consumer"
			}
			recipe := simtest.Recipe(t, name)
			if c.change != nil {
				recipe.Steps = slices.Clone(recipe.Steps)
				c.change(recipe)
			}
			synctest.Test(t, func(t *testing.T) {
				o := simtest.Options{Recipe: recipe}
				if c.options != nil {
					c.options(&o)
				}
				l := simtest.New(t, o)
				if c.prepare != nil {
					c.prepare(t, l)
				}
				c.check(t, l)
			})
		})
	}
}

func (c precheck) check(t *testing.T, l *simtest.Line) {
	before := l.OrdersAsked()
	r := l.RunUnit(1)
	if r.Run == nil || r.Verdict == nil || r.Verdict.Reason == nil {
		t.Fatalf("refused %v, run %+v", r.Refused, r.Run)
	}
	to := c.to
	if to == "" {
		to = station.Hold
	}
	reason := r.Verdict.Reason
	if reason.Code != c.want || r.Disposition.Disposition != to {
		t.Errorf("%s (%s), %s; want %s, %s", reason.Code, reason.Detail, r.Disposition.Disposition, c.want, to)
	}
	for _, lang := range text.Langs() {
		cat := text.For(lang)
		if cat.Reason(reason.Code) == string(reason.Code) || strings.TrimSpace(cat.Advice(reason.Code)) == "" {
			t.Errorf("%s has no text or advice in %s", reason.Code, lang)
		}
	}
	if r.Profile != nil || len(r.Intents) > 0 {
		t.Errorf("reserved %+v, intents %+v", r.Profile, r.Intents)
	}
	for _, e := range l.Entries() {
		if e.Type == (station.ProfileReserved{}).FactType() {
			t.Errorf("entry %d reserves a profile", e.Seq)
		}
	}
	if n := l.OrdersAsked() - before; n != 0 {
		t.Errorf("the SM-DP+ was asked for a profile %d times", n)
	}
}

// What waits on the eUICC from before is kept before anything can push it out.
func TestPendingNotificationsAreKeptFirst(t *testing.T) {
	recipe := simtest.Recipe(t, "consumer")
	with(station.KindPrecheck, "leftovers", "allow")(recipe)
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Recipe: recipe, Code: func(n int, _ []string) bool { return n > 0 }})
		u, _ := l.World.Queued()
		l.Elsewhere(u, 0, true) // leaves the notifications of its installation and enabling
		r := l.RunUnit(1)
		if r.Verdict.Verdict != station.Pass {
			t.Fatalf("%+v", r.Verdict)
		}
		kept, reserved := 0, false
		for _, e := range l.Entries() {
			switch e.Type {
			case (station.NotificationKept{}).FactType():
				if !reserved {
					kept++
				}
			case (station.ProfileReserved{}).FactType():
				reserved = true
			}
		}
		if kept == 0 || !reserved {
			t.Errorf("%d notifications kept before the reservation (%t)", kept, reserved)
		}
	})
}

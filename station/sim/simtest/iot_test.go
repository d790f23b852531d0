package simtest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/report"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// iotRow is a command of the IoT steps with which something goes wrong.
type iotRow struct {
	function string
	later    int // passings that go well first
	es10c    bool
	// want is the outcome, or those of hows in their order.
	want []string
}

const iotPassed = "pass, release; card enabled; order installed 1; ledger installed 1; eIM eim.linefit.test"

const iotHeld = "inconclusive enable.session, hold; card disabled; order installed 1; ledger installed 1"

// iotHows is what goes wrong: beside the four variants the answer is lost, the
// unit loses power, the module starts anew.
var iotHows = append(slices.Clone(variants), simtest.Lost, simtest.AnswerLost, simtest.PowerBefore, simtest.PowerAfter, simtest.Reboot)

var iotRows = []iotRow{
	{function: "ConfigureImmediateProfileEnabling", want: []string{iotPassed}},
	{function: "ImmediateEnable", es10c: true, want: []string{iotPassed}},
	// Without ES10c the session of the download is the only chance: after a loss
	// of power before it was done the unit is held, its profile installed.
	{function: "ImmediateEnable", want: []string{iotPassed, iotPassed, iotHeld, iotPassed, iotPassed, iotPassed, iotHeld, iotPassed}},
	{function: "AddInitialEim", want: []string{iotPassed}},
	{function: "GetEimConfigurationData", want: []string{iotPassed}},
	{function: "GetCerts", want: []string{iotPassed}},
	{function: "GetConnectivityParameters", want: []string{iotPassed}},
}

// TestIoTScenario is the table of the IoT steps: commands × what happens to them
// × the way to the card. It prints the table with -v.
func TestIoTScenario(t *testing.T) {
	recipe := simtest.Recipe(t, "iot")
	var mu sync.Mutex
	var cells []cell
	t.Cleanup(func() { printTable(t, cells) })
	order := 0
	for _, row := range iotRows {
		for n, how := range iotHows {
			more := n >= len(variants)
			if more && strings.HasPrefix(row.function, "Get") { // what only reads
				continue
			}
			for _, csim := range []bool{false, true} {
				if more && csim { // what happens to the module happens on every route
					continue
				}
				order++
				at, route, name := order, map[bool]string{false: "CGLA", true: "CSIM"}[csim], row.function
				if row.es10c {
					name += ", ES10c too"
				}
				t.Run(fmt.Sprintf("%s/%s/%s", name, how, route), func(t *testing.T) {
					t.Parallel()
					got := ""
					defer func() {
						mu.Lock()
						defer mu.Unlock()
						cells = append(cells, cell{at, "IoT", fmt.Sprintf("%-46s %-13s %s  %s", name, how, route, got), t.Failed()})
					}()
					synctest.Test(t, func(t *testing.T) {
						got = row.run(t, recipe, how, csim, row.want[min(n, len(row.want)-1)])
					})
				})
			}
		}
	}
}

func (row iotRow) run(t *testing.T, recipe *station.Recipe, how simtest.How, csim bool, want string) string {
	l := simtest.New(t, simtest.Options{Recipe: recipe, CSIM: csim, Card: func(_ sim.UnitState, c *euiccsim.Options) { c.ES10cOnIoT = row.es10c }})
	l.FaultLater(simtest.Card(row.function), how, row.later)
	u, _ := l.World.Queued()
	r := l.RunUnit(1)
	if l.Struck() != 1 {
		t.Errorf("the fault has struck %d times", l.Struck())
	}
	if r.Run == nil || r.Verdict == nil {
		t.Fatalf("no run: %v", r.Refused)
	}
	got := outcome(l, r, l.OnCard(u, l.Item(r).ICCID))
	a := l.Check()
	for _, id := range a.EIMs[u.EID] {
		got += "; eIM " + id
	}
	if got != want {
		t.Errorf("\n got %s\nwant %s\n%v", got, want, r.Verdict.Reason)
	}
	return got
}

// TestFleet runs consumer, IoT, in-factory and M2M units through one process: the
// recipe does with each what is for its kind, and the log says the same of all.
func TestFleet(t *testing.T) {
	recipe := simtest.Recipe(t, "fleet")
	for _, faults := range []string{"none", "typical", "harsh"} {
		for seed := uint64(1); seed <= 3; seed++ {
			if faults == "none" && seed > 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", faults, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { fleet(t, recipe, faults, seed) })
			})
		}
	}
}

func fleet(t *testing.T, recipe *station.Recipe, faults string, seed uint64) {
	mix := []string{"demo-eg25", "demo-sara-r5"}
	l := simtest.New(t, simtest.Options{Recipe: recipe, Units: 8, Slots: 3, Mix: mix, Spare: 6, Faults: faults, Seed: seed, Factory: fleetFactory})
	l.RunAll()
	seen := map[string]int{}
	for _, u := range l.World.Units() {
		runs := l.Runs(u.Serial)
		if len(runs) == 0 {
			t.Fatalf("%s did not run", u.Serial)
		}
		r := runs[len(runs)-1]
		kind := string(u.Generation)
		if u.Prepared {
			kind = station.KindSGP41
		}
		seen[kind]++
		passed := r.Verdict.Verdict == station.Pass
		if faults == "none" && (!passed || len(runs) > 1) {
			t.Errorf("%s (%s): %s %v in %d runs", u.Serial, u.Generation, r.Verdict.Verdict, r.Verdict.Reason, len(runs))
		}
		if passed && r.Verdict.Generation != string(u.Generation) {
			t.Errorf("%s is %s, the log says %q", u.Serial, u.Generation, r.Verdict.Generation)
		}
		if got := len(r.Verdict.EIMs); passed && (got == 1) != (u.Generation == euiccsim.SGP32) {
			t.Errorf("%s (%s) passed with %d eIMs", u.Serial, u.Generation, got)
		}
		if got := r.Verdict.Factory; passed && (got == station.FactoryClosed) != u.Prepared {
			t.Errorf("%s (%s) passed, in-factory provisioning is %q", u.Serial, kind, got)
		}
		if u.Prepared && slices.ContainsFunc(r.Intents, func(in station.Intent) bool { return in.Effect == station.EffectGetBPP }) {
			t.Errorf("%s is to be loaded from its packages, and a server was asked for one", u.Serial)
		}
		if u.Generation == euiccsim.SGP02 && (r.Profile != nil || len(r.Intents) > 0) {
			t.Errorf("%s is M2M: reserved %v, intents %v", u.Serial, r.Profile, r.Intents)
		}
	}
	if len(seen) != 4 {
		t.Errorf("kinds %v", seen)
	}
	l.Check()
}

// fleetFactory is what a fleet's units of in-factory provisioning come with.
var fleetFactory = &simtest.Factory{Keys: 4, Orders: []simtest.FactoryOrder{{Provider: "linefit demo", Packages: 3}}}

// TestOneReportForAll: what a unit of each kind leaves has the same fields.
func TestOneReportForAll(t *testing.T) {
	recipe := simtest.Recipe(t, "fleet")
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Recipe: recipe, Units: 4, Slots: 4, Factory: fleetFactory})
		l.RunAll()
		finder, builder := report.NewFinder(report.Query{}), report.NewBuilder(time.Time{}, time.Time{})
		for _, e := range l.Entries() {
			finder.See(e)
			builder.Add(e)
		}
		fields, results, kinds := map[string][]string{}, map[string][]string{}, map[string][]string{}
		for _, r := range finder.Result().Runs {
			fields[r.Kind] = filled(t, r)
		}
		for _, k := range builder.Result().Kinds {
			kinds[k.Kind] = filled(t, k)
		}
		err := l.Station.Log.View(func(v audit.View) error {
			return mes.EachResult(v, 0, func(r mes.Result) error {
				results[r.Kind] = filled(t, r)
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"sgp22", "sgp32", "sgp41", "sgp02"} {
			if !slices.Equal(kinds[k], kinds["sgp22"]) || len(kinds[k]) < 6 {
				t.Errorf("the report says of %s: %v, of sgp22: %v", k, kinds[k], kinds["sgp22"])
			}
		}
		for _, got := range []map[string][]string{fields, results} {
			for _, g := range []string{"sgp22", "sgp32", "sgp41", "sgp02"} {
				for _, want := range []string{"eid", "firmware", "generation", "iccids", "kind", "imei", "maker", "model", "platform", "unit", "verdict"} {
					if !slices.Contains(got[g], want) {
						t.Errorf("%s: %v, without %s", g, got[g], want)
					}
				}
			}
			for _, g := range []string{"sgp32", "sgp41", "sgp02"} {
				more := slices.DeleteFunc(slices.Clone(got[g]), func(f string) bool { return slices.Contains(got["sgp22"], f) || f == "eims" || f == "factory" })
				if len(more) > 0 {
					t.Errorf("%s has fields of its own: %v", g, more)
				}
			}
		}
	})
}

// filled are the names of the fields that have something in them.
func filled(t *testing.T, v any) (names []string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for name, value := range m {
		if !slices.Contains([]string{`""`, "null", "0", "[]", "{}"}, string(value)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

package simtest_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// factoryRow is a case of row 20 of the failure table: a command of in-factory
// provisioning, and what happens to it.
type factoryRow struct {
	name  string
	at    simtest.Point
	later int
	card  func(*euiccsim.Options)
	hows  []simtest.How // default: factoryHows
	want  []string      // the last one also for the hows behind it
}

// factoryHows: beside the four variants the answer is lost, the unit loses
// power, the module starts anew.
var factoryHows = append(slices.Clone(variants), simtest.Lost, simtest.AnswerLost, simtest.PowerBefore, simtest.PowerAfter, simtest.Reboot)

// What comes of a run: the unit; the profiles on its card and what is enabled;
// one-time keys; the rows of the loading report.
const (
	made     = "pass, release; 2 profiles, the first enabled; 0 keys; 2 installed, 1 unused"
	madeCut  = "pass, release; 2 profiles, the first enabled; 0 keys; 2 installed, 1 failed"
	madeLost = "pass, release; 2 profiles, the first enabled; 0 keys; 2 installed, 1 no_result"
)

// once strikes by a fault of the card alone.
var once = []simtest.How{""}

func cardFault(f euiccsim.Fault, times int) func(*euiccsim.Options) {
	return func(o *euiccsim.Options) { o.Faults[f] = times }
}

var factoryRows = []factoryRow{
	{name: "GetOneTimeKeys", at: simtest.Card("GetOneTimeKeys"), hows: variants, want: []string{made}},
	{name: "PrepareFactoryLoad", at: simtest.Card("PrepareFactoryLoad"), want: []string{made}},
	// Nothing of the package has reached the eUICC; whether it has nobody knows,
	// and it is not sent again.
	{name: "first block", at: simtest.Load(1), want: []string{madeLost, madeCut, madeLost, madeCut, madeLost, madeCut, madeLost, madeCut}},
	{name: "third block", at: simtest.Load(3), want: []string{madeCut}},
	{name: "third block, an eUICC that says nothing of it", at: simtest.Load(3), card: func(o *euiccsim.Options) { o.NoInterruption = true }, hows: variants, want: []string{madeLost}},
	{name: "last block", at: simtest.Load(-1), want: []string{madeCut, made, madeCut, made, madeCut, made, madeCut, made}},
	{name: "second package, third block", at: simtest.Load(3), later: 1, want: []string{madeCut}},
	{name: "DeleteOneTimeKeys", at: simtest.Card("DeleteOneTimeKeys"), want: []string{made}},
	{name: "GetEUICCChallenge", at: simtest.Card("GetEUICCChallenge"), hows: variants, want: []string{made}},
	{name: "EnableProfile", at: simtest.Card("EnableProfile"), hows: variants, want: []string{made}},
	{name: "one package refused", card: cardFault(euiccsim.FaultLoadElement, 1), hows: once, want: []string{madeCut}},
	{name: "no memory for one package", card: cardFault(euiccsim.FaultLoadMemory, 1), hows: once, want: []string{madeCut}},
	{name: "installed, and said it failed", card: cardFault(euiccsim.FaultWrongResult, 1), hows: once, want: []string{made}},
	{name: "two packages refused, one may be", card: cardFault(euiccsim.FaultLoadElement, 2), hows: once,
		want: []string{"fail profile.refused, retest; 0 profiles; 2 keys; 2 failed, 1 unused"}},
}

// TestFactoryScenario is the table of in-factory provisioning: commands × what
// happens to them × the way to the card. It prints the table with -v.
func TestFactoryScenario(t *testing.T) {
	recipe := simtest.Recipe(t, "factory")
	var mu sync.Mutex
	var cells []cell
	t.Cleanup(func() { printTable(t, cells) })
	order := 0
	for _, row := range factoryRows {
		hows := row.hows
		if hows == nil {
			hows = factoryHows
		}
		for n, how := range hows {
			for _, csim := range []bool{false, true} {
				if csim && n >= len(variants) {
					continue // the rest does not depend on the way to the card
				}
				order++
				at, route := order, map[bool]string{false: "CGLA", true: "CSIM"}[csim]
				t.Run(fmt.Sprintf("%s/%s/%s", row.name, how, route), func(t *testing.T) {
					t.Parallel()
					got := ""
					defer func() {
						mu.Lock()
						defer mu.Unlock()
						cells = append(cells, cell{at, "20", fmt.Sprintf("%-46s %-13s %s  %s", row.name, how, route, got), t.Failed()})
					}()
					synctest.Test(t, func(t *testing.T) {
						got = row.run(t, recipe, how, csim, row.want[min(n, len(row.want)-1)])
					})
				})
			}
		}
	}
}

// TestFactoryForeseesItsLimit: a read-back wants more profiles than the unit has
// got. That is found out before the one-time keys are deleted: without them it
// would never get another one.
func TestFactoryForeseesItsLimit(t *testing.T) {
	recipe := *simtest.Recipe(t, "factory")
	recipe.Steps = slices.Clone(recipe.Steps)
	i := slices.IndexFunc(recipe.Steps, func(s station.Step) bool { return s.Kind == station.KindReadback })
	three := int64(3)
	recipe.Steps[i].Limits = []station.Limit{{Measure: "profiles", Min: &three}}
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, factoryOptions(&recipe))
		u, _ := l.World.Queued()
		r := l.RunUnit(1)
		if got, want := madeOf(t, l, u, r), "fail limit.exceeded, retest; 2 profiles; 2 keys; 2 installed, 1 unused"; got != want {
			t.Errorf("\n got %s\nwant %s\n%v", got, want, r.Verdict.Reason)
		}
		l.Check()
	})
}

// factoryOptions are those of a line on which each eUICC has four keys and three
// packages.
func factoryOptions(recipe *station.Recipe) simtest.Options {
	return simtest.Options{Recipe: recipe, Factory: &simtest.Factory{Keys: 4, Orders: []simtest.FactoryOrder{{Provider: "linefit demo", Packages: 3}}}}
}

func (row factoryRow) run(t *testing.T, recipe *station.Recipe, how simtest.How, csim bool, want string) string {
	o := factoryOptions(recipe)
	o.CSIM = csim
	o.Card = func(_ sim.UnitState, c *euiccsim.Options) {
		if row.card != nil {
			row.card(c)
		}
	}
	l := simtest.New(t, o)
	if row.at != "" {
		l.FaultLater(row.at, how, row.later)
	}
	u, _ := l.World.Queued()
	r := l.RunUnit(1)
	if row.at != "" && l.Struck() != 1 {
		t.Errorf("the fault has struck %d times", l.Struck())
	}
	got := madeOf(t, l, u, r)
	if got != want {
		t.Errorf("\n got %s\nwant %s\n%v", got, want, r.Verdict.Reason)
	}
	l.Check()
	return got
}

// madeOf is what came of a run, in the world's words.
func madeOf(t *testing.T, l *simtest.Line, u sim.UnitState, r simtest.Run) string {
	t.Helper()
	if r.Run == nil || r.Verdict == nil {
		t.Fatalf("no run: %v", r.Refused)
	}
	text := string(r.Verdict.Verdict)
	if c := r.Code(); c != "" {
		text += " " + string(c)
	}
	a, err := l.World.Account()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := l.World.Keys()
	if err != nil {
		t.Fatal(err)
	}
	enabled := ""
	for _, p := range a.Cards[u.EID] {
		if p.Enabled && len(r.Fitted) > 0 && p.ICCID == r.Fitted[0].ICCID {
			enabled = ", the first enabled"
		}
	}
	text += fmt.Sprintf(", %s; %d profiles%s; %d keys; ", r.Disposition.Disposition, len(a.Cards[u.EID]), enabled, keys[u.EID])
	report, _, doubt := l.Report()
	if doubt != nil {
		t.Error(doubt)
	}
	c := report.Counts
	for _, n := range []struct {
		n    int
		what string
	}{{c.Installed, "installed"}, {c.Failed, "failed"}, {c.NoResult, "no_result"}, {c.Unused, "unused"}} {
		if n.n > 0 {
			text += fmt.Sprintf("%d %s, ", n.n, n.what)
		}
	}
	if open := len(r.OpenIntents()); open > 0 {
		text += fmt.Sprintf("%d open, ", open)
	}
	return text[:len(text)-2]
}

package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

type killRun struct {
	name    string
	options simtest.Options
	verdict station.Verdict
	code    station.Code
	to      station.Disposition
	card    string
	ledger  station.StockState
	from    string // type of the fact before which nothing is killed; empty: the run's first
}

// consumer runs are tried in every way; the others share most of their steps.
func (run killRun) consumer() bool { return run.options.Recipe == nil }

// killRuns are runs that are killed at each of their facts.
func killRuns(t *testing.T) []killRun {
	iot := func(es10c bool) simtest.Options {
		return simtest.Options{Recipe: simtest.Recipe(t, "iot"), Card: func(_ sim.UnitState, c *euiccsim.Options) { c.ES10cOnIoT = es10c }}
	}
	return append(consumerRuns,
		killRun{"IoT", iot(true), station.Pass, "", station.Release, "enabled", station.StockInstalled,
			station.ProfileReserved{}.FactType()}, // as consumer units up to here
		killRun{"M2M", simtest.Options{Recipe: simtest.Recipe(t, "m2m")}, station.Pass, "", station.Release, "absent", "", ""},
	)
}

var consumerRuns = []killRun{
	{"passing", simtest.Options{}, station.Pass, "", station.Release, "enabled", station.StockInstalled, ""},
	{"failing", simtest.Options{Card: func(_ sim.UnitState, c *euiccsim.Options) { c.Faults[euiccsim.FaultStateLost] = -1 }},
		station.Failed, station.ProfileReadback, station.Retest, "disabled", station.StockInstalled, ""},
}

// killPoints are the moments of a kill around one entry, with the pace of the
// facts that are not waited for.
var killPoints = []struct {
	name string
	pace simtest.Pace
	kill func(*simtest.Line, uint64)
}{
	{"durable, not acknowledged", simtest.Eager, (*simtest.Line).KillAfter},
	{"not written", simtest.Eager, (*simtest.Line).KillBefore},
	{"not written, nor what was queued before", simtest.Lazy, (*simtest.Line).KillBefore},
}

// TestKilledAtEveryFact kills the station at every entry of a run. Whatever the
// moment, the run ends as it would have, with the same account of unit, profile
// and order, and nothing is downloaded that was not counted.
func TestKilledAtEveryFact(t *testing.T) {
	for _, run := range killRuns(t) {
		first, last := measure(t, run)
		for i, p := range killPoints {
			if i == 1 && !run.consumer() { // between the other two
				continue
			}
			for n := first; n <= last; n++ {
				t.Run(fmt.Sprintf("%s/%s/%d", run.name, p.name, n), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := run.options
						o.Pace = p.pace
						l := simtest.New(t, o)
						p.kill(l, n)
						run.check(t, l, 1)
					})
				})
			}
		}
	}
}

// TestKilledAgainAndAgain kills the station three times in one run.
func TestKilledAgainAndAgain(t *testing.T) {
	for _, run := range killRuns(t) {
		first, last := measure(t, run)
		for n := first; n <= last; n += 3 {
			if run.ledger == "" { // an M2M unit has no effects that could be doubled
				continue
			}
			for _, again := range []uint64{1, 5, 11} {
				if again != 5 && !run.consumer() {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d+%d", run.name, n, again), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := run.options
						o.Pace = simtest.Eager
						l := simtest.New(t, o)
						l.KillAfter(n)
						l.KillAgain(again)
						l.KillAgain(again + 1)
						run.check(t, l, 3)
					})
				})
			}
		}
	}
}

// measure finds the first and the last entry of a run at which it is killed.
func measure(t *testing.T, run killRun) (first, last uint64) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, run.options)
		synctest.Wait()
		first = l.Head() + 1
		l.RunUnit(1)
		last = l.Head() - 2 // how many entries what was delivered behind the unit's back makes is not in step
		for _, e := range l.Entries() {
			if e.Type == run.from {
				first = e.Seq
				break
			}
		}
	})
	return first, last
}

// check runs the unit and says what must come of it however often the station
// was killed, at most kills times (a run that is over is not killed any more).
func (run killRun) check(t *testing.T, l *simtest.Line, kills int) {
	t.Helper()
	u, _ := l.World.Queued()
	r := l.RunUnit(1)
	if n := l.Restarts(); n > kills || n == 0 && kills > 0 {
		t.Fatalf("killed %d times, not %d", n, kills)
	}
	i, order := l.Item(r), l.Order(r)
	if r.Verdict.Verdict != run.verdict || r.Code() != run.code || r.Disposition.Disposition != run.to {
		t.Errorf("%s %v, %s", r.Verdict.Verdict, r.Verdict.Reason, r.Disposition.Disposition)
	}
	installs := 1
	if run.ledger == "" { // nothing is installed here
		installs = 0
	}
	if got := l.OnCard(u, i.ICCID); got != run.card || i.State != run.ledger || len(order.Installs) != installs {
		t.Errorf("card %s, ledger %s, %d installations", got, i.State, len(order.Installs))
	}
	if order.Deliveries > 1+max(l.Restarts(), 1) || order.Deliveries > i.Downloads || i.Downloads > 3 || len(r.OpenIntents()) > 0 {
		t.Errorf("%d deliveries, %d asked for, open: %v", order.Deliveries, i.Downloads, r.OpenIntents())
	}
	if runs := l.Runs(u.Serial); len(runs) != 1 {
		t.Errorf("%d runs", len(runs))
	}
	l.Check()
}

package simtest_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// scenario is a case of the failure table of modem/rsp, on a whole station.
type scenario struct {
	row, name string
	options   func(*simtest.Options)
	prepare   func(*simtest.Line)
	at        simtest.Point
	later     int // passings of the point that go well first
	// stuck is a command that fails from its passing after until on, until the
	// unit runs once more.
	stuck simtest.Point
	until int
	hows  []simtest.How // default: [variants]
	// want is the outcome for each of hows, the last one also for those behind
	// it; see [outcome].
	want []string
	// plain is the outcome where nothing happens beside what the scenario is
	// about; "" leaves that out.
	plain string
	// sessions bounds what is begun at the SM-DP+ in a run of which it, or the
	// eUICC, has refused something for good: nothing is tried in a loop. One that
	// a fault has cut off does not count. 0: no bound.
	sessions int
	// mend takes the cause away before the unit runs once more; that run must
	// pass, and again says with which profile.
	mend  func(*simtest.Line)
	again string   // same, other; "" no second run
	then  []string // outcome of that run, as want; nil: it passes
	// foreign is a profile that came to the unit from elsewhere: no book has it.
	foreign string
}

// variants are: the command failed; it failed but took effect; the station was
// killed right there, before and after the effect.
var variants = []simtest.How{simtest.Failed, simtest.TookEffect, simtest.KilledBefore, simtest.KilledAfter}

// outcome is what came of a run, in the world's words where it has some:
// verdict, reason, disposition; the profile on the card; the order at the
// SM-DP+ with deliveries and wrong confirmation codes; the ledger and how often
// it has asked; intents without a result.
func outcome(l *simtest.Line, r simtest.Run, card string) string {
	i, o := l.Item(r), l.Order(r)
	verdict := string(r.Verdict.Verdict)
	if c := r.Code(); c != "" {
		verdict += " " + string(c)
	}
	if r.Profile == nil {
		return fmt.Sprintf("%s, %s; nothing reserved", verdict, r.Disposition.Disposition)
	}
	s := fmt.Sprintf("%s, %s; card %s; order %s %d", verdict, r.Disposition.Disposition, card, o.State, o.Deliveries)
	if o.WrongCodes > 0 {
		s += fmt.Sprintf(" (%d wrong)", o.WrongCodes)
	}
	s += fmt.Sprintf("; ledger %s %d", i.State, i.Downloads)
	if n := len(r.OpenIntents()); n > 0 {
		s += fmt.Sprintf("; %d open", n)
	}
	return s
}

// cell is one line of the printed table.
type cell struct {
	order     int
	row, text string
	bad       bool
}

// TestScenario is the failure table: rows × what happens to the command × the
// way to the card. It prints the table with -v.
func TestScenario(t *testing.T) {
	var mu sync.Mutex
	var cells []cell
	t.Cleanup(func() { printTable(t, cells) })
	order := 0
	for _, sc := range scenarios {
		hows := sc.hows
		if hows == nil {
			hows = variants
		}
		if sc.plain != "" {
			hows = append([]simtest.How{simtest.Undisturbed}, hows...)
		}
		for n, how := range hows {
			want := sc.plain
			if how != simtest.Undisturbed {
				if sc.plain != "" {
					n--
				}
				want = sc.want[min(n, len(sc.want)-1)]
			}
			for _, csim := range []bool{false, true} {
				order++
				at, route := order, map[bool]string{false: "CGLA", true: "CSIM"}[csim]
				t.Run(fmt.Sprintf("%s %s/%s/%s", sc.row, sc.name, how, route), func(t *testing.T) {
					t.Parallel()
					got := ""
					defer func() { // a cell that fails ends here
						mu.Lock()
						defer mu.Unlock()
						cells = append(cells, cell{at, sc.row, fmt.Sprintf("%-38s %-13s %s  %s", sc.name, how, route, got), t.Failed()})
					}()
					synctest.Test(t, func(t *testing.T) { got = sc.run(t, how, csim, want, n) })
				})
			}
		}
	}
}

// run plays one cell, the n-th of its scenario, and returns what came of it.
func (sc scenario) run(t *testing.T, how simtest.How, csim bool, want string, n int) string {
	o := simtest.Options{CSIM: csim}
	if sc.options != nil {
		sc.options(&o)
	}
	l := simtest.New(t, o)
	if sc.prepare != nil {
		sc.prepare(l)
	}
	strikes := sc.at != "" && how != simtest.Undisturbed
	if strikes {
		l.FaultLater(sc.at, how, sc.later)
	}
	if sc.stuck != "" {
		l.FaultFrom(sc.stuck, simtest.Failed, sc.until)
	}
	u, _ := l.World.Queued()
	r := l.RunUnit(1)
	if strikes && sc.stuck == "" && l.Struck() != 1 {
		t.Errorf("the fault has struck %d times", l.Struck())
	}
	if r.Run == nil || r.Verdict == nil {
		t.Fatalf("no run: %v", r.Refused)
	}
	got := outcome(l, r, l.OnCard(u, l.Item(r).ICCID))
	if got != want {
		t.Errorf("\n got %s\nwant %s\n%v", got, want, r.Verdict.Reason)
	}
	if begun := l.Sessions(); sc.sessions > 0 && strikes && begun > sc.sessions+1 || sc.sessions > 0 && !strikes && begun > sc.sessions {
		t.Errorf("%d sessions were begun at the SM-DP+, %d suffice", begun, sc.sessions)
	}
	sc.check(t, l)
	if sc.again != "" {
		got += "; then " + sc.rerun(t, l, u, r, n)
	}
	return got
}

// rerun lets the unit run once more, without its fault.
func (sc scenario) rerun(t *testing.T, l *simtest.Line, u sim.UnitState, first simtest.Run, n int) string {
	l.Mend()
	if sc.mend != nil {
		sc.mend(l)
	}
	l.Allow(first.Unit, first.Disposition.Disposition)
	r := l.RunUnit(1)
	if r.Run == nil {
		t.Fatalf("refused: %v", r.Refused)
	}
	got := "other"
	if r.Profile != nil && first.Profile != nil && r.Profile.Handle == first.Profile.Handle {
		got = "same"
	}
	if got != sc.again || r.Verdict.Verdict != station.Pass {
		t.Errorf("the next run: %s %v with the %s profile, want %s", r.Verdict.Verdict, r.Verdict.Reason, got, sc.again)
	}
	if sc.then != nil {
		ended, want := outcome(l, r, l.OnCard(u, l.Item(r).ICCID)), sc.then[min(n, len(sc.then)-1)]
		if got += ": " + ended; ended != want {
			t.Errorf("the next run:\n got %s\nwant %s", ended, want)
		}
	}
	sc.check(t, l)
	return got
}

// check holds the log against the world.
func (sc scenario) check(t *testing.T, l *simtest.Line) {
	for _, p := range l.Account().Problems {
		if sc.foreign == "" || !strings.Contains(p, sc.foreign) {
			t.Error(p)
		}
	}
}

func printTable(t *testing.T, cells []cell) {
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Compare(a.order, b.order) })
	var b strings.Builder
	good := 0
	for _, c := range cells {
		mark := "ok "
		if c.bad {
			mark = "BAD"
		} else {
			good++
		}
		fmt.Fprintf(&b, "%s %-3s %s\n", mark, c.row, c.text)
	}
	for _, n := range notHere {
		fmt.Fprintf(&b, "--- %-3s not tried here: %s\n", n.row, n.why)
	}
	t.Logf("failure table: %d of %d cells right\n%s", good, len(cells), b.String())
}

// TestEveryRowIsTriedOrNamed holds the list of rows against the table.
func TestEveryRowIsTriedOrNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, sc := range scenarios {
		seen[strings.TrimRight(sc.row, "abc")] = true
	}
	for _, n := range notHere {
		if seen[n.row] {
			t.Errorf("row %s is tried and said not to be", n.row)
		}
		seen[n.row] = true
	}
	for n := 1; n <= 20; n++ {
		if !seen[fmt.Sprint(n)] {
			t.Errorf("row %d is neither tried nor named", n)
		}
	}
}

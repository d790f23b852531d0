package rework_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
)

// TestShifts runs random shifts: units come and come again, fail in every way,
// people of every role do whatever they like, the station crashes in between.
// It holds throughout: a unit has one open ticket at most, every unit with a
// result is in exactly one count, a held or scrapped unit runs only after a
// lead or QA decided so, no unit runs more often between repairs than the
// limits allow without a person's decision, and a rebuild gives the same state.
func TestShifts(t *testing.T) {
	policy := defaultPolicy(t)
	codes := []station.Code{""}
	for c := range station.Codes() {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	rapid.Check(t, func(rt *rapid.T) {
		f := newFloor(t)
		m := shift{f: f, running: map[string]station.RunID{}, since: map[string]int{}, barred: map[string]bool{}, seen: map[string]bool{}}
		serial := func(rt *rapid.T) string { return fmt.Sprint("SN", rapid.IntRange(1, 3).Draw(rt, "unit")) }
		person := func(rt *rapid.T) rework.Person {
			return rapid.SampledFrom([]rework.Person{op, op2, lead, qa}).Draw(rt, "person")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"start": func(rt *rapid.T) { m.start(rt, serial(rt), policy) },
			"end":   func(rt *rapid.T) { m.end(rt, serial(rt), rapid.SampledFrom(codes).Draw(rt, "code")) },
			"claim": func(rt *rapid.T) { _, _ = f.desk.Claim(ctx, person(rt), serial(rt)) },
			"repair": func(rt *rapid.T) {
				sn := serial(rt)
				if _, err := f.desk.Repair(ctx, person(rt), sn, "cause", "action"); err == nil {
					m.since[sn] = 0
				}
			},
			"dispose": func(rt *rapid.T) {
				sn, by := serial(rt), person(rt)
				to := rapid.SampledFrom([]station.Disposition{station.Release, station.Retest, station.Scrap}).Draw(rt, "to")
				if _, err := f.desk.Dispose(ctx, by, sn, to, "why"); err == nil {
					if m.barred[sn] && by.Role == rework.RoleOperator && to != station.Scrap {
						rt.Fatalf("an operator let %s go", sn)
					}
					m.barred[sn], m.since[sn] = to == station.Scrap, 0
				}
			},
			"crash": func(*rapid.T) { f.crash() },
			"":      m.check,
		})
		f.crash()
	})
}

type shift struct {
	f       *floor
	running map[string]station.RunID
	since   map[string]int  // runs that did not pass since a repair or a person's decision
	barred  map[string]bool // held or scrapped
	seen    map[string]bool // has a result
}

func (m *shift) start(t *rapid.T, sn string, p *rework.Policy) {
	run, err := m.f.start(sn)
	if err != nil {
		return
	}
	if m.running[sn] != "" {
		t.Fatalf("%s runs twice", sn)
	}
	if m.barred[sn] {
		t.Fatalf("%s runs although it is held or scrapped", sn)
	}
	if m.since[sn] > p.RetestLimit+p.InconclusiveLimit {
		t.Fatalf("%s runs after %d runs without a repair", sn, m.since[sn])
	}
	m.running[sn] = run
}

func (m *shift) end(t *rapid.T, sn string, code station.Code) {
	run := m.running[sn]
	if run == "" {
		t.Skip("not running")
	}
	delete(m.running, sn)
	d := m.f.end(sn, run, code)
	m.seen[sn] = true
	m.barred[sn] = d == station.Hold || d == station.Scrap
	if code == "" {
		if d != station.Release {
			t.Fatalf("%s passed and is %s", sn, d)
		}
		m.since[sn] = 0
		return
	}
	m.since[sn]++
	if d == station.Release {
		t.Fatalf("%s did not pass (%s) and is released", sn, code)
	}
}

func (m *shift) check(t *rapid.T) {
	n := m.f.counts()
	if n.Passed+n.Failed+n.Held+n.Scrapped != len(m.seen) || n.Runs != m.f.runs {
		t.Fatalf("%d units with a result, %d runs, counts %+v", len(m.seen), m.f.runs, n)
	}
	err := m.f.log.View(func(v audit.View) error {
		open, err := rework.Tickets(v, rework.Filter{})
		if err != nil {
			return err
		}
		units := map[station.Serial]bool{}
		for _, ticket := range open {
			if units[ticket.Unit] {
				t.Fatalf("%s has two open tickets", ticket.Unit)
			}
			units[ticket.Unit] = true
			if u, err := rework.UnitOf(v, ticket.Unit); err != nil || u.Ticket != ticket.ID {
				t.Fatalf("%s knows of ticket %q, not %q (%v)", ticket.Unit, u.Ticket, ticket.ID, err)
			}
		}
		all, err := rework.Tickets(v, rework.Filter{Closed: true})
		if len(open) != n.Tickets || len(all) != n.Tickets+n.Closed {
			t.Fatalf("%d open of %d tickets, counts %+v", len(open), len(all), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

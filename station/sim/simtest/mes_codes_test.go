package simtest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// issuesAgree holds what the MES has been told of its codes against the SM-DP+:
// what is confirmed is installed there on that eUICC, what came back was never
// handed to any, and nothing that was handed out is still open.
func issuesAgree(t *testing.T, l *simtest.Line) {
	t.Helper()
	orders := map[ident.ICCID]smdpsim.OrderInfo{}
	for _, o := range l.World.Provider().Orders() {
		orders[o.ICCID] = o
		if len(o.Consumers()) > 1 {
			t.Errorf("order %s: several eUICCs asked for it: %v", o.ID, o.Consumers())
		}
	}
	for _, i := range l.World.MES().Issues() {
		o := orders[i.ICCID]
		switch {
		case i.State == "open":
			t.Errorf("the MES still waits for %s (unit %s)", i.Ref, i.Unit)
		case i.State == "installed" && (o.State != smdpsim.StateInstalled || o.Installs[0].EID != i.EID):
			t.Errorf("%s is confirmed on %s; the SM-DP+ says %s %+v", i.Ref, i.EID, o.State, o.Installs)
		case i.State == "returned" && slices.ContainsFunc(o.Consumers(), func(e ident.EID) bool { return !later(l, i, e) }):
			t.Errorf("%s came back as unused; the SM-DP+ handed it to %v", i.Ref, o.Consumers())
		}
	}
}

// later reports whether an eUICC got a code by a later handing-out of it.
func later(l *simtest.Line, back sim.Issued, eid ident.EID) bool {
	return slices.ContainsFunc(l.World.MES().Issues(), func(i sim.Issued) bool { return i.Ref > back.Ref && i.ICCID == back.ICCID && i.EID == eid })
}

func states(l *simtest.Line) (out []string) {
	for _, i := range l.World.MES().Issues() {
		s := string(i.Unit) + " " + i.State
		if i.Code != "" {
			s += " " + string(i.Code)
		}
		out = append(out, s)
	}
	return out
}

// TestCodesFromTheMES is what becomes of a code that comes with the route check,
// whatever fails: at every point the request, fact or command failed, failed
// although it took effect, or the station was killed right there.
func TestCodesFromTheMES(t *testing.T) {
	points := []struct {
		name string
		at   simtest.Point
		hows []simtest.How
	}{
		{"route check", "mes/validate", variants},
		{"the code's fact", simtest.Fact("stock.imported/1"), variants},
		{"the run's first fact", simtest.Fact("run.started/1"), variants},
		{"reservation", simtest.Fact("profile.reserved/1"), variants},
		{"boot", simtest.Fixture("power-on"), []simtest.How{simtest.Failed, simtest.KilledBefore, simtest.KilledAfter}},
		{"authenticateClient", simtest.Server(smdpsim.AuthenticateClient), variants},
		{"getBoundProfilePackage", simtest.Server(smdpsim.GetBoundProfilePackage), variants},
		{"last block", simtest.Load(-1), variants},
		{"commit", simtest.Fact("profile.committed/1"), variants},
		{"check-out", "mes/events", variants},
		{"verdict", simtest.Fact("run.verdict/1"), variants},
	}
	for _, p := range points {
		for _, how := range p.hows {
			t.Run(fmt.Sprintf("%s/%s", p.name, how), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := simtest.New(t, simtest.Options{Units: 2, MESCodes: true})
					l.Fault(p.at, how)
					u, _ := l.World.Queued()
					for range 4 {
						r := l.RunUnit(1)
						if r.Refused != nil {
							t.Fatalf("refused: %v", r.Refused)
						}
						if l.Struck() != 1 {
							t.Fatalf("the fault has struck %d times", l.Struck())
						}
						if r.Unit != u.Serial {
							continue
						}
						if r.Verdict.Verdict == station.Pass {
							break
						}
						l.Allow(u.Serial, r.Disposition.Disposition)
						l.RunUnit(1) // the other unit, in between
					}
					l.Drain()
					t.Log(states(l))
					issuesAgree(t, l)
					l.Check()
					n := counts(t, l)
					if n.Reserved != 0 || n.Available != 0 || n.Total != n.Installed+n.Quarantined+n.Spent {
						t.Errorf("%+v", n)
					}
				})
			})
		}
	}
}

// TestCodeComesBackFromARunThatDoesNotUseIt: a unit that fails before its eUICC
// asked for anything gives its code back, and the next unit gets it.
func TestCodeComesBackFromARunThatDoesNotUseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 2, Spare: -1, MESCodes: true, Card: func(u sim.UnitState, c *euiccsim.Options) {
			if u.Serial == "LF000001" {
				c.FreeNVM = 100
			}
		}})
		first := l.RunUnit(1)
		second := l.RunUnit(1)
		if first.Verdict.Verdict == station.Pass || second.Verdict.Verdict != station.Pass {
			t.Fatalf("%+v %+v", first.Verdict, second.Verdict)
		}
		l.Drain()
		issues := l.World.MES().Issues()
		if len(issues) != 2 || issues[0].State != "returned" || issues[1].State != "installed" || issues[0].ICCID != issues[1].ICCID {
			t.Fatalf("%+v", issues)
		}
		issuesAgree(t, l)
		l.Check()
	})
}

// TestTheSameCodeForTwoUnits is refused, raises an alarm, and burns nothing.
func TestTheSameCodeForTwoUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first map[string]any
		l := simtest.New(t, simtest.Options{Units: 2, MESCodes: true})
		codes, err := l.World.Codes()
		if err != nil {
			t.Fatal(err)
		}
		first = map[string]any{"activation_code": codes[0].Text.Reveal(), "iccid": codes[0].ICCID}
		l.World.MES().HandOut(func(unit station.Serial, _ ident.ICCID) map[string]any {
			if unit == "LF000002" {
				return first
			}
			return nil
		})
		pass(t, l, 1)
		asked := l.OrdersAsked()
		r := l.RunUnit(1)
		if r.Refused == nil || r.Refused.Code != station.MESProfile {
			t.Fatalf("%+v %+v", r.Refused, r.Verdict)
		}
		if l.OrdersAsked() != asked {
			t.Error("the SM-DP+ was asked")
		}
		n := counts(t, l)
		if n.Alarms != 1 || n.Installed != 1 || n.Total != 1 {
			t.Errorf("%+v", n)
		}
		l.Drain()
		if got := states(l); !slices.Contains(got, "LF000002 refused mes.profile") {
			t.Errorf("the MES was told %q", got)
		}
		if ev := l.World.MES().Types(); ev["linefit.StockAlarm.v1"] != 1 {
			t.Errorf("%v", ev)
		}
	})
}

// TestCodeGoesOnToAnotherStation: what one station gave back works at another
// one, and the first station takes the code again, under another ref, after that
// one gave it back too.
func TestCodeGoesOnToAnotherStation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, _, err := audit.NewKey("test.example/bench-b")
		if err != nil {
			t.Fatal(err)
		}
		o := simtest.Options{Units: 3, Slots: 2, Spare: -1, MESCodes: true, Only: []int{1}, Card: func(u sim.UnitState, c *euiccsim.Options) {
			if u.Serial != "LF000003" {
				c.FreeNVM = 100
			}
		}}
		a := simtest.New(t, o)
		o.Beside, o.Only, o.Key = a, []int{2}, key
		b := simtest.New(t, o)
		for n, l := range []*simtest.Line{a, b, a} {
			slot := 1 + n%2
			r := l.RunUnit(slot)
			if r.Verdict == nil || (r.Verdict.Verdict == station.Pass) != (n == 2) {
				t.Fatalf("%d: %+v %+v", n, r.Refused, r.Verdict)
			}
			l.Drain()
		}
		issues := a.World.MES().Issues()
		if len(issues) != 3 || issues[0].State != "returned" || issues[1].State != "returned" || issues[2].State != "installed" ||
			issues[0].ICCID != issues[1].ICCID || issues[1].ICCID != issues[2].ICCID {
			t.Fatalf("%+v", issues)
		}
		issuesAgree(t, a)
		if n := counts(t, a); n.Total != 1 || n.Installed != 1 || n.Returned != 1 {
			t.Errorf("%+v", n)
		}
		if codes, err := b.Station.Ledger.Vault().List(stock.KindCode); err != nil || len(codes) > 1 {
			t.Errorf("%v %v", codes, err)
		}
		a.Reopen() // a start erases what went back
		if codes, err := a.Station.Ledger.Vault().List(stock.KindCode); err != nil || len(codes) != 1 {
			t.Errorf("%d codes are in the vault, one is in use: %v", len(codes), err)
		}
	})
}

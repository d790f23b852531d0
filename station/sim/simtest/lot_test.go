package simtest_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
	"linefit/station/steps"
)

// TestLotStops: a reason that several units meet, one after the other, stops the
// lot before another one costs a profile. It is said on the screen and in the
// log, nobody gets a unit started, and only a person with a reason lets it go on.
func TestLotStops(t *testing.T) {
	for _, c := range []struct {
		name    string
		options func(*simtest.Options)
		cause   station.Code
		units   int // after which it stops
		burnt   int // profiles that are lost by then
	}{
		{"error 12", fault(euiccsim.FaultLoadElement, -1), station.ProfileRefused, 2, 2},
		{"damaged packages", falsify(smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongMAC, 0), station.ProfileDamaged, 2, 2},
		{"untrusted CI", func(o *simtest.Options) {
			o.Trust = steps.Trust{CIs: []string{"00112233445566778899AABBCCDDEEFF00112233"}}
		}, station.EUICCUntrusted, 2, 0},
		{"refusing server", refuse(smdpsim.InitiateAuthentication, "8.8.1", "3.8"), station.SMDPRefused, 3, 0},
		{"server's certificate", falsify(smdpsim.InitiateAuthentication, smdpsim.FaultWrongSignature, 0), station.SMDPUntrusted, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				told := map[string]string{} // the MES's events about the lot, by id
				o := simtest.Options{Units: 6, Wire: func(path string, request, _ []byte) {
					var e struct{ ID, Type string }
					if path == "/v1/events" && json.Unmarshal(request, &e) == nil && e.Type == mes.LotHalted.Type() {
						mu.Lock()
						defer mu.Unlock()
						told[e.ID] = string(request)
					}
				}}
				c.options(&o)
				l := simtest.New(t, o)
				for n := 1; n <= c.units; n++ {
					if h := l.Station.View().Health; h != station.HealthOK {
						t.Fatalf("%s after %d units", h, n-1)
					}
					if r := l.RunUnit(1); r.Refused != nil || r.Code() != c.cause {
						t.Fatalf("unit %d: %v %v", n, r.Refused, r.Code())
					}
				}
				checkHalted(t, l, c.cause, c.units)
				if spent := l.Check().Profiles.Spent; spent != c.burnt {
					t.Errorf("%d profiles are spent, want %d", spent, c.burnt)
				}
				l.Restart() // the halt outlives the process
				checkHalted(t, l, c.cause, c.units)
				if err := l.Do(station.Command{Kind: station.CmdResume, Operator: "lead-1", Why: "another reel"}); err != nil {
					t.Fatal(err)
				}
				if h := l.Station.View().Health; h != station.HealthOK {
					t.Errorf("%s after a person let it go on", h)
				}
				l.Finish(1, standing(l))
				l.Check()
				mu.Lock()
				defer mu.Unlock()
				all := strings.Join(slices.Sorted(maps.Values(told)), "\n")
				if len(told) != 2 || !strings.Contains(all, `"halted":{"cause":"`+string(c.cause)+`","units":["LF000001","LF000002"`) || !strings.Contains(all, `"cleared":{"why":"another reel"}`) || !strings.Contains(all, `"actor":"lead-1"`) {
					t.Errorf("the MES has heard %s", all)
				}
			})
		})
	}
}

// standing is the unit that stands in slot 1.
func standing(l *simtest.Line) sim.UnitState {
	units := l.World.Units()
	return units[slices.IndexFunc(units, func(u sim.UnitState) bool { return u.Place == sim.PlaceSlot })]
}

// checkHalted puts the next unit in and scans it.
func checkHalted(t *testing.T, l *simtest.Line, cause station.Code, units int) {
	t.Helper()
	if v := l.Station.View(); v.Health != station.HealthHalted || v.Detail != string(cause) {
		t.Errorf("the screen says %s (%s)", v.Health, v.Detail)
	}
	var halts []station.LotHalted
	for _, e := range l.Entries() {
		if f, err := station.Decode(e.Type, e.Data); err == nil {
			if h, ok := f.(station.LotHalted); ok {
				halts = append(halts, h)
			}
		}
	}
	if len(halts) != 1 || halts[0].Cause != cause || len(halts[0].Units) != units {
		t.Errorf("the log says %+v", halts)
	}
	asked := l.OrdersAsked()
	u := sim.UnitState{}
	if i := slices.IndexFunc(l.World.Units(), func(u sim.UnitState) bool { return u.Place == sim.PlaceSlot }); i < 0 {
		u = l.Next(1)
	} else {
		u = l.World.Units()[i]
	}
	var refusal *station.Refusal
	err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
	if !errors.As(err, &refusal) || refusal.Reason.Code != station.LotStopped {
		t.Errorf("a unit was scanned: %v", err)
	}
	if n := l.OrdersAsked() - asked; n != 0 {
		t.Errorf("%d requests reached the SM-DP+ after the lot had stopped", n)
	}
}

// TestLotStopsWhatIsUnderWay: units that are in the slots when the lot stops end
// well, and none of them asks for a package any more.
func TestLotStopsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 8
		quick := map[ident.EID]bool{}
		o := simtest.Options{Units: slots, Slots: slots}
		fault(euiccsim.FaultLoadElement, -1)(&o)
		o.Server = func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == smdpsim.AuthenticateClient && !quick[p.EID] {
				return smdpsim.Fault{Kind: smdpsim.FaultSlow, Delay: 20 * time.Second}
			}
			return smdpsim.Fault{}
		}
		l := simtest.New(t, o)
		var units []sim.UnitState
		for slot := 1; slot <= slots; slot++ {
			u := l.Next(slot)
			quick[u.EID] = slot <= 2
			units = append(units, u)
		}
		for n, u := range units {
			if err := l.Do(station.Command{Kind: station.CmdScan, Slot: n + 1, Text: u.Label}); err != nil {
				t.Fatal(err)
			}
		}
		for n, u := range units {
			switch r := l.Finish(n+1, u); {
			case n < 2 && r.Code() != station.ProfileRefused:
				t.Errorf("%s: %v", u.Serial, r.Verdict.Reason)
			case n >= 2 && (r.Code() != station.LotStopped || r.Verdict.Verdict != station.Inconclusive || r.Disposition.Disposition != station.Retest):
				t.Errorf("%s: %s, %v, %s", u.Serial, r.Verdict.Verdict, r.Verdict.Reason, r.Disposition.Disposition)
			}
		}
		a := l.Check()
		if a.Profiles.Spent != 2 || a.Profiles.Reserved != 0 {
			t.Errorf("%+v", a.Profiles)
		}
		delivered := 0
		for _, o := range a.Orders {
			delivered += o.Deliveries
		}
		if delivered != 2 {
			t.Errorf("%d packages were delivered", delivered)
		}
	})
}

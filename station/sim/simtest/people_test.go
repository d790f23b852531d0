package simtest_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestLogStopsUnderTheTechnician: the log fails at what a technician records. The
// repair goes on where it broke off, and the unit comes back to the line.
func TestLogStopsUnderTheTechnician(t *testing.T) {
	for _, fact := range []station.Fact{station.TicketClaimed{}, station.TicketRepaired{}} {
		for _, how := range []simtest.How{simtest.Failed, simtest.TookEffect} {
			t.Run(fact.FactType()+" "+string(how), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := simtest.New(t, simtest.Options{Card: func(u sim.UnitState, c *euiccsim.Options) {
						if u.Attempt == 1 {
							c.FreeNVM = 8000
						}
					}})
					l.Fault(simtest.Fact(fact.FactType()), how)
					l.RunAll()
					u := l.World.Units()[0]
					if l.Struck() != 1 || u.Place != sim.PlaceOut || u.Attempt != 2 {
						t.Errorf("%d faults, %+v", l.Struck(), u)
					}
					l.Check()
				})
			})
		}
	}
}

// TestLogStopsUnderAnAdmission: the log fails at the code that the MES has handed
// out with its route check. The unit is refused until the log goes on.
func TestLogStopsUnderAnAdmission(t *testing.T) {
	for _, how := range []simtest.How{simtest.Failed, simtest.TookEffect} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{MESCodes: true})
				l.Fault(simtest.Fact(station.StockImported{}.FactType()), how)
				u := l.Next(1)
				err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label})
				var refusal *station.Refusal
				if !errors.As(err, &refusal) || refusal.Reason.Code != station.LogStopped {
					t.Errorf("%v", err)
				}
				l.RunAll()
				if u := l.World.Units()[0]; l.Struck() != 1 || u.Place != sim.PlaceOut {
					t.Errorf("%d faults, %+v", l.Struck(), u)
				}
				l.Check()
				issuesAgree(t, l)
			})
		})
	}
}

package simtest_test

import (
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

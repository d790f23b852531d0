package sim

import (
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/smdpsim"
	"linefit/station"
)

// Hooks let a test stand between the virtual parts of a line. Each may be nil.
// They are called from the goroutines of the parts, several at once, and must
// not call the World.
type Hooks struct {
	// Label changes what is printed on a unit's label.
	Label func(UnitState) string
	// Card changes a unit's card before it is made.
	Card func(UnitState, *euiccsim.Options)
	// Socket stands between a unit's module and its card. It is asked each time
	// that the unit is put into a slot.
	Socket func(UnitState, modemsim.Card) modemsim.Card
	// Module is asked for a module's faults before the plan is.
	Module func(unit UnitState, point string, n int) (modemsim.Fault, bool)
	// Order changes the n-th order, from 0, before it is placed.
	Order func(n int, o *smdpsim.Order)
	// Server is asked for the SM-DP+'s faults before the plan is.
	Server func(smdpsim.FaultPoint) smdpsim.Fault
	// Route adds to the MES's answer to the route check of a unit.
	Route func(unit station.Serial) map[string]string
	// Profile changes what the MES hands out for a unit, where it is the source of
	// codes.
	Profile func(unit station.Serial, iccid ident.ICCID) map[string]any
	// Request hears of every request at the SM-DP+.
	Request func(smdpsim.Event)
}

// faultsOf are the accidents of a unit's module at its try-th power-on of an
// attempt.
func (w *World) faultsOf(st UnitState, try int) modemsim.Faults {
	// 1000 power-ons in an attempt are more than any recipe makes.
	planned := w.plan.Faults(w.opt.Seed, string(st.Serial), 1000*st.Attempt+try)
	hook := w.opt.Hooks.Module
	if hook == nil {
		return planned
	}
	return modemsim.FaultFunc(func(point string, n int) (modemsim.Fault, bool) {
		if f, ok := hook(st, point, n); ok {
			return f, true
		}
		return planned.Draw(point, n)
	})
}

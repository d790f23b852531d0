package simtest_test

import (
	"linefit/configs"
	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// refuse makes the SM-DP+ refuse a function with a status code.
func refuse(point smdpsim.Point, subject, reason string) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Server = func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point != point {
				return smdpsim.Fault{}
			}
			return smdpsim.Fault{Kind: smdpsim.FaultRefuse, Status: &smdpsim.Status{Subject: subject, Reason: reason, Message: "no"}}
		}
	}
}

// falsify falsifies the first answers of a function, 0: all.
func falsify(point smdpsim.Point, kind smdpsim.FaultKind, attempts int) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Server = func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point != point || attempts > 0 && p.Attempt > attempts {
				return smdpsim.Fault{}
			}
			return smdpsim.Fault{Kind: kind}
		}
	}
}

// order changes the first order.
func order(change func(*smdpsim.Order)) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) {
			if n == 0 {
				change(o)
			}
		}
	}
}

// card changes the unit's card.
func card(change func(*euiccsim.Options)) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Card = func(_ sim.UnitState, c *euiccsim.Options) { change(c) }
	}
}

func fault(f euiccsim.Fault, n int) func(*simtest.Options) {
	return card(func(c *euiccsim.Options) { c.Faults[f] = n })
}

// both joins options.
func both(list ...func(*simtest.Options)) func(*simtest.Options) {
	return func(o *simtest.Options) {
		for _, f := range list {
			f(o)
		}
	}
}

// code changes the first line of the imported list.
func code(change func(row []string) bool) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Code = func(n int, row []string) bool { return n > 0 || change(row) }
	}
}

// release has the operator release the first order, and a person put the
// profile back into the stock.
func release(l *simtest.Line) {
	if _, err := l.World.Provider().Release("order-00001"); err != nil {
		panic(err)
	}
}

// clearing takes the first unit through a run that installs its profile and
// fails, and brings it to the rework recipe that clears its eUICC.
func clearing(l *simtest.Line) {
	r := l.RunUnit(1)
	recipe, err := recipe.LoadFS(configs.FS, "recipes/euicc-reset.yaml")
	if err != nil {
		panic(err)
	}
	l.Switch(recipe)
	l.Allow(r.Unit, r.Disposition.Disposition)
}

// cleared is a rework run that did its work: the unit may begin anew. That the
// ledger has the profile as spent and no card has it, [simtest.Line.Account] says.
const cleared = "pass, retest; nothing reserved"

// disallowed is a profile that is installed and that the eUICC does not enable.
const disallowed = "inconclusive profile.policy, hold; card disabled; order installed 1; ledger installed 1"

// forgotten is a profile that was enabled until the unit was restarted.
const forgotten = "fail profile.readback, retest; card disabled; order installed 1; ledger installed 1"

// refuseEnable has the eUICC answer EnableProfile with a result code; 0: as it
// would.
func refuseEnable(code func(request []byte) int) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Instead = func(_ sim.UnitState, function string, request []byte) []byte {
			if function != "EnableProfile" || code(request) == 0 {
				return nil
			}
			return []byte{0xBF, 0x31, 0x03, 0x80, 0x01, byte(code(request)), 0x90, 0x00}
		}
	}
}

// muteAfterLoad has the eUICC refuse to list its profiles so many times, from the
// first load on: more often than a step is tried otherwise.
func muteAfterLoad(times int) func(*simtest.Options) {
	return func(o *simtest.Options) {
		loaded, left := false, times
		o.Answer = func(_ sim.UnitState, function string, response []byte) []byte {
			loaded = loaded || function == ""
			if function != "GetProfilesInfo" || !loaded || left == 0 {
				return response
			}
			left--
			return []byte{0x6F, 0x00}
		}
	}
}

// power is a unit that loses its supply, alone or with the station.
var power = []simtest.How{simtest.PowerBefore, simtest.PowerAfter, simtest.KilledAfter}

// earlierCopy is a unit whose eUICC has the first profile from somewhere else.
// hidden leaves it out of the list until it is in the way.
func earlierCopy(hidden bool) func(*simtest.Options) {
	return func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) {
			if n == 1 {
				o.Generic.ICCID = "89880000000000000017"
			}
		}
		o.Code = func(n int, _ []string) bool { return n > 0 }
		if !hidden {
			return
		}
		loading := false
		o.Card = func(_ sim.UnitState, c *euiccsim.Options) { c.Direct = true }
		o.Answer = func(_ sim.UnitState, function string, response []byte) []byte {
			loading = loading || function == ""
			if function == "GetProfilesInfo" && !loading {
				return []byte{0xBF, 0x2D, 0x02, 0xA0, 0x00, 0x90, 0x00}
			}
			return response
		}
	}
}

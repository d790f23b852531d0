package station

import "slices"

// Lot watches for a failure that is not the unit's: the same reason on several
// units in a row means that the next one will meet it too, and each try may
// burn a profile. It is a pure machine: its state follows from the log.
type Lot struct {
	Cause  Code     `json:"cause,omitempty"`
	Units  []Serial `json:"units,omitempty"` // that met it, since the last unit that passed
	Halted bool     `json:"halted,omitempty"`
}

// lotLimits are the reasons that speak of the lot, its orders or its servers,
// and how many units must meet one before the lot stops.
var lotLimits = map[Code]int{
	SMDPUntrusted:   3, // servers change certificates in the middle of a shift, too
	SMDPRefused:     3,
	EUICCUntrusted:  2,
	EUICCTest:       2,
	EUICCGeneration: 3,
	ProfileRefused:  3, // installation error 12 and its like: each costs a profile
	ProfileMismatch: 2,
	ProfilePolicy:   2,
	CodeRefused:     3,
}

// Evolve applies a fact of any slot.
func (l Lot) Evolve(env Envelope, f Fact) Lot {
	switch f := f.(type) {
	case RunVerdict:
		return l.judged(env.Unit, f)
	case LotHalted:
		l.Halted = true
	case LotCleared:
		return Lot{}
	}
	return l
}

func (l Lot) judged(unit Serial, v RunVerdict) Lot {
	switch {
	case l.Halted: // what was running comes to its end; it changes nothing
		return l
	case v.Verdict == Pass:
		return Lot{}
	case v.Reason == nil || lotLimits[v.Reason.Code] == 0:
		return l
	case v.Reason.Code != l.Cause:
		return Lot{Cause: v.Reason.Code, Units: []Serial{unit}}
	case !slices.Contains(l.Units, unit):
		l.Units = append(slices.Clone(l.Units), unit)
	}
	return l
}

// Decide says whether the lot stops now.
func (l Lot) Decide() (LotHalted, bool) {
	limit := lotLimits[l.Cause]
	if l.Halted || limit == 0 || len(l.Units) < limit {
		return LotHalted{}, false
	}
	return LotHalted{Cause: l.Cause, Units: l.Units}, true
}

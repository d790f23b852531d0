package station

import (
	"slices"
	"strings"
)

// Lot watches for a failure that is not the unit's: the same reason on several
// units of late means that the next one will meet it too, and each try may burn
// a profile. Units that pass in between do not prove the contrary: two reels, or
// two servers, may be on one line. It is a pure machine: its state follows from
// the log.
type Lot struct {
	Recent []Judged `json:"recent,omitempty"` // newest last, at most MaxLotWindow
	Halted bool     `json:"halted,omitempty"`
	Cause  Code     `json:"cause,omitempty"` // of the halt
	Units  []Serial `json:"units,omitempty"` // that met it
}

// Judged is a run's verdict as far as the lot is concerned.
type Judged struct {
	Unit Serial `json:"unit"`
	Code Code   `json:"code,omitempty"` // empty: it passed
}

// MaxLotWindow bounds LotRule.Within.
const MaxLotWindow = 64

// LotRule says when the lot stops: so many different units have met one of these
// reasons, the same one, in the newest Within verdicts.
type LotRule struct {
	Reason []string `json:"reason"` // codes; "smdp.*" is every code that begins with "smdp."
	Units  int      `json:"units"`
	Within int      `json:"within"` // Units to MaxLotWindow
}

// DefaultLot are the rules where a policy has none of its own: reasons that cost
// a profile each or speak of the whole reel at the second unit, those of servers
// and orders at the third.
func DefaultLot() []LotRule {
	return []LotRule{
		{Reason: []string{string(ProfileRefused), string(ProfileDamaged), string(ProfileMismatch), string(ProfilePolicy), string(EUICCUntrusted), string(EUICCTest)}, Units: 2, Within: 8},
		{Reason: []string{string(SMDPRefused), string(SMDPUntrusted), string(CodeRefused), string(EUICCGeneration)}, Units: 3, Within: 12},
	}
}

// Evolve applies a fact of any slot.
func (l Lot) Evolve(env Envelope, f Fact) Lot {
	switch f := f.(type) {
	case RunVerdict:
		return l.judged(env.Unit, f)
	case LotHalted:
		l.Halted, l.Cause, l.Units, l.Recent = true, f.Cause, f.Units, nil
	case LotCleared:
		return Lot{}
	}
	return l
}

func (l Lot) judged(unit Serial, v RunVerdict) Lot {
	if l.Halted { // what was running comes to its end; it changes nothing
		return l
	}
	j := Judged{Unit: unit}
	if v.Verdict != Pass && v.Reason != nil {
		j.Code = v.Reason.Code
	}
	l.Recent = append(slices.Clone(l.Recent), j)
	l.Recent = l.Recent[max(0, len(l.Recent)-MaxLotWindow):]
	return l
}

// Decide says whether the lot stops now.
func (l Lot) Decide(rules []LotRule) (LotHalted, bool) {
	if l.Halted {
		return LotHalted{}, false
	}
	for _, r := range rules {
		met := map[Code][]Serial{}
		for _, j := range l.Recent[max(0, len(l.Recent)-r.Within):] {
			if j.Code == "" || !r.matches(j.Code) || slices.Contains(met[j.Code], j.Unit) {
				continue
			}
			if met[j.Code] = append(met[j.Code], j.Unit); len(met[j.Code]) >= r.Units {
				return LotHalted{Cause: j.Code, Units: met[j.Code]}, true
			}
		}
	}
	return LotHalted{}, false
}

func (r LotRule) matches(c Code) bool {
	return slices.ContainsFunc(r.Reason, func(p string) bool { return c.Matches(p) })
}

// Matches reports whether a pattern of a policy names the code: the code itself,
// or its beginning with a star behind.
func (c Code) Matches(pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return c != "" && strings.HasPrefix(string(c), prefix)
	}
	return pattern == string(c)
}

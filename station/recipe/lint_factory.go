package recipe

import (
	"slices"

	"linefit/internal/strictyaml"
	"linefit/station"
)

// afterClosing are the steps that may follow the end of in-factory
// provisioning: they show what was done and put the unit into its ship state.
// Enabling is among them since LPA services are shut as long as a one-time key
// is left (SGP.41, EUICCF03).
var afterClosing = []string{
	station.KindEnable, station.KindRestart, station.KindReadback, station.KindNotify, station.KindShipState,
}

// factory holds a recipe against the rules of in-factory provisioning: prepared
// packages only where the recipe says what it is, and one-time keys deleted as
// the obligatory last step of the closing recipe, there and nowhere else.
func (l *linter) factory(f file) {
	closing := 0
	if l.r.Mixed() && l.r.Factory == "" {
		l.add(strictyaml.Path("accepts"), "sgp41 needs a recipe that says factory: open or factory: closing")
	}
	for i, s := range l.r.Steps {
		at := func(key string) []string { return strictyaml.Path("steps", i, key) }
		isClose := s.Kind == station.KindClose
		if isClose {
			closing++
		}
		switch {
		case s.Final && !isClose:
			l.add(at("final"), "only %s ends in-factory provisioning, not %s", station.KindClose, s.Kind)
		case isClose && !s.Final:
			l.add(at("kind"), "%s is the step that nothing of in-factory provisioning follows: it needs final: true", s.Kind)
		case s.Final && l.r.Factory != station.FactoryClosing:
			l.add(at("final"), "one-time keys are deleted by the closing recipe only (factory: closing)%s", l.others())
		case s.Final && closing > 1:
			l.add(at("final"), "in-factory provisioning ends once")
		}
		if isClose && (s.Always || s.Optional) {
			l.add(at("kind"), "%s is for units of which nothing failed, and all of them: neither always nor optional", s.Kind)
		}
		if s.Kind == station.KindLoad && l.r.Factory == "" {
			l.add(at("kind"), "%s needs a recipe that says factory: open or factory: closing%s", s.Kind, l.others())
		}
	}
	if l.r.Factory == "" {
		return
	}
	l.factoryOrder(closing)
}

// others says how a step of in-factory provisioning is kept from the other units
// of a recipe.
func (l *linter) others() string {
	if l.whole.Mixed() && l.whole.Factory != "" {
		return "; say only: [sgp41]"
	}
	return ""
}

func (l *linter) factoryOrder(closing int) {
	loads, last := l.last(station.KindLoad), l.last(station.KindClose)
	if l.first(station.KindReadback) < 0 {
		l.add(strictyaml.Path("factory"), "a recipe of in-factory provisioning needs %s: nothing would prove what is on the eUICC", station.KindReadback)
	}
	if i := l.first(station.KindEnable); i >= 0 && (closing == 0 || i < l.first(station.KindClose)) {
		l.add(strictyaml.Path("steps", i, "kind"), "%s is an LPA service, and these are shut until %s", station.KindEnable, station.KindClose)
	}
	for _, kind := range []string{station.KindReserve, station.KindDownload, station.KindDelete} {
		if i := l.first(kind); i >= 0 {
			l.add(strictyaml.Path("steps", i, "kind"), "%s needs LPA services, which are shut while one-time keys are left", kind)
		}
	}
	switch {
	case l.r.Factory == station.FactoryOpen:
		if loads < 0 {
			l.add(strictyaml.Path("factory"), "an open recipe loads prepared packages: %s is missing", station.KindLoad)
		}
		return
	case closing == 0:
		l.add(strictyaml.Path("factory"), "the closing recipe ends with %s (final: true), and has none", station.KindClose)
		return
	}
	if loads < 0 && l.first(station.KindEnable) >= 0 {
		l.add(strictyaml.Path("steps", l.first(station.KindEnable), "kind"), "%s needs %s before it: there is no profile to enable", station.KindEnable, station.KindLoad)
	}
	first := l.first(station.KindClose)
	for i := first + 1; i < len(l.r.Steps); i++ {
		s := l.r.Steps[i]
		if s.Kind != "" && i != last && !s.Always && !slices.Contains(afterClosing, s.Kind) {
			l.add(strictyaml.Path("steps", i, "kind"), "%q (%s) lies behind %q: nothing of in-factory provisioning follows its end", s.ID, s.Kind, l.r.Steps[first].ID)
		}
	}
	if l.last(station.KindRestart) < first || l.last(station.KindReadback) < first {
		l.add(strictyaml.Path("steps", first, "kind"), "%s needs %s and %s after it: only a cold eUICC shows that no key is left", station.KindClose, station.KindRestart, station.KindReadback)
	}
}

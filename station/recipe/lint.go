package recipe

import (
	"slices"

	"linefit/internal/strictyaml"
	"linefit/station"
)

// lint finds what the schema cannot say: names that must exist, an order that
// keeps a unit safe, evidence before a pass.
func lint(doc *strictyaml.Doc, r *station.Recipe, f file) strictyaml.Problems {
	l := &linter{doc: doc, r: r, whole: r, seen: map[string]int{}}
	for i := range r.Steps {
		l.step(i, f.Steps[i])
	}
	l.restart()
	l.only()
	for _, g := range r.Accepts {
		v := &linter{doc: doc, r: seenBy(r, g), whole: r, found: l.found}
		v.order()
		v.factory(f)
		v.generations()
		v.iot()
		l.found = v.found
	}
	return l.found
}

// linter looks at a recipe as eUICCs of one generation meet it.
type linter struct {
	doc   *strictyaml.Doc
	r     *station.Recipe
	whole *station.Recipe
	seen  map[string]int
	found strictyaml.Problems
}

// add notes a mistake, once for all generations that it concerns.
func (l *linter) add(path []string, format string, args ...any) {
	if p := l.doc.Problem(path, format, args...); !slices.Contains(l.found, p) {
		l.found = append(l.found, p)
	}
}

// seenBy is a recipe as eUICCs of one generation meet it: every step is in its
// place, and those that are not for it are of no kind.
func seenBy(r *station.Recipe, generation string) *station.Recipe {
	v := *r
	v.Accepts, v.Steps = []string{generation}, slices.Clone(r.Steps)
	if r.Mixed() && generation != sgp41 {
		v.Factory = "" // is for the others
	}
	for i, s := range v.Steps {
		if !s.For(generation) {
			v.Steps[i] = station.Step{ID: s.ID}
		}
	}
	return &v
}

// only: a step that is not for every eUICC comes when the generation is known,
// and is for some that the recipe accepts. Closing steps run whatever happened,
// also before that.
func (l *linter) only() {
	read := l.first(station.KindEUICC)
	for i, s := range l.r.Steps {
		at := strictyaml.Path("steps", i, "only")
		if len(s.Only) == 0 {
			continue
		}
		for n, g := range s.Only {
			if !slices.Contains(l.r.Accepts, g) {
				l.add(strictyaml.Path("steps", i, "only", n), "the recipe does not accept %s", g)
			}
		}
		switch {
		case s.Always:
			l.add(at, "a closing step runs whatever happened, also where the eUICC was not read")
		case read < 0 || i <= read:
			l.add(at, "needs %s before it: the generation is not known", station.KindEUICC)
		}
	}
}

func (l *linter) step(i int, raw step) {
	s := l.r.Steps[i]
	at := func(key ...any) []string { return strictyaml.Path(append([]any{"steps", i}, key...)...) }
	if first, twice := l.seen[s.ID]; twice {
		l.add(at("id"), "step %q is already the recipe's step %d", s.ID, first+1)
	}
	l.seen[s.ID] = i
	kind, _ := station.KindByName(s.Kind)
	for n, limit := range s.Limits {
		if !slices.Contains(kind.Measures, limit.Measure) {
			l.add(at("limits", n, "measure"), "%s measures %v, not %q", s.Kind, kind.Measures, limit.Measure)
		}
		l.limit(at("limits", n), limit)
	}
	if s.RetryFrom != "" {
		if from := l.r.Index(s.RetryFrom); from < 0 || from > i {
			l.add(at("retry_from"), "%q is no earlier step", s.RetryFrom)
		}
		if s.Attempts < 2 {
			l.add(at("retry_from"), "has no meaning with attempts: 1")
		}
	}
	if kind.Irreversible && slices.Contains(s.RetryOn, station.Fail) && s.Attempts > 1 {
		l.add(at("retry_on"), "an irreversible step is not tried again after fail")
	}
	if raw.Irreversible && !kind.Irreversible {
		l.add(at("irreversible"), "%s writes no intents", s.Kind)
	}
	if s.Always && i+1 < len(l.r.Steps) && !l.r.Steps[i+1].Always {
		l.add(at("always"), "closing steps are the last ones; %q follows", l.r.Steps[i+1].ID)
	}
}

func (l *linter) limit(at []string, limit station.Limit) {
	bounds := 0
	for _, on := range []bool{limit.Min != nil || limit.Max != nil, len(limit.In) > 0, len(limit.Prefix) > 0} {
		if on {
			bounds++
		}
	}
	if bounds != 1 {
		l.add(at, "needs exactly one of min and max, in, prefix")
	}
	if limit.Min != nil && limit.Max != nil && *limit.Min > *limit.Max {
		l.add(at, "min %d is over max %d", *limit.Min, *limit.Max)
	}
}

// restart must lie before everything that reads identity, so that another unit
// in the slot is noticed before anything is done to it.
func (l *linter) restart() {
	at := l.r.Index(l.r.Restart)
	if at < 0 {
		l.add(strictyaml.Path("restart"), "%q is no step", l.r.Restart)
		return
	}
	for _, kind := range []string{station.KindPower, station.KindIdentify, station.KindBind} {
		if i := l.first(kind); i >= 0 && i < at {
			l.add(strictyaml.Path("restart"), "%q lies behind %q (%s); identity must be read again after an interruption", l.r.Restart, l.r.Steps[i].ID, kind)
		}
	}
}

func (l *linter) first(kind string) int {
	return slices.IndexFunc(l.r.Steps, func(s station.Step) bool { return s.Kind == kind })
}

func (l *linter) last(kind string) int {
	for i, s := range slices.Backward(l.r.Steps) {
		if s.Kind == kind {
			return i
		}
	}
	return -1
}

// rule says that a kind needs another one before it, or after it.
type rule struct {
	kind, needs string
	after       bool
	why         string
}

var rules = []rule{
	{station.KindBoot, station.KindPower, false, "the module has no supply"},
	{station.KindIdentify, station.KindBoot, false, "the module was not awaited"},
	{station.KindRadioOff, station.KindBoot, false, "the module was not awaited"},
	{station.KindEUICC, station.KindIdentify, false, "the APDU route follows from the module's identity"},
	{station.KindEUICC, station.KindRadioOff, false, "the radio may attach by accident"},
	{station.KindBind, station.KindEUICC, false, "the EID was not read"},
	{station.KindPrecheck, station.KindEUICC, false, "the eUICC was not read"},
	{station.KindReserve, station.KindBind, false, "a profile is reserved for a unit that is known"},
	{station.KindReserve, station.KindPrecheck, false, "money would move before what can be known was checked"},
	{station.KindDownload, station.KindReserve, false, "there is no profile to download"},
	{station.KindDownload, station.KindNotify, true, "the operator would never hear of the profile"},
	{station.KindDownload, station.KindRestart, true, "only a cold restart shows what is stored"},
	{station.KindDownload, station.KindReadback, true, "nothing would prove the profile"},
	{station.KindLoad, station.KindBind, false, "a package is for one eUICC, and the unit must be the one that was scanned"},
	{station.KindLoad, station.KindPrecheck, false, "a package would be used up before what can be known was checked"},
	{station.KindLoad, station.KindRestart, true, "only a cold restart shows what is stored"},
	{station.KindLoad, station.KindReadback, true, "nothing would prove the profile"},
	{station.KindClose, station.KindBind, false, "the unit must be the one that was scanned"},
	{station.KindEnable, station.KindReadback, true, "nothing would prove the profile's state"},
	{station.KindRestart, station.KindReadback, true, "nothing would look at the unit afterwards"},
	{station.KindShipState, station.KindIdentify, false, "how settings are saved follows from the module's identity"},
	{station.KindReset, station.KindBind, false, "profiles are removed from a unit that is known"},
	{station.KindImmediate, station.KindPrecheck, false, "whether an eIM is there already was not checked"},
	{station.KindImmediate, station.KindDownload, true, "it must be allowed before the profile is installed"},
	{station.KindAddEIM, station.KindBind, false, "the eIM is told of a unit that is known"},
	{station.KindAddEIM, station.KindPrecheck, false, "whether an eIM is there already was not checked"},
	{station.KindAddEIM, station.KindRestart, true, "only a cold restart shows what is stored"},
	{station.KindAddEIM, station.KindEIMReadback, true, "nothing would prove the eIM"},
	{station.KindEIMReadback, station.KindEUICC, false, "the eUICC was not read"},
	{station.KindBootstrap, station.KindEUICC, false, "the eUICC was not read"},
}

func (l *linter) order() {
	for _, r := range rules {
		i := l.first(r.kind)
		if r.after {
			i = l.last(r.kind)
		}
		if i < 0 {
			continue
		}
		first, last := l.first(r.needs), l.last(r.needs)
		switch path := strictyaml.Path("steps", i, "kind"); {
		case !r.after && (first < 0 || first > i):
			l.add(path, "%s needs %s before it: %s", r.kind, r.needs, r.why)
		case r.after && last < i:
			l.add(path, "%s needs %s after it: %s", r.kind, r.needs, r.why)
		}
	}
	if i := l.first(station.KindEnable); i >= 0 && !l.before(i, station.KindDownload) && !l.before(i, station.KindLoad) && l.r.Factory != station.FactoryClosing {
		l.add(strictyaml.Path("steps", i, "kind"), "%s needs %s or %s before it: there is no profile to enable", station.KindEnable, station.KindDownload, station.KindLoad)
	}
	if i := l.first(station.KindPower); i >= 0 && !l.endsDark() {
		l.add(strictyaml.Path("steps", i, "kind"), "the recipe needs a closing step (always: true) that switches the supply off")
	}
}

// before reports whether a step of this kind comes before the i-th one.
func (l *linter) before(i int, kind string) bool {
	first := l.first(kind)
	return first >= 0 && first < i
}

// endsDark reports whether a closing step switches the supply off.
func (l *linter) endsDark() bool {
	return slices.ContainsFunc(l.r.Steps, func(s station.Step) bool {
		return s.Kind == station.KindPower && s.Always && s.Text("state") == "off"
	})
}

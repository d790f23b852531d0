package recipe

import (
	"slices"
	"strings"

	"linefit/internal/strictyaml"
	"linefit/station"
)

// Generations as recipes name them.
const (
	sgp22 = "sgp22"
	sgp32 = "sgp32"
	sgp02 = "sgp02"
	sgp41 = station.KindSGP41
)

// iotKinds are functions that only an IoT eUICC (SGP.32) has.
var iotKinds = []string{station.KindImmediate, station.KindAddEIM, station.KindEIMReadback}

// localKinds are functions that an M2M eUICC (SGP.02) refuses: its profiles come
// from its SM-SR, and nobody manages them from the device.
var localKinds = []string{
	station.KindPrecheck, station.KindReserve, station.KindDownload, station.KindNotify, station.KindEnable, station.KindReadback,
	station.KindDelete, station.KindReset, station.KindImmediate, station.KindAddEIM, station.KindEIMReadback,
}

// generations holds each step against the eUICCs that the recipe accepts.
func (l *linter) generations() {
	accepts := func(g string) bool { return slices.Contains(l.r.Accepts, g) }
	for i, s := range l.r.Steps {
		at := strictyaml.Path("steps", i, "kind")
		if slices.Contains(iotKinds, s.Kind) && !accepts(sgp32) {
			l.add(at, "only SGP.32 eUICCs have this function; the recipe accepts %s%s", strings.Join(l.whole.Accepts, ", "), l.hint(sgp32))
		}
		if slices.Contains(localKinds, s.Kind) && accepts(sgp02) {
			l.add(at, "an SGP.02 eUICC has no such local function, its profiles come from its SM-SR; the recipe accepts sgp02%s", l.hint(sgp22, sgp32))
		}
		for _, p := range []struct{ param, value string }{
			{"routes", station.RouteImmediate}, {"routes", station.RouteCarried}, {"what", "eim"}, {"what", "immediate_enable"},
		} {
			if slices.Contains(s.Params[p.param], p.value) && !l.reaches(i, sgp32) {
				l.add(strictyaml.Path("steps", i, "with", p.param), "%s: only SGP.32 eUICCs have this function; the recipe accepts %s", p.value, strings.Join(l.whole.Accepts, ", "))
			}
		}
	}
	if accepts(sgp02) && l.first(station.KindBootstrap) < 0 {
		l.add(strictyaml.Path("accepts"), "sgp02 needs a step of kind %s: nothing else proves such a unit", station.KindBootstrap)
	}
}

// reaches reports whether a step is done with eUICCs of a generation.
func (l *linter) reaches(i int, generation string) bool {
	return slices.Contains(l.whole.Accepts, generation) && l.whole.Steps[i].For(generation)
}

// hint says how a step is kept from the eUICCs that do not have its function.
func (l *linter) hint(generations ...string) string {
	have := slices.DeleteFunc(generations, func(g string) bool { return !slices.Contains(l.whole.Accepts, g) })
	if len(have) == 0 {
		return ""
	}
	return "; say only: [" + strings.Join(have, ", ") + "]"
}

// iot holds the recipe to the order that an IoT eUICC (SGP.32) asks for:
// ConfigureImmediateEnable while no eIM is associated, download, ImmediateEnable
// in that session, AddInitialEim last.
func (l *linter) iot() {
	add := l.first(station.KindAddEIM)
	for i, s := range l.r.Steps {
		at := strictyaml.Path("steps", i, "kind")
		behind := add >= 0 && i > add
		switch s.Kind {
		case station.KindAddEIM:
			if behind {
				l.add(at, "AddInitialEim works only while no eIM is associated; step %q has done that", l.r.Steps[add].ID)
			}
			if s.Always {
				l.add(strictyaml.Path("steps", i, "always"), "a closing step runs whatever happened: a unit that failed would get its eIM")
			}
		case station.KindImmediate:
			if behind {
				l.add(at, "the eUICC takes ConfigureImmediateEnable only while no eIM is associated; step %q adds one before", l.r.Steps[add].ID)
			}
		case station.KindDownload, station.KindReset:
			if behind {
				l.add(at, "AddInitialEim is the last change of the eUICC; step %q is before", l.r.Steps[add].ID)
			}
		case station.KindEnable:
			l.routes(i, s, add)
		}
		removes := slices.ContainsFunc(s.Params["what"], func(w string) bool { return w == "operational" || w == "provisioning" })
		if s.Kind == station.KindReset && removes && l.last(station.KindNotify) < i {
			l.add(at, "%s needs %s after it: the operators would never hear that their profiles are gone", s.Kind, station.KindNotify)
		}
	}
	if add >= 0 {
		l.cold(add)
	}
	for _, kind := range []string{station.KindReset, station.KindDelete} {
		if i := l.last(kind); i >= 0 && !l.r.Rework && l.last(station.KindReadback) < i {
			l.add(strictyaml.Path("steps", i, "kind"), "%s without a profile that is installed and read back after it: say rework: true, or an empty unit would ship", kind)
		}
	}
	if i, reserve := l.last(station.KindReset), l.first(station.KindReserve); i >= 0 && reserve >= 0 && i > reserve {
		l.add(strictyaml.Path("steps", i, "kind"), "the reset would remove what the run installs: it comes before %q", l.r.Steps[reserve].ID)
	}
}

// cold: the eIM is read back after a cold restart.
func (l *linter) cold(add int) {
	restart := -1
	for i := add + 1; i < len(l.r.Steps); i++ {
		if l.r.Steps[i].Kind == station.KindRestart {
			restart = i
			break
		}
	}
	if i := l.last(station.KindEIMReadback); restart >= 0 && i >= 0 && i < restart {
		l.add(strictyaml.Path("steps", i, "kind"), "what is stored is what a cold unit shows: it comes after %q", l.r.Steps[restart].ID)
	}
}

// routes checks the ways to enable of one step.
func (l *linter) routes(i int, s station.Step, add int) {
	routes := s.Params["routes"]
	at := strictyaml.Path("steps", i, "with", "routes")
	has := func(r string) bool { return slices.Contains(routes, r) }
	if has(station.RouteNone) {
		l.shipsDisabled(at, routes)
		return
	}
	if add >= 0 && i > add && slices.ContainsFunc(routes, func(r string) bool { return r != station.RouteCarried }) || add >= 0 && i > add && len(routes) == 0 {
		l.add(strictyaml.Path("steps", i, "kind"), "AddInitialEim is the last change of the eUICC, step %q is before; only route carried comes behind it", l.r.Steps[add].ID)
	}
	if has(station.RouteCarried) && slices.Contains(l.r.Accepts, sgp32) && (add < 0 || i < add) && !l.deliveredWithEIM() {
		l.add(at, "carried: the eUICC has no eIM by then whose signature it could check")
	}
	if has(station.RouteImmediate) && slices.Contains(l.r.Accepts, sgp32) { // others have no such route
		l.session(i, s, at)
	}
}

// shipsDisabled: without a way to enable the profile is read back disabled.
func (l *linter) shipsDisabled(at []string, routes []string) {
	if len(routes) > 1 {
		l.add(at, "none stands alone")
	}
	for i, s := range l.r.Steps {
		if s.Kind == station.KindReadback && s.Text("state") != "disabled" {
			l.add(strictyaml.Path("steps", i, "with", "state"), "nothing enables the profile: it is read back disabled")
		}
	}
}

// deliveredWithEIM: the recipe takes cards that have an eIM when they come.
func (l *linter) deliveredWithEIM() bool {
	return slices.ContainsFunc(l.r.Steps, func(s station.Step) bool {
		return s.Kind == station.KindPrecheck && (s.Text("eim") == "delivered" || s.Text("eim") == "any")
	})
}

// endsSession are the kinds that end the session of a download.
var endsSession = []string{station.KindPower, station.KindBoot, station.KindRestart, station.KindPowerDown, station.KindReset, station.KindAttach}

// session: ImmediateEnable was allowed before the download, and comes in its session.
func (l *linter) session(i int, s station.Step, at []string) {
	download := -1
	for n := range i {
		if l.r.Steps[n].Kind == station.KindDownload {
			download = n
		}
	}
	if download < 0 {
		return // said already
	}
	if imm := l.first(station.KindImmediate); imm < 0 || imm > download {
		l.add(at, "immediate_enable needs %s before %q", station.KindImmediate, l.r.Steps[download].ID)
	}
	for n := download + 1; n < i; n++ {
		if slices.Contains(endsSession, l.r.Steps[n].Kind) {
			l.add(at, "immediate_enable works in the session of the download only; step %q ends it", l.r.Steps[n].ID)
		}
	}
	other := slices.ContainsFunc(s.Params["routes"], func(r string) bool { return r == station.RouteES10c || r == station.RouteCarried })
	if from := l.r.Index(s.RetryFrom); s.RetryFrom != "" && !other && s.Attempts > 1 && from >= 0 && l.cuts(from, i) {
		l.add(strictyaml.Path("steps", i, "retry_from"), "going back to %q ends the session of the download, and immediate_enable is the only way: the step is tried again by itself", s.RetryFrom)
	}
}

// cuts reports whether the steps from one to another end a session.
func (l *linter) cuts(from, to int) bool {
	return slices.ContainsFunc(l.r.Steps[from:to], func(s station.Step) bool { return slices.Contains(endsSession, s.Kind) })
}

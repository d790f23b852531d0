package recipe_test

import (
	"errors"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station/recipe"
)

// untilPrecheck are the steps before anything is done to an eUICC.
const untilPrecheck = `  - {id: on, kind: fixture.power, with: {state: "on"}, timeout: 1s}
  - {id: boot, kind: module.boot, timeout: 1s}
  - {id: quiet, kind: module.radio_off, timeout: 1s}
  - {id: identify, kind: module.identify, timeout: 1s}
  - {id: euicc, kind: euicc.identify, timeout: 1s}
  - {id: bind, kind: unit.bind, with: {require: scan}, timeout: 1s}
  - {id: precheck, kind: euicc.precheck, timeout: 1s}
`

// closing is a closing recipe of in-factory provisioning, as short as it gets.
const closing = `
recipe: short
version: 1
accepts: [sgp22]
restart: on
factory: closing
steps:
` + untilPrecheck + `  - {id: load, kind: profile.load, with: {profiles: 2, spares: 1}, timeout: 1s}
  - {id: close, kind: factory.close, final: true, timeout: 1s}
  - {id: enable, kind: profile.enable, timeout: 1s}
  - {id: restart, kind: unit.restart, timeout: 1s}
  - {id: readback, kind: profile.readback, with: {state: enabled}, timeout: 1s}
  - {id: off, kind: fixture.power, with: {state: "off"}, timeout: 1s, always: true}
`

func TestFactoryLint(t *testing.T) {
	if _, err := recipe.Parse("r.yaml", []byte(closing)); err != nil {
		t.Fatal(err)
	}
	line := func(id string) string {
		for _, l := range strings.Split(closing, "\n") {
			if strings.Contains(l, "{id: "+id+",") {
				return l + "\n"
			}
		}
		t.Fatalf("no step %q", id)
		return ""
	}
	move := func(text, id, behind string) string {
		text = strings.Replace(text, line(id), "", 1)
		return strings.Replace(text, line(behind), line(behind)+line(id), 1)
	}
	for name, c := range map[string]struct {
		text, want string
	}{
		"no end":            {strings.Replace(closing, line("close"), "", 1), "ends with factory.close (final: true), and has none"},
		"not marked":        {strings.Replace(closing, "final: true, ", "", 1), "it needs final: true"},
		"another step":      {strings.Replace(closing, "profile.readback, ", "profile.readback, final: true, ", 1), "only factory.close ends"},
		"before the load":   {move(closing, "close", "precheck"), `"load" (profile.load) lies behind "close"`},
		"at the very end":   {move(closing, "close", "readback"), "needs unit.restart and profile.readback after it"},
		"enabled too early": {move(closing, "enable", "load"), "profile.enable is an LPA service"},
		"twice":             {strings.Replace(closing, line("close"), line("close")+strings.Replace(line("close"), "id: close", "id: again", 1), 1), "ends once"},
		"always":            {strings.Replace(closing, "final: true, ", "final: true, optional: true, ", 1), "neither always nor optional"},
		"open recipe":       {strings.Replace(closing, "factory: closing", "factory: open", 1), "deleted by the closing recipe only"},
		"online recipe":     {strings.Replace(closing, "factory: closing\n", "", 1), "profile.load needs a recipe that says factory"},
		"key deletion online": {strings.Replace(strings.Replace(closing, "factory: closing\n", "", 1), line("load"), "", 1),
			"deleted by the closing recipe only"},
		"unknown word":   {strings.Replace(closing, "factory: closing", "factory: maybe", 1), "factory"},
		"download":       {strings.Replace(closing, line("load"), line("load")+"  - {id: reserve, kind: profile.reserve, timeout: 1s}\n", 1), "shut while one-time keys are left"},
		"load unbound":   {strings.Replace(closing, line("bind"), "", 1), "profile.load needs unit.bind before it"},
		"load unchecked": {strings.Replace(closing, line("precheck"), "", 1), "profile.load needs euicc.precheck before it"},
		"never read":     {strings.Replace(closing, line("readback"), "", 1), "needs profile.readback"},
	} {
		_, err := recipe.Parse("r.yaml", []byte(c.text))
		var p strictyaml.Problems
		if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q in:\n%v", name, c.want, err)
		}
	}
	open := strings.Replace(strings.Replace(strings.Replace(closing, "factory: closing", "factory: open", 1), line("close"), "", 1), line("enable"), "", 1)
	if _, err := recipe.Parse("r.yaml", []byte(open)); err != nil {
		t.Errorf("open recipe: %v", err)
	}
	// A unit whose profiles came with an earlier recipe is only closed.
	bare := strings.Replace(strings.Replace(closing, line("load"), "", 1), line("enable"), "", 1)
	if _, err := recipe.Parse("r.yaml", []byte(bare)); err != nil {
		t.Errorf("closing without a load: %v", err)
	}
}

// TestFactoryBesideOthers: units of in-factory provisioning go through one recipe
// with others, and each step is for those that can do it.
func TestFactoryBesideOthers(t *testing.T) {
	const mixed = `
recipe: mixed
version: 1
accepts: [sgp22, sgp41]
restart: on
factory: closing
steps:
` + untilPrecheck + `  - {id: reserve, kind: profile.reserve, only: [sgp22], timeout: 1s}
  - {id: download, kind: profile.download, only: [sgp22], timeout: 1s}
  - {id: load, kind: profile.load, only: [sgp41], timeout: 1s}
  - {id: close, kind: factory.close, only: [sgp41], final: true, timeout: 1s}
  - {id: enable, kind: profile.enable, timeout: 1s}
  - {id: restart, kind: unit.restart, timeout: 1s}
  - {id: readback, kind: profile.readback, with: {state: enabled}, timeout: 1s}
  - {id: notify, kind: notification.handover, only: [sgp22], timeout: 1s}
  - {id: off, kind: fixture.power, with: {state: "off"}, timeout: 1s, always: true}
`
	if _, err := recipe.Parse("r.yaml", []byte(mixed)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"load for all":       {"profile.load, only: [sgp41], ", "profile.load, ", "say only: [sgp41]"},
		"close for all":      {"factory.close, only: [sgp41], ", "factory.close, ", "say only: [sgp41]"},
		"download for all":   {"profile.download, only: [sgp22], ", "profile.download, ", "shut while one-time keys are left"},
		"no end":             {"  - {id: close, kind: factory.close, only: [sgp41], final: true, timeout: 1s}\n", "", "ends with factory.close"},
		"no factory":         {"factory: closing\n", "", "sgp41 needs a recipe that says factory"},
		"nothing for others": {"  - {id: download, kind: profile.download, only: [sgp22], timeout: 1s}\n", "", "there is no profile to enable"},
	} {
		if !strings.Contains(mixed, c.old) {
			t.Fatalf("%s: nothing to change", name)
		}
		_, err := recipe.Parse("r.yaml", []byte(strings.Replace(mixed, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q in:\n%v", name, c.want, err)
		}
	}
}

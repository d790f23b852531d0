package modemsim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"linefit/modem/modemsim"
)

func TestPlans(t *testing.T) {
	for _, name := range modemsim.Plans() {
		p, err := modemsim.BuiltinPlan(name)
		if err != nil || p.Name != name {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := modemsim.BuiltinPlan("gentle"); err == nil || !strings.Contains(err.Error(), "typical") {
		t.Errorf("unknown plan: %v", err)
	}
}

// TestPlanDraws: the same seed means the same faults in any order of drawing;
// another unit, attempt or seed means others; the chance is kept.
func TestPlanDraws(t *testing.T) {
	plan, err := modemsim.ParsePlan("p.yaml", []byte("name: p\nrules:\n- {point: +CGLA, chance: 0.25, from: 3, to: 9, fault: {kind: silent}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	hits, places := 0, map[int]int{}
	for unit := range 4000 {
		name := fmt.Sprint("unit", unit)
		a, b := plan.Faults(7, name, 1), plan.Faults(7, name, 1)
		mine := 0
		for n := range 20 {
			f, ok := a.Draw("+CGLA", n)
			if _, again := b.Draw("+CGLA", 19-n); again {
				mine += 1 << 8
			}
			if ok {
				mine++
				places[n]++
				if f.Kind != modemsim.FaultSilent {
					t.Fatalf("%+v", f)
				}
			}
		}
		switch mine {
		case 0:
		case 1<<8 + 1:
			hits++
		default:
			t.Fatalf("unit %d: %x strikes", unit, mine)
		}
	}
	if hits < 900 || hits > 1100 {
		t.Errorf("%d of 4000 with chance 0.25", hits)
	}
	for n := range places {
		if n < 3 || n > 9 {
			t.Errorf("struck at %d", n)
		}
	}
	if len(places) != 7 {
		t.Errorf("places %v", places)
	}
}

func TestPlanMistakes(t *testing.T) {
	_, err := modemsim.ParsePlan("bad.yaml", []byte(`name: bad
rules:
  - {point: "", chance: 2, fault: {kind: silent}}
  - {point: boot, from: 5, to: 1, fault: {kind: boom}}
`))
	for _, want := range []string{"bad.yaml:3:6: rules[0]: no point", "bad.yaml:3:6: rules[0]: chance 2", "bad.yaml:4:6: rules[1]: passings from 5 to 1", `bad.yaml:4:6: rules[1]: fault kind "boom"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	_, err = modemsim.ParsePlan("bad.yaml", []byte("name: x\nrulez: []\n"))
	if err == nil || !strings.Contains(err.Error(), "bad.yaml:2:1: unknown field") {
		t.Errorf("unknown field: %v", err)
	}
}

func TestPersonaMistakes(t *testing.T) {
	base, err := os.ReadFile("../../configs/personas/generic-3gpp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{"personas/generic-3gpp.yaml": {Data: base}}
	add := func(name, text string) {
		files["personas/"+name+".yaml"] = &fstest.MapFile{Data: []byte("name: " + name + "\n" + text)}
	}
	add("unknown", "extends: generic-3gpp\nboot:\n  alife: 3s\n")
	add("values", "extends: generic-3gpp\nat:\n  cmee: 7\n  framing: odd\nidentity:\n  tac: \"12\"\ncommands:\n  +OK: {action: text}\n  ok:\n    action: text\n  +BAD: {action: fly}\n")
	add("loop1", "extends: loop2\n")
	add("loop2", "extends: loop1\n")
	add("orphan", "extends: nobody\n")
	add("empty", "about: nothing\n")
	files["personas/other.yaml"] = &fstest.MapFile{Data: []byte("name: wrong\n")}
	files["personas/syntax.yaml"] = &fstest.MapFile{Data: []byte("name: [\n")}
	_, err = modemsim.LoadPersonas(files, "personas")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"personas/unknown.yaml:4:3: unknown field", "personas/values.yaml:4:3: at.cmee: 7 is not 0, 1 or 2",
		`personas/values.yaml:5:3: at.framing: "odd"`, `personas/values.yaml:7:3: identity.tac`,
		"personas/values.yaml:10:3: commands.ok: is no command name", `personas/values.yaml:12:3: commands.+BAD: action "fly"`,
		"extends this persona", `personas/orphan.yaml:2:1: extends: "nobody"`, "personas/empty.yaml:1:1: ",
		`personas/other.yaml:1:1: name: is "wrong"`, "personas/syntax.yaml:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if _, err := modemsim.LoadPersonas(files, "nowhere"); err == nil {
		t.Error("an empty folder")
	}
	if _, err := personas(t).Get("nokia"); err == nil || !strings.Contains(err.Error(), "generic-3gpp") {
		t.Errorf("unknown persona: %v", err)
	}
}

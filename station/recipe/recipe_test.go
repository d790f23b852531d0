package recipe_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/recipe"
)

const shipped = "../../configs/recipes/consumer.yaml"

func TestShippedRecipeIsClean(t *testing.T) {
	r, err := recipe.Load(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "consumer" || len(r.Steps) < 10 {
		t.Errorf("read %q with %d steps", r.Name, len(r.Steps))
	}
}

func TestDigestFollowsMeaningOnly(t *testing.T) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(text string) *station.Recipe {
		t.Helper()
		r, err := recipe.Parse("r.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b := parse(string(data)), parse("# another comment\n"+string(data))
	if a.Digest() != b.Digest() {
		t.Error("a comment changes the digest")
	}
	if c := parse(strings.Replace(string(data), "timeout: 300s", "timeout: 301s", 1)); c.Digest() == a.Digest() {
		t.Error("a timeout does not change the digest")
	}
}

// edit changes the shipped recipe by one replacement.
func edit(t *testing.T, old, new string) []byte {
	t.Helper()
	data, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("the shipped recipe has no %q", old)
	}
	return []byte(strings.Replace(string(data), old, new, 1))
}

func TestLint(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown kind", "kind: module.boot", "kind: module.bot", "steps[2].kind"},
		{"unknown parameter", "remove: acknowledged", "remve: acknowledged", "steps[13].with.remve: this key is not known here"},
		{"missing parameter", "with: {require: scan}", "with: {}", "require"},
		{"wrong value", "state: enabled", "state: enabld", "steps[12].with.state"},
		{"unknown step", "restart: power-on", "restart: power", `restart: "power" is no step`},
		{"restart too late", "restart: power-on", "restart: bind", "identity must be read again"},
		{"twice", "id: reserve", "id: bind", `step "bind" is already`},
		{"retry from later", "retry_from: restart", "retry_from: ship-state", "is no earlier step"},
		{"no evidence", "kind: profile.readback\n    with: {state: enabled}", "kind: module.radio_off", "needs profile.readback after it"},
		{"bind before reserve", "kind: unit.bind\n    with: {require: scan}", "kind: module.radio_off", "profile.reserve needs unit.bind before it"},
		{"stays powered", `with: {state: "off"}`, `with: {state: "on"}`, "switches the supply off"},
		{"no timeout", "timeout: 15s", "attempts: 1", "timeout"},
		{"bad duration", "timeout: 15s", "timeout: 15", "steps[0].timeout"},
		{"limit of nothing measured", "timeout: 15s", "timeout: 15s\n    limits: [{measure: x, max: 3}]", "measures"},
		{"limit without bound", "id: boot", "limits: [{measure: boot_ms}]\n    id: boot", "needs exactly one of"},
		{"limit upside down", "id: boot", "limits: [{measure: boot_ms, min: 3, max: 2}]\n    id: boot", "is over max"},
		{"blind retry", "retry_on: [error, timeout]\n\n  - id: enable", "retry_on: [fail]\n\n  - id: enable", "not tried again after fail"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := recipe.Parse("r.yaml", edit(t, c.old, c.new))
			var p strictyaml.Problems
			if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q in:\n%v", c.want, err)
			}
			if !strings.HasPrefix(p[0].String(), "r.yaml:") || p[0].Line == 0 {
				t.Errorf("without a place: %v", p[0])
			}
		})
	}
}

func TestEveryKindIsInTheSchema(t *testing.T) {
	var v map[string]any
	if err := json.Unmarshal(recipe.Schema(), &v); err != nil {
		t.Fatal(err)
	}
	for _, k := range station.Kinds() {
		if !strings.Contains(string(recipe.Schema()), fmt.Sprintf("%q", k.Name)) {
			t.Errorf("%s is missing", k.Name)
		}
	}
}

func TestShow(t *testing.T) {
	r, err := recipe.Load(shipped)
	if err != nil {
		t.Fatal(err)
	}
	out := recipe.Show(r)
	for _, want := range []string{"consumer version 1", "download", "attempts 6 from power-on", "irreversible"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(shipped)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("recipe: x\nversion: 1\naccepts: [sgp22]\nrestart: a\nsteps: [{id: a, kind: fixture.clamp, timeout: 1s}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := recipe.Parse("f.yaml", b); err == nil && r.Index(r.Restart) < 0 {
			t.Fatal("a recipe without a restart point was taken")
		}
	})
}

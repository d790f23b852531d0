package strictyaml_test

import (
	"strings"
	"testing"

	"linefit/internal/strictyaml"
)

func TestDecodeJSONRefusesFlaws(t *testing.T) {
	schema := strictyaml.Compile("any.json", "{}")
	for name, c := range map[string]struct{ text, want string }{
		"twice":         {"{\"a\":1,\n \"b\":{\"c\":1},\n \"a\":2}", `f:3:2: member "a" is there twice`},
		"twice, inside": {"{\"l\":[{\"x\":1},\n{\"y\":1,\"y\":\"y\"}]}", `f:2:8: member "y" is there twice`},
		"behind it":     {"{}\n x", "f:2:2: this is not one JSON document"},
		"two":           {"{} {}", "f:1:4: this is not one JSON document: something follows"},
		"cut short":     {"{\"a\":[1,", "this is not one JSON document"},
		"nothing":       {"", "f:1:1: this is not one JSON document"},
		"deep":          {strings.Repeat("[", 100) + strings.Repeat("]", 100), "f:1:65: nested too deeply"},
		"fine":          {"{\"a\":[{\"b\":\"b\"},{\"b\":null}],\"b\":[\"a\",\"a\"],\"c\":\"c\"}", ""},
	} {
		var v any
		err := strictyaml.DecodeJSON("f", []byte(c.text), 1000, schema, "l", &v)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Brackets and dashes without end take the parser no time.
func TestParseRefusesDepth(t *testing.T) {
	for name, text := range map[string]string{
		"brackets": "a: 1\nb: " + strings.Repeat("[", 200_000),
		"braces":   "a: 1\nb: " + strings.Repeat("{x: ", 100_000),
		"dashes":   "a:\n" + strings.Repeat("- ", 100_000) + "x",
	} {
		if _, err := strictyaml.Parse("f", []byte(text)); err == nil || err.Error() != "f:2:1: nested too deeply" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := strictyaml.Parse("f", []byte("a: [[1, 2], [3]]\nb: \"[[\"\nc: {d: {e: []}}\n- x"[:40])); err != nil {
		t.Error(err)
	}
}

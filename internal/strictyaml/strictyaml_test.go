package strictyaml_test

import (
	"errors"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
)

var schema = strictyaml.Compile("test.json", `{
  "type":"object","additionalProperties":false,"required":["name"],
  "properties":{"name":{"type":"string"},"steps":{"type":"array","items":{
    "type":"object","additionalProperties":false,"required":["kind"],
    "properties":{"kind":{"enum":["a","b"]},"n":{"type":"integer","minimum":1}}}}}}`)

func TestAllMistakesAtOnceWithTheirLines(t *testing.T) {
	d, err := strictyaml.Parse("f.yaml", []byte("nme: x\nsteps:\n  - kind: a\n    n: 0\n  - kind: c\n  - n: 3\n    more: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := d.Validate(schema).Err()
	want := []string{"f.yaml:1:1: nme: this key", "f.yaml:1:1: missing", "f.yaml:4:5: steps[0].n:", "f.yaml:5:5: steps[1].kind:", "f.yaml:6:5: steps[2]: missing", "f.yaml:7:5: steps[2].more: this key"}
	for _, w := range want {
		if got == nil || !strings.Contains(got.Error(), w) {
			t.Errorf("lacks %q in:\n%v", w, got)
		}
	}
	if n := strings.Count(got.Error(), "\n") + 1; n != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", n, len(want), got)
	}
}

func TestSyntax(t *testing.T) {
	for _, in := range []string{"a: [", "a: 1\na: 2\n", "", "---\na: 1\n---\nb: 2\n", "\tx"} {
		d, err := strictyaml.Parse("f.yaml", []byte(in))
		if err == nil {
			err = d.Validate(schema).Err()
		}
		var p strictyaml.Problems
		if !errors.As(err, &p) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestDecode(t *testing.T) {
	d, err := strictyaml.Parse("f.yaml", []byte("name: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Name string }
	if err := d.Decode(&v); err != nil || v.Name != "x" {
		t.Errorf("%+v, %v", v, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("name: x\nsteps: [{kind: a}]\n"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := strictyaml.Parse("f.yaml", b)
		if err == nil {
			d.Validate(schema)
		}
	})
}

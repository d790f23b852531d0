package strictyaml_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
)

const listSchema = `{"type":"object","required":["list"],"additionalProperties":false,"properties":{
	"name":{"type":"string"},"list":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["id"],
	"properties":{"id":{"type":"integer"},"data":{"type":"string","maxLength":3}}}}}}`

func TestDecodeJSON(t *testing.T) {
	schema := strictyaml.Compile("list.json", listSchema)
	type doc struct {
		Name string
		List []struct {
			ID   int
			Data []byte
		}
	}
	for _, c := range []struct {
		text  string
		wants []string
	}{
		{"{\"list\":[\n{\"id\":1},\n{\"id\":2}]}", nil},
		{"{\"name\":1,\"list\":[{\"id\":1},\n{\"id\":\"x\"},\n\n{}, {\"id\":4,\"more\":5}]}", []string{"f.json:1:1: name", "f.json:2:1: list[1].id", "f.json:4:1: list[2]", "f.json:4:1: list[3]"}},
		{"[1", []string{"not one JSON document"}},
		{`{"list":[{"id":1}]} {}`, []string{"not one JSON document"}},
		{`{"list":[{"id":1,"data":"?"}]}`, []string{"base64"}},
		{`{"list":[{"id":99999999999999999999}]}`, []string{"cannot be read"}},
		{`{"list":[{"id":"` + strings.Repeat("secret", 100) + `"}]}`, []string{"list[0].id"}},
		{`{"list":[` + strings.Repeat(" ", 5000) + `]}`, []string{"more than 4000"}},
	} {
		var v doc
		err := strictyaml.DecodeJSON("f.json", []byte(c.text), 4000, schema, "list", &v)
		var p strictyaml.Problems
		if (err == nil) != (c.wants == nil) || err != nil && !errors.As(err, &p) {
			t.Errorf("%.60s: %v", c.text, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.60s: %q is not in\n%v", c.text, want, err)
			}
		}
		if err != nil && strings.Contains(err.Error(), "secretsecretsecretsecretsecretsecretsecret") {
			t.Error("a long value is shown")
		}
	}
}

func TestElementLines(t *testing.T) {
	got := strictyaml.ElementLines([]byte("{\n \"a\": [1,\n2],\n\"list\" : [\n {},\n {\n}, 3 ]}"), "list")
	if !slices.Equal(got, []int{5, 6, 7}) {
		t.Error(got)
	}
	for _, text := range []string{"", "[]", "{", `{"list":`, `{"list":3}`, `{"list":[`, `{"x":`} {
		if got := strictyaml.ElementLines([]byte(text), "list"); len(got) != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzElementLines(f *testing.F) {
	f.Add([]byte("{\"list\":[1,\n2]}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines := strictyaml.ElementLines(b, "list")
		if !slices.IsSorted(lines) {
			t.Fatal(lines)
		}
	})
}

package modem

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
)

//go:embed quirks/*.yaml quirks/overlay/*.yaml
var quirkFiles embed.FS

//go:embed quirks/schema.json
var quirkSchema string

// Shipped is the layer that linefit ships.
func Shipped() fs.FS { return sub("quirks") }

// VirtualOverlay is the layer for virtual modules: they boot in tenths of a
// second and have a CGLA deadline of 2 s.
func VirtualOverlay() fs.FS { return sub("quirks/overlay") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(quirkFiles, dir)
	if err != nil {
		panic(err) // only for a name that is no path
	}
	return f
}

// LoadQuirks reads the shipped table and the *.yaml files of further layers over
// it, in order. All mistakes come back at once, with file and line, as
// [strictyaml.Problems].
//
// The shipped table alone is read without looking for mistakes: it is part of
// the program, and the tests look for them. With further layers everything is
// looked at, for a layer may break an entry below it.
func LoadQuirks(layers ...fs.FS) (*Table, error) {
	if len(layers) == 0 {
		return loadShipped()
	}
	return loadChecked(append([]fs.FS{Shipped()}, layers...))
}

func loadShipped() (*Table, error) {
	entries, err := readLayer(Shipped(), func(name string, data []byte) ([]entry, error) {
		doc, err := strictyaml.Parse(name, data)
		if err != nil {
			return nil, err
		}
		return entriesOf(doc)
	})
	if err != nil {
		return nil, err
	}
	t := &Table{layers: [][]entry{entries}}
	for _, e := range entries {
		for _, path := range [][]string{{"urcs"}, {"boot", "ready"}, {"boot", "restart"}, {"sim", "refresh"}, {"power", "down_lines"}} {
			var lines []string
			if n := strictyaml.Value(e.quirks, path); n != nil {
				err = errors.Join(err, yaml.NodeToValue(n, &lines))
			}
			t.allURCs = append(t.allURCs, lines...)
		}
	}
	t.sortURCs()
	return t, err
}

// loadChecked reads layers and finds every mistake in them.
func loadChecked(layers []fs.FS) (*Table, error) {
	schema := strictyaml.Compile("quirks.schema.json", quirkSchema)
	t := &Table{}
	var problems strictyaml.Problems
	for _, layer := range layers {
		entries, err := readLayer(layer, func(name string, data []byte) ([]entry, error) {
			more, err := readEntries(schema, name, data)
			problems = appendProblems(problems, name, err)
			return more, nil
		})
		if err != nil {
			return nil, err
		}
		problems = append(problems, duplicates(entries)...)
		t.layers = append(t.layers, entries)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return t, t.check()
}

func readLayer(layer fs.FS, read func(name string, data []byte) ([]entry, error)) ([]entry, error) {
	names, err := fs.Glob(layer, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("quirk table: %w", err)
	}
	var entries []entry
	for _, name := range names {
		data, err := fs.ReadFile(layer, name)
		if err != nil {
			return nil, fmt.Errorf("quirk table: %w", err)
		}
		more, err := read(name, data)
		if err != nil {
			return nil, fmt.Errorf("quirk table: %w", err)
		}
		entries = append(entries, more...)
	}
	return entries, nil
}

func appendProblems(all strictyaml.Problems, file string, err error) strictyaml.Problems {
	var more strictyaml.Problems
	switch {
	case err == nil:
		return all
	case errors.As(err, &more):
		return append(all, more...)
	}
	return append(all, strictyaml.Problem{File: file, Line: 1, Column: 1, Text: err.Error()})
}

// readEntries reads one file. The error is of type [strictyaml.Problems].
func readEntries(schema *jsonschema.Schema, name string, data []byte) ([]entry, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(schema).Err(); err != nil {
		return nil, err
	}
	all, err := entriesOf(doc)
	if err != nil {
		return nil, err
	}
	var out []entry
	var problems strictyaml.Problems
	for _, e := range all {
		if _, err := (&Quirks{}).overlay(e); err != nil {
			e.at.Text = err.Error()
			problems = append(problems, e.at)
			continue
		}
		out = append(out, e)
	}
	return out, problems.Err()
}

// entriesOf takes a document of the right shape apart. The error is of type
// [strictyaml.Problems].
func entriesOf(doc *strictyaml.Doc) ([]entry, error) {
	list, ok := doc.Value([]string{"entries"}).(*ast.SequenceNode)
	if !ok {
		return nil, strictyaml.Problems{doc.Problem(nil, "there is no list of entries")}
	}
	var out []entry
	for i := range list.Values {
		part := func(key string) ast.Node { return doc.Value(strictyaml.Path("entries", i, key)) }
		e := entry{quirks: part("quirks"), at: doc.Problem(strictyaml.Path("entries", i, "name"), "")}
		name, match := part("name"), part("match")
		if name == nil || match == nil || e.quirks == nil {
			return nil, strictyaml.Problems{doc.Problem(strictyaml.Path("entries", i), "an entry has name, match and quirks")}
		}
		if err := errors.Join(yaml.NodeToValue(name, &e.name), yaml.NodeToValue(match, &e.match, yaml.Strict())); err != nil {
			return nil, strictyaml.Problems{doc.Problem(strictyaml.Path("entries", i), "%v", err)}
		}
		out = append(out, e)
	}
	return out, nil
}

// duplicates finds entries of one layer with the same name, or for the same
// modules: it would be chance which of them wins.
func duplicates(entries []entry) strictyaml.Problems {
	var problems strictyaml.Problems
	seen := map[string]entry{}
	for _, e := range entries {
		keys := []string{"name " + e.name}
		for _, maker := range orAny(e.match.Maker) {
			for _, model := range orAny(e.match.Model) {
				for _, firmware := range orAny(e.match.Firmware) {
					keys = append(keys, strings.ToLower(fmt.Sprintf("match maker %q, model %q, firmware %q", maker, model, firmware)))
				}
			}
		}
		for _, key := range keys {
			if first, ok := seen[key]; ok {
				p := e.at
				p.Text = fmt.Sprintf("%s is already in %s:%d", key, first.at.File, first.at.Line)
				problems = append(problems, p)
			}
			seen[key] = e
		}
	}
	return problems
}

func orAny(list []string) []string {
	if len(list) == 0 {
		return []string{""}
	}
	return list
}

// Package recipe reads recipes from strict YAML: schema, then meaning, all
// mistakes at once with file and line. A recipe that was read is immutable; its
// digest names it. Files that a recipe names belong to it: they are read and
// checked with it, and their content is part of its digest.
package recipe

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"linefit/internal/strictyaml"
	"linefit/station"
)

type file struct {
	Recipe  string
	Version int
	Title   string
	Accepts []string
	Restart string
	Rework  bool
	Consent struct{ Contract string }
	Factory string
	Steps   []step
}

type step struct {
	ID           string
	Kind         string
	With         map[string]any
	Limits       []station.Limit
	Timeout      string
	Attempts     int
	RetryFrom    string   `yaml:"retry_from"`
	RetryOn      []string `yaml:"retry_on"`
	Irreversible bool
	Always       bool
	Optional     bool
	Final        bool
	Only         []string
}

// Load reads a recipe file.
func Load(path string) (*station.Recipe, error) {
	data, err := strictyaml.ReadFile(path, strictyaml.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return Parse(path, data)
}

// LoadFS reads a recipe of a file system, such as one that is embedded.
func LoadFS(fsys fs.FS, name string) (*station.Recipe, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return parse(name, data, func(file string) ([]byte, error) {
		return fs.ReadFile(fsys, path.Join(path.Dir(name), file))
	})
}

// Parse reads a recipe. Files that it names are taken from the folder of name.
// The error is of type strictyaml.Problems.
func Parse(name string, data []byte) (*station.Recipe, error) {
	return parse(name, data, func(file string) ([]byte, error) {
		if filepath.IsAbs(file) {
			return strictyaml.ReadFile(file, maxFile+1)
		}
		return strictyaml.ReadFile(filepath.Join(filepath.Dir(name), file), maxFile+1)
	})
}

func parse(name string, data []byte, read func(file string) ([]byte, error)) (*station.Recipe, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	shape := doc.Validate(compiled())
	var f file
	if len(shape) == 0 {
		err = doc.Decode(&f)
	} else if shape.At(decisive) || doc.DecodeKnown(&f) != nil {
		err = shape.Err()
	}
	if err != nil {
		return nil, err
	}
	r := f.recipe()
	found := append(f.endless(doc), attach(doc, r, read)...)
	found = append(found, lint(doc, r, f)...)
	if err := append(shape, shape.Beside(found)...).Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// decisive are the places of what the order of steps is judged by.
var decisive = regexp.MustCompile(`^$|^accepts|^factory|^restart|^steps$|^steps\[\d+\](\.(id|kind|only|final)\b.*)?$`)

// maxTimeout is longer than any step.
const maxTimeout = 24 * time.Hour

// endless notes the times that are longer than that: one that no number holds
// would be none.
func (f file) endless(doc *strictyaml.Doc) (found strictyaml.Problems) {
	look := func(path []string, text string) {
		d, err := time.ParseDuration(text)
		if text != "" && (err != nil || d > maxTimeout) {
			found = append(found, doc.Problem(path, "%.40q is more than %v", text, maxTimeout))
		}
	}
	for i, s := range f.Steps {
		look(strictyaml.Path("steps", i, "timeout"), s.Timeout)
		kind, _ := station.KindByName(s.Kind)
		for _, p := range kind.Params {
			if text, ok := s.With[p.Name].(string); ok && p.Type == station.ParamDuration {
				look(strictyaml.Path("steps", i, "with", p.Name), text)
			}
		}
	}
	return found
}

func (f file) recipe() *station.Recipe {
	r := &station.Recipe{
		Name: f.Recipe, Version: f.Version, Title: f.Title, Accepts: f.Accepts, Restart: f.Restart, Rework: f.Rework,
		Consent: f.Consent.Contract, Factory: f.Factory,
	}
	for _, s := range f.Steps {
		kind, _ := station.KindByName(s.Kind)
		timeout, _ := time.ParseDuration(s.Timeout) // see endless
		out := station.Step{
			ID: s.ID, Kind: s.Kind, Limits: s.Limits, Timeout: timeout, Attempts: max(s.Attempts, 1), RetryFrom: s.RetryFrom,
			Irreversible: s.Irreversible || kind.Irreversible, Always: s.Always, Optional: s.Optional, Final: s.Final,
			Only: s.Only,
		}
		if len(s.With) > 0 {
			out.Params = map[string][]string{}
		}
		for name, v := range s.With {
			out.Params[name] = texts(v)
		}
		for _, o := range s.RetryOn {
			out.RetryOn = append(out.RetryOn, station.Outcome(o))
		}
		if s.RetryOn == nil {
			out.RetryOn = []station.Outcome{station.Error, station.Timeout}
		}
		r.Steps = append(r.Steps, out)
	}
	return r
}

func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		out := make([]string, 0, len(v))
		for _, one := range v {
			out = append(out, fmt.Sprint(one))
		}
		return out
	case bool:
		if v {
			return []string{"on"}
		}
		return []string{"off"}
	}
	return []string{fmt.Sprint(v)}
}

// Show prints a recipe for a person: what each step does, tries and needs.
func Show(r *station.Recipe) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s version %d  %s\naccepts %s; an interrupted run goes on from %q\n", r.Name, r.Version, r.Title, strings.Join(r.Accepts, ", "), r.Restart)
	if r.Rework {
		b.WriteString("a recipe for rework: a unit that passes it goes to retest\n")
	}
	if r.Consent != "" {
		fmt.Fprintf(&b, "policy rules are consented to under contract %q\n", r.Consent)
	}
	switch r.Factory {
	case station.FactoryOpen:
		b.WriteString("in-factory provisioning goes on after it: one-time keys stay\n")
	case station.FactoryClosing:
		b.WriteString("ends in-factory provisioning: no unit passes with a one-time key left\n")
	}
	for i, s := range r.Steps {
		kind, _ := station.KindByName(s.Kind)
		fmt.Fprintf(&b, "%2d %-14s %-22s %s\n", i+1, s.ID, s.Kind, kind.Doc)
		fmt.Fprintf(&b, "   timeout %v, attempts %d%s%s\n", s.Timeout, s.Attempts, retry(s), flags(s))
		for _, name := range sorted(s.Params) {
			fmt.Fprintf(&b, "   %s: %s\n", name, strings.Join(s.Params[name], ", "))
		}
		if len(s.Only) > 0 {
			fmt.Fprintf(&b, "   only %s\n", strings.Join(s.Only, ", "))
		}
		for _, l := range s.Limits {
			fmt.Fprintf(&b, "   limit %s\n", l)
		}
	}
	return b.String()
}

func retry(s station.Step) string {
	if s.Attempts < 2 {
		return ""
	}
	from := s.RetryFrom
	if from == "" {
		from = s.ID
	}
	return fmt.Sprintf(" from %s on %v", from, s.RetryOn)
}

func flags(s station.Step) string {
	var b strings.Builder
	for _, f := range []struct {
		on   bool
		text string
	}{{s.Irreversible, "irreversible"}, {s.Always, "always"}, {s.Optional, "optional"}, {s.Final, "final"}} {
		if f.on {
			b.WriteString(", " + f.text)
		}
	}
	return b.String()
}

func sorted(m map[string][]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

package modem

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
)

//go:embed quirks/*.yaml quirks/overlay/*.yaml
var quirkFiles embed.FS

//go:embed quirks/schema.json
var quirkSchema string

// Table is the quirk table: layers of entries, keyed by maker, model and
// firmware. A Table does not change and may be shared.
//
// To find a module's quirks the entries that match it are applied one over the
// other: within a layer from the least to the most specific (firmware counts
// more than model, model more than maker, a longer match more than a shorter
// one), and a later layer over an earlier one whatever its entries name. The
// first layer is what linefit ships; the station's own files come after it, so
// what they say holds for every module they match.
type Table struct {
	layers  [][]entry
	allURCs []string // of all families, for the time before the family is known
	cache   sync.Map // of Quirks by the names of the entries that made them
}

// entry is one item of a quirk file.
type entry struct {
	name  string
	match match
	text  []byte // YAML of the quirks
	at    strictyaml.Problem
}

// match says which modules an entry is for. Each list has alternatives, matched
// as prefixes without regard to case; an empty list matches everything.
type match struct {
	Maker    []string `yaml:"maker"`
	Model    []string `yaml:"model"`
	Firmware []string `yaml:"firmware"`
}

type quirkFile struct {
	Entries []struct {
		Name   string    `yaml:"name"`
		About  string    `yaml:"about"`
		Match  match     `yaml:"match"`
		Quirks rawQuirks `yaml:"quirks"`
	} `yaml:"entries"`
}

type rawQuirks []byte

// UnmarshalYAML keeps the text: it is decoded over whatever the entry inherits.
func (r *rawQuirks) UnmarshalYAML(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

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
func LoadQuirks(layers ...fs.FS) (*Table, error) {
	schema := strictyaml.Compile("quirks.schema.json", quirkSchema)
	t := &Table{}
	var problems strictyaml.Problems
	for _, layer := range append([]fs.FS{Shipped()}, layers...) {
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
			more, err := readEntries(schema, name, data)
			problems = appendProblems(problems, name, err)
			entries = append(entries, more...)
		}
		problems = append(problems, duplicates(entries)...)
		t.layers = append(t.layers, entries)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return t, t.check()
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
	var file quirkFile
	if err := doc.Decode(&file); err != nil {
		return nil, err
	}
	var out []entry
	var problems strictyaml.Problems
	for i, e := range file.Entries {
		at := doc.Problem(strictyaml.Path("entries", i, "name"), "")
		if _, err := (&Quirks{}).overlay(e.Name, e.Quirks); err != nil {
			at.Text = err.Error()
			problems = append(problems, at)
			continue
		}
		out = append(out, entry{e.Name, e.Match, e.Quirks, at})
	}
	return out, problems.Err()
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

// check resolves every entry once, so that a table that loads has usable values for
// every module.
func (t *Table) check() error {
	var problems strictyaml.Problems
	for _, layer := range t.layers {
		for _, e := range layer {
			q, err := t.resolve(e.match.example())
			if err == nil {
				err = q.complete()
			}
			if err != nil {
				p := e.at
				p.Text = err.Error()
				problems = append(problems, p)
			}
			t.allURCs = append(t.allURCs, q.allURCs()...)
		}
	}
	slices.Sort(t.allURCs)
	t.allURCs = slices.Compact(t.allURCs)
	return problems.Err()
}

// complete finds values that must be there after all inheritance.
func (q *Quirks) complete() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s is missing here and in what this entry inherits", what))
		}
	}
	need(q.Line.Baud > 0, "line.baud")
	need(q.Line.Quiet > 0, "line.quiet")
	need(len(q.Init.Commands) > 0, "init.commands")
	need(len(q.Identify.Maker) > 0 && len(q.Identify.Model) > 0 && len(q.Identify.Firmware) > 0 && len(q.Identify.IMEI) > 0, "a query of identify")
	need(q.Deadlines["default"] > 0, "deadlines.default")
	need(q.Boot.Limit > 0 && q.Boot.Probe > 0, "boot.limit or boot.probe")
	need(q.Boot.Expect > 0 || len(q.Boot.Ready) == 0, "boot.expect, the time for a line of boot.ready,")
	need(q.SIM.Limit > 0 && q.SIM.Poll > 0 && len(q.SIM.ICCID) > 0, "sim.limit, sim.poll or sim.iccid")
	need(q.Radio.Query.Command != "" && len(q.Radio.Off) > 0 && len(q.Radio.OffLevels) > 0, "radio.query, radio.off or radio.off_levels")
	need(len(q.Radio.On) > 0 && len(q.Radio.OnLevels) > 0 && q.Radio.Limit > 0, "radio.on, radio.on_levels or radio.limit")
	need(q.Power.Reset != "", "power.reset")
	need(len(q.APDU.Routes) > 0 && q.APDU.Block > 0, "apdu.routes or apdu.block")
	need(q.APDU.ChannelBits != "" && q.APDU.GetResponse != "" && q.APDU.MaxChannels > 0, "apdu.channel_bits, apdu.get_response or apdu.max_channels")
	return errors.Join(errs...)
}

// For returns a module's quirks.
func (t *Table) For(maker, model, firmware string) (Quirks, error) {
	return t.resolve([3]string{maker, model, firmware})
}

// Named returns the quirks of the modules that an entry is for.
func (t *Table) Named(name string) (Quirks, error) {
	for _, layer := range t.layers {
		for _, e := range layer {
			if e.name == name {
				return t.resolve(e.match.example())
			}
		}
	}
	return Quirks{}, fmt.Errorf("the quirk table has no entry %q; there are %s", name, strings.Join(t.Names(), ", "))
}

// Names are the entries' names in order.
func (t *Table) Names() []string {
	var out []string
	for _, layer := range t.layers {
		for _, e := range layer {
			out = append(out, e.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (t *Table) resolve(id [3]string) (Quirks, error) {
	var all []hit
	key := ""
	for i, layer := range t.layers {
		var hits []hit
		for _, e := range layer {
			if score, ok := e.match.score(id); ok {
				hits = append(hits, hit{e, score})
			}
		}
		slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.score, b.score) })
		for _, h := range hits {
			key += fmt.Sprintf("%d/%s ", i, h.name)
		}
		all = append(all, hits...)
	}
	if q, ok := t.cache.Load(key); ok {
		return q.(*Quirks).clone(), nil
	}
	var q Quirks
	for _, h := range all {
		var err error
		if q, err = q.overlay(h.name, h.text); err != nil {
			return Quirks{}, fmt.Errorf("quirk entry %s: %w", h.name, err)
		}
	}
	t.cache.Store(key, &q)
	return q.clone(), nil
}

type hit struct {
	entry
	score int
}

// example is an identity that the entry matches.
func (m match) example() [3]string {
	return [3]string{orAny(m.Maker)[0], orAny(m.Model)[0], orAny(m.Firmware)[0]}
}

// score is how specific the match is.
func (m match) score(id [3]string) (int, bool) {
	total := 0
	for i, list := range [][]string{m.Maker, m.Model, m.Firmware} {
		best := -1
		for _, want := range orAny(list) {
			if len(id[i]) >= len(want) && strings.EqualFold(id[i][:len(want)], want) {
				best = max(best, len(want))
			}
		}
		if best < 0 {
			return 0, false
		}
		total |= min(best, 1023) << (10 * i) // firmware counts most
	}
	return total, true
}

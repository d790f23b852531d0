package modem

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"linefit/internal/strictyaml"
)

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

	mu    sync.Mutex
	cache map[string]*Quirks // by the names of the entries that made them
}

// entry is one item of a quirk file.
type entry struct {
	name   string
	match  match
	quirks ast.Node // decoded over whatever the entry inherits
	at     strictyaml.Problem
}

// match says which modules an entry is for. Each list has alternatives, matched
// as prefixes without regard to case; an empty list matches everything.
type match struct {
	Maker    []string `yaml:"maker"`
	Model    []string `yaml:"model"`
	Firmware []string `yaml:"firmware"`
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
	t.sortURCs()
	return problems.Err()
}

func (t *Table) sortURCs() {
	slices.Sort(t.allURCs)
	t.allURCs = slices.Compact(t.allURCs)
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

// makerGap is the longest gap between commands (line.gap) that an entry for a
// maker's modules asks for.
func (t *Table) makerGap(maker string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gap time.Duration
	for _, layer := range t.layers {
		for _, e := range layer {
			if _, ok := (match{Maker: e.match.Maker}).score([3]string{maker}); !ok {
				continue
			}
			var q struct {
				Line Line `yaml:"line"`
			}
			if err := yaml.NodeToValue(e.quirks, &q); err == nil { // an entry that cannot be read is found when it is needed
				gap = max(gap, q.Line.Gap)
			}
		}
	}
	return gap
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if q, ok := t.cache[key]; ok {
		return q.clone(), nil
	}
	var q Quirks
	for _, h := range all {
		var err error
		if q, err = q.overlay(h.entry); err != nil {
			return Quirks{}, fmt.Errorf("quirk entry %s: %w", h.name, err)
		}
	}
	if t.cache == nil {
		t.cache = map[string]*Quirks{}
	}
	t.cache[key] = &q
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

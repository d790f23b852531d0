package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrNoUnit says that an identifier finds no unit.
var ErrNoUnit = errors.New("audit: no unit with this identifier")

// A Filter selects entries. Its zero value selects all.
type Filter struct {
	// ID is any identifier of a unit: its serial, "imei:…", "eid:…",
	// "iccid:…" or "carrier:position". It selects every entry of every unit
	// that ever had it.
	ID string
	// After selects entries with a larger seq, for resuming.
	After uint64
	// Since and Until bound utc; zero means unbounded. Until is excluded.
	// The clock may have stepped: seq is the order, not utc.
	Since, Until time.Time
	// Types selects fact types without their versions; empty means all.
	Types []string
	// Slot selects one slot's entries; nil means all.
	Slot *int
}

// OnlyAfter reports whether seq alone decides.
func (f Filter) OnlyAfter() bool {
	return f.ID == "" && f.Since.IsZero() && f.Until.IsZero() && len(f.Types) == 0 && f.Slot == nil
}

// Match reports whether the filter takes an entry, apart from ID.
func (f Filter) Match(e Entry) bool {
	typ, _, _ := strings.Cut(e.Type, "/")
	switch {
	case e.Seq <= f.After,
		!f.Since.IsZero() && e.UTC.Before(f.Since),
		!f.Until.IsZero() && !e.UTC.Before(f.Until),
		f.Slot != nil && *f.Slot != e.Slot,
		len(f.Types) > 0 && !slices.Contains(f.Types, typ):
		return false
	}
	return true
}

// Identifiers returns the identifiers that an entry's data states, sorted:
// members named imei, eid, iccid as "imei:…" and so on, member serial as it
// is, and members carrier and position of one object as "carrier:position".
func Identifiers(e Entry) []string {
	dec := json.NewDecoder(bytes.NewReader(e.Data))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil // Decode has accepted the data; nothing is stated otherwise
	}
	found := map[string]bool{}
	identifiers(v, found)
	out := make([]string, 0, len(found))
	for id := range found {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func identifiers(v any, found map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			identifiers(x, found)
		}
	case map[string]any:
		for _, name := range [...]string{"imei", "eid", "iccid"} {
			if s, ok := v[name].(string); ok && s != "" {
				found[name+":"+s] = true
			}
		}
		if s, ok := v["serial"].(string); ok && s != "" {
			found[s] = true
		}
		carrier, ok := v["carrier"].(string)
		if position := text(v["position"]); ok && carrier != "" && position != "" {
			found[carrier+":"+position] = true
		}
		for _, x := range v {
			identifiers(x, found)
		}
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// A Resolver finds the units behind an identifier, in one or more passes over
// a log: pass all entries to See, again as long as Again reports true.
type Resolver struct {
	id     string
	needle []byte
	units  map[string]bool
	names  [][]byte // the units as JSON strings
	grown  bool
}

// NewResolver returns a resolver for an identifier.
func NewResolver(id string) *Resolver {
	needle := id
	for _, prefix := range [...]string{"imei:", "eid:", "iccid:"} {
		needle = strings.TrimPrefix(needle, prefix)
	}
	if i := strings.LastIndexByte(needle, ':'); i > 0 {
		needle = needle[:i] // carrier and position are two members
	}
	quoted := appendString(nil, needle)
	return &Resolver{id: id, needle: quoted[1 : len(quoted)-1], units: map[string]bool{}}
}

// See looks at one entry.
func (r *Resolver) See(e Entry) {
	if e.Unit != "" && (e.Unit == r.id || r.units[e.Unit]) {
		r.add(e.Unit)
		r.alias(e)
		return
	}
	if e.Unit == "" || !bytes.Contains(e.Data, r.needle) {
		return
	}
	if slices.Contains(Identifiers(e), r.id) {
		r.add(e.Unit)
		r.alias(e)
	}
}

// alias adds the serial that a unit got which was known by carrier and
// position before.
func (r *Resolver) alias(e Entry) {
	if !bytes.Contains(e.Data, []byte(`"serial"`)) {
		return
	}
	for _, id := range Identifiers(e) {
		if !strings.Contains(id, ":") {
			r.add(id)
		}
	}
}

func (r *Resolver) add(unit string) {
	if !r.units[unit] {
		r.units[unit] = true
		r.names = append(r.names, appendString(nil, unit))
		r.grown = true
	}
}

// Maybe reports whether an entry with these bytes can matter to See; most
// need not be decoded.
func (r *Resolver) Maybe(raw []byte) bool {
	if bytes.Contains(raw, r.needle) {
		return true
	}
	for _, n := range r.names {
		if bytes.Contains(raw, n) {
			return true
		}
	}
	return false
}

// Again reports whether another pass can find more.
func (r *Resolver) Again() bool {
	grown := r.grown
	r.grown = false
	return grown
}

// Has reports whether an entry belongs to the identifier.
func (r *Resolver) Has(e Entry) bool { return e.Unit != "" && r.units[e.Unit] }

// Units returns the units found, sorted.
func (r *Resolver) Units() []string {
	out := make([]string, 0, len(r.units))
	for u := range r.units {
		out = append(out, u)
	}
	slices.Sort(out)
	return out
}

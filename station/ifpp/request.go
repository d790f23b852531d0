package ifpp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// Request asks an SM-DPf for packages.
type Request struct {
	Format  string        `json:"format"`
	Order   string        `json:"order,omitempty"`
	Created string        `json:"created,omitempty"`
	EUICCs  []Requirement `json:"euiccs"`
}

// Requirement is one eUICC with the one-time keys that packages are wanted for.
type Requirement struct {
	EID         ident.EID    `json:"eid"`
	Certificate []byte       `json:"euicc_certificate"`
	EUM         []byte       `json:"eum_certificate"`
	Packages    int          `json:"packages"`
	Keys        []OneTimeKey `json:"one_time_keys"`
}

// Order says what packages are wanted.
type Order struct {
	Name     string // its reference
	List     string // name of the list of eUICCs, for messages
	EIDs     []ident.EID
	Lines    map[ident.EID]int // of the list, where they are known, for messages
	Packages int               // that each eUICC is to have, with those that it has; at least 1
	// Operator is the service provider whose profiles are ordered: packages of
	// others do not count. Empty: all do.
	Operator string
}

// Wanted is the number of packages that a request asks for.
func (r *Request) Wanted() (n int) {
	for _, e := range r.EUICCs {
		n += e.Packages
	}
	return n
}

// Write is the request as a file.
func (r *Request) Write() ([]byte, error) { return write("binding request", r) }

// write is a file of this package.
func write(what string, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return b.Bytes(), nil
}

// MakeRequest makes the binding request of an order: for every eUICC as many
// packages as it lacks, each for a key of the maker's data that no package in
// stock was ever bound to. stocked gives the packages of an eUICC, spent ones
// too. A request without eUICCs means that nothing is lacking. The error is
// strictyaml.Problems, with all mistakes; then there is no request.
func MakeRequest(d *Data, o Order, stocked func(ident.EID) ([]station.StockItem, error)) (*Request, error) {
	r := &Request{Format: RequestFormat, Order: o.Name, EUICCs: []Requirement{}}
	var found strictyaml.Problems
	add := func(eid ident.EID, format string, args ...any) {
		found = append(found, strictyaml.Problem{File: o.List, Line: max(o.Lines[eid], 1), Column: 1, Text: fmt.Sprintf(format, args...)})
	}
	if o.Packages < 1 {
		add("", "%d packages for each eUICC: at least 1", o.Packages)
	}
	seen := map[ident.EID]bool{}
	for _, eid := range o.EIDs {
		if seen[eid] {
			continue
		}
		seen[eid] = true
		items, err := stocked(eid)
		if err != nil {
			return nil, err
		}
		lacking := o.Packages - o.good(items)
		if lacking <= 0 {
			continue
		}
		e, known := d.Find(eid)
		if !known {
			add(eid, "EID %s: the eUICC maker's data have no such eUICC", eid)
			continue
		}
		keys := unusedKeys(e.Keys, items)
		if len(keys) < lacking {
			add(eid, "EID %s: %d one-time keys are unused, %d are needed", eid, len(keys), lacking)
			continue
		}
		r.EUICCs = append(r.EUICCs, Requirement{EID: eid, Certificate: e.Certificate, EUM: e.EUM, Packages: lacking, Keys: keys[:lacking]})
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return r, nil
}

// good counts the packages that an eUICC has or can still get.
func (o Order) good(items []station.StockItem) (n int) {
	for _, i := range items {
		if i.Kind != station.KindPreparedPackage || o.Operator != "" && i.Operator != o.Operator {
			continue
		}
		switch {
		case i.State == station.StockInstalled, i.State == station.StockReserved,
			i.State == station.StockAvailable && i.Downloads == 0, i.Left() == station.StateUnknown:
			n++
		}
	}
	return n
}

// unusedKeys leaves out the keys that any package was bound to.
func unusedKeys(keys []OneTimeKey, items []station.StockItem) (out []OneTimeKey) {
	for _, k := range keys {
		id := stock.KeyID(k.PublicKey)
		if !slices.ContainsFunc(items, func(i station.StockItem) bool { return i.Key == id }) {
			out = append(out, k)
		}
	}
	return out
}

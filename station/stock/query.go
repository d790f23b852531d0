package stock

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Views runs fn with a consistent state of the log and all that is derived
// from it; everything that was acknowledged is in it. The View method of
// audit/store.Store is one. fn must not write to the log.
type Views func(fn func(audit.View) error) error

func projection(v audit.View) (audit.Reader, error) {
	r, err := v.Projection(ProjectionName)
	if err != nil {
		return nil, fmt.Errorf("stock: %w", err)
	}
	return r, nil
}

// Count counts the profiles by state.
func Count(v audit.View) (station.StockCount, error) {
	var n station.StockCount
	r, err := projection(v)
	if err != nil {
		return n, err
	}
	_, err = audit.GetJSON(r, "n", &n)
	return n, err
}

// ItemOf finds a profile by its handle.
func ItemOf(v audit.View, handle string) (station.StockItem, bool, error) {
	r, err := projection(v)
	if err != nil {
		return station.StockItem{}, false, err
	}
	rec, ok, err := getRecord(r, handle)
	return rec.StockItem, ok, err
}

// ByEID lists the profiles that are bound to an eUICC or that it has or had, in
// import order.
func ByEID(v audit.View, eid ident.EID) ([]station.StockItem, error) {
	return listed(v, "e/"+string(eid)+"/")
}

// ByICCID lists the profiles with an ICCID: one, where nothing is wrong.
func ByICCID(v audit.View, iccid ident.ICCID) ([]station.StockItem, error) {
	return listed(v, "c/"+string(iccid)+"/")
}

// ByRun lists the profile that a run has reserved: none or one.
func ByRun(v audit.View, run station.RunID) ([]station.StockItem, error) {
	return listed(v, runKey(run))
}

// Filter selects profiles; empty fields select all.
type Filter struct {
	State    station.StockState
	Batch    string
	Operator string
	Customer string
	SKU      string
}

func (f Filter) match(i station.StockItem) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(string(f.State), string(i.State)) && is(f.Batch, i.Batch) && is(f.Operator, i.Operator) &&
		is(f.Customer, i.Customer) && is(f.SKU, i.SKU)
}

// List calls fn for each selected profile in import order (within a state,
// where Filter.State is set). fn ends it early with audit.ErrStop.
func List(v audit.View, f Filter, fn func(station.StockItem) error) error {
	return eachRecord(v, f, func(r record) error { return fn(r.StockItem) })
}

func eachRecord(v audit.View, f Filter, fn func(record) error) error {
	r, err := projection(v)
	if err != nil {
		return err
	}
	prefixes := []string{"s/" + string(f.State) + "/"}
	switch {
	case f.State == "" && f.Batch != "":
		prefixes = []string{"t/" + f.Batch + "\x00"}
	case f.State == "":
		prefixes = []string{"t/"}
	}
	for _, p := range prefixes {
		err := iterate(r, p, func(rec record) error {
			if !f.match(rec.StockItem) {
				return nil
			}
			return fn(rec)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// iterate calls fn for the records whose handles stand under a prefix.
func iterate(r audit.Reader, prefix string, fn func(record) error) error {
	return r.Iterate([]byte(prefix), func(_, handle []byte) error {
		rec, ok, err := getRecord(r, string(handle))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("stock: index %q names %s, which is not there", prefix, handle)
		}
		return fn(rec)
	})
}

func listed(v audit.View, prefix string) ([]station.StockItem, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	var items []station.StockItem
	err = iterate(r, prefix, func(rec record) error {
		items = append(items, rec.StockItem)
		return nil
	})
	return items, err
}

// Terms are the terms of a batch; false where none were given.
func Terms(v audit.View, batch string) (station.StockBatch, bool, error) {
	r, err := projection(v)
	if err != nil {
		return station.StockBatch{}, false, err
	}
	return terms(r, batch)
}

func terms(r audit.Reader, batch string) (station.StockBatch, bool, error) {
	var b station.StockBatch
	ok, err := audit.GetJSON(r, "m/"+batch, &b)
	return b, ok, err
}

// Anomalies lists the facts that did not fit the ledger, oldest first.
func Anomalies(v audit.View) ([]Anomaly, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	var all []Anomaly
	err = r.Iterate([]byte("z/"), func(key, value []byte) error {
		var a Anomaly
		if err := json.Unmarshal(value, &a); err != nil {
			return fmt.Errorf("stock: key %q: %w", key, err)
		}
		all = append(all, a)
		return nil
	})
	return all, err
}

// Find finds profiles by handle, "iccid:", "eid:", "run:" or an ICCID or EID
// without a prefix.
func Find(v audit.View, id string) ([]station.StockItem, error) {
	kind, value, found := strings.Cut(id, ":")
	if !found {
		kind, value = "", id
	}
	switch {
	case kind == "iccid" || kind == "" && len(value) >= 18 && len(value) <= 20 && decimal(value):
		iccid, err := ident.ParseICCID(value)
		if err != nil {
			return nil, err
		}
		return ByICCID(v, iccid)
	case kind == "eid" || kind == "" && len(value) == 32 && decimal(value):
		eid, err := ident.ParseEID(value)
		if err != nil {
			return nil, err
		}
		return ByEID(v, eid)
	case kind == "run":
		return ByRun(v, station.RunID(value))
	}
	item, ok, err := ItemOf(v, value)
	if err != nil || !ok {
		return nil, err
	}
	return []station.StockItem{item}, nil
}

func decimal(s string) bool { return strings.Trim(s, "0123456789") == "" }

// Offer is a kind of profile of which some are left.
type Offer struct {
	Batch    string `json:"batch"`
	Operator string `json:"operator,omitempty"`
	Region   string `json:"region,omitempty"`
	Customer string `json:"customer,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Expires  string `json:"expires,omitempty"`
	Expired  bool   `json:"expired,omitempty"`
	Left     int    `json:"left"`
}

// Offers lists what is left of every kind of profile that is bound to no
// eUICC, by batch.
func Offers(v audit.View, at time.Time) ([]Offer, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	var offers []Offer
	err = eachClass(r, func(c class, l list) error {
		offers = append(offers, Offer{
			Batch: c.Batch, Operator: c.Operator, Region: c.Region, Customer: c.Customer, SKU: c.SKU,
			Expires: c.Expires, Expired: expired(c.Expires, at), Left: l.Left,
		})
		return nil
	})
	slices.SortStableFunc(offers, func(a, b Offer) int { return strings.Compare(a.Batch, b.Batch) })
	return offers, err
}

// expired reports whether a last day of use, YYYY-MM-DD in UTC, has passed.
func expired(day string, at time.Time) bool {
	return day != "" && at.UTC().Format(time.DateOnly) > day
}

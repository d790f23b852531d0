package stock

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Kind of disagreement.
const (
	Missing    = "missing"    // one side does not have it
	Double     = "double"     // one side has it twice
	Mismatched = "mismatched" // both have it, and not the same
	Foreign    = "foreign"    // used by an eUICC that this station never saw
	Open       = "open"       // the list answers what the ledger does not know
	Broken     = "broken"     // a fact that does not fit the ledger, or a projection that does not fit the log
)

// Disagreement is one thing about which ledger, log and lists do not agree.
type Disagreement struct {
	Kind     string         `json:"kind"`
	Between  string         `json:"between"` // "ledger, sm-dp+"
	Handle   string         `json:"handle,omitempty"`
	ICCID    ident.ICCID    `json:"iccid,omitempty"`
	EID      ident.EID      `json:"eid,omitempty"`
	IMEI     ident.IMEI     `json:"imei,omitempty"`
	Unit     station.Serial `json:"unit,omitempty"`
	Text     string         `json:"text"`
	Evidence []string       `json:"evidence"` // "orders.csv:12", "entry 4711"
	// Resolve is the finding with which `profiles resolve` may end it.
	Resolve Finding `json:"resolve,omitempty"`
}

// Lists are what the ledger and the log are compared with; nil: not given.
type Lists struct {
	Server []ServerRow
	Units  []UnitRow
	Names  []string // of the files, with the beginning of their SHA-256
	// Batch limits the comparison with Server to one batch: a provider's list
	// has that provider's orders only.
	Batch string
}

// Reconcile compares the ledger with the log, and both with an SM-DP+'s and an
// MES's list. It returns every disagreement, in a stable order.
func Reconcile(v audit.View, lists Lists) ([]Disagreement, error) {
	h, err := readHistory(v)
	if err != nil {
		return nil, err
	}
	c := comparison{h: h, lists: lists}
	if err := c.readLedger(v); err != nil {
		return nil, err
	}
	c.ledgerAndLog()
	if lists.Server != nil {
		c.server()
	}
	if lists.Units != nil {
		c.units()
	}
	c.subscribers()
	slices.SortStableFunc(c.found, func(a, b Disagreement) int {
		return cmp.Or(cmp.Compare(a.Between, b.Between), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ICCID, b.ICCID),
			cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Handle, b.Handle), cmp.Compare(a.Text, b.Text))
	})
	return c.found, nil
}

// history is what the entries themselves say, apart from every projection, as
// far back as they are at hand: closed shards may be archived.
type history struct {
	first uint64 // number of the oldest entry at hand
	items map[string]station.StockItem
	last  map[string]uint64 // entry that changed an item last, by handle
	units map[station.Serial]made
	eids  map[ident.EID]bool // eUICCs that were seen here
}

// made is a unit whose newest verdict is a pass.
type made struct {
	imei   ident.IMEI
	eid    ident.EID
	iccids []ident.ICCID
	seq    uint64
}

func readHistory(v audit.View) (*history, error) {
	h := &history{items: map[string]station.StockItem{}, last: map[string]uint64{}, units: map[station.Serial]made{}, eids: map[ident.EID]bool{}}
	for e, err := range v.Entries(1, v.Last()) {
		if err != nil {
			return nil, err
		}
		if h.first == 0 {
			h.first = e.Seq
		}
		if !speaksOfStock(e.Type) && e.Type != verdictType && e.Type != identifiedType {
			continue
		}
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			return nil, fmt.Errorf("stock: entry %d: %w", e.Seq, err)
		}
		h.add(e, f)
	}
	return h, nil
}

var (
	verdictType    = station.RunVerdict{}.FactType()
	identifiedType = station.UnitIdentified{}.FactType()
)

func (h *history) add(e audit.Entry, f station.Fact) {
	serial := station.Serial(e.Unit)
	switch f := f.(type) {
	case station.UnitIdentified:
		h.eids[f.EID] = true
	case station.RunVerdict:
		h.eids[f.EID] = true
		delete(h.units, serial)
		if f.Verdict == station.Pass {
			h.units[serial] = made{imei: f.IMEI, eid: f.EID, iccids: f.ICCIDs, seq: e.Seq}
		}
	}
	handle, ok := station.StockHandle(f)
	if !ok {
		return
	}
	item, known := h.items[handle]
	if _, imports := f.(station.StockImported); imports == known {
		return // an anomaly, which the ledger lists
	}
	h.items[handle] = item.Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: serial}, f)
	h.last[handle] = e.Seq
}

// comparison collects disagreements.
type comparison struct {
	h       *history
	lists   Lists
	items   []station.StockItem // of the ledger, in import order
	old     map[string]bool     // imported before the oldest entry at hand
	byICCID map[ident.ICCID][]station.StockItem
	found   []Disagreement
}

func (c *comparison) readLedger(v audit.View) error {
	c.byICCID, c.old = map[ident.ICCID][]station.StockItem{}, map[string]bool{}
	err := eachRecord(v, Filter{}, func(r record) error {
		i := r.StockItem
		c.items = append(c.items, i)
		c.old[i.Handle] = r.Order < c.h.first
		if i.EID != "" {
			c.h.eids[i.EID] = true
		}
		if i.ICCID != "" && i.State != station.StockReturned {
			c.byICCID[i.ICCID] = append(c.byICCID[i.ICCID], i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	anomalies, err := Anomalies(v)
	for _, a := range anomalies {
		c.add(Disagreement{Kind: Broken, Between: "ledger, log", Handle: a.Handle, Text: a.Type + ": " + a.What, Evidence: []string{entry(a.Seq)}})
	}
	return err
}

func (c *comparison) add(d Disagreement) { c.found = append(c.found, d) }

func entry(seq uint64) string { return fmt.Sprintf("entry %d", seq) }

// about makes a disagreement about an item, with its newest entry as evidence.
func (c *comparison) about(kind, between string, i station.StockItem, evidence, format string, args ...any) Disagreement {
	d := Disagreement{
		Kind: kind, Between: between, Handle: i.Handle, ICCID: i.ICCID, EID: i.EID, Unit: i.Unit, Text: fmt.Sprintf(format, args...),
	}
	if seq := c.h.last[i.Handle]; seq != 0 {
		d.Evidence = append(d.Evidence, entry(seq))
	}
	if evidence != "" {
		d.Evidence = append(d.Evidence, evidence)
	}
	return d
}

func (c *comparison) ledgerAndLog() {
	const between = "ledger, log"
	for _, i := range c.items {
		was, ok := c.h.items[i.Handle]
		switch {
		case c.old[i.Handle]: // only the ledger still knows
		case !ok:
			c.add(c.about(Broken, between, i, "", "no entry imports it"))
		case was.State != i.State || was.Run != i.Run || was.EID != i.EID || was.ICCID != i.ICCID || was.Downloads != i.Downloads:
			c.add(c.about(Broken, between, i, "", "the ledger says %s, the entries say %s: rebuild what is derived", i.State, was.State))
		}
	}
	if len(c.h.items) > len(c.items) {
		c.add(Disagreement{Kind: Broken, Between: between, Text: fmt.Sprintf("the entries import %d profiles, the ledger has %d: rebuild what is derived", len(c.h.items), len(c.items)), Evidence: []string{}})
	}
	for iccid, items := range c.byICCID {
		for _, i := range items[1:] {
			c.add(c.about(Double, between, i, "profile "+items[0].Handle, "ICCID %s is in the stock twice", iccid))
		}
	}
	c.unitsTwice()
	for _, i := range c.items {
		if i.State != station.StockInstalled {
			continue
		}
		if m, ok := c.h.units[i.Unit]; ok && m.eid == i.EID && !slices.Contains(m.iccids, i.ICCID) {
			c.add(c.about(Mismatched, between, i, entry(m.seq), "installed on unit %s, whose passing run shows other profiles", i.Unit))
		}
	}
}

// unitsTwice finds units that passed here with the same identity: one of them was
// taken apart, or its label is wrong.
func (c *comparison) unitsTwice() {
	imeis, eids := map[ident.IMEI]station.Serial{}, map[ident.EID]station.Serial{}
	for _, serial := range slices.Sorted(maps.Keys(c.h.units)) {
		m := c.h.units[serial]
		twice := func(what string, first station.Serial) {
			c.add(Disagreement{
				Kind: Double, Between: "log", Unit: serial, IMEI: m.imei, EID: m.eid,
				Text: fmt.Sprintf("unit %s passed with the same %s", first, what), Evidence: []string{entry(c.h.units[first].seq), entry(m.seq)},
			})
		}
		if first, double := imeis[m.imei]; double && m.imei != "" {
			twice("IMEI", first)
		}
		if first, double := eids[m.eid]; double && m.eid != "" {
			twice("EID", first)
		}
		imeis[m.imei], eids[m.eid] = serial, serial
	}
}

package stock

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/station"
)

// ProjectionName is the name of the ledger's projection. Its number changes
// whenever the same entries would give another state.
const ProjectionName = "stock/1"

// Projection derives the ledger from the log. Its keys:
//
//	i/<handle>            record
//	s/<state>/<order>     handle, by state
//	t/<batch>\x00<order>  handle, by batch
//	e/<eid>/<order>       handle, of the eUICC that it is bound to or that has it
//	c/<iccid>/<order>     handle
//	r/<run>\x00<order>    handle, reserved by that run
//	k/<class>             set while something of it is left for any eUICC
//	h/<class>             list of what is left, see offers.go
//	a/<class>\x00<order>  entry of that list
//	m/<batch>             terms of the batch
//	n                     counts
//	z/<order>             a fact that does not fit
//	w/<id>                alarm
//	y/<kind>              how many of the kind were imported for any eUICC
//	l/<kind>              LowState, while it is announced that the kind runs out
//	q                     entry by which people went on with a log that is not
//	                      what it must be, until the stock was secured
//
// order is the sequence number of the import's entry, eight bytes big-endian:
// the order in which profiles are given out.
type Projection struct{}

// Name implements audit.Projection.
func (Projection) Name() string { return ProjectionName }

// record is an item in the ledger with what only the ledger needs.
type record struct {
	station.StockItem
	Order uint64 `json:"order"`
	// Prior and Was are the Downloads and the Was of the last reservation.
	Prior int    `json:"prior,omitempty"`
	Was   string `json:"was,omitempty"`
	Since string `json:"since"` // UTC of the last change of state, RFC 3339
	// Erased says that the code is to be gone from the vault.
	Erased bool `json:"erased,omitempty"`
}

// offered reports whether any eUICC may get the item.
func (r record) offered() bool {
	return r.State == station.StockAvailable && r.Bound == "" && r.EID == "" && (r.Cap == 0 || r.Downloads < r.Cap)
}

// Anomaly is a fact that does not fit the ledger. The ledger follows the log
// all the same; a reconciliation shows it.
type Anomaly struct {
	Seq    uint64 `json:"seq"`
	Type   string `json:"type"`
	Handle string `json:"handle,omitempty"`
	What   string `json:"what"`
}

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Type == audit.TypeShardOpened {
		return suspect(txn, e)
	}
	if !speaksOfStock(e.Type) {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return anomaly(txn, e, "", "it cannot be read: "+err.Error())
	}
	if b, ok := f.(station.StockBatch); ok {
		return audit.SetJSON(txn, "m/"+b.Batch, b)
	}
	switch f := f.(type) {
	case station.StockErased:
		return erased(txn, f)
	case station.StockSecured:
		return secured(txn, f)
	case station.StockAlarm:
		return alarmed(txn, e, f)
	case station.StockAlarmEnded:
		return alarmEnded(txn, f)
	case station.StockLow:
		return low(txn, e, f)
	case station.StockEnough:
		return enough(txn, f)
	}
	handle, ok := station.StockHandle(f)
	if !ok {
		return nil
	}
	old, known, err := getRecord(txn, handle)
	if err != nil {
		return err
	}
	if what := misfit(old, known, e, f); what != "" {
		if err := anomaly(txn, e, handle, what); err != nil {
			return err
		}
		if _, imports := f.(station.StockImported); !known || imports {
			return nil // nothing is made up, and nothing replaces a known item
		}
	}
	return change(txn, old, known, next(old, e, f), f)
}

func erased(txn audit.Txn, f station.StockErased) error {
	for _, handle := range f.Handles {
		rec, ok, err := getRecord(txn, handle)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		rec.Erased = true
		if err := audit.SetJSON(txn, "i/"+handle, rec); err != nil {
			return err
		}
	}
	return nil
}

var stockTypes = station.TypesOf(
	station.StockBatch{}, station.StockImported{}, station.StockErased{}, station.StockSecured{}, station.StockAlarm{}, station.StockAlarmEnded{}, station.StockLow{}, station.StockEnough{},
	station.Intent{}, station.ProfileReserved{},
	station.ProfileCommitted{}, station.ProfileReleased{}, station.ProfileQuarantined{}, station.ProfileSpent{},
)

func speaksOfStock(factType string) bool { return stockTypes[factType] }

// next is the record after a fact.
func next(old record, e audit.Entry, f station.Fact) record {
	r := old
	r.StockItem = old.Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: station.Serial(e.Unit)}, f)
	switch f := f.(type) {
	case station.StockImported:
		r.Order = e.Seq
	case station.ProfileReserved:
		r.Prior, r.Was = f.Downloads, f.Was
	}
	if r.State != old.State {
		r.Since = e.UTC.UTC().Format(time.RFC3339)
	}
	return r
}

// misfit says what is wrong with a fact in the state in which it comes.
func misfit(old record, known bool, e audit.Entry, f station.Fact) string {
	_, imports := f.(station.StockImported)
	switch {
	case imports && known:
		return "imported twice"
	case !imports && !known:
		return "no such profile was imported"
	}
	switch f := f.(type) {
	case station.ProfileReserved:
		mine := old.State == station.StockReserved && old.Run == station.RunID(e.Run)
		if !mine && !old.Usable(f.EID) {
			return fmt.Sprintf("reserved while %s (unit %s, run %s)", old.State, old.Unit, old.Run)
		}
	case station.ProfileCommitted:
		if old.ICCID != "" && f.ICCID != "" && old.ICCID != f.ICCID {
			return fmt.Sprintf("installed as ICCID %s, imported as %s", f.ICCID, old.ICCID)
		}
	case station.ProfileReleased:
		if old.State == station.StockInstalled {
			return "released although installed"
		}
	}
	return ""
}

// change replaces a record and everything that points to it.
func change(txn audit.Txn, old record, known bool, r record, f station.Fact) error {
	if err := audit.SetJSON(txn, "i/"+r.Handle, r); err != nil {
		return err
	}
	var before []string
	if known {
		before = old.indexes()
	}
	after := r.indexes()
	for _, key := range before {
		if !slices.Contains(after, key) {
			if err := txn.Delete([]byte(key)); err != nil {
				return err
			}
		}
	}
	for _, key := range after {
		if !slices.Contains(before, key) {
			if err := txn.Set([]byte(key), []byte(r.Handle)); err != nil {
				return err
			}
		}
	}
	if !known && r.offered() {
		key, n := "y/"+kindKey(r.class().kind()), 0
		if _, err := audit.GetJSON(txn, key, &n); err != nil {
			return err
		}
		if err := audit.SetJSON(txn, key, n+1); err != nil {
			return err
		}
	}
	if was, is := known && old.offered(), r.offered(); was != is { // the class of an item never changes
		if err := offer(txn, r, is); err != nil {
			return err
		}
	}
	return count(txn, old, known, r, f)
}

// indexes are the keys under which a record's handle stands.
func (r record) indexes() []string {
	o := order(r.Order)
	keys := []string{"s/" + string(r.State) + "/" + o, "t/" + r.Batch + "\x00" + o}
	if r.ICCID != "" {
		keys = append(keys, "c/"+string(r.ICCID)+"/"+o)
	}
	if r.EID != "" {
		keys = append(keys, "e/"+string(r.EID)+"/"+o)
	}
	if r.Bound != "" && r.Bound != r.EID {
		keys = append(keys, "e/"+string(r.Bound)+"/"+o)
	}
	if r.State == station.StockReserved {
		keys = append(keys, runKey(r.Run)+o)
	}
	return keys
}

func runKey(run station.RunID) string { return "r/" + string(run) + "\x00" }

func order(seq uint64) string { return string(binary.BigEndian.AppendUint64(nil, seq)) }

func count(txn audit.Txn, old record, known bool, r record, f station.Fact) error {
	_, released := f.(station.ProfileReleased)
	if known && old.State == r.State && !released {
		return nil
	}
	var n station.StockCount
	if _, err := audit.GetJSON(txn, "n", &n); err != nil {
		return err
	}
	if known {
		*counter(&n, old.State)--
	} else {
		n.Total++
	}
	*counter(&n, r.State)++
	if r.State == station.StockReturned { // it is the MES's again
		n.Total--
	}
	if released {
		n.Released++
	}
	return audit.SetJSON(txn, "n", n)
}

func counter(n *station.StockCount, s station.StockState) *int {
	switch s {
	case station.StockReserved:
		return &n.Reserved
	case station.StockInstalled:
		return &n.Installed
	case station.StockQuarantined:
		return &n.Quarantined
	case station.StockSpent:
		return &n.Spent
	case station.StockReturned:
		return &n.Returned
	}
	return &n.Available
}

func anomaly(txn audit.Txn, e audit.Entry, handle, what string) error {
	return audit.SetJSON(txn, "z/"+order(e.Seq), Anomaly{Seq: e.Seq, Type: e.Type, Handle: handle, What: strings.ToValidUTF8(what, "?")})
}

func getRecord(r audit.Reader, handle string) (record, bool, error) {
	var rec record
	ok, err := audit.GetJSON(r, "i/"+handle, &rec)
	return rec, ok, err
}

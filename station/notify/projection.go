package notify

import (
	"encoding/json"
	"fmt"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Projection derives from the log which notifications are pending.
//
//	p/<eid>/<sequence>  pending notifications
//	d/<eid>/<sequence>  delivered ones
//	n                   how many there are of each
type Projection struct{}

const projectionName = "notifications/2"

// record is one notification in the projection.
type record struct {
	Kept station.NotificationKept `json:"kept"`
	Unit station.Serial           `json:"unit,omitempty"`
	Run  station.RunID            `json:"run,omitempty"`
}

type counts struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"`
}

// Name implements audit.Projection.
func (Projection) Name() string { return projectionName }

func recordKey(table string, eid ident.EID, seq int64) []byte {
	return fmt.Appendf(nil, "%s/%s/%020d", table, eid, seq)
}

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	switch e.Type {
	case station.NotificationKept{}.FactType(), station.NotificationDelivered{}.FactType():
	default:
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case station.NotificationKept:
		return kept(txn, record{Kept: f, Unit: station.Serial(e.Unit), Run: station.RunID(e.Run)})
	case station.NotificationDelivered:
		return delivered(txn, f)
	}
	return nil
}

// kept notes a pending notification. One that is known already, because the log
// took a fact and said that it had not, stays as it is.
func kept(txn audit.Txn, r record) error {
	for _, table := range []string{"p", "d"} {
		if _, known, err := txn.Get(recordKey(table, r.Kept.EID, r.Kept.Sequence)); err != nil || known {
			return err
		}
	}
	if err := set(txn, recordKey("p", r.Kept.EID, r.Kept.Sequence), r); err != nil {
		return err
	}
	return count(txn, 1, 0)
}

func delivered(txn audit.Txn, f station.NotificationDelivered) error {
	key := recordKey("p", f.EID, f.Sequence)
	value, pending, err := txn.Get(key)
	if err != nil || !pending {
		return err
	}
	if err := txn.Delete(key); err != nil {
		return err
	}
	if err := txn.Set(recordKey("d", f.EID, f.Sequence), value); err != nil {
		return err
	}
	return count(txn, -1, 1)
}

func set(txn audit.Txn, key []byte, v any) error { return audit.SetJSON(txn, string(key), v) }

func count(txn audit.Txn, pending, delivered int) error {
	n, err := readCounts(txn)
	if err != nil {
		return err
	}
	n.Pending += pending
	n.Delivered += delivered
	return set(txn, []byte("n"), n)
}

func readCounts(r audit.Reader) (n counts, err error) {
	_, err = audit.GetJSON(r, "n", &n)
	return n, err
}

// find is what the log says of one notification.
func find(v audit.View, eid ident.EID, seq int64) (r record, s State, err error) {
	p, err := v.Projection(projectionName)
	if err != nil {
		return r, "", err
	}
	for table, state := range map[string]State{"p": Pending, "d": Delivered} {
		value, ok, err := p.Get(recordKey(table, eid, seq))
		if err != nil {
			return r, "", err
		}
		if ok {
			err := decode(value, &r)
			return r, state, err
		}
	}
	return r, "", nil
}

func decode(value []byte, r *record) error {
	if err := json.Unmarshal(value, r); err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	return nil
}

// each calls fn with every notification of a table, in order for each eUICC.
func each(v audit.View, table string, fn func(record) error) error {
	p, err := v.Projection(projectionName)
	if err != nil {
		return err
	}
	return p.Iterate([]byte(table+"/"), func(_, value []byte) error {
		var r record
		if err := decode(value, &r); err != nil {
			return err
		}
		return fn(r)
	})
}

// Count says how many notifications are pending and delivered.
func Count(v audit.View) (pending, delivered int, err error) {
	p, err := v.Projection(projectionName)
	if err != nil {
		return 0, 0, err
	}
	n, err := readCounts(p)
	return n.Pending, n.Delivered, err
}

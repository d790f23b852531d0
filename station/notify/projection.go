package notify

import (
	"encoding/json"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Projection derives from the log which notifications are pending.
//
//	p/<eid>/<sequence>  pending notifications
//	d/<eid>/<sequence>  delivered ones
//	x/<eid>/<sequence>  those that the eUICC has lost before anybody saw them
//	n                   how many there are of each
type Projection struct{}

const projectionName = "notifications/3"

// record is one notification in the projection.
type record struct {
	Kept station.NotificationKept `json:"kept"`
	Unit station.Serial           `json:"unit,omitempty"`
	Run  station.RunID            `json:"run,omitempty"`
	At   string                   `json:"at,omitempty"` // when it was kept, UTC, RFC 3339
}

type counts struct {
	Pending   int `json:"pending"`
	Delivered int `json:"delivered"`
	Missed    int `json:"missed,omitempty"`
}

// Name implements audit.Projection.
func (Projection) Name() string { return projectionName }

func recordKey(table string, eid ident.EID, seq int64) []byte {
	return fmt.Appendf(nil, "%s/%s/%020d", table, eid, seq)
}

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	switch e.Type {
	case station.NotificationKept{}.FactType(), station.NotificationDelivered{}.FactType(), station.NotificationMissed{}.FactType():
	default:
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case station.NotificationKept:
		return kept(txn, record{Kept: f, Unit: station.Serial(e.Unit), Run: station.RunID(e.Run), At: e.UTC.UTC().Format(time.RFC3339)})
	case station.NotificationDelivered:
		return delivered(txn, f)
	case station.NotificationMissed:
		return missed(txn, f)
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
	by := counts{Pending: 1}
	lost := recordKey("x", r.Kept.EID, r.Kept.Sequence)
	if _, was, err := txn.Get(lost); err != nil {
		return err
	} else if was { // it is there after all
		by.Missed = -1
		if err := txn.Delete(lost); err != nil {
			return err
		}
	}
	return count(txn, by)
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
	return count(txn, counts{Pending: -1, Delivered: 1})
}

func set(txn audit.Txn, key []byte, v any) error { return audit.SetJSON(txn, string(key), v) }

// missed notes numbers that are lost, each once.
func missed(txn audit.Txn, f station.NotificationMissed) error {
	for _, seq := range f.Sequences {
		key := recordKey("x", f.EID, seq)
		if _, known, err := txn.Get(key); err != nil || known {
			return err
		}
		if err := txn.Set(key, []byte("{}")); err != nil {
			return err
		}
		if err := count(txn, counts{Missed: 1}); err != nil {
			return err
		}
	}
	return nil
}

func count(txn audit.Txn, by counts) error {
	n, err := readCounts(txn)
	if err != nil {
		return err
	}
	n.Pending += by.Pending
	n.Delivered += by.Delivered
	n.Missed += by.Missed
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
	for table, state := range map[string]State{"p": Pending, "d": Delivered, "x": Missed} {
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

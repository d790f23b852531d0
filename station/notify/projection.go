package notify

import (
	"encoding/json"
	"fmt"

	"linefit/audit"
	"linefit/station"
)

// Projection derives from the log which notifications are pending.
type Projection struct{}

const projectionName = "notifications/1"

// record is one notification in the projection.
type record struct {
	Kept  station.NotificationKept `json:"kept"`
	Unit  station.Serial           `json:"unit,omitempty"`
	Run   station.RunID            `json:"run,omitempty"`
	State State                    `json:"state"`
}

// Name implements audit.Projection.
func (Projection) Name() string { return projectionName }

func recordKey(eid string, seq int64) []byte { return fmt.Appendf(nil, "%s/%020d", eid, seq) }

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Type != (station.NotificationKept{}).FactType() && e.Type != (station.NotificationDelivered{}).FactType() {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	r := record{Unit: station.Serial(e.Unit), Run: station.RunID(e.Run), State: Pending}
	switch f := f.(type) {
	case station.NotificationKept:
		r.Kept = f
	case station.NotificationDelivered:
		old, ok, err := txn.Get(recordKey(string(f.EID), f.Sequence))
		if err != nil || !ok {
			return err
		}
		if err := json.Unmarshal(old, &r); err != nil {
			return err
		}
		r.State = Delivered
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return txn.Set(recordKey(string(r.Kept.EID), r.Kept.Sequence), b)
}

func each(v audit.View, fn func(record) error) error {
	p, err := v.Projection(projectionName)
	if err != nil {
		return err
	}
	return p.Iterate(nil, func(_, value []byte) error {
		var r record
		if err := json.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("notifications: %w", err)
		}
		return fn(r)
	})
}

// Count says how many notifications are pending and delivered.
func Count(v audit.View) (pending, delivered int, err error) {
	err = each(v, func(r record) error {
		if r.State == Pending {
			pending++
		} else {
			delivered++
		}
		return nil
	})
	return pending, delivered, err
}

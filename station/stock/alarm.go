package stock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Alarm is a finding that somebody else has one of this station's codes. It is
// open until a person has ended it; the same finding is never raised again.
type Alarm struct {
	station.StockAlarm
	Entry uint64 `json:"entry"`
	At    string `json:"at"` // UTC, RFC 3339
	Open  bool   `json:"open"`
}

// AlarmID names a finding: the same one has the same name.
func AlarmID(kind, handle string, about string) string {
	if about == "" {
		return kind + "." + handle
	}
	return kind + "." + handle + "." + about
}

func alarmed(txn audit.Txn, e audit.Entry, f station.StockAlarm) error {
	var have Alarm
	if known, err := audit.GetJSON(txn, "w/"+f.ID, &have); err != nil || known {
		return err
	}
	if err := recount(txn, func(n *station.StockCount) { n.Alarms++ }); err != nil {
		return err
	}
	return audit.SetJSON(txn, "w/"+f.ID, Alarm{StockAlarm: f, Entry: e.Seq, At: e.UTC.UTC().Format(time.RFC3339), Open: true})
}

func alarmEnded(txn audit.Txn, f station.StockAlarmEnded) error {
	var have Alarm
	if known, err := audit.GetJSON(txn, "w/"+f.ID, &have); err != nil || !known || !have.Open {
		return err
	}
	have.Open = false
	if err := recount(txn, func(n *station.StockCount) { n.Alarms-- }); err != nil {
		return err
	}
	return audit.SetJSON(txn, "w/"+f.ID, have)
}

func recount(txn audit.Txn, change func(*station.StockCount)) error {
	var n station.StockCount
	if _, err := audit.GetJSON(txn, "n", &n); err != nil {
		return err
	}
	change(&n)
	return audit.SetJSON(txn, "n", n)
}

// Alarms lists the alarms, open ones only or all.
func Alarms(v audit.View, all bool) ([]Alarm, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	var out []Alarm
	err = r.Iterate([]byte("w/"), func(key, value []byte) error {
		var a Alarm
		if err := json.Unmarshal(value, &a); err != nil {
			return fmt.Errorf("stock: key %q: %w", key, err)
		}
		if a.Open || all {
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

// Raise writes alarms that were not raised before, and takes what they are about
// out of use while it is still available. It returns how many are new.
func (l *Ledger) Raise(ctx context.Context, at station.Scope, j Journal, alarms ...station.StockAlarm) (int, error) {
	if len(alarms) == 0 {
		return 0, nil
	}
	l.mu.Lock() // no run gets such a profile meanwhile
	defer l.mu.Unlock()
	var facts []station.Fact
	raised := 0
	err := l.views(func(v audit.View) error {
		r, err := projection(v)
		if err != nil {
			return err
		}
		for _, a := range alarms {
			var have Alarm
			known, err := audit.GetJSON(r, "w/"+a.ID, &have)
			if err != nil {
				return err
			}
			if known {
				continue
			}
			raised++
			facts = append(facts, a)
			rec, _, err := getRecord(r, a.Handle)
			if err != nil {
				return err
			}
			if _, taken := l.pending[a.Handle]; rec.State == station.StockAvailable && !taken {
				facts = append(facts, station.ProfileQuarantined{Handle: a.Handle, Reason: station.NewReason(station.StockForeign, "%s", a.Detail)})
			}
		}
		return nil
	})
	if err != nil || len(facts) == 0 {
		return 0, err
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return 0, fmt.Errorf("stock: alarm: %w", err)
	}
	return raised, nil
}

// EndAlarm writes that a person has found out what an alarm was about; it takes a
// lead.
func (l *Ledger) EndAlarm(ctx context.Context, by station.Person, id, why string, j Journal) error {
	if err := by.Allow(station.RoleLead, "ending an alarm about the stock"); err != nil {
		return err
	}
	if err := checkWhy(why); err != nil {
		return err
	}
	var have Alarm
	known := false
	err := l.views(func(v audit.View) error {
		r, err := projection(v)
		if err == nil {
			known, err = audit.GetJSON(r, "w/"+id, &have)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("%w: there is no alarm %q", ErrNoProfile, id)
	case !have.Open:
		return station.Refuse(station.ScanInvalid, "alarm %q was ended already", id)
	}
	return j.Gate(ctx, station.Scope{Actor: by.Actor}, station.StockAlarmEnded{ID: id, Why: why})
}

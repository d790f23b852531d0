package stock

import (
	"context"
	"fmt"

	"linefit/audit"
	"linefit/station"
)

const suspectKey = "q"

// suspect notes that people went on with a log that is not what it must be: a
// backup that was put back, or one that is damaged. What was done with the
// profiles since is not known here.
func suspect(txn audit.Txn, e audit.Entry) error {
	var opened audit.ShardOpened
	if err := audit.ParseFact(e, &opened); err != nil || opened.Accepted == nil {
		return nil // no such decision
	}
	return audit.SetJSON(txn, suspectKey, e.Seq)
}

func secured(txn audit.Txn, f station.StockSecured) error {
	seq, err := suspected(txn)
	if err != nil || seq == 0 || f.Accepted < seq {
		return err
	}
	return txn.Delete([]byte(suspectKey))
}

// suspected is the entry since which the stock is not to be trusted, 0 if there
// is none.
func suspected(r audit.Reader) (uint64, error) {
	var seq uint64
	_, err := audit.GetJSON(r, suspectKey, &seq)
	return seq, err
}

// refuseSuspect refuses to give anything out before the stock is secured.
func refuseSuspect(r audit.Reader) error {
	seq, err := suspected(r)
	if err == nil && seq > 0 {
		err = station.Refuse(station.StockUnreconciled, "the stock is not secured since entry %d", seq)
	}
	return err
}

// Secure puts every profile that is available or reserved into quarantine after
// people went on with a log that is not what it must be: until they are
// reconciled with the provider's and the MES's lists, none is given out. It does
// nothing where there was no such decision, or where it was done already; until
// then nothing is given out either. It returns how many profiles it quarantined.
func (l *Ledger) Secure(ctx context.Context, j Journal) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var seq uint64
	var facts []station.Fact
	err := l.views(func(v audit.View) error {
		r, err := projection(v)
		if err != nil {
			return err
		}
		if seq, err = suspected(r); err != nil || seq == 0 {
			return err
		}
		reason := station.NewReason(station.StockUnreconciled, "the log was continued at entry %d without knowing what was used", seq)
		for _, state := range []station.StockState{station.StockAvailable, station.StockReserved} {
			err := List(v, Filter{State: state}, func(i station.StockItem) error {
				facts = append(facts, station.ProfileQuarantined{Handle: i.Handle, Reason: reason})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || seq == 0 {
		return 0, err
	}
	n := len(facts)
	if err := writeFacts(ctx, station.Scope{}, j, append(facts, station.StockSecured{Accepted: seq, Profiles: n})); err != nil {
		return 0, fmt.Errorf("stock: secure: %w", err)
	}
	return n, nil
}

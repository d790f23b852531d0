package stock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"linefit/audit"
	"linefit/station"
)

// refuse writes that a code was not taken, and returns why.
func (l *Ledger) refuse(ctx context.Context, ref string, o Ordered, cause error, alarm *station.StockAlarm, j Journal) error {
	var refusal *station.Refusal
	if !errors.As(cause, &refusal) || refusal.Reason.Code == station.MESUnreachable { // the latter passes by itself
		return cause
	}
	if badText(ref) != "" || strings.Contains(refusal.Reason.Detail, "ref shows") {
		ref = ""
	}
	facts := []station.Fact{station.StockRefused{Issue: ref, Run: o.Run, Reason: *refusal.Reason}}
	at := station.Scope{Unit: o.Unit, Actor: station.ActorMES}
	if err := j.Gate(ctx, at, facts...); err != nil {
		return err
	}
	if alarm != nil {
		if _, err := l.Raise(ctx, at, j, *alarm); err != nil {
			return err
		}
	}
	return cause
}

// Refuse notes that a code which the MES has handed out is not taken although
// nothing is wrong with it: the unit is not admitted.
func (l *Ledger) Refuse(ctx context.Context, ref string, o Ordered, cause error, j Journal) error {
	return l.refuse(ctx, ref, o, cause, nil, j)
}

// Withdraw gives back what was handed out for a run that did not begin. It does
// nothing where the profile is not, or no longer, reserved and untouched.
func (l *Ledger) Withdraw(ctx context.Context, handle, why string, j Journal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.withdraw(ctx, handle, why, j)
}

// withdraw is Withdraw; the caller holds mu, so that no run gets it meanwhile.
func (l *Ledger) withdraw(ctx context.Context, handle, why string, j Journal) error {
	i, err := l.item(handle)
	if err != nil {
		return err
	}
	if _, taken := l.pending[handle]; taken || !untouched(i) {
		return nil
	}
	return j.Gate(ctx, station.Scope{Unit: i.Unit}, station.ProfileReleased{Handle: handle, Why: why})
}

// untouched reports whether a code that the MES has handed out never left the
// vault: it was not reserved for an eUICC.
func untouched(i station.StockItem) bool {
	return i.Issue != "" && i.State == station.StockReserved && i.EID == "" && i.Downloads == 0
}

// Tidy writes what a crash has kept out of the log, gives back what was handed
// out for runs that never began, and erases what went back to the MES. running
// says whether a run is open; what was handed out less than young ago is left
// alone. It returns how many profiles it gave back.
func (l *Ledger) Tidy(ctx context.Context, running func(station.StockItem) bool, young time.Duration, j Journal) (int, error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	codes, err := l.vault.List(KindCode)
	if err != nil {
		return 0, err
	}
	staging, err := l.vault.List(KindStaging, KindImport)
	if err != nil || len(staging) > 0 {
		return 0, err // an import that is not finished: Recover comes first
	}
	if err := l.settleLog(ctx); err != nil {
		return 0, err
	}
	limit := time.Now().Add(-young).UTC().Format(time.RFC3339)
	var lost, gone, back []string
	err = l.views(func(v audit.View) error {
		r, err := projection(v)
		if err != nil {
			return err
		}
		for _, c := range codes {
			rec, known, err := getRecord(r, c.Handle)
			switch {
			case err != nil:
				return err
			case !known:
				lost = append(lost, c.Handle)
			case rec.State == station.StockReturned:
				gone = append(gone, c.Handle)
			}
		}
		return iterate(r, "s/"+string(station.StockReserved)+"/", func(rec record) error {
			if untouched(rec.StockItem) && rec.Since <= limit && !running(rec.StockItem) {
				back = append(back, rec.Handle)
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	if err := l.logLost(ctx, lost, j); err != nil {
		return 0, err
	}
	if young == 0 { // nothing is being admitted: no run will come for them
		back = append(back, lost...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, handle := range back {
		if err := l.withdraw(ctx, handle, "the run did not begin", j); err != nil && !errors.Is(err, ErrNoProfile) {
			return 0, err
		}
	}
	return len(back), l.vault.deleteAll(KindCode, gone)
}

// logLost writes the facts about codes that are in the vault and not in the log.
func (l *Ledger) logLost(ctx context.Context, handles []string, j Journal) error {
	for _, handle := range handles {
		fact, err := l.sealedIssue(handle)
		if err != nil {
			return err
		}
		if fact == nil {
			continue
		}
		if err := j.Gate(ctx, station.Scope{Unit: fact.Unit, Actor: station.ActorMES}, *fact); err != nil {
			return fmt.Errorf("stock: %w", err)
		}
	}
	return nil
}

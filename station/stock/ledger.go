package stock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Record appends facts of one slot and returns when they are durable, so that
// Views shows them. After an error it is not known whether they are in the
// log; but what the log had not accepted by then it never will.
// Attempt.Record of package station is one.
type Record func(ctx context.Context, facts ...station.Fact) error

// Journal appends facts of any scope.
type Journal interface {
	// Gate returns when the facts, next to one another in the log, are durable
	// and Views shows them. At most 32 facts. After an error it is not known
	// whether they are in the log.
	Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error
	// Queue appends in order without waiting for the disk.
	Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error
}

// Ledger gives out profiles, each to one run. What it knows comes from the log
// alone, so that a restart changes nothing; mu makes the choice one at a time.
type Ledger struct {
	views Views
	vault *Vault
	// flush returns when all that was accepted by the log is durable or known
	// not to be.
	flush func(context.Context) error

	// mes says that codes come with the MES's route checks and from nowhere else.
	mes bool

	importing sync.Mutex        // one import, issue or erasure at a time; guards prints
	prints    map[string]string // handles by fingerprint, of all codes that are or were in the vault; nil until asked

	mu sync.Mutex
	// pending has the choices whose fact is not acknowledged: nobody else may
	// get these. A choice whose fact failed stays until the log says what
	// became of it.
	pending map[string]choice
	serial  uint64 // counts choices
}

type choice struct {
	run    station.RunID
	number uint64
	failed bool
}

// NewLedger makes the ledger over a log and a vault. flush waits until the log
// has decided about everything that it accepted (a Gate without drafts of
// audit/store); it may be nil, then a profile whose reservation failed stays
// out of use until the next start.
func NewLedger(views Views, vault *Vault, flush func(context.Context) error) *Ledger {
	return &Ledger{views: views, vault: vault, flush: flush, pending: map[string]choice{}}
}

// FromMES makes the ledger one whose codes come with the MES's route checks
// ([Ledger.Issue]) and from nowhere else. It comes before the first use.
func (l *Ledger) FromMES() { l.mes = true }

// Vault is the vault that the ledger uses.
func (l *Ledger) Vault() *Vault { return l.vault }

// Reserve takes a profile out of the stock for a run and returns when that is
// durable. It takes the one that the run has already; else one that this eUICC
// has, may have or has asked for in vain (ProfileReserved.Was says which); else
// one that is bound to this eUICC; else the oldest one that fits. A
// *station.Refusal says that there is none (StockEmpty), that another profile
// may be installed on this eUICC which is not the one wanted (ProfileUnknown),
// or that the run's profile belongs to another eUICC (IdentityChanged); any
// other error comes from the log.
func (l *Ledger) Reserve(ctx context.Context, w Want, write Record) (station.StockItem, error) {
	if w.Run == "" {
		return station.StockItem{}, errors.New("stock: a reservation needs a run")
	}
	if len(w.Not) > 0 && l.flush != nil { // how the run's earlier ones were settled may be on its way to the log
		if err := l.flush(ctx); err != nil {
			return station.StockItem{}, fmt.Errorf("stock: reserve: %w", err)
		}
	}
	rec, number, err := l.choose(w)
	var none *station.Refusal
	if errors.As(err, &none) && none.Reason.Code == station.StockEmpty && l.cleared(ctx) {
		rec, number, err = l.choose(w)
	}
	if err != nil {
		return station.StockItem{}, err
	}
	fact := station.ProfileReserved{
		Handle: rec.Handle, Kind: rec.Kind, ICCID: rec.ICCID, SMDP: rec.SMDP, EID: w.EID, Cap: rec.Cap, Downloads: rec.Downloads, Was: rec.Left(),
	}
	if rec.State == station.StockReserved { // written again: the run may not have seen the answer
		fact.Downloads, fact.Was = rec.Prior, rec.Was
	}
	err = write(ctx, fact)
	l.done(rec.Handle, number, err)
	if err != nil {
		return station.StockItem{}, fmt.Errorf("stock: reserve %s: %w", rec.Handle, err)
	}
	return rec.Evolve(station.Envelope{Run: w.Run, Unit: w.Unit}, fact), nil
}

// choose picks a profile and keeps others from getting it.
func (l *Ledger) choose(w Want) (record, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rec record
	err := l.views(func(v audit.View) error {
		r, err := projection(v)
		if err != nil {
			return err
		}
		rec, err = picker{r: r, want: w, at: time.Now(), pending: l.pending, mes: l.mes && w.Kind == ""}.pick()
		return err
	})
	if err != nil {
		return record{}, 0, err
	}
	l.serial++
	l.pending[rec.Handle] = choice{run: w.Run, number: l.serial}
	return rec, l.serial, nil
}

// done ends a choice. The log keeps the order in which it accepted facts: with
// one acknowledged, it has decided about every choice that failed before that
// one was made.
func (l *Ledger) done(handle string, number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.pending[handle] = choice{run: l.pending[handle].run, number: l.serial, failed: true}
		return
	}
	delete(l.pending, handle)
	l.clear(number)
}

// clear forgets the choices that failed before the numbered one was made.
func (l *Ledger) clear(before uint64) {
	for h, c := range l.pending {
		if c.failed && c.number < before {
			delete(l.pending, h)
		}
	}
}

// cleared lets the log decide about choices that failed, and reports whether
// there were any.
func (l *Ledger) cleared(ctx context.Context) bool {
	l.mu.Lock()
	failed := false
	for _, c := range l.pending {
		failed = failed || c.failed
	}
	l.serial++
	number := l.serial
	l.mu.Unlock()
	if !failed || l.flush == nil || l.flush(ctx) != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear(number)
	return true
}

// OfEUICC lists the profiles that an eUICC has, may have, or that are bound to
// it, in import order.
func (l *Ledger) OfEUICC(eid ident.EID) (items []station.StockItem, err error) {
	err = l.views(func(v audit.View) error {
		items, err = ByEID(v, eid)
		return err
	})
	return items, err
}

// OfICCID lists the profiles with an ICCID, whoever has them.
func (l *Ledger) OfICCID(iccid ident.ICCID) (items []station.StockItem, err error) {
	err = l.views(func(v audit.View) error {
		items, err = ByICCID(v, iccid)
		return err
	})
	return items, err
}

// Code opens the activation code of a profile that a run has reserved. A
// *station.Refusal with VaultFault says that it is not reserved, or that the
// vault has it not or damaged.
func (l *Ledger) Code(_ context.Context, handle string) (Activation, error) {
	sealed, err := l.reserved(handle, "", KindCode)
	if err != nil {
		return Activation{}, err
	}
	a, _, err := unsealActivation(sealed)
	if err != nil {
		return Activation{}, station.Refuse(station.VaultFault, "profile %s: %v", handle, err)
	}
	return a, nil
}

// reserved opens the secret of a profile that a run has reserved.
func (l *Ledger) reserved(handle, kind string, secret Kind) (Secret, error) {
	var item station.StockItem
	err := l.views(func(v audit.View) error {
		r, err := projection(v)
		if err == nil {
			err = refuseSuspect(r)
		}
		if err == nil {
			item, _, err = ItemOf(v, handle)
		}
		return err
	})
	if err != nil {
		return Secret{}, err
	}
	if item.State != station.StockReserved || item.Kind != kind {
		return Secret{}, station.Refuse(station.VaultFault, "profile %s is %s (%s), not a %s that is reserved", handle, stateText(item), either(item.Kind, "code"), secret)
	}
	sealed, err := l.vault.Get(secret, handle)
	if err != nil {
		return Secret{}, station.Refuse(station.VaultFault, "%v", err)
	}
	return sealed, nil
}

func stateText(i station.StockItem) string {
	if i.State == "" {
		return "not known"
	}
	return string(i.State)
}

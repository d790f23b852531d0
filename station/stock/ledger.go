package stock

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// Want says what a run needs.
type Want struct {
	Run  station.RunID
	Unit station.Serial
	EID  ident.EID // of the eUICC, as read from it

	Batch    string // only this batch; empty: any
	Operator string // only this operator; empty: any
	Region   string // only this region; empty: any
	// SKU, Customer and WorkOrder are the order's. A profile that names one of
	// them is for such an order only.
	SKU       string
	Customer  string
	WorkOrder string
}

// fits reports whether a kind of profile is what is wanted, and may be used.
func (w Want) fits(r audit.Reader, c class, at time.Time) (bool, error) {
	if w.mismatch(c) != "" || expired(c.Expires, at) {
		return false, nil
	}
	b, _, err := terms(r, c.Batch)
	return err == nil && w.underTerms(b), err
}

// mismatch names the first property in which a kind of profile is not what is
// wanted.
func (w Want) mismatch(c class) string {
	asked := func(want, have string) bool { return want == "" || want == have }
	reserved := func(want, have string) bool { return have == "" || want == have }
	switch {
	case !asked(w.Batch, c.Batch):
		return "batch"
	case !asked(w.Operator, c.Operator):
		return "operator"
	case !asked(w.Region, c.Region):
		return "region"
	case !reserved(w.Customer, c.Customer):
		return "customer"
	case !reserved(w.SKU, c.SKU):
		return "SKU"
	}
	return ""
}

// underTerms reports whether a batch's terms allow the order.
func (w Want) underTerms(b station.StockBatch) bool {
	return (b.Customer == "" || b.Customer == w.Customer) && (b.SKU == "" || b.SKU == w.SKU) &&
		(b.WorkOrder == "" || b.WorkOrder == w.WorkOrder)
}

// Ledger gives out profiles, each to one run. What it knows comes from the log
// alone, so that a restart changes nothing; mu makes the choice one at a time.
type Ledger struct {
	views Views
	vault *Vault
	// flush returns when all that was accepted by the log is durable or known
	// not to be.
	flush func(context.Context) error

	importing sync.Mutex // one import at a time

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

// Vault is the vault that the ledger uses.
func (l *Ledger) Vault() *Vault { return l.vault }

// Reserve takes a profile out of the stock for a run and returns when that is
// durable. It takes the one that the run has already; else one that this eUICC
// asked for before without having it installed; else one that is bound to this
// eUICC; else the oldest one that fits. A *station.Refusal says that there is
// none (StockEmpty), that an earlier download to this eUICC is not cleared up
// (ProfileUnknown), or that the run's profile belongs to another eUICC
// (IdentityChanged); any other error comes from the log.
func (l *Ledger) Reserve(ctx context.Context, w Want, write Record) (station.StockItem, error) {
	if w.Run == "" {
		return station.StockItem{}, errors.New("stock: a reservation needs a run")
	}
	rec, number, err := l.choose(w)
	var none *station.Refusal
	if errors.As(err, &none) && none.Reason.Code == station.StockEmpty && l.cleared(ctx) {
		rec, number, err = l.choose(w)
	}
	if err != nil {
		return station.StockItem{}, err
	}
	fact := station.ProfileReserved{Handle: rec.Handle, ICCID: rec.ICCID, SMDP: rec.SMDP, EID: w.EID, Cap: rec.Cap, Downloads: rec.Downloads}
	if rec.State == station.StockReserved { // written again: the run may not have seen the answer
		fact.Downloads = rec.Prior
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
		rec, err = picker{r: r, want: w, at: time.Now(), pending: l.pending}.pick()
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

// picker chooses a profile from one state of the ledger.
type picker struct {
	r       audit.Reader
	want    Want
	at      time.Time
	pending map[string]choice
}

func (p picker) pick() (record, error) {
	if rec, ok, err := p.own(); ok || err != nil {
		return rec, err
	}
	if rec, ok, err := p.ofEUICC(); ok || err != nil {
		return rec, err
	}
	return p.oldest()
}

// own is what the run has already, or was getting when the log failed.
func (p picker) own() (rec record, ok bool, err error) {
	err = iterate(p.r, runKey(p.want.Run), func(found record) error {
		rec, ok = found, true
		return audit.ErrStop
	})
	if err == nil && ok && rec.EID != "" && p.want.EID != "" && rec.EID != p.want.EID {
		return record{}, false, station.Refuse(station.IdentityChanged, "profile %s is reserved for EID %s", rec.Handle, rec.EID)
	}
	if err != nil || ok {
		return rec, ok, err
	}
	for handle, c := range p.pending { // one at most
		if c.run != p.want.Run {
			continue
		}
		rec, ok, err = getRecord(p.r, handle)
		if err == nil && ok {
			ok, err = p.usable(rec)
		}
		return rec, ok, err
	}
	return record{}, false, nil
}

// taken reports whether another run is just getting the profile.
func (p picker) taken(handle string) bool {
	c, ok := p.pending[handle]
	return ok && c.run != p.want.Run
}

// ofEUICC is a profile that this eUICC asked for before, or that its provider
// bound to it.
func (p picker) ofEUICC() (record, bool, error) {
	if p.want.EID == "" {
		return record{}, false, nil
	}
	var again, bound *record
	err := iterate(p.r, "e/"+string(p.want.EID)+"/", func(rec record) error {
		if rec.State == station.StockQuarantined && rec.EID == p.want.EID && rec.Reason != nil && rec.Reason.Code == station.ProfileUnknown {
			return station.Refuse(station.ProfileUnknown, "profile %s may be installed on this eUICC: find out first (profiles resolve)", rec.Handle)
		}
		ok, err := p.usable(rec)
		switch {
		case !ok || err != nil:
		case rec.State == station.StockQuarantined && again == nil:
			again = &rec
		case rec.State == station.StockAvailable && bound == nil:
			bound = &rec
		}
		return err
	})
	switch {
	case err != nil:
		return record{}, false, err
	case again != nil:
		return *again, true, nil
	case bound != nil:
		return *bound, true, nil
	}
	return record{}, false, nil
}

func (p picker) usable(rec record) (bool, error) {
	if !rec.Usable(p.want.EID) || p.taken(rec.Handle) {
		return false, nil
	}
	return p.want.fits(p.r, rec.class(), p.at)
}

// oldest is the first import that fits and that any eUICC may get.
func (p picker) oldest() (record, error) {
	var best *record
	var why reasons
	err := eachClass(p.r, func(c class, left int) error {
		fits, err := p.want.fits(p.r, c, p.at)
		if err != nil {
			return err
		}
		if !fits {
			why.add(p.want, c, left, p.at)
			return nil
		}
		return iterate(p.r, "a/"+c.key()+"\x00", func(rec record) error {
			if best != nil && rec.Order > best.Order {
				return audit.ErrStop
			}
			ok, err := p.usable(rec)
			if ok {
				best = &rec
				return audit.ErrStop
			}
			return err
		})
	})
	if err != nil {
		return record{}, err
	}
	if best == nil {
		return record{}, station.Refuse(station.StockEmpty, "%s", why.text())
	}
	return *best, nil
}

// reasons says why profiles that are there are not the ones wanted.
type reasons struct {
	names  []string
	counts map[string]int
}

func (s *reasons) add(w Want, c class, left int, at time.Time) {
	name := w.mismatch(c)
	switch {
	case name != "":
		name = "other " + name
	case expired(c.Expires, at):
		name = "expired"
	default:
		name = "for another order"
	}
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	if s.counts[name] == 0 {
		s.names = append(s.names, name)
	}
	s.counts[name] += left
}

func (s *reasons) text() string {
	if len(s.names) == 0 {
		return "no profile is left"
	}
	parts := make([]string, len(s.names))
	for i, n := range s.names {
		parts[i] = fmt.Sprintf("%d %s", s.counts[n], n)
	}
	return "no profile that fits is left; not fitting: " + strings.Join(parts, ", ")
}

// Code opens the activation code of a profile that a run has reserved. A
// *station.Refusal with VaultFault says that it is not reserved, or that the
// vault has it not or damaged.
func (l *Ledger) Code(_ context.Context, handle string) (Activation, error) {
	var item station.StockItem
	err := l.views(func(v audit.View) error {
		var err error
		item, _, err = ItemOf(v, handle)
		return err
	})
	if err != nil {
		return Activation{}, err
	}
	if item.State != station.StockReserved || item.Kind != "" {
		return Activation{}, station.Refuse(station.VaultFault, "profile %s is %s, not an activation code that is reserved", handle, stateText(item))
	}
	sealed, err := l.vault.Get(KindCode, handle)
	if err != nil {
		return Activation{}, station.Refuse(station.VaultFault, "%v", err)
	}
	a, _, err := unsealActivation(sealed)
	if err != nil {
		return Activation{}, station.Refuse(station.VaultFault, "profile %s: %v", handle, err)
	}
	return a, nil
}

func stateText(i station.StockItem) string {
	if i.State == "" {
		return "not known"
	}
	return string(i.State)
}

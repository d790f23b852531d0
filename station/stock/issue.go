package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Issue is a code that the MES hands out for one unit, with its route check.
type Issue struct {
	// Ref is the MES's name of this handing-out: the same as long as it is open,
	// another one when the code is handed out again after it came back. It is no
	// secret and goes into the log.
	Ref          string
	Code         Secret
	Confirmation Secret
	ICCID, EID   string
	Operator     string
	Region       string
	Expires      string
	Cap          int
	Batch        station.StockBatch
}

// Ordered is for whom the MES hands it out.
type Ordered struct {
	Unit                     station.Serial
	Run                      station.RunID
	Customer, SKU, WorkOrder string
}

// Issue takes a code that the MES has handed out for a run into vault and ledger,
// reserved for that run, and returns its handle when both are durable. A code
// that the unit has here already, from a run before, stays as it is: its handle
// is not returned, and reserving it finds out by the eUICC what became of it.
//
//	crash before the code is sealed   the MES hands it out again for that unit
//	crash before the fact             Recover writes the fact that is sealed with it
//	crash after it                    it is the run's; one that never began gives it back (Tidy)
//
// A *station.Refusal says that it cannot be used; then the log has
// station.StockRefused, and an alarm where two units were to get the same.
func (l *Ledger) Issue(ctx context.Context, in Issue, o Ordered, j Journal) (handle string, err error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	fact, code, err := in.fact(o, time.Now())
	if err != nil {
		return "", l.refuse(ctx, in.Ref, o, err, nil, j)
	}
	had, alarm, err := l.had(ctx, fact, code)
	if err != nil {
		var refusal *station.Refusal
		if errors.As(err, &refusal) {
			return "", l.refuse(ctx, in.Ref, o, err, alarm, j)
		}
		return "", err
	}
	at := station.Scope{Unit: o.Unit, Actor: station.ActorMES}
	facts, err := l.batchTerms(in.Batch)
	if err != nil {
		return "", err
	}
	switch {
	case had.sealed != nil: // the log did not take it before
		return had.sealed.Handle, j.Gate(ctx, at, append(facts, *had.sealed)...)
	case had.item.Handle != "" && had.item.State == station.StockReserved && had.item.Run == o.Run:
		return had.item.Handle, nil
	case had.item.Handle != "":
		return "", nil
	}
	fact.Handle = newHandle()
	sealed, err := code.sealWith(fact.EID, &fact)
	if err != nil {
		return "", err
	}
	if err := l.vault.putAs(KindCode, []string{fact.Handle}, []Secret{sealed}); err != nil {
		return "", station.Refuse(station.VaultFault, "%v", err)
	}
	l.prints[l.vault.fingerprint(codeKey(code, fact.EID))] = fact.Handle
	if err := j.Gate(ctx, at, append(facts, fact)...); err != nil {
		return "", fmt.Errorf("stock: the code is in the vault, and the log has not said whether it took it: %w", err)
	}
	return fact.Handle, nil
}

// fact checks a code by itself. The error is a *station.Refusal that shows no
// part of it but the host.
func (in Issue) fact(o Ordered, at time.Time) (f station.StockImported, a Activation, err error) {
	bad := func(format string, args ...any) (station.StockImported, Activation, error) {
		return f, a, station.Refuse(station.MESProfile, "the profile that the MES has handed out: %s", fmt.Sprintf(format, args...))
	}
	if in.Ref == "" || badText(in.Ref) != "" {
		return bad("ref is missing, or longer than %d bytes, or cannot be shown", maxText)
	}
	if a, err = ParseActivationCode(in.Code.RevealText()); err != nil {
		return bad("activation_code: %v", err)
	}
	if a.NeedsConfirmation && in.Confirmation.Empty() {
		return bad("confirmation_code is missing: the activation code asks for one")
	}
	if in.Confirmation.Len() > maxCode {
		return bad("confirmation_code has %d characters, more than %d", in.Confirmation.Len(), maxCode)
	}
	a.Confirmation, a.NeedsConfirmation = in.Confirmation, a.NeedsConfirmation || !in.Confirmation.Empty()
	f = station.StockImported{
		Batch: either(in.Batch.Batch, "mes"), SMDP: a.SMDP, Operator: in.Operator, Region: in.Region, Customer: in.Batch.Customer, SKU: in.Batch.SKU,
		Cap: either2(in.Cap, in.Batch.Cap), Expires: in.Expires, Issue: in.Ref, Unit: o.Unit, Run: o.Run,
	}
	for name, text := range in.texts() {
		switch what := badText(text); {
		case what != "":
			return bad("%s: %s", name, what)
		case a.shownBy(text):
			return bad("%s shows the code", name)
		}
	}
	if what := TermMistakes(in.Batch); len(what) > 0 {
		return bad("batch.%s", strings.Join(what, "; batch."))
	}
	if in.ICCID != "" {
		if f.ICCID, err = ident.ParseICCID(in.ICCID); err != nil {
			return bad("iccid is none: 18 to 20 digits") // not shown: it may be the code
		}
	}
	if in.EID != "" {
		if f.EID, err = ident.ParseEID(in.EID); err != nil {
			return bad("eid is none: 32 digits with their check digits")
		}
	}
	_, notDay := time.Parse(time.DateOnly, in.Expires)
	w := Want{Customer: o.Customer, SKU: o.SKU, WorkOrder: o.WorkOrder}
	switch {
	case a.MatchingID.Empty() && f.EID == "":
		return bad("activation_code has no matching id, so the profile must be bound to an EID")
	case in.Expires != "" && notDay != nil:
		return bad("expires is no date of the form YYYY-MM-DD")
	case expired(in.Expires, at):
		return bad("it expired on %s", in.Expires)
	case f.Cap < 0 || f.Cap > maxCap:
		return bad("cap %d is no number from 1 to %d", f.Cap, maxCap)
	case !w.underTerms(in.Batch):
		return bad("batch %s is for another customer, SKU or work order", f.Batch)
	}
	return f, a, nil
}

// texts are what goes into the log, by name.
func (in Issue) texts() map[string]string {
	b := in.Batch
	return map[string]string{
		"ref": in.Ref, "operator": in.Operator, "region": in.Region, "batch.name": b.Batch, "batch.owner": b.Owner, "batch.customer": b.Customer,
		"batch.sku": b.SKU, "batch.work_order": b.WorkOrder, "batch.provider": b.Provider, "batch.purchase": b.Purchase, "batch.contract": b.Contract,
		"batch.contact": b.Contact, "batch.countries": strings.Join(b.Countries, " "), "batch.billing": b.Billing, "batch.ship_state": b.ShipState,
		"batch.notifications": b.Notifications,
	}
}

// shownBy reports whether a text has a part of the code that is secret.
func (a Activation) shownBy(text string) bool {
	for _, s := range []Secret{a.MatchingID, a.Confirmation} {
		if s.Len() >= 4 && strings.Contains(strings.ToUpper(text), strings.ToUpper(s.RevealText())) {
			return true
		}
	}
	return false
}

func either2(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// had is what the station knows of a code already.
type had struct {
	item   station.StockItem
	sealed *station.StockImported // in the vault, and not in the log
}

// had looks a code up. The alarm comes with the refusal of one that another unit
// has.
func (l *Ledger) had(ctx context.Context, f station.StockImported, a Activation) (h had, alarm *station.StockAlarm, err error) {
	if err := l.loadPrints(); err != nil {
		return h, nil, err
	}
	handle := l.prints[l.vault.fingerprint(codeKey(a, f.EID))]
	var sameICCID []station.StockItem
	known := false
	look := func() error {
		return l.views(func(v audit.View) (err error) {
			if handle != "" {
				if h.item, known, err = ItemOf(v, handle); err != nil {
					return err
				}
			}
			if f.ICCID != "" {
				sameICCID, err = ByICCID(v, f.ICCID)
			}
			return err
		})
	}
	err = look()
	if err == nil && handle != "" && !known { // the log may just be taking it
		if err = l.settleLog(ctx); err == nil {
			err = look()
		}
	}
	if err != nil {
		return h, nil, err
	}
	if handle != "" && !known {
		if h.sealed, err = l.sealedIssue(handle); err != nil {
			return h, nil, err
		}
		if h.sealed == nil {
			return h, nil, station.Refuse(station.MESProfile, "code %s is of an import that is not finished", handle)
		}
		h.item.Unit, h.item.Issue, h.item.State, h.item.Handle = h.sealed.Unit, h.sealed.Issue, station.StockReserved, handle
	}
	if h.item.State == station.StockReturned {
		if h.item.Issue == f.Issue {
			return h, nil, station.Refuse(station.MESUnreachable, "what was handed out as %s is on its way back to the MES: another handing-out has another ref", quote(f.Issue))
		}
		h.item = station.StockItem{}
	}
	if h.item.Handle == "" {
		for _, i := range sameICCID {
			if i.State != station.StockReturned {
				return h, doubled(i, f, "ICCID"), station.Refuse(station.MESProfile, "ICCID %s is that of profile %s (%s) already, which is %s", f.ICCID, i.Handle, unitText(i), i.State)
			}
		}
		return h, nil, nil
	}
	switch i := h.item; {
	case i.Unit != f.Unit:
		return h, doubled(i, f, "code"), station.Refuse(station.MESProfile, "the code is that of profile %s (%s) already, which is %s", i.Handle, unitText(i), i.State)
	case i.Issue != f.Issue:
		return h, nil, station.Refuse(station.MESProfile, "the unit has this code already, handed out as %s and not given back", quote(i.Issue))
	case i.State == station.StockSpent:
		return h, nil, station.Refuse(station.MESProfile, "profile %s is used up: %s", i.Handle, i.Reason)
	case h.sealed != nil && h.sealed.Run != f.Run:
		h.sealed.Run = f.Run // the run for which it was then never began
	case h.sealed == nil && i.State == station.StockReserved && i.Run != f.Run:
		return h, nil, station.Refuse(station.MESUnreachable, "profile %s is on its way back to the MES from run %s of this unit, which did not begin", i.Handle, i.Run)
	}
	return h, nil, nil
}

// settleLog waits until the log has decided about everything that it accepted.
func (l *Ledger) settleLog(ctx context.Context) error {
	if l.flush == nil {
		return nil
	}
	return l.flush(ctx)
}

func unitText(i station.StockItem) string {
	if i.Unit == "" {
		return "of batch " + i.Batch
	}
	return "unit " + string(i.Unit)
}

// doubled is the alarm about what two units were to get.
func doubled(i station.StockItem, f station.StockImported, what string) *station.StockAlarm {
	return &station.StockAlarm{
		ID: AlarmID(station.AlarmDoubled, i.Handle, string(f.Unit)), Kind: station.AlarmDoubled, Handle: i.Handle, ICCID: i.ICCID,
		Detail:   fmt.Sprintf("the MES has handed out the %s of profile %s, %s, for unit %s too", what, i.Handle, unitText(i), f.Unit),
		Evidence: []string{"handed out as " + f.Issue},
	}
}

// batchTerms are the terms that the log does not have yet.
func (l *Ledger) batchTerms(b station.StockBatch) (facts []station.Fact, err error) {
	if b.Batch == "" || !stated(b) {
		return nil, nil
	}
	err = l.views(func(v audit.View) error {
		have, known, err := Terms(v, b.Batch)
		if err != nil {
			return err
		}
		_, x, err := station.Encode(have)
		if err != nil {
			return err
		}
		_, y, err := station.Encode(b)
		if !known || string(x) != string(y) {
			facts = append(facts, b)
		}
		return err
	})
	return facts, err
}

// loadPrints reads the fingerprints of all codes once.
func (l *Ledger) loadPrints() error {
	if l.prints != nil {
		return nil
	}
	prints, _, err := l.fingerprints()
	l.prints = prints
	return err
}

// sealedIssue is the fact that lies sealed with a code of which the log knows
// nothing; nil where the code came with a list.
func (l *Ledger) sealedIssue(handle string) (*station.StockImported, error) {
	sealed, err := l.vault.Get(KindCode, handle)
	if err != nil {
		return nil, err
	}
	var c sealedCode
	if err := json.Unmarshal(sealed.Reveal(), &c); err != nil {
		return nil, &ItemError{Kind: KindCode, Handle: handle, Err: ErrDamaged}
	}
	if c.Issue != nil {
		c.Issue.Handle = handle
	}
	return c.Issue, nil
}

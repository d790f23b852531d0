package stock

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// ErrNoProfile says that the ledger has no such profile.
var ErrNoProfile = errors.New("no such profile in the stock")

// Finding is what a person found out about a profile whose outcome was not
// known: on the eUICC itself, or from its provider.
type Finding string

// Findings.
const (
	FoundInstalled Finding = "installed" // on the eUICC that asked for it
	FoundAbsent    Finding = "absent"    // not installed; the order knows that eUICC
	FoundUnused    Finding = "unused"    // the provider says that the order is as new
	FoundSpent     Finding = "spent"     // the provider says that the order is used up
)

// Decision is what a person decides about one profile.
type Decision struct {
	By     station.Person
	Handle string
	Why    string
	// ICCID is that of an installed profile whose import did not say it.
	ICCID ident.ICCID
	// Running says whether the run that has a profile is open; such a profile is
	// left alone.
	Running func(station.StockItem) bool
}

// Release puts a quarantined or stranded profile back for any eUICC. It takes
// a lead, and QA where a server was asked for it before: then the provider must
// have reset the order. Refused while it may be installed somewhere.
func (l *Ledger) Release(ctx context.Context, d Decision, j Journal) (station.StockItem, error) {
	return l.decide(ctx, d, j, func(i station.StockItem) (station.Role, station.Fact, error) {
		if i.Left() == station.StateUnknown {
			return "", nil, station.Refuse(station.ProfileUnknown, "profile %s may be installed on EID %s: resolve it first", i.Handle, i.EID)
		}
		role := station.RoleLead
		if i.Downloads > 0 {
			role = station.RoleQA
		}
		return role, station.ProfileReleased{Handle: i.Handle, Why: d.Why}, nil
	})
}

// Resolve records what was found out about a profile that is quarantined or
// stranded. It takes a lead, for FoundUnused QA.
func (l *Ledger) Resolve(ctx context.Context, d Decision, found Finding, j Journal) (station.StockItem, error) {
	return l.decide(ctx, d, j, func(i station.StockItem) (station.Role, station.Fact, error) {
		switch found {
		case FoundInstalled:
			iccid := i.ICCID
			if d.ICCID != "" {
				iccid = d.ICCID
			}
			if i.EID == "" || iccid == "" {
				return "", nil, station.Refuse(station.ScanInvalid, "profile %s: an EID and an ICCID are needed", i.Handle)
			}
			return station.RoleLead, station.ProfileCommitted{Handle: i.Handle, ICCID: iccid, EID: i.EID}, nil
		case FoundAbsent:
			return station.RoleLead, station.ProfileQuarantined{Handle: i.Handle, Reason: station.NewReason(station.SameEUICCOnly, "%s", d.Why)}, nil
		case FoundUnused:
			return station.RoleQA, station.ProfileReleased{Handle: i.Handle, Why: d.Why}, nil
		case FoundSpent:
			return station.RoleLead, station.ProfileSpent{Handle: i.Handle, Reason: station.NewReason(station.CodeSpent, "%s", d.Why)}, nil
		}
		return "", nil, station.Refuse(station.ScanInvalid, "%q is none of installed, absent, unused, spent", found)
	})
}

// decide writes one person's decision about a profile that is not in use.
func (l *Ledger) decide(ctx context.Context, d Decision, j Journal, rule func(station.StockItem) (station.Role, station.Fact, error)) (station.StockItem, error) {
	l.mu.Lock() // no run gets it meanwhile
	defer l.mu.Unlock()
	i, err := l.item(d.Handle)
	if err != nil {
		return i, err
	}
	if c, ok := l.pending[i.Handle]; ok {
		return i, station.Refuse(station.SlotNotReady, "run %s is just getting profile %s", c.run, i.Handle)
	}
	free := i.State == station.StockQuarantined || i.State == station.StockReserved && d.Running != nil && !d.Running(i)
	if !free {
		return i, station.Refuse(station.SlotNotReady, "profile %s is %s: only a quarantined one, or one of a run that is over, is decided about", i.Handle, i.State)
	}
	role, fact, err := rule(i)
	if err != nil {
		return i, err
	}
	if err := d.By.Allow(role, "this decision about profile %s", i.Handle); err != nil {
		return i, err
	}
	if err := checkWhy(d.Why); err != nil {
		return i, err
	}
	env := station.Envelope{Unit: i.Unit}
	after := i.Evolve(env, fact)
	over := station.Overridden{What: "profile " + i.Handle, From: string(i.State), To: string(after.State), Why: d.Why}
	if err := j.Gate(ctx, station.Scope{Unit: i.Unit, Actor: d.By.Actor}, over, fact); err != nil {
		return i, fmt.Errorf("stock: profile %s: %w", i.Handle, err)
	}
	if i.Kind == "" { // of an activation code: what was downloaded for it is of no more use
		if err := l.vault.Delete(KindPackage, i.Handle); err != nil {
			return i, err
		}
	}
	return l.item(d.Handle)
}

func (l *Ledger) item(handle string) (i station.StockItem, err error) {
	err = l.views(func(v audit.View) error {
		var ok bool
		i, ok, err = ItemOf(v, handle)
		if err == nil && !ok {
			err = fmt.Errorf("%w: %q", ErrNoProfile, handle)
		}
		return err
	})
	return i, err
}

func checkWhy(why string) error {
	if strings.TrimSpace(why) == "" {
		return station.Refuse(station.ScanInvalid, "a reason is needed")
	}
	if len(why) > 300 || strings.ContainsFunc(why, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return station.Refuse(station.ScanInvalid, "the reason has over 300 bytes or characters that cannot be shown")
	}
	return nil
}

// Quarantine takes every profile that is available out of use until it was
// reconciled with its provider's list: after a restored backup nobody knows
// which of them were used since. It takes a lead and returns how many.
func (l *Ledger) Quarantine(ctx context.Context, by station.Person, f Filter, why string, j Journal) (int, error) {
	if err := by.Allow(station.RoleLead, "putting stock into quarantine"); err != nil {
		return 0, err
	}
	if err := checkWhy(why); err != nil {
		return 0, err
	}
	l.mu.Lock() // no run gets one meanwhile
	defer l.mu.Unlock()
	f.State = station.StockAvailable
	facts := []station.Fact{station.Overridden{What: "stock", From: string(station.StockAvailable), To: string(station.StockQuarantined), Why: why}}
	err := l.views(func(v audit.View) error {
		return List(v, f, func(i station.StockItem) error {
			if _, taken := l.pending[i.Handle]; taken {
				return nil
			}
			facts = append(facts, station.ProfileQuarantined{Handle: i.Handle, Reason: station.NewReason(station.StockUnreconciled, "%s", why)})
			return nil
		})
	})
	if err != nil || len(facts) == 1 {
		return 0, err
	}
	return len(facts) - 1, writeFacts(ctx, station.Scope{Actor: by.Actor}, j, facts)
}

// What becomes of the notifications of a batch's profiles (StockBatch.Notifications).
const (
	NotificationsSend = "send"
	NotificationsHold = "hold"
)

// Notifications changes what becomes of the notifications of a batch's profiles:
// those that wait are sent, or kept back, from now on. It takes a lead.
func (l *Ledger) Notifications(ctx context.Context, by station.Person, batch, to, why string, j Journal) error {
	if err := by.Allow(station.RoleLead, "changing what becomes of notifications"); err != nil {
		return err
	}
	if err := checkWhy(why); err != nil {
		return err
	}
	if to != NotificationsSend && to != NotificationsHold {
		return station.Refuse(station.ScanInvalid, "notifications are sent or held, not %q", to)
	}
	var terms station.StockBatch
	err := l.views(func(v audit.View) (err error) {
		if terms, _, err = Terms(v, batch); err != nil {
			return err
		}
		known := terms.Batch != ""
		if !known {
			err = List(v, Filter{Batch: batch}, func(station.StockItem) error { known = true; return nil })
		}
		if err == nil && !known {
			err = station.Refuse(station.ScanInvalid, "no batch %q is in the stock", batch)
		}
		return err
	})
	if err != nil {
		return err
	}
	from := cmp.Or(terms.Notifications, NotificationsSend)
	terms.Batch, terms.Notifications = batch, to
	return writeFacts(ctx, station.Scope{Actor: by.Actor}, j, []station.Fact{station.Overridden{What: "notifications " + batch, From: from, To: to, Why: why}, terms})
}

// maxErased bounds the handles in one fact.
const maxErased = 500

// Erase takes the codes and prepared packages of profiles out of the vault that
// were installed or spent longer ago than keep. What stays of a code is a keyed
// fingerprint, so that it is not taken in again. It returns how many were
// erased. Bound packages of downloads that a crash ended, and which nothing
// names any more, go after that time too.
func (l *Ledger) Erase(ctx context.Context, keep time.Duration, j Journal) (int, error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	items, err := l.vault.List(KindCode, KindPackage)
	if err != nil {
		return 0, err
	}
	s, err := l.sort(items, time.Now().Add(-keep))
	if err != nil {
		return 0, err
	}
	for due := s.due; len(due) > 0; {
		n := min(len(due), maxErased)
		handles := make([]string, n)
		for i := range handles {
			handles[i] = due[i].Handle
		}
		if err := j.Gate(ctx, station.Scope{}, station.StockErased{Handles: handles}); err != nil {
			return 0, fmt.Errorf("stock: erase: %w", err)
		}
		s.written, due = append(s.written, due[:n]...), due[n:]
	}
	done := 0
	for some := range slices.Chunk(s.written, maxErased) {
		if err := l.eraseItems(some); err != nil {
			return done, err
		}
		done += len(some)
	}
	return done, l.vault.deleteItems(s.left)
}

// maxDownload is longer than any run: a younger package may be one that is
// being loaded.
const maxDownload = 24 * time.Hour

// sorted says what becomes of vault items.
type sorted struct {
	due     []Item // used up long enough ago
	written []Item // the log says already that they are erased: that was interrupted
	left    []Item // packages that nothing names, old enough
}

// sort finds what is to be erased.
func (l *Ledger) sort(items []Item, before time.Time) (out sorted, err error) {
	limit := before.UTC().Format(time.RFC3339)
	running := time.Now().Add(-maxDownload)
	if before.Before(running) {
		running = before
	}
	err = l.views(func(v audit.View) error {
		r, err := projection(v)
		if err != nil {
			return err
		}
		for _, item := range items {
			rec, known, err := getRecord(r, item.Handle)
			if err != nil {
				return err
			}
			used := rec.State == station.StockInstalled || rec.State == station.StockSpent
			switch {
			case rec.State == station.StockReturned: // nothing stays of it: it may be handed out here again
				out.left = append(out.left, item)
			case rec.Erased:
				out.written = append(out.written, item)
			case used && rec.Since <= limit:
				out.due = append(out.due, item)
			case !known && item.Kind == KindPackage:
				old, err := l.vault.older(item.Kind, item.Handle, running)
				if err != nil {
					return err
				}
				if old {
					out.left = append(out.left, item)
				}
			}
		}
		return nil
	})
	return out, err
}

// eraseItems takes items out of the vault, once what stays of the codes is there.
func (l *Ledger) eraseItems(items []Item) error {
	var prints []Secret
	for _, item := range items {
		if item.Kind != KindCode {
			continue
		}
		print, err := l.fingerprintOf(item)
		if errors.Is(err, ErrDamaged) { // nothing can be told of it any more
			continue
		}
		if err != nil {
			return err
		}
		b, err := json.Marshal(print)
		if err != nil {
			return fmt.Errorf("stock: %w", err)
		}
		prints = append(prints, NewSecret(b))
	}
	if _, err := l.vault.PutAll(KindSeen, prints); err != nil {
		return err
	}
	return l.vault.deleteItems(items)
}

package simtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/notify"
	"linefit/station/sim"
	"linefit/station/stock"
)

// Account is what world and log say of a line.
type Account struct {
	sim.Account
	Profiles sim.Profiles
	Problems []string // what cannot be, in plain words
}

// Problem notes one.
func (a *Account) problem(format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
}

// Account holds the log against the world. It is for a line that has come to
// rest: every unit out of the slots, everybody told.
func (l *Line) Account() Account {
	l.t.Helper()
	var a Account
	var err error
	a.Account, err = l.World.Account()
	l.must(err)
	var books sim.Books
	pending := 0
	l.must(l.st.View(func(v audit.View) (err error) {
		if books.Count, err = stock.Count(v); err != nil {
			return err
		}
		if pending, _, err = notify.Count(v); err != nil {
			return err
		}
		return stock.List(v, stock.Filter{}, func(i station.StockItem) error {
			books.Items = append(books.Items, i)
			return nil
		})
	}))
	a.Profiles, a.Problems = books.Compare(a.Account)
	if n := a.Registrations + l.radio; n != 0 {
		a.problem("%d attempts to register on a network", n)
	}
	l.checkRuns(&a)
	l.checkOrders(&a, books.Items)
	l.checkServer(&a)
	l.checkWitness(&a)
	l.checkVault(&a, books.Items, pending)
	l.checkLog(&a)
	l.checkFactory(&a)
	l.checkOrder(&a)
	return a
}

// Check reports every problem of the account as a failure of the test.
func (l *Line) Check() Account {
	l.t.Helper()
	a := l.Account()
	for _, p := range a.Problems {
		l.t.Error(p)
	}
	return a
}

// checkRuns: a run that passed has evidence that its card confirms, and nothing
// is left open of which nobody knows.
func (l *Line) checkRuns(a *Account) {
	for _, u := range l.World.Units() {
		runs := l.Runs(u.Serial)
		for _, r := range runs {
			if r.Verdict == nil || r.Disposition == nil {
				if u.Place != sim.PlaceSlot {
					a.problem("run %s of %s has no verdict or disposition, the unit is at %q", r.ID, u.Serial, u.Place)
				}
				continue
			}
			if r.Profile != nil && !r.Settled {
				a.problem("run %s of %s ended with profile %s reserved", r.ID, u.Serial, r.Profile.Handle)
			}
			l.checkIntents(a, r)
		}
		if len(runs) > 0 {
			l.checkPass(a, u, runs[len(runs)-1])
		}
	}
}

// checkIntents: what is open at the end of a run is held: its profile is
// quarantined as unknown.
func (l *Line) checkIntents(a *Account, r Run) {
	for _, in := range r.OpenIntents() {
		held := r.Disposition.Disposition == station.Hold || r.Code() != ""
		switch in.Effect {
		case station.EffectCancel: // with a reason that leaves the order alive, whether it took effect or not
		case station.EffectGetBPP:
			// The order may know this eUICC: its profile stays with it.
			if i, ok := l.item(in.Profile); !ok || i.State == station.StockAvailable && i.EID == "" {
				a.problem("run %s: %s of profile %s is open, and the profile is %s for anyone", r.ID, in.Effect, in.Profile, i.State)
			}
		case station.EffectLoad:
			if i, _ := l.item(in.Profile); i.Left() != station.StateUnknown && i.Run == r.ID {
				a.problem("run %s: the load of profile %s is open, and the profile is %s", r.ID, in.Profile, i.State)
			}
		default:
			if !held {
				a.problem("run %s: %s is open at the end of a run that passed", r.ID, in.Effect)
			}
		}
	}
}

func (l *Line) checkPass(a *Account, u sim.UnitState, r Run) {
	if r.Verdict == nil || r.Verdict.Verdict != station.Pass {
		return
	}
	if r.Recipe.Rework {
		if r.Disposition.Disposition == station.Release {
			a.problem("%s is released after rework", u.Serial)
		}
		return
	}
	e := r.Verdict.Evidence
	if e == nil || e.EID != u.EID || e.State == "" {
		a.problem("%s passed with evidence %+v", u.Serial, e)
		return
	}
	if r.Verdict.IMEI != u.IMEI || r.Verdict.EID != u.EID {
		a.problem("%s passed as IMEI %s, EID %s; it is %s, %s", u.Serial, r.Verdict.IMEI, r.Verdict.EID, u.IMEI, u.EID)
	}
	if !r.Disposition.Disposition.Good() {
		return // the MES held it
	}
	seen := e.Seen
	if u.Generation == euiccsim.SGP02 { // shows its profile through the module only
		seen = e.ICCID
	}
	if !slices.Equal(r.Verdict.EIMs, a.EIMs[u.EID]) {
		a.problem("%s passed with eIMs %q, its card has %q", u.Serial, r.Verdict.EIMs, a.EIMs[u.EID])
	}
	if want := demanded(r.Recipe); want != "" && e.State != want {
		a.problem("%s passed with profile %s %s, its recipe wants it %s", u.Serial, e.Seen, e.State, want)
	}
	on := slices.IndexFunc(a.Cards[u.EID], func(p euiccsim.ProfileState) bool { return p.ICCID == seen && p.Enabled == (e.State == "enabled") })
	if on < 0 {
		a.problem("%s passed with profile %s %s; its card has %+v", u.Serial, seen, e.State, a.Cards[u.EID])
	}
}

// demanded is the state that a recipe wants to read back; empty: any.
func demanded(r *station.Recipe) string {
	for _, s := range r.Steps {
		if s.Kind == station.KindReadback {
			return s.Text("state")
		}
	}
	return ""
}

// checkOrders: never more deliveries than allowed, never more than one eUICC,
// never an order ended while it could have lived; the operator knows of what is
// installed and of what was deleted.
func (l *Line) checkOrders(a *Account, items []station.StockItem) {
	byICCID := map[ident.ICCID]station.StockItem{}
	for _, i := range items {
		byICCID[i.ICCID] = i
	}
	for _, o := range a.Orders {
		i := byICCID[o.ICCID]
		if i.Kind == station.KindPreparedPackage {
			continue // see checkFactory
		}
		if i.Cap > 0 && i.Downloads > i.Cap {
			a.problem("profile %s was asked for %d times, %d are allowed", o.ICCID, i.Downloads, i.Cap)
		}
		if i.State == station.StockInstalled && (len(o.Installs) != 1 || o.Installs[0].EID != i.EID) {
			a.problem("profile %s is installed on %s; its operator was told of %+v", o.ICCID, i.EID, o.Installs)
		}
		if i.State == station.StockSpent && i.Reason != nil && i.Reason.Code == station.ProfileDeleted &&
			!slices.ContainsFunc(o.Receipts, func(r smdpsim.Receipt) bool { return r.Event == smdpsim.EventDelete && r.EID == i.EID }) {
			a.problem("profile %s was deleted, and its operator was not told", o.ICCID)
		}
		if i.State == station.StockSpent && (o.State == smdpsim.StateReleased || o.State == smdpsim.StateDownloaded) && o.Deliveries < o.Attempts && !capped(i) {
			a.problem("profile %s is spent in the log; its order is %s with %d of %d deliveries", o.ICCID, o.State, o.Deliveries, o.Attempts)
		}
	}
}

// capped reports whether a profile was given up although its order lives: for the
// recipe's own cap, or because the server does not bind it to another key.
func capped(i station.StockItem) bool {
	return i.Reason != nil && i.Reason.Code == station.CodeSpent &&
		(strings.Contains(i.Reason.Detail, "are allowed") || strings.Contains(i.Reason.Detail, "8.2/3.7"))
}

// checkServer: no session was cancelled with a reason that ends the order.
func (l *Line) checkServer(a *Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.requests {
		if e.Point == smdpsim.CancelSession && strings.HasPrefix(e.Detail, "cancelled: ") &&
			e.Detail != "cancelled: postponed" && e.Detail != "cancelled: timeout" {
			a.problem("order %s: the session was %s", e.Order, e.Detail)
		}
	}
}

// checkLog verifies the log and holds it against the station's own head.
func (l *Line) checkLog(a *Account) {
	if l.Station.View().Health != station.HealthOK {
		return
	}
	note, err := l.st.Checkpoint()
	l.must(err)
	report, err := store.Verify(context.Background(), l.Dir, store.VerifyOptions{Key: l.st.VKey(), Checkpoint: note})
	l.must(err)
	if !report.OK {
		a.problem("the log does not verify: %+v", report.Findings)
	}
}

// Sessions counts the sessions that were begun at the SM-DP+ so far.
func (l *Line) Sessions() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.requests {
		if e.Point == smdpsim.InitiateAuthentication {
			n++
		}
	}
	return n
}

// OrdersAsked counts the requests at the SM-DP+ so far, without notifications.
func (l *Line) OrdersAsked() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.requests {
		if e.Point != smdpsim.HandleNotification {
			n++
		}
	}
	return n
}

// Asked are the eUICCs for which the SM-DP+ was asked for an order, once for each
// request.
func (l *Line) Asked(order string) (eids []ident.EID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.requests {
		if e.Order == order && e.EID != "" && e.Point != smdpsim.HandleNotification {
			eids = append(eids, e.EID)
		}
	}
	return eids
}

// T is the line's test.
func (l *Line) T() testing.TB { return l.t }

// item is a profile of the ledger.
func (l *Line) item(handle string) (i station.StockItem, ok bool) {
	l.t.Helper()
	l.must(l.st.View(func(v audit.View) (err error) {
		i, ok, err = stock.ItemOf(v, handle)
		return err
	}))
	return i, ok
}

// Item is the profile that a run had.
func (l *Line) Item(r Run) station.StockItem {
	if r.Run == nil || r.Profile == nil {
		return station.StockItem{}
	}
	i, _ := l.item(r.Profile.Handle)
	return i
}

// Order is the SM-DP+'s word on the order of the profile that a run had.
func (l *Line) Order(r Run) smdpsim.OrderInfo {
	l.t.Helper()
	a, err := l.World.Account()
	l.must(err)
	return a.Orders[l.Item(r).ICCID]
}

// OnCard is what a unit's card has of a profile: enabled, disabled or absent.
func (l *Line) OnCard(u sim.UnitState, iccid ident.ICCID) string {
	l.t.Helper()
	s, err := euiccsim.ReadState(euiccsim.FileImage(filepath.Join(l.Dir, "sim", "cards", string(u.EID)+".card")))
	if errors.Is(err, fs.ErrNotExist) {
		return "absent" // never powered
	}
	l.must(err)
	for _, p := range s.Profiles {
		switch {
		case p.ICCID == iccid && p.Enabled:
			return "enabled"
		case p.ICCID == iccid:
			return "disabled"
		}
	}
	return "absent"
}

package simtest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"linefit/audit"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/stock"
)

// witness stands beside every card and holds what is irreversible against the
// log: each such command has an intent of its own that is durable and open; a
// package is begun once for each intent and lies in the vault until the outcome
// is known; nothing is cancelled while it is not; a notification is removed only
// when its server has acknowledged it.
type witness struct {
	mu        sync.Mutex // guards what follows
	units     map[station.Serial]*watched
	delivered map[sent]bool
	problems  []string
}

// watched is what the log has said of a unit's effects.
type watched struct {
	runs map[string]map[int]*effect // intents by run and number
	run  string                     // of the newest intent
}

type effect struct {
	station.Intent
	closed bool
	known  bool // the station knew its outcome, whether the log kept it or not
	begun  int  // commands that did it
}

type sent struct {
	eid      ident.EID
	sequence int64
}

// irreversible are the effects that one command each brings about.
var irreversible = map[Point]station.EffectName{
	Load(1): station.EffectLoad, Card("CancelSession"): station.EffectCancel, Card("EnableProfile"): station.EffectEnable,
	Card("DisableProfile"): station.EffectDisable, Card("DeleteProfile"): station.EffectDelete,
	Card("eUICCMemoryReset"): station.EffectReset, Card("RemoveNotification"): station.EffectRemove,
	Card("AddInitialEim"): station.EffectAddEIM, Card("DeleteOneTimeKeys"): station.EffectDeleteKeys,
}

// once are the effects of which an intent is good for a single command, whatever
// became of it: the others are read back and may be repeated under their intent.
var once = map[station.EffectName]bool{station.EffectLoad: true, station.EffectCancel: true}

func newWitness() *witness {
	return &witness{units: map[station.Serial]*watched{}, delivered: map[sent]bool{}}
}

func (w *witness) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// seen returns the problems so far.
func (w *witness) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.problems...)
}

// restart forgets what was not durable when a process ended; the log is read
// anew behind it.
func (w *witness) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.units {
		for _, run := range u.runs {
			for _, e := range run {
				e.closed = false
			}
		}
	}
}

// durable takes note of an entry, of one that it knows already too.
func (w *witness) durable(e audit.Entry, f station.Fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f := f.(type) {
	case station.Intent:
		u := w.units[station.Serial(e.Unit)]
		if u == nil {
			u = &watched{runs: map[string]map[int]*effect{}}
			w.units[station.Serial(e.Unit)] = u
		}
		if u.runs[e.Run] == nil {
			u.runs[e.Run] = map[int]*effect{}
		}
		if u.run = e.Run; u.runs[e.Run][f.Number] == nil {
			u.runs[e.Run][f.Number] = &effect{Intent: f}
		}
	case station.Result:
		w.result(station.Serial(e.Unit), e.Run, f)
	case station.NotificationDelivered:
		w.delivered[sent{f.EID, f.Sequence}] = true
	}
}

func (w *witness) result(unit station.Serial, run string, r station.Result) {
	if u := w.units[unit]; u != nil && u.runs[run][r.Number] != nil {
		u.runs[run][r.Number].closed, u.runs[run][r.Number].known = true, true
	}
}

// writing looks at a fact that is about to be appended: until a load's outcome
// is in the log its package is in the vault.
func (w *witness) writing(unit station.Serial, run string, r station.Result, vault *stock.Vault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.units[unit]; r.Effect == station.EffectLoad && u != nil && u.runs[run][r.Number] != nil {
		e := u.runs[run][r.Number]
		if _, err := vault.Get(stock.KindPackage, e.Profile); err != nil && !e.known && e.begun > 0 {
			w.problem("run %s: what became of the package of load %d was not known, and it was not in the vault: %v", run, r.Number, err)
		}
	}
	// The station knows now. Where the append fails the intent stays open.
	if u := w.units[unit]; u != nil && u.runs[run][r.Number] != nil {
		u.runs[run][r.Number].known = true
	}
}

// command looks at a command that goes to a unit's card.
func (w *witness) command(unit station.Serial, eid ident.EID, names []Point, data []byte, vault *stock.Vault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		what, ok := irreversible[name]
		if !ok {
			continue
		}
		u := w.units[unit]
		if u == nil {
			w.problem("%s: %s without an intent", unit, name)
			continue
		}
		w.effect(u, name, what, vault)
		if what == station.EffectRemove {
			w.removal(eid, data)
		}
	}
}

func (w *witness) effect(u *watched, name Point, what station.EffectName, vault *stock.Vault) {
	var mine *effect
	for _, e := range u.runs[u.run] {
		if e.Effect == what && !e.closed && (mine == nil || e.Number > mine.Number) {
			mine = e
		}
		if what == station.EffectCancel && e.Effect == station.EffectLoad && !e.known && e.begun > 0 {
			w.problem("run %s: the session was cancelled while nobody knew what became of load %d", u.run, e.Number)
		}
	}
	if mine == nil {
		w.problem("run %s: %s without an open intent", u.run, name)
		return
	}
	if mine.begun++; mine.begun > 1 && once[what] {
		w.problem("run %s: %s for the %d. time under intent %d", u.run, name, mine.begun, mine.Number)
	}
	if what == station.EffectLoad {
		if _, err := vault.Get(stock.KindPackage, mine.Profile); err != nil {
			w.problem("run %s: a package is loaded that is not kept: %v", u.run, err)
		}
	}
}

// removal holds NotificationSent (BF30, SGP.22 section 5.7.11) against what was
// acknowledged.
func (w *witness) removal(eid ident.EID, data []byte) {
	n, err := wire.Parse(data)
	if err != nil {
		w.problem("%s: RemoveNotification: %v", eid, err)
		return
	}
	seq, ok := n.Find(0x80)
	if !ok {
		w.problem("%s: RemoveNotification names none", eid)
		return
	}
	if v, err := seq.Int(); err != nil || !w.delivered[sent{eid, v}] {
		w.problem("%s: notification %d was removed before its server had acknowledged it", eid, v)
	}
}

// checkWitness takes what the witness saw into the account, and holds sessions
// that the log calls cancelled against the server, and notifications that it
// calls removed against the cards.
func (l *Line) checkWitness(a *Account) {
	for _, p := range l.witness.seen() {
		a.problem("%s", p)
	}
	heard := map[string]bool{}
	l.mu.Lock()
	for _, e := range l.requests {
		if e.Point == smdpsim.CancelSession && e.Status == "ok" {
			heard[strings.ToLower(e.Transaction)] = true
		}
	}
	l.mu.Unlock()
	for _, u := range l.World.Units() {
		left := l.pendingOn(u)
		for _, r := range l.Runs(u.Serial) {
			for _, in := range r.Intents {
				done := slices.ContainsFunc(r.Results, func(res station.Result) bool {
					return res.Effect == in.Effect && res.Number == in.Number && res.Outcome == station.OK
				})
				switch {
				case !done:
				case in.Effect == station.EffectCancel && !heard[in.Transaction]:
					a.problem("run %s: session %s is cancelled in the log, and its server does not know", r.ID, in.Transaction)
				case in.Effect == station.EffectRemove && slices.ContainsFunc(in.Sequences, func(n int64) bool { return slices.Contains(left, n) }):
					a.problem("run %s: notifications %v are removed in the log, %v are on the eUICC", r.ID, in.Sequences, left)
				}
			}
		}
	}
}

// pendingOn are the numbers of the notifications on a unit's card.
func (l *Line) pendingOn(u sim.UnitState) (sequences []int64) {
	s, err := euiccsim.ReadState(euiccsim.FileImage(filepath.Join(l.Dir, "sim", "cards", string(u.EID)+".card")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // never powered
	}
	l.must(err)
	for _, n := range s.Notifications {
		sequences = append(sequences, n.Seq)
	}
	return sequences
}

// checkVault: what is not needed any more is gone.
func (l *Line) checkVault(a *Account, items []station.StockItem, pending int) {
	vault := l.Station.Ledger.Vault()
	packages, err := vault.List(stock.KindPackage)
	l.must(err)
	unknown := 0
	for _, i := range items {
		waits := i.Kind == station.KindPreparedPackage && i.State == station.StockAvailable
		if i.Left() == station.StateUnknown || i.State == station.StockReserved || waits {
			unknown++
		}
	}
	if len(packages) > unknown {
		a.problem("%d bound packages in the vault, %d profiles of which the outcome is unknown", len(packages), unknown)
	}
	kept, err := vault.List(stock.KindNotification)
	l.must(err)
	spare := 0
	for _, u := range l.World.Units() { // those that a unit took with it while they were taken over
		for _, n := range l.pendingOn(u) {
			handle := vault.HandleFor(stock.KindNotification, fmt.Sprintf("%s/%d", u.EID, n))
			if slices.ContainsFunc(kept, func(i stock.Item) bool { return i.Handle == handle }) {
				spare++
			}
		}
	}
	if len(kept) < pending || len(kept) > pending+spare {
		a.problem("%d notifications in the vault, %d are pending, %d are on their eUICCs still", len(kept), pending, spare)
	}
}

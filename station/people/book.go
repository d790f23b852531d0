package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"linefit/station"
	"linefit/station/stock"
)

// ErrNobody says that there is no such person: never seen here, or forgotten.
var ErrNobody = errors.New("nobody of that name, badge or pseudonym is known here")

// Journal appends facts and returns when they are durable.
type Journal interface {
	Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error
}

// Options are a book's parts; all are needed.
type Options struct {
	Vault   *stock.Vault
	Views   stock.Views
	Journal Journal
}

// Book is who is who at a station. It owns the vault's items of the kind
// [stock.KindPerson]. Its methods may be called at the same time.
type Book struct {
	opt     Options
	damaged []error

	change sync.Mutex // one change of people by people at a time

	mu      sync.RWMutex // guards what follows
	byID    map[string]*person
	byActor map[station.Actor]*person
}

// Open reads everybody that the vault has. Items that cannot be read are left
// alone and said by [Book.Damaged]: their people are new ones when they come.
func Open(opt Options) (*Book, error) {
	b := &Book{opt: opt, byID: map[string]*person{}, byActor: map[station.Actor]*person{}}
	items, err := opt.Vault.List(stock.KindPerson)
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	for _, item := range items {
		s, err := opt.Vault.Get(item.Kind, item.Handle)
		if err == nil {
			var p *person
			if p, err = open(item.Handle, s); err == nil {
				b.merge(p)
				continue
			}
		}
		b.damaged = append(b.damaged, err)
	}
	return b, nil
}

// merge adds a person who was read; of two items of one person, which a crash
// leaves when an identifier is added, the longer one counts.
func (b *Book) merge(p *person) {
	if had := b.byActor[p.actor]; had != nil {
		handles := append(had.handles, p.handles...)
		if len(had.IDs) > len(p.IDs) {
			p = had
		}
		p.handles = handles
	}
	b.add(p)
}

// Damaged is what could not be read at opening.
func (b *Book) Damaged() []error { return b.damaged }

func (b *Book) add(p *person) {
	for _, id := range p.IDs {
		b.byID[id] = p
	}
	b.byActor[p.actor] = p
}

// Resolve gives the pseudonym of who was entered: a name or badge, which gets
// one at first use, durably, or a pseudonym of somebody who is known. The error
// is a *station.Refusal or the vault's; it repeats nothing of what was entered.
func (b *Book) Resolve(entered string) (station.Actor, error) {
	id, err := Fold(entered)
	if err != nil {
		return "", err
	}
	b.mu.RLock()
	p := b.known(id)
	b.mu.RUnlock()
	if p != nil {
		return p.actor, nil
	}
	if isPseudonym(id) {
		return "", station.Refuse(station.PermissionMissing, "a pseudonym that is nobody's here: the person was forgotten, or never worked here")
	}
	return b.enrol(id)
}

// known finds a person by a folded identifier or a pseudonym; mu is held.
func (b *Book) known(id string) *person {
	if p := b.byID[id]; p != nil {
		return p
	}
	return b.byActor[station.Actor(id)]
}

func (b *Book) enrol(id string) (station.Actor, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.byID[id]; p != nil {
		return p.actor, nil
	}
	if len(b.byActor) >= maxPeople {
		return "", station.Refuse(station.PermissionMissing, "%d people are known here: forget some", maxPeople)
	}
	p := newPerson(id, time.Now())
	for b.byActor[p.actor] != nil {
		p = newPerson(id, time.Now())
	}
	sealed, err := p.seal()
	if err == nil {
		p.handles, err = b.put(sealed)
	}
	if err != nil {
		return "", fmt.Errorf("people: %w", err)
	}
	b.add(p)
	return p.actor, nil
}

func (b *Book) put(sealed stock.Secret) (handles []string, err error) {
	return b.opt.Vault.PutAll(stock.KindPerson, []stock.Secret{sealed})
}

// SignOn says in the log that a person works here now.
func (b *Book) SignOn(ctx context.Context, entered string, role station.Role) (station.Actor, error) {
	actor, err := b.Resolve(entered)
	if err != nil {
		return "", err
	}
	return actor, b.opt.Journal.Gate(ctx, station.Scope{Actor: actor}, station.OperatorOn{Operator: string(actor), Role: string(role)})
}

// Known is a person without a name.
type Known struct {
	Operator    station.Actor `json:"operator"` // pseudonym
	Since       string        `json:"since"`    // day, UTC
	Identifiers int           `json:"identifiers"`
}

// List names all pseudonyms of people who are known, oldest first.
func (b *Book) List() []Known {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Known, 0, len(b.byActor))
	for _, p := range b.byActor {
		out = append(out, Known{Operator: p.actor, Since: p.Since.Format(time.DateOnly), Identifiers: len(p.IDs)})
	}
	slices.SortFunc(out, func(a, b Known) int {
		return strings.Compare(a.Since+string(a.Operator), b.Since+string(b.Operator))
	})
	return out
}

// find finds a person by anything.
func (b *Book) find(entered string) (*person, error) {
	id, err := Fold(entered)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if p := b.known(id); p != nil {
		return p, nil
	}
	return nil, ErrNobody
}

// maxReason bounds why something is done, in bytes.
const maxReason = 200

// reason checks why something is done: it stands in the log and must not say who
// the person is.
func reason(why string, p *person) error {
	if strings.TrimSpace(why) == "" || len(why) > maxReason || strings.ContainsFunc(why, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return station.Refuse(station.ScanInvalid, "a reason of 1 to %d bytes that can be shown is needed", maxReason)
	}
	said := words(strings.ToLower(norm.NFKC.String(why)))
	for _, id := range p.IDs {
		if strings.Contains(said, words(id)) {
			return station.Refuse(station.ScanInvalid, "the reason names the person: it stands in the log for ever")
		}
	}
	return nil
}

// words are the words of a text, each between spaces.
func words(s string) string {
	return " " + strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ") + " "
}

// Name tells the names and badges behind a pseudonym, to QA, and says in the
// log that it was told.
func (b *Book) Name(ctx context.Context, by station.Person, who, why string) (station.Actor, []string, error) {
	p, err := b.find(who)
	if err != nil {
		return "", nil, err
	}
	if err := by.Allow(station.RoleQA, "asking who %s is", p.actor); err != nil {
		return "", nil, err
	}
	if err := reason(why, p); err != nil {
		return "", nil, err
	}
	err = b.opt.Journal.Gate(ctx, station.Scope{Actor: by.Actor}, station.OperatorNamed{Operator: string(p.actor), Why: why})
	if err != nil {
		return "", nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return p.actor, slices.Clone(p.IDs), nil
}

// Link makes another name or badge one of a person's.
func (b *Book) Link(ctx context.Context, by station.Person, who, also string) (station.Actor, error) {
	b.change.Lock()
	defer b.change.Unlock()
	p, err := b.find(who)
	if err != nil {
		return "", err
	}
	if err := by.Allow(station.RoleLead, "linking a name or badge to %s", p.actor); err != nil {
		return "", err
	}
	id, err := Fold(also)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case isPseudonym(id) || b.byID[id] != nil && b.byID[id] != p:
		return "", station.Refuse(station.ScanInvalid, "that name or badge is a person's of its own")
	case b.byActor[p.actor] == nil:
		return "", ErrNobody
	case b.byID[id] == p:
		return p.actor, nil
	case len(p.IDs) == maxLinked:
		return "", station.Refuse(station.ScanInvalid, "a person has at most %d names and badges", maxLinked)
	}
	more := *p
	more.IDs = append(slices.Clone(p.IDs), id)
	sealed, err := more.seal()
	if err == nil { // the new item first: with both there, either will do
		more.handles, err = b.put(sealed)
	}
	if err != nil {
		return "", fmt.Errorf("people: %w", err)
	}
	more.handles = append(more.handles, p.handles...)
	b.add(&more)
	if err := b.opt.Vault.Delete(stock.KindPerson, p.handles[0]); err != nil {
		return "", fmt.Errorf("people: %w", err)
	}
	return p.actor, nil
}

package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"linefit/audit"
	"linefit/station"
)

// staged is the note of an import that is not finished: KindStaging while its
// codes are not all in the vault, KindImport while its facts are not all in the
// log. The facts lie beside it, in parts: together they may be longer than an
// item of the vault.
type staged struct {
	Kind    Kind          `json:"kind,omitempty"`
	Handles []string      `json:"handles,omitempty"` // of KindStaging: the codes
	Parts   []string      `json:"parts,omitempty"`   // of KindImport: the facts, in order
	Scope   station.Scope `json:"scope"`
	Staging string        `json:"staging,omitempty"` // the earlier note

	self string // handle of this note
}

// partFacts is how many facts a part has at most; a fact has less than 4 KB.
const partFacts = 1024

type stagedFact struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// stage seals secrets and a note of what is to be written to the log. It
// returns the facts to write: those given, then one for each profile.
func (l *Ledger) stage(kind Kind, items []station.StockImported, secrets []Secret, facts []station.Fact, at station.Scope) ([]station.Fact, staged, error) {
	first := staged{Kind: kind, Handles: make([]string, len(items)), Scope: at}
	for i, item := range items {
		first.Handles[i] = newHandle()
		item.Handle = first.Handles[i]
		facts = append(facts, item)
	}
	var err error
	if first.self, err = l.putNote(KindStaging, first); err != nil {
		return nil, staged{}, err
	}
	if err := l.vault.putAs(kind, first.Handles, secrets); err != nil {
		return nil, staged{}, errors.Join(err, l.vault.Delete(KindStaging, first.self))
	}
	note, err := l.stageFacts(facts, at, first.self)
	if err != nil { // the note may be there all the same
		err = fmt.Errorf("stock: %w: %w", ErrUnfinished, err)
	}
	return facts, note, err
}

// stageFacts seals a note of facts that are all to be written. staging is the
// earlier note, where there is one.
func (l *Ledger) stageFacts(facts []station.Fact, at station.Scope, staging string) (note staged, err error) {
	note.Scope, note.Staging = at, staging
	var parts []Secret
	for some := range slices.Chunk(facts, partFacts) {
		part := make([]stagedFact, len(some))
		for i, f := range some {
			if part[i].Type, part[i].Data, err = station.Encode(f); err != nil {
				return note, err
			}
		}
		b, err := json.Marshal(part)
		if err != nil {
			return note, fmt.Errorf("stock: %w", err)
		}
		parts = append(parts, NewSecret(b))
	}
	if note.Parts, err = l.vault.PutAll(KindPart, parts); err != nil {
		return note, err
	}
	note.self, err = l.putNote(KindImport, note)
	return note, err
}

// stated reports whether a batch has terms beside its name.
func stated(b station.StockBatch) bool {
	b.Batch = ""
	name, data, err := station.Encode(b)
	_, none, err2 := station.Encode(station.StockBatch{})
	return err == nil && err2 == nil && name != "" && string(data) != string(none)
}

func (l *Ledger) putNote(kind Kind, note staged) (string, error) {
	b, err := json.Marshal(note)
	if err != nil {
		return "", fmt.Errorf("stock: %w", err)
	}
	return l.vault.Put(kind, NewSecret(b))
}

// unstage forgets an import that is in the log. The first note goes first:
// without the second one it would mean that the codes are to be erased. The parts
// go last: a note without them could not be read.
func (l *Ledger) unstage(note staged) error {
	if err := l.vault.Delete(KindStaging, note.Staging); err != nil {
		return err
	}
	if err := l.vault.Delete(KindImport, note.self); err != nil {
		return err
	}
	return l.vault.deleteAll(KindPart, note.Parts)
}

func (l *Ledger) note(i Item) (staged, error) {
	note := staged{self: i.Handle}
	sealed, err := l.vault.Get(i.Kind, i.Handle)
	if err == nil && json.Unmarshal(sealed.Reveal(), &note) != nil {
		err = &ItemError{Kind: i.Kind, Handle: i.Handle, Err: ErrDamaged}
	}
	return note, err
}

// Recover finishes or undoes what a crash interrupted; it is to be called
// after every start, before the first reservation.
func (l *Ledger) Recover(ctx context.Context, j Journal) error {
	l.importing.Lock()
	defer l.importing.Unlock()
	if err := l.recover(ctx, j); err != nil {
		return err
	}
	return l.dropPackages()
}

// FinishImports finishes or undoes imports that a crash or a log that stopped cut
// off. Unlike [Ledger.Recover] it may be called at any time.
func (l *Ledger) FinishImports(ctx context.Context, j Journal) error {
	l.importing.Lock()
	defer l.importing.Unlock()
	return l.recover(ctx, j)
}

func (l *Ledger) recover(ctx context.Context, j Journal) error {
	ready, err := l.vault.List(KindImport)
	if err != nil {
		return err
	}
	for _, item := range ready {
		note, err := l.note(item)
		if err != nil {
			return err
		}
		facts, err := l.missing(note)
		if err != nil {
			return err
		}
		if err := writeFacts(ctx, note.Scope, j, facts); err != nil {
			return fmt.Errorf("stock: finish an import: %w", err)
		}
		if err := l.unstage(note); err != nil {
			return err
		}
	}
	staging, err := l.vault.List(KindStaging)
	if err != nil {
		return err
	}
	for _, item := range staging {
		if err := l.undo(item); err != nil {
			return err
		}
	}
	parts, err := l.vault.List(KindPart) // no note names them any more, or yet
	if err != nil {
		return err
	}
	return l.vault.deleteAll(KindPart, handles(parts))
}

func handles(items []Item) (out []string) {
	for _, i := range items {
		out = append(out, i.Handle)
	}
	return out
}

// staged are the facts of an import.
func (l *Ledger) staged(note staged) (facts []stagedFact, err error) {
	for _, h := range note.Parts {
		sealed, err := l.vault.Get(KindPart, h)
		if err != nil {
			return nil, err
		}
		var part []stagedFact
		if json.Unmarshal(sealed.Reveal(), &part) != nil {
			return nil, &ItemError{Kind: KindPart, Handle: h, Err: ErrDamaged}
		}
		facts = append(facts, part...)
	}
	return facts, nil
}

// missing are the facts of an import that the log does not have.
func (l *Ledger) missing(note staged) (facts []station.Fact, err error) {
	all, err := l.staged(note)
	if err != nil {
		return nil, err
	}
	err = l.views(func(v audit.View) error {
		for _, s := range all {
			f, err := station.Decode(s.Type, s.Data)
			if err != nil {
				return err
			}
			if handle, ok := station.StockHandle(f); ok {
				item, known, err := ItemOf(v, handle)
				if err != nil {
					return err
				}
				_, releases := f.(station.ProfileReleased) // of [Ledger.Apply]
				if known && !(releases && item.Unreconciled()) {
					continue
				}
			}
			facts = append(facts, f)
		}
		return nil
	})
	return facts, err
}

// undo erases the codes of an import that never got as far as its second note.
func (l *Ledger) undo(item Item) error {
	note, err := l.note(item)
	if err != nil {
		return err
	}
	err = l.views(func(v audit.View) error {
		for _, h := range note.Handles {
			// Cannot be; a code in the ledger is never erased here.
			if _, known, err := ItemOf(v, h); err != nil || known {
				return errors.Join(err, &ItemError{Kind: item.Kind, Handle: item.Handle, Err: ErrDamaged})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := l.vault.deleteAll(note.Kind, note.Handles); err != nil {
		return err
	}
	return l.vault.Delete(item.Kind, item.Handle)
}

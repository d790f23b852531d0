package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"linefit/audit"
	"linefit/station"
)

// staged is the note of an import that is not finished. While Facts is empty
// the codes are not all in the vault yet.
type staged struct {
	Kind    Kind          `json:"kind"`
	Handles []string      `json:"handles"`
	Facts   []stagedFact  `json:"facts,omitempty"`
	Scope   station.Scope `json:"scope"`
	Staging string        `json:"staging,omitempty"` // the earlier note

	self string // handle of this note
}

type stagedFact struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// stage seals secrets and a note of what is to be written to the log. It
// returns the facts to write: those given, then one for each profile.
func (l *Ledger) stage(kind Kind, items []station.StockImported, secrets []Secret, facts []station.Fact, at station.Scope) ([]station.Fact, staged, error) {
	note := staged{Kind: kind, Handles: make([]string, len(items)), Scope: at}
	for i, item := range items {
		note.Handles[i] = newHandle()
		item.Handle = note.Handles[i]
		facts = append(facts, item)
	}
	var err error
	if note.Staging, err = l.putNote(KindStaging, note); err != nil {
		return nil, note, err
	}
	if err := l.vault.putAs(kind, note.Handles, secrets); err != nil {
		return nil, note, errors.Join(err, l.vault.Delete(KindStaging, note.Staging))
	}
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, note, err
		}
		note.Facts = append(note.Facts, stagedFact{name, data})
	}
	if note.self, err = l.putNote(KindImport, note); err != nil { // it may be there all the same
		err = fmt.Errorf("stock: %w: %w", ErrUnfinished, err)
	}
	return facts, note, err
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
// without the second one it would mean that the codes are to be erased.
func (l *Ledger) unstage(note staged) error {
	if err := l.vault.Delete(KindStaging, note.Staging); err != nil {
		return err
	}
	return l.vault.Delete(KindImport, note.self)
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
	return nil
}

// missing are the facts of an import that the log does not have.
func (l *Ledger) missing(note staged) (facts []station.Fact, err error) {
	err = l.views(func(v audit.View) error {
		for _, s := range note.Facts {
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
	for _, h := range note.Handles {
		known := false
		err := l.views(func(v audit.View) error {
			var err error
			_, known, err = ItemOf(v, h)
			return err
		})
		if err != nil {
			return err
		}
		if known { // cannot be; a code in the ledger is never erased here
			return &ItemError{Kind: item.Kind, Handle: item.Handle, Err: ErrDamaged}
		}
		if err := l.vault.Delete(note.Kind, h); err != nil {
			return err
		}
	}
	return l.vault.Delete(item.Kind, item.Handle)
}

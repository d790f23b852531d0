package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Source is a list of codes as it came.
type Source struct {
	Name string // for messages: the file's path
	Data []byte
	// Batch has the terms under which the profiles were bought, Batch.Batch is
	// the name of the batch; what the file says itself goes first.
	Batch station.StockBatch
}

// Imported says what an import did.
type Imported struct {
	Batches  []string `json:"batches"`
	Profiles int      `json:"profiles"`
	Warnings []string `json:"warnings,omitempty"`
}

// chunk is how many facts go to the journal at once.
const chunk = 32

// Import takes a list of activation codes into the vault and the ledger: all
// of it or nothing. The error of a list with mistakes is strictyaml.Problems,
// with every mistake's file, line and column; then nothing was done.
//
// Codes are sealed and flushed first, then a sealed note of what is to be
// written to the log, then the log. After a crash before the note [Ledger.Recover]
// erases the codes; after it, it writes what is missing in the log. An error
// of the journal leaves the note, too.
func (l *Ledger) Import(ctx context.Context, src Source, at station.Scope, j Journal) (Imported, error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	if err := l.recover(ctx, j); err != nil {
		return Imported{}, err
	}
	sheet := readSheet(src.Name, src.Data)
	list, batch := sheet.check(src.Batch, time.Now())
	out := Imported{Profiles: len(list), Warnings: warnings(src.Name, list)}
	damaged, err := l.known(sheet, list)
	if err != nil {
		return Imported{}, err
	}
	if err := sheet.err(); err != nil {
		return Imported{}, err
	}
	for _, h := range damaged {
		out.Warnings = append(out.Warnings, fmt.Sprintf("code %s in the vault is damaged: whether it is in this list cannot be said", h))
	}
	facts, note, err := l.stage(list, batch, at)
	if err != nil {
		return Imported{}, err
	}
	for _, p := range list {
		if !slices.Contains(out.Batches, p.fact.Batch) {
			out.Batches = append(out.Batches, p.fact.Batch)
		}
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return Imported{}, fmt.Errorf("stock: the list is in the vault; the log took it not or not whole, and gets the rest at the next start: %w", err)
	}
	return out, l.unstage(note)
}

// known notes profiles that the ledger or the vault has already. It returns the
// codes that cannot be compared since they are damaged.
func (l *Ledger) known(s *sheet, list []profile) (damaged []string, err error) {
	err = l.views(func(v audit.View) error {
		for _, p := range list {
			if p.fact.ICCID == "" {
				continue
			}
			items, err := ByICCID(v, p.fact.ICCID)
			if err != nil {
				return err
			}
			if len(items) > 0 {
				s.at(p.row, "iccid", "%s is in the stock already: batch %s, %s", p.fact.ICCID, items[0].Batch, items[0].State)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	have, damaged, err := l.fingerprints()
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.code.Text.Empty() {
			continue
		}
		if handle, ok := have[l.vault.fingerprint(codeKey(p.code, p.fact.EID))]; ok {
			s.at(p.row, "activation_code", "this code is in the stock already, or was: profile %s", handle)
		}
	}
	return damaged, nil
}

// fingerprints are those of all codes that are or were in the vault, with
// their handles.
func (l *Ledger) fingerprints() (have map[string]string, damaged []string, err error) {
	items, err := l.vault.List(KindCode, KindSeen)
	if err != nil {
		return nil, nil, err
	}
	have = make(map[string]string, len(items))
	for _, item := range items {
		print, err := l.fingerprintOf(item)
		switch {
		case errors.Is(err, ErrDamaged):
			damaged = append(damaged, item.Handle)
		case err != nil:
			return nil, nil, err
		default:
			have[print.Print] = print.Handle
		}
	}
	return have, damaged, nil
}

// seen is what stays of an erased code.
type seen struct {
	Handle string `json:"handle"`
	Print  string `json:"print"`
}

func (l *Ledger) fingerprintOf(item Item) (seen, error) {
	sealed, err := l.vault.Get(item.Kind, item.Handle)
	if err != nil {
		return seen{}, err
	}
	if item.Kind == KindSeen {
		var s seen
		if json.Unmarshal(sealed.Reveal(), &s) != nil {
			return seen{}, ErrDamaged
		}
		return s, nil
	}
	a, eid, err := unsealActivation(sealed)
	return seen{Handle: item.Handle, Print: l.vault.fingerprint(codeKey(a, eid))}, err
}

// staged is the note of an import that is not finished. While Facts is empty
// the codes are not all in the vault yet.
type staged struct {
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

// stage seals the codes and the note, and returns the facts to write.
func (l *Ledger) stage(list []profile, batch station.StockBatch, at station.Scope) ([]station.Fact, staged, error) {
	note := staged{Handles: make([]string, len(list)), Scope: at}
	codes := make([]Secret, len(list))
	var facts []station.Fact
	if stated(batch) {
		facts = append(facts, batch)
	}
	for i, p := range list {
		note.Handles[i] = newHandle()
		p.fact.Handle = note.Handles[i]
		facts = append(facts, p.fact)
		sealed, err := p.code.seal(p.fact.EID)
		if err != nil {
			return nil, note, err
		}
		codes[i] = sealed
	}
	var err error
	if note.Staging, err = l.putNote(KindStaging, note); err != nil {
		return nil, note, err
	}
	if err := l.vault.putAs(KindCode, note.Handles, codes); err != nil {
		return nil, note, errors.Join(err, l.vault.Delete(KindStaging, note.Staging))
	}
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, note, err
		}
		note.Facts = append(note.Facts, stagedFact{name, data})
	}
	note.self, err = l.putNote(KindImport, note)
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
				_, known, err := ItemOf(v, handle)
				if err != nil {
					return err
				}
				if known {
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
		if err := l.vault.Delete(KindCode, h); err != nil {
			return err
		}
	}
	return l.vault.Delete(item.Kind, item.Handle)
}

// writeFacts appends facts in order and waits for the last one.
func writeFacts(ctx context.Context, at station.Scope, j Journal, facts []station.Fact) error {
	for len(facts) > chunk {
		if err := j.Queue(ctx, at, facts[:chunk]...); err != nil {
			return err
		}
		facts = facts[chunk:]
	}
	if len(facts) == 0 {
		return nil
	}
	return j.Gate(ctx, at, facts...)
}

// Wipe erases an imported file as far as its file system allows.
func Wipe(path string) error {
	if err := errors.Join(erase(path), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("wipe %s: %w", path, err)
	}
	return nil
}

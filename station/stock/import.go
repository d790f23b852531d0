package stock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Source is a list of codes as it came.
type Source struct {
	Name string // for messages: the file's path
	Data []byte
	// Batch has the terms under which the profiles were bought, Batch.Batch is
	// the name of the batch; what the file says itself goes first.
	Batch station.StockBatch
	Share ShareRule
	// Claim asks for the sole use of a list that does not say for which station it
	// is, once nothing else is wrong with it; nil: nobody is asked, and the station
	// declares it.
	Claim func(ctx context.Context, c ListClaim) (ref string, err error)
}

// Imported says what an import did.
type Imported struct {
	Batches  []string `json:"batches"`
	Profiles int      `json:"profiles"`
	Warnings []string `json:"warnings,omitempty"`
	// Others are lines for other stations, which were left out.
	Others int `json:"others,omitempty"`
	// Sole says by what this station alone uses the list: its share of a split one,
	// the list's own word, a claim at the MES, or this station's declaration.
	Sole string `json:"sole,omitempty"`
}

// ErrUnfinished says that an import was begun and not ended: what is missing is
// written, or undone, at the next start or import. Whether the station has the
// codes is not known until then.
var ErrUnfinished = errors.New("the list is in the vault; the log took it not or not whole, and gets the rest at the next start")

// ErrFromMES says that the station takes its codes from the MES alone.
var ErrFromMES = errors.New("this station's codes come with the MES's route checks (stock.source: mes): no list is taken")

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
	if l.mes {
		return Imported{}, ErrFromMES
	}
	if err := l.recover(ctx, j); err != nil {
		return Imported{}, err
	}
	l.prints = nil
	src.Batch.Share = "" // what it is by is for the ledger to say
	data, share, err := src.Share.open(src.Data)
	if err != nil {
		return Imported{}, fmt.Errorf("stock: %s: %w", src.Name, err)
	}
	sheet := readSheet(src.Name, data, codeColumns)
	list, batch := sheet.check(src.Batch, time.Now())
	list, others := sheet.mine(list, src.Share.Station)
	out := Imported{Others: others, Profiles: len(list), Warnings: warnings(src.Name, list)}
	damaged, err := l.known(sheet, list)
	if err != nil {
		return Imported{}, err
	}
	if err := sheet.err(); err != nil {
		return Imported{}, err
	}
	if len(list) == 0 {
		return Imported{}, fmt.Errorf("stock: %s: %w: all of its %d lines are for others, this is %q", src.Name, ErrOtherStation, others, src.Share.Station)
	}
	for _, h := range damaged {
		out.Warnings = append(out.Warnings, fmt.Sprintf("code %s in the vault is damaged: whether it is in this list cannot be said", h))
	}
	for _, p := range list {
		if !slices.Contains(out.Batches, p.fact.Batch) {
			out.Batches = append(out.Batches, p.fact.Batch)
		}
	}
	if out.Sole, err = sole(ctx, src, list, out.Batches, share); err != nil {
		return Imported{}, err
	}
	terms, err := l.terms(batch, out.Batches, out.Sole, share != nil || src.Claim != nil)
	if err != nil {
		return Imported{}, err
	}
	items, codes := make([]station.StockImported, len(list)), make([]Secret, len(list))
	for i, p := range list {
		items[i] = p.fact
		if codes[i], err = p.code.seal(p.fact.EID); err != nil {
			return Imported{}, err
		}
	}
	facts, note, err := l.stage(KindCode, items, codes, terms, at)
	if err != nil {
		return Imported{}, err
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return Imported{}, fmt.Errorf("stock: %w: %w", ErrUnfinished, err)
	}
	return out, l.unstage(note)
}

// terms are the facts about batches that an import adds: what it states, and by
// what the station alone uses it.
func (l *Ledger) terms(batch station.StockBatch, names []string, by string, always bool) (facts []station.Fact, err error) {
	if !always && by != SoleNamed {
		if stated(batch) {
			facts = append(facts, batch)
		}
		return facts, nil
	}
	err = l.views(func(v audit.View) error {
		for _, name := range names {
			b, _, err := Terms(v, name)
			if err != nil {
				return err
			}
			if name == batch.Batch && stated(batch) {
				b = batch
			}
			b.Batch, b.Share = name, by
			facts = append(facts, b)
		}
		return nil
	})
	return facts, err
}

// known notes profiles that the ledger or the vault has already. It returns the
// codes that cannot be compared since they are damaged.
func (l *Ledger) known(s *sheet, list []profile) (damaged []string, err error) {
	err = l.views(func(v audit.View) error {
		have := map[string]station.StockBatch{}
		for _, p := range list {
			if err := s.sameCustomer(v, p, have); err != nil {
				return err
			}
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

// sameCustomer notes a profile for another customer than the one whose batch it
// would come into. have are the batches' terms so far.
func (s *sheet) sameCustomer(v audit.View, p profile, have map[string]station.StockBatch) error {
	b, ok := have[p.fact.Batch]
	if !ok {
		var err error
		if b, _, err = Terms(v, p.fact.Batch); err != nil {
			return err
		}
		have[p.fact.Batch] = b
	}
	if b.Customer != "" && p.fact.Customer != "" && p.fact.Customer != b.Customer {
		s.at(p.row, "customer", "%s, and batch %s in the stock is for customer %s", quote(p.fact.Customer), p.fact.Batch, quote(b.Customer))
	}
	return nil
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

// Knows reports whether an activation code for an eUICC is, or was, in the
// stock, and as which profile.
func (l *Ledger) Knows(code Activation, eid ident.EID) (handle string, found bool, err error) {
	have, _, err := l.fingerprints()
	if err != nil {
		return "", false, err
	}
	handle, found = have[l.vault.fingerprint(codeKey(code, eid))]
	return handle, found, nil
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

// writeFacts appends facts in order and waits for each batch: one that was lost
// must not go unseen because a later one was taken.
func writeFacts(ctx context.Context, at station.Scope, j Journal, facts []station.Fact) error {
	for len(facts) > chunk {
		if err := j.Gate(ctx, at, facts[:chunk]...); err != nil {
			return err
		}
		facts = facts[chunk:]
	}
	if len(facts) == 0 {
		return nil
	}
	return j.Gate(ctx, at, facts...)
}

// Wipe erases an imported file as far as its file system allows; of a symbolic
// link both it and the file that it leads to.
func Wipe(path string) error {
	file, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) { // it was done before
		file, err = filepath.Clean(path), nil
	}
	if err != nil {
		return fmt.Errorf("wipe %s: %w", path, err)
	}
	err = errors.Join(erase(file), syncDir(filepath.Dir(file)))
	if file != filepath.Clean(path) {
		if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) { // a folder on the way may be the link
			err = errors.Join(err, gone)
		}
		err = errors.Join(err, syncDir(filepath.Dir(path)))
	}
	if err != nil {
		return fmt.Errorf("wipe %s: %w", path, err)
	}
	return nil
}

package pairing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
)

// Views reads a consistent state of the log.
type Views func(fn func(audit.View) error) error

// Journal writes facts; see stock.Journal.
type Journal interface {
	Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error
}

// Book is the lists as people and steps work with them.
type Book struct {
	views   Views
	journal Journal
	writing sync.Mutex // one import at a time: each is compared with what is in force
}

// NewBook makes a book over a log that has the [Projection].
func NewBook(views Views, journal Journal) *Book { return &Book{views: views, journal: journal} }

// Errors of [Book.Free].
var (
	ErrNoUnit = errors.New("pairing: no such module or eUICC is on a list or in use")
	ErrUnused = errors.New("pairing: no unit has used it")
)

// Intake is what an import took in.
type Intake struct {
	List  string `json:"list"`
	Units int    `json:"units"` // lines of the file
	New   int    `json:"new"`   // that no list in force had
	// Replaced lines say something else than an earlier list.
	Replaced int      `json:"replaced"`
	Warnings []string `json:"warnings,omitempty"`
	// Again says that this very file is in force already; nothing was written.
	Again bool `json:"again,omitempty"`
}

// linesPerFact bounds an entry.
const linesPerFact = 100

// Import takes a list in, all of it or nothing; it takes a lead. The error is
// strictyaml.Problems where the file has mistakes, or contradicts a list in
// force and replace is not set.
func (b *Book) Import(ctx context.Context, by station.Person, name string, data []byte, replace bool) (out Intake, err error) {
	if err := by.Allow(station.RoleLead, "importing pairing lists"); err != nil {
		return out, err
	}
	lines, warnings, err := Read(name, data)
	if err != nil {
		return out, err
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	out = Intake{List: "L-" + digest[:16], Units: len(lines), Warnings: warnings}
	b.writing.Lock()
	defer b.writing.Unlock()
	var fresh []station.PairedUnit
	err = b.views(func(v audit.View) error {
		lists, err := open(v)
		if err != nil {
			return err
		}
		if newest, any := lists.last(); any && newest.Digest == digest {
			out.Again = true
			return nil
		}
		fresh, err = lists.compare(name, lines, replace, &out)
		return err
	})
	if err != nil || out.Again {
		return out, err
	}
	return out, b.write(ctx, station.Scope{Actor: by.Actor}, name, digest, out, fresh)
}

func (b *Book) write(ctx context.Context, at station.Scope, name, digest string, out Intake, units []station.PairedUnit) error {
	for part := range slices.Chunk(units, linesPerFact) {
		if err := b.journal.Gate(ctx, at, station.PairingImported{List: out.List, Units: part}); err != nil {
			return fmt.Errorf("pairing list: %w", err)
		}
	}
	err := b.journal.Gate(ctx, at, station.PairingListed{List: out.List, File: base(name), Units: out.Units, Digest: digest})
	if err != nil {
		return fmt.Errorf("pairing list: %w", err)
	}
	return nil
}

// base is the last part of a path, whatever machine it comes from.
func base(path string) string {
	name := path[strings.LastIndexAny(path, `/\`)+1:]
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "")
	}
	return name
}

// last is the newest list in force.
func (b books) last() (newest Listing, any bool) {
	for _, l := range b.lists {
		if !any || l.Seq > newest.Seq {
			newest, any = l, true
		}
	}
	return newest, any
}

// compare finds the lines that are new, and those that say something else than
// a list in force.
func (b books) compare(name string, lines []Line, replace bool, out *Intake) (fresh []station.PairedUnit, err error) {
	var found strictyaml.Problems
	problem := func(l Line, format string, args ...any) {
		found = append(found, strictyaml.Problem{File: name, Line: l.Line, Column: 1, Text: fmt.Sprintf(format, args...) + "; import it with --replace where this list corrects it"})
	}
	for _, l := range lines {
		old, listed, err := b.ofIMEI(l.IMEI)
		if err != nil {
			return nil, err
		}
		if listed && old.PairedUnit == l.PairedUnit {
			continue
		}
		fresh = append(fresh, l.PairedUnit)
		other, cardListed, err := b.ofEID(l.EID)
		if err != nil {
			return nil, err
		}
		switch {
		case listed && replace, cardListed && replace:
			out.Replaced++
		case listed:
			problem(l, "IMEI %s is on list %s (%s) with %s", l.IMEI, old.List, b.lists[old.List].File, difference(old.PairedUnit, l.PairedUnit))
		case cardListed:
			problem(l, "EID %s is on list %s (%s) with IMEI %s", l.EID, other.List, b.lists[other.List].File, other.IMEI)
		default:
			out.New++
		}
	}
	return fresh, found.Err()
}

// difference is the first thing in which an old line differs.
func difference(old, now station.PairedUnit) string {
	switch {
	case old.EID != now.EID:
		return "EID " + string(old.EID)
	case old.Module != now.Module:
		return fmt.Sprintf("module serial %q", old.Module)
	case old.Firmware != now.Firmware:
		return fmt.Sprintf("firmware %q", old.Firmware)
	case old.Bootstrap != now.Bootstrap:
		return fmt.Sprintf("bootstrap ICCID %q", string(old.Bootstrap))
	}
	return fmt.Sprintf("reel %q", old.Reel)
}

// Listed is what [Book.List] shows.
type Listed struct {
	Lists []Listing `json:"lists"`
	Units []Paired  `json:"units"`
	// More says that there are more units than were asked for.
	More bool `json:"more,omitempty"`
}

// Filter chooses lines.
type Filter struct {
	ID   string // imei:, eid:, module:, or either number by itself
	List string
	Reel string
}

// List shows the lists in force, newest first, and at most limit of their lines.
func (b *Book) List(f Filter, limit int) (out Listed, err error) {
	out = Listed{Lists: []Listing{}, Units: []Paired{}}
	err = b.views(func(v audit.View) error {
		lists, err := open(v)
		if err != nil {
			return err
		}
		for _, l := range lists.lists {
			out.Lists = append(out.Lists, l)
		}
		slices.SortFunc(out.Lists, func(x, y Listing) int { return -compare(x.Seq, y.Seq) })
		if f.ID != "" {
			p, found, err := lists.find(f.ID)
			if err == nil && !found {
				err = fmt.Errorf("%w: %q", ErrNoUnit, f.ID)
			}
			if found {
				out.Units = append(out.Units, p)
			}
			return err
		}
		return lists.each(f, func(p Paired) error {
			if len(out.Units) >= limit {
				out.More = true
				return audit.ErrStop
			}
			out.Units = append(out.Units, p)
			return nil
		})
	})
	return out, err
}

// each calls fn for every module's line in force, by IMEI.
func (b books) each(f Filter, fn func(Paired) error) error {
	last := ident.IMEI("")
	return b.r.Iterate([]byte("i/"), func(key, _ []byte) error {
		text, _, _ := strings.Cut(strings.TrimPrefix(string(key), "i/"), "/")
		imei := ident.IMEI(text)
		if imei == last {
			return nil
		}
		last = imei
		p, found, err := b.ofIMEI(imei)
		if err != nil || !found || f.List != "" && p.List != f.List || f.Reel != "" && p.Reel != f.Reel {
			return err
		}
		if p, err = b.used(p); err != nil {
			return err
		}
		return fn(p)
	})
}

// used completes a line with the unit that uses it.
func (b books) used(p Paired) (Paired, error) {
	module, card, err := b.users(p.IMEI, p.EID)
	p.Unit = module
	if module == "" {
		p.Unit = card
	}
	return p, err
}

// find finds a line by what a person has at hand.
func (b books) find(id string) (p Paired, found bool, err error) {
	kind, text, named := strings.Cut(id, ":")
	if !named {
		kind, text = "module", id
		switch len(id) {
		case 15:
			kind = "imei"
		case 32:
			kind = "eid"
		}
	}
	switch kind {
	case "imei":
		p, found, err = b.ofIMEI(ident.IMEI(text))
	case "eid":
		p, found, err = b.ofEID(ident.EID(text))
	case "module":
		p, found, err = b.ofModule(text)
	}
	if err != nil || !found {
		return p, false, err
	}
	p, err = b.used(p)
	return p, true, err
}

// Free lets a module, with its eUICC, be used by another unit than the one that
// had it; it takes a lead, and a reason. ID is imei: or eid:, on a list or not.
func (b *Book) Free(ctx context.Context, by station.Person, id, why string) (f station.PairingFreed, err error) {
	if err := by.Allow(station.RoleLead, "freeing a module"); err != nil {
		return f, err
	}
	if strings.TrimSpace(why) == "" {
		return f, station.Refuse(station.ScanInvalid, "a reason is needed: why may it be used again?")
	}
	err = b.views(func(v audit.View) error {
		lists, err := open(v)
		if err != nil {
			return err
		}
		f, err = lists.freed(id)
		return err
	})
	if err != nil {
		return f, err
	}
	f.Why = why
	return f, b.journal.Gate(ctx, station.Scope{Actor: by.Actor, Unit: f.From}, f)
}

// freed names what would be freed.
func (b books) freed(id string) (f station.PairingFreed, err error) {
	p, listed, err := b.find(id)
	if err != nil {
		return f, err
	}
	if listed {
		f.IMEI, f.EID = p.IMEI, p.EID
	} else {
		text := id[strings.Index(id, ":")+1:]
		if imei, err := ident.ParseIMEI(text); err == nil {
			f.IMEI = imei
		} else if eid, err := ident.ParseEID(text); err == nil {
			f.EID = eid
		} else {
			return f, fmt.Errorf("%w: %q", ErrNoUnit, id)
		}
	}
	module, card, err := b.users(f.IMEI, f.EID)
	switch {
	case err != nil:
		return f, err
	case module == "" && card == "":
		return f, fmt.Errorf("%w: %q", ErrUnused, id)
	case module != "":
		f.From = module
	default:
		f.From = card
	}
	return f, nil
}

package pairing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

const projection = "pairing/1"

// Projection derives lists and uses from the log. Its keys:
//
//	l/<list>              Listing, once the list is in force
//	i/<imei>/<list>       station.PairedUnit
//	e/<eid>/<list>        IMEI of the line
//	m/<module>\x00<list>  IMEI of the line
//	ui/<imei>, ue/<eid>   the unit that uses it
//	r/<run>               identity of a run that is not bound yet
type Projection struct{}

// Name implements audit.Projection.
func (Projection) Name() string { return projection }

// Listing is a list that is in force.
type Listing struct {
	List   string `json:"list"`
	File   string `json:"file"`
	Units  int    `json:"units"`
	Digest string `json:"digest"` // SHA-256 of the file
	UTC    string `json:"utc"`
	By     string `json:"by"`
	Seq    uint64 `json:"seq"` // of the entry that put it into force
}

var factTypes = station.TypesOf(
	station.PairingImported{}, station.PairingListed{}, station.PairingFreed{},
	station.UnitIdentified{}, station.StepEnded{}, station.StepsEnded{}, station.RunVerdict{},
)

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	if !factTypes[e.Type] {
		return nil
	}
	fact, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	switch f := fact.(type) {
	case station.PairingImported:
		return addLines(txn, f)
	case station.PairingListed:
		return audit.SetJSON(txn, "l/"+f.List, Listing{List: f.List, File: f.File, Units: f.Units, Digest: f.Digest, UTC: e.UTC.UTC().Format(time.RFC3339), By: e.Actor, Seq: e.Seq})
	case station.PairingFreed:
		return free(txn, f)
	case station.UnitIdentified:
		return identified(txn, e.Run, f)
	case station.StepEnded, station.StepsEnded:
		if slices.ContainsFunc(station.StepsOf(f), binds) {
			return bound(txn, e)
		}
	case station.RunVerdict:
		return txn.Delete([]byte("r/" + e.Run))
	}
	return nil
}

// binds reports whether an attempt has shown that the unit is the scanned one.
func binds(f station.StepEnded) bool { return f.Kind == station.KindBind && f.Outcome == station.OK }

func addLines(txn audit.Txn, f station.PairingImported) error {
	for _, u := range f.Units {
		if err := audit.SetJSON(txn, "i/"+string(u.IMEI)+"/"+f.List, u); err != nil {
			return err
		}
		if err := txn.Set([]byte("e/"+string(u.EID)+"/"+f.List), []byte(u.IMEI)); err != nil {
			return err
		}
		if u.Module == "" {
			continue
		}
		if err := txn.Set([]byte("m/"+u.Module+"\x00"+f.List), []byte(u.IMEI)); err != nil {
			return err
		}
	}
	return nil
}

// free takes a use away, where it is that of the unit that the fact names.
func free(txn audit.Txn, f station.PairingFreed) error {
	for _, key := range []string{"ui/" + string(f.IMEI), "ue/" + string(f.EID)} {
		by, _, err := txn.Get([]byte(key))
		if err != nil {
			return err
		}
		if string(by) != string(f.From) {
			continue
		}
		if err := txn.Delete([]byte(key)); err != nil {
			return err
		}
	}
	return nil
}

// seen is the identity of a run that is not bound yet.
type seen struct {
	IMEI ident.IMEI `json:"imei,omitempty"`
	EID  ident.EID  `json:"eid,omitempty"`
}

func identified(txn audit.Txn, run string, f station.UnitIdentified) error {
	if f.IMEI == "" && f.EID == "" {
		return nil
	}
	var s seen
	if _, err := audit.GetJSON(txn, "r/"+run, &s); err != nil {
		return err
	}
	if f.IMEI != "" {
		s.IMEI = f.IMEI
	}
	if f.EID != "" {
		s.EID = f.EID
	}
	return audit.SetJSON(txn, "r/"+run, s)
}

// bound: module and eUICC are the unit's from now on.
func bound(txn audit.Txn, e audit.Entry) error {
	var s seen
	if _, err := audit.GetJSON(txn, "r/"+e.Run, &s); err != nil {
		return err
	}
	if s.IMEI != "" {
		if err := txn.Set([]byte("ui/"+string(s.IMEI)), []byte(e.Unit)); err != nil {
			return err
		}
	}
	if s.EID != "" {
		return txn.Set([]byte("ue/"+string(s.EID)), []byte(e.Unit))
	}
	return nil
}

// books is a consistent state of the lists.
type books struct {
	r     audit.Reader
	lists map[string]Listing
}

func open(v audit.View) (books, error) {
	b := books{lists: map[string]Listing{}}
	var err error
	if b.r, err = v.Projection(projection); err != nil {
		return b, err
	}
	return b, b.r.Iterate([]byte("l/"), func(_, value []byte) error {
		var l Listing
		if err := json.Unmarshal(value, &l); err != nil {
			return fmt.Errorf("pairing: list: %w", err)
		}
		b.lists[l.List] = l
		return nil
	})
}

// newest gives the values under a prefix that belong to lists in force, newest
// list first.
func (b books) newest(prefix string) (values [][]byte, lists []Listing, err error) {
	type found struct {
		value []byte
		list  Listing
	}
	var all []found
	err = b.r.Iterate([]byte(prefix), func(key, value []byte) error {
		if l, inForce := b.lists[strings.TrimPrefix(string(key), prefix)]; inForce {
			all = append(all, found{value, l})
		}
		return nil
	})
	slices.SortFunc(all, func(x, y found) int { return -compare(x.list.Seq, y.list.Seq) })
	for _, f := range all {
		values, lists = append(values, f.value), append(lists, f.list)
	}
	return values, lists, err
}

func compare(x, y uint64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Paired is a line that is in force, and who uses it.
type Paired struct {
	station.PairedUnit
	List string         `json:"list"`
	Unit station.Serial `json:"unit,omitempty"` // that uses it
}

// ofIMEI is the line of a module; found is false where no list in force has it.
func (b books) ofIMEI(imei ident.IMEI) (p Paired, found bool, err error) {
	values, lists, err := b.newest("i/" + string(imei) + "/")
	if err != nil || len(values) == 0 || imei == "" {
		return p, false, err
	}
	p.List = lists[0].List
	if err := json.Unmarshal(values[0], &p.PairedUnit); err != nil {
		return p, false, fmt.Errorf("pairing: IMEI %s: %w", imei, err)
	}
	return p, true, nil
}

// by is the line to which a key of another column leads, where that line still
// says so.
func (b books) by(prefix string, same func(Paired) bool) (p Paired, found bool, err error) {
	values, _, err := b.newest(prefix)
	if err != nil {
		return p, false, err
	}
	for _, imei := range values {
		p, found, err := b.ofIMEI(ident.IMEI(imei))
		if err != nil || found && same(p) {
			return p, err == nil, err
		}
	}
	return Paired{}, false, nil
}

func (b books) ofEID(eid ident.EID) (Paired, bool, error) {
	return b.by("e/"+string(eid)+"/", func(p Paired) bool { return p.EID == eid })
}

func (b books) ofModule(serial string) (Paired, bool, error) {
	return b.by("m/"+serial+"\x00", func(p Paired) bool { return p.Module == serial })
}

// users are the units that use a module and an eUICC.
func (b books) users(imei ident.IMEI, eid ident.EID) (module, card station.Serial, err error) {
	m, _, err := b.r.Get([]byte("ui/" + string(imei)))
	if err != nil {
		return "", "", err
	}
	c, _, err := b.r.Get([]byte("ue/" + string(eid)))
	return station.Serial(m), station.Serial(c), err
}

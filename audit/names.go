package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Names is a projection that finds the units behind an identifier as a
// [Resolver] does, without reading the log. Its keys:
//
//	i \x00 identifier \x00 unit   an entry of the unit states the identifier
//	a \x00 unit \x00 serial       an entry of the unit states another serial
type Names struct{}

const namesName = "names/1"

// Name implements [Projection].
func (Names) Name() string { return namesName }

// stating are the member names without which data states no identifier.
var stating = [][]byte{[]byte(`"imei"`), []byte(`"eid"`), []byte(`"iccid"`), []byte(`"serial"`), []byte(`"position"`)}

// maxIdentifier bounds an identifier that is kept; longer ones are none.
const maxIdentifier = 256

// Apply implements [Projection].
func (Names) Apply(txn Txn, e Entry) error {
	if e.Unit == "" || !slices.ContainsFunc(stating, func(name []byte) bool { return bytes.Contains(e.Data, name) }) {
		return nil
	}
	for _, id := range Identifiers(e) {
		if len(id) > maxIdentifier || strings.ContainsRune(id, 0) {
			continue
		}
		if err := txn.Set(nameKey('i', id, e.Unit), nil); err != nil {
			return err
		}
		if !strings.Contains(id, ":") && id != e.Unit {
			if err := txn.Set(nameKey('a', e.Unit, id), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func nameKey(table byte, first, second string) []byte {
	return []byte(string(table) + "\x00" + first + "\x00" + second)
}

// UnitsOf returns the units that an identifier may find, sorted: all that a
// Resolver would find in the whole log, and the identifier itself.
func UnitsOf(v View, id string) ([]string, error) {
	r, err := v.Projection(namesName)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	units, todo := map[string]bool{}, []string{}
	add := func(unit string) {
		if unit != "" && !units[unit] {
			units[unit] = true
			todo = append(todo, unit)
		}
	}
	each := func(table byte, first string) error {
		prefix := nameKey(table, first, "")
		return r.Iterate(prefix, func(key, _ []byte) error {
			add(string(key[len(prefix):]))
			return nil
		})
	}
	add(id)
	err = each('i', id)
	for len(todo) > 0 && err == nil {
		unit := todo[0]
		todo = todo[1:]
		err = errors.Join(err, each('a', unit))
	}
	out := make([]string, 0, len(units))
	for u := range units {
		out = append(out, u)
	}
	slices.Sort(out)
	return out, err
}

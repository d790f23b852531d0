package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/station"
)

// Place is where a unit is.
type Place string

// Places. A unit in a slot has the slot's number beside it.
const (
	PlaceQueue  Place = "queue"  // waits for the operator
	PlaceSlot   Place = "slot"   // stands in a fixture
	PlaceRepair Place = "repair" // on the technician's bench
	PlaceOut    Place = "out"    // passed and gone
	PlaceHold   Place = "hold"   // waits for a decision
	PlaceShelf  Place = "shelf"  // passed, and waits for its next recipe
	PlaceScrap  Place = "scrap"
)

// UnitState is what the world remembers of a unit.
type UnitState struct {
	Serial  station.Serial `json:"serial"`
	Label   string         `json:"label"` // what its label's barcode says
	Persona string         `json:"persona"`
	IMEI    ident.IMEI     `json:"imei"`
	EID     ident.EID      `json:"eid"`
	// Generation of the eUICC; empty is SGP.22's.
	Generation euiccsim.Generation `json:"generation,omitempty"`
	// Prepared units come with one-time keys, and are loaded from packages (SGP.41).
	Prepared bool                `json:"prepared,omitempty"`
	Place    Place               `json:"place"`
	Slot     int                 `json:"slot,omitempty"`
	Attempt  int                 `json:"attempt"` // times it was put into a slot
	Order    int                 `json:"order"`   // position in the queue
	Last     station.Disposition `json:"last,omitempty"`
	Saw      Sums                `json:"saw"` // over all stays that ended
}

// state is the world's own file.
type state struct {
	Seed   uint64      `json:"seed"`
	Faults string      `json:"faults"`
	Next   int         `json:"next"` // next position at the queue's end
	Units  []UnitState `json:"units"`
}

// ErrWorld is the error of a folder that holds another world.
var ErrWorld = errors.New("the folder holds another simulated line")

// ledger is the world's file and its only writer.
type ledger struct {
	file string

	mu    sync.Mutex // guards what follows and the file
	st    state
	moves int // changes of a unit since the file was opened
}

// openLedger reads the world's file, or begins one with what fresh makes.
func openLedger(file string, seed uint64, faults string, units int, fresh func(n int) (UnitState, error)) (*ledger, error) {
	l := &ledger{file: file}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.st = state{Seed: seed, Faults: faults}
	case err != nil:
		return nil, fmt.Errorf("simulated line: %w", err)
	default:
		if err := json.Unmarshal(data, &l.st); err != nil {
			return nil, fmt.Errorf("simulated line: %s: %w", file, err)
		}
		if l.st.Seed != seed || l.st.Faults != faults {
			return nil, fmt.Errorf("%w: seed %d and faults %q, not %d and %q", ErrWorld, l.st.Seed, l.st.Faults, seed, faults)
		}
	}
	if len(l.st.Units) > units {
		return nil, fmt.Errorf("%w: %d units, not %d", ErrWorld, len(l.st.Units), units)
	}
	for n := len(l.st.Units); n < units; n++ {
		u, err := fresh(n)
		if err != nil {
			return nil, err
		}
		u.Place, u.Order = PlaceQueue, l.st.Next
		l.st.Next++
		l.st.Units = append(l.st.Units, u)
	}
	return l, l.save()
}

// save writes the file. The caller holds mu, or nobody else has l yet.
func (l *ledger) save() error {
	data, err := json.Marshal(l.st)
	if err != nil {
		return fmt.Errorf("simulated line: %w", err)
	}
	return replace(l.file, data)
}

// replace writes a file by write and rename.
func replace(file string, data []byte) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("simulated line: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("simulated line: %w", err)
	}
	return nil
}

// change changes one unit and keeps the change.
func (l *ledger) change(serial station.Serial, fn func(*state, *UnitState)) (UnitState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.st.Units, func(u UnitState) bool { return u.Serial == serial })
	if i < 0 {
		return UnitState{}, fmt.Errorf("simulated line: there is no unit %s", serial)
	}
	fn(&l.st, &l.st.Units[i])
	l.moves++
	return l.st.Units[i], l.save()
}

// moved counts the changes.
func (l *ledger) moved() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moves
}

// units is a copy of all units.
func (l *ledger) units() []UnitState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.st.Units)
}

// next takes the first unit of the queue, false when it is empty.
func (l *ledger) next() (UnitState, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	best := -1
	for i, u := range l.st.Units {
		if u.Place == PlaceQueue && (best < 0 || u.Order < l.st.Units[best].Order) {
			best = i
		}
	}
	if best < 0 {
		return UnitState{}, false
	}
	return l.st.Units[best], true
}

// nv keeps a module's settings in a file.
type nv struct{ file string }

// Load implements modemsim.NV.
func (n nv) Load() (map[string]string, error) {
	data, err := os.ReadFile(n.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("module settings: %w", err)
	}
	var m map[string]string
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("module settings %s: %w", filepath.Base(n.file), err)
	}
	return m, nil
}

// Save implements modemsim.NV.
func (n nv) Save(m map[string]string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("module settings: %w", err)
	}
	return replace(n.file, data)
}

package rework

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Errors of a search.
var (
	ErrNoUnit   = errors.New("no such unit")
	ErrNoTicket = errors.New("no such ticket")
	// ErrManyUnits says that an identifier belongs to several units, which is a
	// fault that somebody must look into; the error names them.
	ErrManyUnits = errors.New("several units have this identifier")
)

func projection(v audit.View) (audit.Reader, error) {
	r, err := v.Projection(ProjectionName)
	if err != nil {
		return nil, fmt.Errorf("rework: %w", err)
	}
	return r, nil
}

// Count counts units by what became of them last, runs and tickets.
func Count(v audit.View) (Counts, error) {
	var n Counts
	r, err := projection(v)
	if err != nil {
		return n, err
	}
	_, err = audit.GetJSON(r, "n", &n)
	return n, err
}

// UnitOf is what the log says of a unit. A unit that was never here is the zero
// Unit with its serial.
func UnitOf(v audit.View, serial station.Serial) (Unit, error) {
	u := Unit{Serial: serial}
	r, err := projection(v)
	if err != nil {
		return u, err
	}
	_, err = audit.GetJSON(r, "u/"+string(serial), &u)
	return u, err
}

// UnitAndTicket is a unit with its open ticket, nil where it has none: what
// [Policy.Admit] and [Policy.Dispose] want.
func UnitAndTicket(v audit.View, serial station.Serial) (Unit, *station.Ticket, error) {
	u, err := UnitOf(v, serial)
	if err != nil || u.Ticket == "" {
		return u, nil, err
	}
	t, err := TicketOf(v, u.Ticket)
	return u, &t, err
}

// TicketOf finds a ticket by its id.
func TicketOf(v audit.View, id string) (station.Ticket, error) {
	r, err := projection(v)
	if err != nil {
		return station.Ticket{}, err
	}
	var t ticket
	ok, err := audit.GetJSON(r, "t/"+id, &t)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %q", ErrNoTicket, id)
	}
	return t.Ticket, err
}

// Find finds a unit by its serial, or by "sn:", "imei:", "eid:" or "iccid:" and
// a value.
func Find(v audit.View, id string) (Unit, error) {
	serials, err := Serials(v, id)
	switch {
	case err != nil:
		return Unit{}, err
	case len(serials) == 0:
		return Unit{}, fmt.Errorf("%w: %s", ErrNoUnit, id)
	case len(serials) > 1:
		return Unit{}, fmt.Errorf("%w: %s: %v", ErrManyUnits, id, serials)
	}
	u, err := UnitOf(v, serials[0])
	if err == nil && u.Seq == 0 {
		err = fmt.Errorf("%w: %s", ErrNoUnit, id)
	}
	return u, err
}

// Serials lists the units with an identifier, as for [Find].
func Serials(v audit.View, id string) ([]station.Serial, error) {
	kind, value, found := strings.Cut(id, ":")
	var err error
	switch {
	case !found:
		return []station.Serial{station.Serial(id)}, nil
	case kind == "sn":
		return []station.Serial{station.Serial(value)}, nil
	case kind == "imei":
		_, err = ident.ParseIMEI(value)
	case kind == "eid":
		_, err = ident.ParseEID(value)
	case kind == "iccid":
		_, err = ident.ParseICCID(value)
	default: // a serial may have a colon in it
		return []station.Serial{station.Serial(id)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoUnit, err)
	}
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	prefix := []byte("i/" + kind + "/" + value + "\x00")
	var serials []station.Serial
	err = r.Iterate(prefix, func(key, _ []byte) error {
		serials = append(serials, station.Serial(bytes.TrimPrefix(key, prefix)))
		return nil
	})
	return serials, err
}

// History lists the runs of a unit, oldest first.
func History(v audit.View, serial station.Serial) ([]RunSummary, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	var runs []RunSummary
	err = r.Iterate([]byte("r/"+string(serial)+"\x00"), func(key, value []byte) error {
		var s RunSummary
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("rework: key %q: %w", key, err)
		}
		runs = append(runs, s)
		return nil
	})
	return runs, err
}

// Filter selects tickets; empty fields select all.
type Filter struct {
	Queue string
	State station.TicketState
	Unit  station.Serial
	// Closed selects closed tickets too; without a unit there may be very many.
	Closed bool
}

// Tickets lists tickets, open ones by queue and in the order of their opening,
// those of one unit oldest first.
func Tickets(v audit.View, f Filter) ([]station.Ticket, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	prefix := "o/"
	switch {
	case f.Unit != "":
		prefix = "s/" + string(f.Unit) + "\x00"
	case f.Closed || f.State == station.TicketShut:
		prefix = "s/"
	case f.Queue != "":
		prefix = "o/" + f.Queue + "\x00"
	}
	var list []ticket
	err = r.Iterate([]byte(prefix), func(_, id []byte) error {
		var t ticket
		ok, err := audit.GetJSON(r, "t/"+string(id), &t)
		if err == nil && !ok {
			err = fmt.Errorf("rework: ticket %s is listed and not there", id)
		}
		shut := t.State == station.TicketShut
		if shut && !f.Closed && f.State != station.TicketShut || f.State != "" && t.State != f.State || f.Queue != "" && t.Queue != f.Queue {
			return err
		}
		list = append(list, t)
		return err
	})
	if prefix == "s/" {
		slices.SortStableFunc(list, func(a, b ticket) int { return int(int64(a.Seq) - int64(b.Seq)) })
	}
	out := make([]station.Ticket, len(list))
	for i, t := range list {
		out[i] = t.Ticket
	}
	return out, err
}

// Story is all that rework knows of a unit.
type Story struct {
	Unit    Unit             `json:"unit"`
	Runs    []RunSummary     `json:"runs"`
	Tickets []station.Ticket `json:"tickets"`
}

// StoryOf tells it.
func StoryOf(v audit.View, u Unit) (Story, error) {
	s := Story{Unit: u}
	var err error
	if s.Runs, err = History(v, u.Serial); err != nil {
		return s, err
	}
	s.Tickets, err = Tickets(v, Filter{Unit: u.Serial, Closed: true})
	return s, err
}

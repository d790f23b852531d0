package rework

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// ProjectionName is the name of the projection. Its number changes whenever
// the same entries would give another state.
const ProjectionName = "rework/2"

// Projection derives units, tickets and queues from the log. Its keys:
//
//	u/<serial>                      Unit
//	r/<serial>\x00<seq>             RunSummary, by the entry that started it
//	i/<kind>/<value>\x00<serial>    the unit; kind is imei, eid or iccid
//	t/<ticket>                      ticket
//	o/<queue>\x00<seq>              id of an open ticket, in the order of opening
//	s/<serial>\x00<seq>             id of a ticket of the unit
//	n                               Counts
//
// seq is eight bytes, big-endian.
type Projection struct{}

// Name implements audit.Projection.
func (Projection) Name() string { return ProjectionName }

// RunSummary is one run in a unit's history.
type RunSummary struct {
	Run         station.RunID       `json:"run"`
	Slot        int                 `json:"slot"`
	Recipe      string              `json:"recipe"`
	Version     int                 `json:"version"`
	Started     string              `json:"started"` // UTC
	Verdict     station.Verdict     `json:"verdict,omitempty"`
	Reason      *station.Reason     `json:"reason,omitempty"`
	Step        string              `json:"step,omitempty"`
	Disposition station.Disposition `json:"disposition,omitempty"`
	Rule        string              `json:"rule,omitempty"`
	Millis      int64               `json:"ms,omitempty"`
	Seq         uint64              `json:"seq"`
}

// ticket is a ticket with what finds it.
type ticket struct {
	station.Ticket
	Seq uint64 `json:"seq"` // of the entry that opened it
}

var factTypes = station.TypesOf(
	station.RunStarted{}, station.UnitIdentified{}, station.RunVerdict{}, station.UnitDisposed{}, station.UnitLeft{},
	station.TicketOpened{}, station.TicketClaimed{}, station.TicketRepaired{}, station.TicketRetested{}, station.TicketClosed{},
)

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Unit == "" || !factTypes[e.Type] {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return fmt.Errorf("rework: entry %d: %w", e.Seq, err)
	}
	a := applier{txn: txn, e: e, run: station.RunID(e.Run)}
	if _, err := audit.GetJSON(txn, "u/"+e.Unit, &a.unit); err != nil {
		return err
	}
	before := a.unit
	a.unit.Serial, a.unit.Seq = station.Serial(e.Unit), e.Seq
	if err := a.apply(f); err != nil {
		return err
	}
	if err := audit.SetJSON(txn, "u/"+e.Unit, a.unit); err != nil {
		return err
	}
	return a.recount(before)
}

// applier applies one entry.
type applier struct {
	txn    audit.Txn
	e      audit.Entry
	run    station.RunID
	unit   Unit
	opened int // tickets that this entry opened or closed
	closed int
}

func (a *applier) apply(f station.Fact) error {
	switch f := f.(type) {
	case station.RunStarted:
		a.unit.started(a.run, a.e.Slot, f.Recipe)
		a.unit.Start = a.e.Seq
		return audit.SetJSON(a.txn, runKey(a.e.Unit, a.e.Seq), RunSummary{
			Run: a.run, Slot: a.e.Slot, Recipe: f.Recipe, Version: f.Version, Started: a.utc(), Seq: a.e.Seq,
		})
	case station.UnitIdentified:
		a.unit.identified(f.IMEI, f.EID)
		return a.identifiers(f.IMEI, f.EID)
	case station.RunVerdict:
		a.unit.judged(a.run, f)
		if err := a.identifiers(f.IMEI, f.EID, f.ICCIDs...); err != nil {
			return err
		}
		return a.summary(func(s *RunSummary) { s.Verdict, s.Reason, s.Step, s.Millis = f.Verdict, f.Reason, f.Step, f.Millis })
	case station.UnitDisposed:
		a.unit.disposed(a.run, f.Disposition)
		return a.summary(func(s *RunSummary) { s.Disposition, s.Rule = f.Disposition, f.Rule })
	case station.UnitLeft:
		a.unit.Slot = 0
		return nil
	}
	return a.ticket(f)
}

// ticket applies a ticket's fact. A fact about a ticket that is closed or was
// never opened changes nothing: nothing brings a closed ticket back.
func (a *applier) ticket(f station.Fact) error {
	id, ok := station.TicketOf(f)
	if !ok {
		return nil
	}
	var t ticket
	known, err := audit.GetJSON(a.txn, "t/"+id, &t)
	if err != nil {
		return err
	}
	_, opens := f.(station.TicketOpened)
	if opens == known || known && t.State == station.TicketShut || known && t.Unit != a.unit.Serial {
		return nil
	}
	env := station.Envelope{Run: a.run, Unit: a.unit.Serial}
	t.Ticket = t.Evolve(env, station.Actor(a.e.Actor), a.utc(), f)
	switch f := f.(type) {
	case station.TicketOpened:
		t.Seq = a.e.Seq
		err = a.openTicket(t)
	case station.TicketRepaired:
		a.unit.repaired()
	case station.TicketClosed:
		err = a.closeTicket(t, f)
	}
	if err != nil {
		return err
	}
	return audit.SetJSON(a.txn, "t/"+id, t)
}

func (a *applier) openTicket(t ticket) error {
	a.opened++
	a.unit.Ticket = t.ID
	if err := a.txn.Set(queueKey(t), []byte(t.ID)); err != nil {
		return err
	}
	return a.txn.Set([]byte("s/"+string(t.Unit)+"\x00"+number(t.Seq)), []byte(t.ID))
}

func (a *applier) closeTicket(t ticket, f station.TicketClosed) error {
	a.opened--
	a.closed++
	if a.unit.Ticket == t.ID {
		a.unit.Ticket = ""
	}
	if f.Disposition != "" {
		a.unit.Disposition = f.Disposition
	}
	return a.txn.Delete(queueKey(t))
}

func queueKey(t ticket) []byte { return []byte("o/" + t.Queue + "\x00" + number(t.Seq)) }

func runKey(serial string, start uint64) string { return "r/" + serial + "\x00" + number(start) }

// summary changes the summary of the unit's newest run, if the entry is of it.
func (a *applier) summary(change func(*RunSummary)) error {
	key := runKey(a.e.Unit, a.unit.Start)
	var s RunSummary
	ok, err := audit.GetJSON(a.txn, key, &s)
	if err != nil || !ok || s.Run != a.run {
		return err
	}
	change(&s)
	return audit.SetJSON(a.txn, key, s)
}

// identifiers notes by what else the unit is known.
func (a *applier) identifiers(imei ident.IMEI, eid ident.EID, iccids ...ident.ICCID) error {
	keys := []string{"imei/" + string(imei), "eid/" + string(eid)}
	for _, iccid := range iccids {
		keys = append(keys, "iccid/"+string(iccid))
	}
	for _, key := range keys {
		if strings.HasSuffix(key, "/") {
			continue
		}
		if err := a.txn.Set([]byte("i/"+key+"\x00"+a.e.Unit), []byte(number(a.e.Seq))); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) recount(before Unit) error {
	var n Counts
	if _, err := audit.GetJSON(a.txn, "n", &n); err != nil {
		return err
	}
	was := n
	if c := before.counter(&n); c != nil {
		*c--
	}
	if c := a.unit.counter(&n); c != nil {
		*c++
	}
	n.Runs += a.unit.Runs - before.Runs
	n.Tickets += a.opened
	n.Closed += a.closed
	if n == was {
		return nil
	}
	return audit.SetJSON(a.txn, "n", n)
}

func (a *applier) utc() string { return a.e.UTC.UTC().Format(time.RFC3339) }

func number(seq uint64) string { return string(binary.BigEndian.AppendUint64(nil, seq)) }

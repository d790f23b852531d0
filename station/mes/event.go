package mes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Kind is the type of an event, after the message of IPC-CFX that says the same.
type Kind string

// Kinds of events.
const (
	// UnitsTested is the result of a run: verdict, disposition, the identities
	// that were assigned, and the evidence. Its reply is the MES's answer.
	UnitsTested Kind = "UnitsTested"
	// UnitsRepaired says what rework found and did.
	UnitsRepaired Kind = "UnitsRepaired"
	// UnitsDisqualified says that a person scrapped a unit.
	UnitsDisqualified Kind = "UnitsDisqualified"
	// ProfileSettled says what became of a code that the MES has handed out.
	ProfileSettled Kind = "ProfileSettled"
	// StockAlarm says that somebody else has one of the station's codes, or that a
	// person has ended such an alarm.
	StockAlarm Kind = "StockAlarm"
	// StockLow says that profiles of a kind run out, or that there are enough again.
	StockLow Kind = "StockLow"
	// LotHalted says that the same failure came up on several units and none is
	// started, or that a person lets the lot go on.
	LotHalted Kind = "LotHalted"
)

// Type is the event's CloudEvents type.
func (k Kind) Type() string { return "linefit." + string(k) + ".v1" }

// EventID names a run's, or a ticket's, event of a kind: it is the CloudEvents
// id and the idempotency key.
func EventID(of string, k Kind) string { return of + "." + string(k) }

// Result is the outcome of one run. A run has a second one where the MES's
// answer changed its disposition; the later one counts.
type Result struct {
	Seq         uint64              `json:"seq"` // of the disposition's entry; the cursor of GET /v1/results
	Run         station.RunID       `json:"run"`
	Unit        station.Serial      `json:"unit"`
	Slot        int                 `json:"slot"`
	Verdict     station.Verdict     `json:"verdict"`
	Disposition station.Disposition `json:"disposition"`
	Rule        string              `json:"rule,omitempty"`
	Queue       string              `json:"queue,omitempty"`
	Reason      *station.Reason     `json:"reason,omitempty"`
	Step        string              `json:"step,omitempty"` // that decided
	Started     time.Time           `json:"started"`
	Ended       time.Time           `json:"ended"`
	Millis      int64               `json:"ms"` // sum over the attempts
	Number      int                 `json:"number"`
	Recipe      string              `json:"recipe"`
	Version     int                 `json:"recipe_version"`
	Digest      string              `json:"recipe_digest"`
	WorkOrder   string              `json:"work_order,omitempty"`
	SKU         string              `json:"sku,omitempty"`
	Customer    string              `json:"customer,omitempty"`
	Route       string              `json:"route"`
	RouteRef    string              `json:"route_ref,omitempty"`
	Operator    station.Actor       `json:"operator,omitempty"`
	IMEI        ident.IMEI          `json:"imei,omitempty"`
	EID         ident.EID           `json:"eid,omitempty"`
	ICCIDs      []ident.ICCID       `json:"iccids,omitempty"`
	Evidence    *station.Evidence   `json:"evidence,omitempty"`
	Maker       string              `json:"maker,omitempty"`
	Model       string              `json:"model,omitempty"`
	Firmware    string              `json:"firmware,omitempty"`
	BoundBy     string              `json:"bound_by,omitempty"`
	// Generation of the eUICC (sgp22, sgp32, sgp02), and the eIMs that a cold IoT
	// unit showed.
	Generation string   `json:"generation,omitempty"`
	EIMs       []string `json:"eims,omitempty"`
	// Kind of the unit: its generation, or sgp41 for in-factory provisioning;
	// Factory is then closed, or open while it may not ship.
	Kind      string            `json:"kind,omitempty"`
	Factory   string            `json:"factory,omitempty"`
	Platform  *station.Platform `json:"platform,omitempty"`
	Equipment Equipment         `json:"equipment"`
	Simulated bool              `json:"simulated,omitempty"`
}

// Equipment is where a run was made: the ISA-95 path and the software.
type Equipment struct {
	Site     string `json:"site,omitempty"`
	Area     string `json:"area,omitempty"`
	Line     string `json:"line,omitempty"`
	Station  string `json:"station"`
	Software string `json:"software,omitempty"`
}

// path is the equipment as a URI reference.
func (e Equipment) path() string {
	var b strings.Builder
	for _, part := range []string{e.Site, e.Area, e.Line, e.Station} {
		if part != "" {
			b.WriteString("/" + url.PathEscape(part))
		}
	}
	return b.String()
}

// TicketEvent is the data of UnitsRepaired and UnitsDisqualified.
type TicketEvent struct {
	Seq         uint64              `json:"seq"`
	Ticket      string              `json:"ticket"`
	Unit        station.Serial      `json:"unit"`
	Run         station.RunID       `json:"run,omitempty"`
	Actor       station.Actor       `json:"actor"`
	Cause       string              `json:"cause,omitempty"`
	Action      string              `json:"action,omitempty"`
	Disposition station.Disposition `json:"disposition,omitempty"`
	Why         string              `json:"why,omitempty"`
	Equipment   Equipment           `json:"equipment"`
	Simulated   bool                `json:"simulated,omitempty"`
}

// cloudEvent is a CloudEvents 1.0 event in structured JSON, with the sequence
// extension. The order of the fields is fixed: the bytes of an event never
// change between attempts.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	Sequence        string `json:"sequence"`
	Data            any    `json:"data"`
}

// eventBody makes an event's bytes from the log.
func eventBody(v audit.View, it Item) ([]byte, error) {
	var data any
	var where Equipment
	var at time.Time
	switch it.Kind {
	case UnitsTested:
		r, err := it.Refs.result(v)
		if err != nil {
			return nil, err
		}
		data, where, at = r, r.Equipment, r.Ended
	case LotHalted:
		l, err := lotEvent(v, it)
		if err != nil {
			return nil, err
		}
		e, err := v.Entry(it.Seq)
		if err != nil {
			return nil, fmt.Errorf("mes: %w", err)
		}
		data, where, at = l, l.Equipment, e.UTC
	case ProfileSettled, StockAlarm, StockLow:
		e, err := v.Entry(it.Seq)
		if err != nil {
			return nil, fmt.Errorf("mes: %w", err)
		}
		at = e.UTC
		if it.Kind == ProfileSettled {
			p, err := profileEvent(v, it)
			if err != nil {
				return nil, err
			}
			data, where = p, p.Equipment
			break
		}
		s, err := stockEvent(v, it)
		if err != nil {
			return nil, err
		}
		data, where = s, s.Equipment
	default:
		t, err := ticketEvent(v, it)
		if err != nil {
			return nil, err
		}
		e, err := v.Entry(it.Seq)
		if err != nil {
			return nil, err
		}
		data, where, at = t, t.Equipment, e.UTC
	}
	subject := string(it.Unit)
	if subject == "" { // the station's own
		subject = either(where.Station, "station")
	}
	return marshal(cloudEvent{
		SpecVersion: "1.0", ID: it.ID, Source: where.path(), Type: it.Kind.Type(), Subject: subject,
		Time: at.UTC().Format(time.RFC3339Nano), DataContentType: "application/json",
		Sequence: fmt.Sprintf("%020d", it.Seq), Data: data,
	})
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// result puts a run's result together from its entries.
func (r Refs) result(v audit.View) (Result, error) {
	var started station.RunStarted
	var verdict station.RunVerdict
	var disposed station.UnitDisposed
	begin, err := fact(v, r.Started, &started)
	if err != nil {
		return Result{}, err
	}
	if _, err := fact(v, r.Verdict, &verdict); err != nil {
		return Result{}, err
	}
	end, err := fact(v, r.Seq, &disposed)
	if err != nil {
		return Result{}, err
	}
	where, err := equipment(v, r.Opened)
	if err != nil {
		return Result{}, err
	}
	res := Result{
		Seq: r.Seq, Run: station.RunID(end.Run), Unit: station.Serial(end.Unit), Slot: begin.Slot, Verdict: verdict.Verdict,
		Disposition: disposed.Disposition, Rule: disposed.Rule, Queue: disposed.Queue, Reason: verdict.Reason, Step: verdict.Step,
		Started: begin.UTC, Ended: end.UTC, Millis: verdict.Millis, Number: started.Number,
		Recipe: started.Recipe, Version: started.Version, Digest: started.Digest, WorkOrder: started.WorkOrder, SKU: started.SKU, Customer: started.Customer,
		Route: started.Route, RouteRef: started.RouteRef, Operator: station.Actor(begin.Actor),
		IMEI: verdict.IMEI, EID: verdict.EID, ICCIDs: verdict.ICCIDs, Evidence: verdict.Evidence, BoundBy: verdict.BoundBy,
		Generation: verdict.Generation, EIMs: verdict.EIMs, Factory: verdict.Factory,
		Equipment: where, Simulated: end.Sim,
	}
	if disposed.Reason != nil {
		res.Reason = disposed.Reason
	}
	return res, res.identify(v, r.Identified)
}

// identify adds what the device said of itself.
func (r *Result) identify(v audit.View, seqs []uint64) error {
	prepared := ""
	for _, seq := range seqs {
		var id station.UnitIdentified
		if _, err := fact(v, seq, &id); err != nil {
			return err
		}
		for _, f := range []struct {
			to   *string
			from string
		}{{&r.Maker, id.Maker}, {&r.Model, id.Model}, {&r.Firmware, id.Firmware}} {
			if f.from != "" {
				*f.to = f.from
			}
		}
		if id.Platform != nil {
			r.Platform = id.Platform
		}
		if id.Prepared != "" {
			prepared = id.Prepared
		}
	}
	r.Kind = station.UnitKind(r.Generation, prepared, r.Factory)
	return nil
}

func ticketEvent(v audit.View, it Item) (TicketEvent, error) {
	t := TicketEvent{Seq: it.Seq, Unit: it.Unit, Run: it.Run}
	e, err := v.Entry(it.Seq)
	if err != nil {
		return t, err
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return t, fmt.Errorf("mes: entry %d: %w", it.Seq, err)
	}
	switch f := f.(type) {
	case station.TicketRepaired:
		t.Ticket, t.Cause, t.Action = f.Ticket, f.Cause, f.Action
	case station.TicketClosed:
		t.Ticket, t.Disposition, t.Why = f.Ticket, f.Disposition, f.Why
	default:
		return t, fmt.Errorf("mes: entry %d is of type %s", it.Seq, e.Type)
	}
	t.Actor, t.Simulated = station.Actor(e.Actor), e.Sim
	t.Equipment, err = equipment(v, it.Opened)
	return t, err
}

func equipment(v audit.View, opened uint64) (Equipment, error) {
	var f station.StationOpened
	if opened == 0 { // a log that does not begin with it
		return Equipment{}, nil
	}
	switch _, err := fact(v, opened, &f); {
	case errors.Is(err, audit.ErrArchived): // of a delivered result: what is pending keeps it here
		return Equipment{}, nil
	case err != nil:
		return Equipment{}, err
	}
	return Equipment{Site: f.Site, Area: f.Area, Line: f.Line, Station: f.Station, Software: f.Software}, nil
}

// fact reads the entry of a number into *f, which must be of the entry's type.
func fact[F station.Fact](v audit.View, seq uint64, f *F) (audit.Entry, error) {
	e, err := v.Entry(seq)
	if err != nil {
		return e, fmt.Errorf("mes: %w", err)
	}
	decoded, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return e, fmt.Errorf("mes: entry %d: %w", seq, err)
	}
	got, ok := decoded.(F)
	if !ok {
		return e, fmt.Errorf("mes: entry %d is %s, not %s", seq, e.Type, (*f).FactType())
	}
	*f = got
	return e, nil
}

// marshal is JSON without HTML escaping and without a line feed.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("mes: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

package mes

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
)

// RawEntry is an entry of the audit log in its own bytes.
type RawEntry []byte

// MarshalJSON gives the entry as it is.
func (e RawEntry) MarshalJSON() ([]byte, error) { return e, nil }

// Schema implements huma.SchemaProvider.
func (RawEntry) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Description: "An entry of the audit log, in its canonical bytes", AdditionalProperties: true}
}

// UnitStory is all that the station knows of a unit.
type UnitStory struct {
	rework.Story
	// Others have one of this unit's identifiers too: a fault to look into.
	Others  []station.Serial `json:"others,omitempty"`
	Entries []RawEntry       `json:"entries" doc:"Its newest entries, oldest first"`
}

// ResultPage is a page of results.
type ResultPage struct {
	Results []Result `json:"results"`
	Next    uint64   `json:"next" doc:"The cursor for the next page: ask for after=next"`
	More    bool     `json:"more"`
}

func (s *Server) unitRoutes(api huma.API) {
	op := look("get-unit", "/v1/units/{id}", "units", "A unit by any identifier: its runs, tickets and entries")
	op.Errors = []int{http.StatusNotFound}
	huma.Register(api, op, func(_ context.Context, in *struct {
		ID      string `path:"id" maxLength:"80" doc:"Serial number, or sn:, imei:, eid:, iccid: and a value"`
		Entries int    `query:"entries" default:"200" minimum:"0" maximum:"1000" doc:"How many of its newest entries"`
	}) (*struct{ Body UnitStory }, error) {
		out := &struct{ Body UnitStory }{}
		err := s.read(func(v audit.View) (err error) {
			out.Body, err = unitStory(v, in.ID, in.Entries)
			return err
		})
		return out, err
	})
	huma.Register(api, look("list-results", "/v1/results", "units", "Results of runs behind a cursor, in the order of the log"), func(_ context.Context, in *struct {
		After uint64 `query:"after" doc:"Cursor: 0, or next of the page before"`
		Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	}) (*struct{ Body ResultPage }, error) {
		out := &struct{ Body ResultPage }{Body: ResultPage{Results: []Result{}, Next: in.After}}
		err := s.read(func(v audit.View) error {
			return EachResult(v, in.After, func(r Result) error {
				if len(out.Body.Results) == in.Limit {
					out.Body.More = true
					return audit.ErrStop
				}
				out.Body.Results, out.Body.Next = append(out.Body.Results, r), r.Seq
				return nil
			})
		})
		return out, err
	})
}

// unitStory finds a unit; where an identifier belongs to several it is the one
// that was seen last.
func unitStory(v audit.View, id string, limit int) (UnitStory, error) {
	story := UnitStory{Entries: []RawEntry{}}
	serials, err := rework.Serials(v, id)
	if err != nil {
		return story, err
	}
	var newest rework.Unit
	for _, serial := range serials {
		u, err := rework.UnitOf(v, serial)
		if err != nil {
			return story, err
		}
		if u.Seq > newest.Seq {
			newest = u
		}
	}
	if newest.Seq == 0 {
		return story, &Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: "no unit of that identifier was here"}
	}
	for _, serial := range serials {
		if serial != newest.Serial {
			story.Others = append(story.Others, serial)
		}
	}
	if story.Story, err = rework.StoryOf(v, newest); err != nil {
		return story, err
	}
	for e, err := range v.Unit(string(newest.Serial)) {
		if err != nil {
			return story, err
		}
		story.Entries = append(story.Entries, audit.AppendEntry(nil, e))
		if len(story.Entries) > limit {
			story.Entries = story.Entries[1:]
		}
	}
	return story, nil
}

// TicketBody is an action on a ticket.
type TicketBody struct {
	Operator
	Role rework.Role `json:"role,omitempty" enum:"operator,lead,qa" doc:"Role of the person, over the unix socket; a token has its own"`
}

// RepairBody says what was found and done.
type RepairBody struct {
	TicketBody
	Cause  string `json:"cause" minLength:"1" maxLength:"500"`
	Action string `json:"action" minLength:"1" maxLength:"500"`
}

// DisposeBody ends a ticket.
type DisposeBody struct {
	TicketBody
	Disposition station.Disposition `json:"disposition" enum:"release,retest,scrap"`
	Why         string              `json:"why" minLength:"1" maxLength:"500"`
}

// TicketPath names a ticket.
type TicketPath struct {
	Ticket string `path:"ticket" maxLength:"100" doc:"Id of the ticket, or any identifier of a unit"`
}

type ticketOutput struct{ Body station.Ticket }

func (s *Server) reworkRoutes(api huma.API) {
	type listOutput struct {
		Body struct {
			Tickets []station.Ticket `json:"tickets"`
		}
	}
	huma.Register(api, look("list-tickets", "/v1/rework", "rework", "Tickets, by queue and age"), func(_ context.Context, in *struct {
		Queue  string              `query:"queue"`
		State  station.TicketState `query:"state" enum:"open,claimed,repaired,retest,closed"`
		Unit   station.Serial      `query:"unit"`
		Closed bool                `query:"closed" doc:"Closed ones too"`
	}) (*listOutput, error) {
		out := &listOutput{}
		err := s.read(func(v audit.View) (err error) {
			out.Body.Tickets, err = rework.Tickets(v, rework.Filter{Queue: in.Queue, State: in.State, Unit: in.Unit, Closed: in.Closed})
			return err
		})
		return out, err
	})
	op := look("get-ticket", "/v1/rework/{ticket}", "rework", "One ticket")
	op.Errors = []int{http.StatusNotFound}
	huma.Register(api, op, func(_ context.Context, in *TicketPath) (*ticketOutput, error) {
		out := &ticketOutput{}
		err := s.read(func(v audit.View) (err error) {
			out.Body, err = ticketOf(v, in.Ticket)
			return err
		})
		return out, err
	})
	huma.Register(api, change("claim-ticket", "/v1/rework/{ticket}/claim", "rework", "Take a ticket"), func(ctx context.Context, in *struct {
		TicketPath
		Body TicketBody
	}) (*ticketOutput, error) {
		return s.desk(ctx, in.Body, func(ctx context.Context, by rework.Person) (station.Ticket, error) {
			return s.opt.Desk.Claim(ctx, by, in.Ticket)
		})
	})
	huma.Register(api, change("repair-unit", "/v1/rework/{ticket}/repair", "rework", "Say what was found and done"), func(ctx context.Context, in *struct {
		TicketPath
		Body RepairBody
	}) (*ticketOutput, error) {
		return s.desk(ctx, in.Body.TicketBody, func(ctx context.Context, by rework.Person) (station.Ticket, error) {
			return s.opt.Desk.Repair(ctx, by, in.Ticket, in.Body.Cause, in.Body.Action)
		})
	})
	huma.Register(api, change("dispose-unit", "/v1/rework/{ticket}/dispose", "rework", "End a ticket: release, retest or scrap"), func(ctx context.Context, in *struct {
		TicketPath
		Body DisposeBody
	}) (*ticketOutput, error) {
		return s.desk(ctx, in.Body.TicketBody, func(ctx context.Context, by rework.Person) (station.Ticket, error) {
			return s.opt.Desk.Dispose(ctx, by, in.Ticket, in.Body.Disposition, in.Body.Why)
		})
	})
}

// ticketOf finds a ticket by its id, or a unit's open one.
func ticketOf(v audit.View, ref string) (station.Ticket, error) {
	t, err := rework.TicketOf(v, ref)
	if !errors.Is(err, rework.ErrNoTicket) {
		return t, err
	}
	u, findErr := rework.Find(v, ref)
	if findErr != nil || u.Ticket == "" {
		return t, err
	}
	return rework.TicketOf(v, u.Ticket)
}

// desk carries out an action on a ticket by a person.
func (s *Server) desk(ctx context.Context, body TicketBody, act func(context.Context, rework.Person) (station.Ticket, error)) (*ticketOutput, error) {
	if s.opt.Desk == nil {
		return nil, &Problem{Title: http.StatusText(http.StatusNotImplemented), Status: http.StatusNotImplemented, Detail: "this station has no rework desk"}
	}
	caller := callerOf(ctx)
	by, err := s.person(ctx, PersonBody(body))
	if err != nil {
		return nil, problemOf(caller.lang, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
	defer cancel()
	t, err := act(ctx, by)
	if err != nil {
		return nil, problemOf(caller.lang, err)
	}
	return &ticketOutput{Body: t}, nil
}

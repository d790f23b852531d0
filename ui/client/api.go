package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"linefit/rework"
	"linefit/station"
)

// Reply is the station's answer to a command that it took.
type Reply struct {
	station.Reply
	Message string `json:"message"` // for the operator, in the client's language
}

// Station is the whole station.
func (c *Client) Station(ctx context.Context) (station.View, error) {
	var v station.View
	err := c.call(ctx, http.MethodGet, "/v1/station", nil, &v)
	return v, err
}

// Do asks the station for something. The error is a *station.Refusal where the
// station's state or the caller's role does not allow it.
func (c *Client) Do(ctx context.Context, cmd station.Command) (Reply, error) {
	var r Reply
	path, body, err := commandRequest(cmd)
	if err != nil {
		return r, err
	}
	err = c.call(ctx, http.MethodPost, path, body, &r)
	return r, err
}

// commandBody is the body of every command; each has its own part of it.
type commandBody struct {
	Text     string          `json:"text,omitempty"`
	Slot     int             `json:"slot,omitempty"`
	Unit     station.Serial  `json:"unit,omitempty"`
	Bin      string          `json:"bin,omitempty"`
	Why      string          `json:"why,omitempty"`
	Operator station.Actor   `json:"operator,omitempty"`
	Expect   *station.Expect `json:"expect,omitempty"`
}

func commandRequest(cmd station.Command) (string, commandBody, error) {
	body := commandBody{Operator: cmd.Operator}
	if cmd.Expect != (station.Expect{}) {
		body.Expect = &cmd.Expect
	}
	ofSlot := "/v1/slots/" + strconv.Itoa(cmd.Slot) + "/"
	switch cmd.Kind {
	case station.CmdScan:
		body.Text, body.Slot = cmd.Text, cmd.Slot
		return "/v1/scan", body, nil
	case station.CmdStart:
		body.Unit = cmd.Unit
		return ofSlot + "start", body, nil
	case station.CmdAck:
		body.Bin, body.Expect = cmd.Text, nil
		return ofSlot + "ack", body, nil
	case station.CmdAbort, station.CmdEnable, station.CmdDisable, station.CmdClear:
		body.Why, body.Expect = cmd.Why, nil
		return ofSlot + string(cmd.Kind), body, nil
	case station.CmdHalt, station.CmdResume:
		body.Why, body.Expect = cmd.Why, nil
		return "/v1/station/" + string(cmd.Kind), body, nil
	}
	return "", body, fmt.Errorf("command %q is not one of the API", cmd.Kind)
}

// Entry is an entry of the audit log as it is shown.
type Entry struct {
	Seq   uint64          `json:"seq"`
	Type  string          `json:"type"`
	Slot  int             `json:"slot"`
	Run   station.RunID   `json:"run"`
	Actor station.Actor   `json:"actor"`
	UTC   time.Time       `json:"utc"`
	Data  json.RawMessage `json:"data"`
}

// Unit is all that the station knows of a unit.
type Unit struct {
	rework.Story
	Others  []station.Serial `json:"others"`
	Entries []Entry          `json:"entries"`
}

// Unit finds a unit by its serial, or by sn:, imei:, eid: or iccid: and a value.
func (c *Client) Unit(ctx context.Context, id string) (Unit, error) {
	var u Unit
	if strings.Trim(id, ".") == "" { // a path of dots would be taken for another one
		id = "sn:" + id
	}
	err := c.call(ctx, http.MethodGet, "/v1/units/"+url.PathEscape(id), nil, &u)
	return u, err
}

// Tickets lists rework tickets, by queue and in the order of their opening.
func (c *Client) Tickets(ctx context.Context, f rework.Filter) ([]station.Ticket, error) {
	q := url.Values{}
	for name, value := range map[string]string{"queue": f.Queue, "state": string(f.State), "unit": string(f.Unit)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Closed {
		q.Set("closed", "true")
	}
	var out struct{ Tickets []station.Ticket }
	err := c.call(ctx, http.MethodGet, "/v1/rework?"+q.Encode(), nil, &out)
	return out.Tickets, err
}

// Ticket finds a ticket by its id, or the open one of a unit.
func (c *Client) Ticket(ctx context.Context, ref string) (station.Ticket, error) {
	var t station.Ticket
	err := c.call(ctx, http.MethodGet, "/v1/rework/"+url.PathEscape(ref), nil, &t)
	return t, err
}

// ticketBody is the body of every action on a ticket.
type ticketBody struct {
	Operator    station.Actor       `json:"operator,omitempty"`
	Role        rework.Role         `json:"role,omitempty"`
	Cause       string              `json:"cause,omitempty"`
	Action      string              `json:"action,omitempty"`
	Disposition station.Disposition `json:"disposition,omitempty"`
	Why         string              `json:"why,omitempty"`
}

func (c *Client) desk(ctx context.Context, ref, verb string, body ticketBody) (station.Ticket, error) {
	var t station.Ticket
	err := c.call(ctx, http.MethodPost, "/v1/rework/"+url.PathEscape(ref)+"/"+verb, body, &t)
	return t, err
}

// Claim takes a ticket. ref is its id or any identifier of its unit.
func (c *Client) Claim(ctx context.Context, by rework.Person, ref string) (station.Ticket, error) {
	return c.desk(ctx, ref, "claim", ticketBody{Operator: by.Actor, Role: by.Role})
}

// Repair says what was found and done.
func (c *Client) Repair(ctx context.Context, by rework.Person, ref, cause, action string) (station.Ticket, error) {
	return c.desk(ctx, ref, "repair", ticketBody{Operator: by.Actor, Role: by.Role, Cause: cause, Action: action})
}

// Dispose ends a ticket by a person's decision.
func (c *Client) Dispose(ctx context.Context, by rework.Person, ref string, to station.Disposition, why string) (station.Ticket, error) {
	return c.desk(ctx, ref, "dispose", ticketBody{Operator: by.Actor, Role: by.Role, Disposition: to, Why: why})
}

// SignOn says that a person works here now, by name or badge, and returns the
// pseudonym under which the log has that person.
func (c *Client) SignOn(ctx context.Context, entered string) (station.Actor, error) {
	var out struct {
		Operator station.Actor `json:"operator"`
	}
	err := c.Post(ctx, "/v1/operators/sign-on", map[string]string{"operator": entered}, &out)
	return out.Operator, err
}

// Replay sends a parked event to the MES again.
func (c *Client) Replay(ctx context.Context, event string, by station.Actor, why string) error {
	return c.call(ctx, http.MethodPost, "/v1/outbox/"+url.PathEscape(event)+"/replay", commandBody{Operator: by, Why: why}, nil)
}

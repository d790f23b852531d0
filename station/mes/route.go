package mes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"

	"github.com/danielgtaylor/huma/v2"
)

// RouteRequest asks the MES whether a unit may be worked on here.
type RouteRequest struct {
	Station  string         `json:"station"`
	Slot     int            `json:"slot"`
	Unit     station.Serial `json:"unit"`
	Run      station.RunID  `json:"run"`
	Recipe   string         `json:"recipe,omitempty"`
	Version  int            `json:"recipe_version,omitempty"`
	Digest   string         `json:"recipe_digest,omitempty"`
	Order    string         `json:"work_order,omitempty"` // where the station knows one
	Operator station.Actor  `json:"operator,omitempty"`
	IMEI     ident.IMEI     `json:"imei,omitempty"` // from the scanned label
	EID      ident.EID      `json:"eid,omitempty"`
}

// Route is the MES's decision, and what it knows of the unit.
type Route struct {
	Answer string `json:"answer"` // confirmed, or "none" without an MES
	Reason string `json:"reason,omitempty"`
	Ref    string `json:"ref,omitempty"`
	Order  string `json:"work_order,omitempty"`
	SKU    string `json:"sku,omitempty"`
	// Customer is whose order it is: profiles of another customer are not for it.
	Customer string `json:"customer,omitempty"`
	Recipe   string `json:"recipe,omitempty"` // that the order asks for
	Batch    string `json:"batch,omitempty"`  // of profiles
	EIM      string `json:"eim,omitempty"`    // eIM configuration for IoT units
	// IMEI and EID are what the MES knows the unit to have.
	IMEI ident.IMEI `json:"imei,omitempty"`
	EID  ident.EID  `json:"eid,omitempty"`
	// Profile is the code that the MES hands out for the unit, where it is the
	// source of codes.
	Profile *RouteProfile `json:"profile,omitempty"`
}

// RouteProfile is a code that the MES hands out with a route check.
type RouteProfile struct {
	Ref          string       `json:"ref,omitempty"`
	Code         secretText   `json:"activation_code,omitempty"`
	Confirmation secretText   `json:"confirmation_code,omitempty"`
	ICCID        string       `json:"iccid,omitempty"`
	EID          string       `json:"eid,omitempty"`
	Operator     string       `json:"operator,omitempty"`
	Region       string       `json:"region,omitempty"`
	Expires      string       `json:"expires,omitempty"`
	Cap          int          `json:"cap,omitempty"`
	Batch        ProfileBatch `json:"batch"`
}

// ProfileBatch are the terms of the batch to which it belongs.
type ProfileBatch struct {
	Name          string   `json:"name,omitempty"`
	Owner         string   `json:"owner,omitempty"`
	Customer      string   `json:"customer,omitempty"`
	SKU           string   `json:"sku,omitempty"`
	WorkOrder     string   `json:"work_order,omitempty"`
	Provider      string   `json:"provider,omitempty"`
	Purchase      string   `json:"purchase,omitempty"`
	Contract      string   `json:"contract,omitempty"`
	Contact       string   `json:"contact,omitempty"`
	Countries     []string `json:"countries,omitempty"`
	Billing       string   `json:"billing,omitempty"`
	ShipState     string   `json:"ship_state,omitempty"`
	Notifications string   `json:"notifications,omitempty"`
	Cap           int      `json:"cap,omitempty"`
}

// secretText is a text of an answer that shows itself to nobody.
type secretText struct{ stock.Secret }

// Schema implements huma.SchemaProvider: to an MES it is a text.
func (secretText) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeString} }

// UnmarshalJSON implements json.Unmarshaler. Its error shows nothing of the text.
func (s *secretText) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return errors.New("it is no text")
	}
	s.Secret = stock.NewSecret([]byte(text))
	return nil
}

// Issue is the profile as the stock takes it.
func (p RouteProfile) Issue() stock.Issue {
	b := p.Batch
	return stock.Issue{
		Ref: p.Ref, Code: p.Code.Secret, Confirmation: p.Confirmation.Secret, ICCID: p.ICCID, EID: p.EID,
		Operator: p.Operator, Region: p.Region, Expires: p.Expires, Cap: p.Cap,
		Batch: station.StockBatch{
			Batch: b.Name, Owner: b.Owner, Customer: b.Customer, SKU: b.SKU, WorkOrder: b.WorkOrder, Provider: b.Provider, Purchase: b.Purchase,
			Contract: b.Contract, Contact: b.Contact, Countries: b.Countries, Billing: b.Billing, ShipState: b.ShipState, Notifications: b.Notifications, Cap: b.Cap,
		},
	}
}

// Expect is what the MES knows of the unit's identity; its Source is empty
// where it knows nothing.
func (r Route) Expect() station.Expect {
	if r.IMEI == "" && r.EID == "" {
		return station.Expect{}
	}
	return station.Expect{Source: "mes", IMEI: r.IMEI, EID: r.EID}
}

// Validate asks the MES whether a unit may be worked on. Whatever is not a
// clear yes within RouteTimeout is a *station.Refusal: it fails closed. A
// station without an MES answers "none" itself.
func (c *Client) Validate(ctx context.Context, req RouteRequest) (Route, error) {
	if c.None() {
		return Route{Answer: AnswerNone}, nil
	}
	body, err := marshal(req)
	if err != nil {
		return Route{}, err
	}
	if c.opt.RouteTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opt.RouteTimeout)
		defer cancel()
	}
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {string(req.Run)}}
	r, err := c.do(ctx, http.MethodPost, "/v1/units/validate", header, body)
	if err != nil {
		return Route{}, station.Refuse(station.MESUnreachable, "route check: %v", err)
	}
	return decideRoute(r)
}

// decideRoute turns an answer into a decision.
func decideRoute(r reply) (Route, error) {
	var route Route
	parsed := json.Unmarshal(r.body, &route)
	route.Reason, route.Ref = bounded(route.Reason, 200), bounded(route.Ref, 100)
	switch {
	case r.status >= 200 && r.status < 300 && parsed != nil:
		return Route{}, station.Refuse(station.MESUnreachable, "route check: the answer is not understood")
	case r.status >= 200 && r.status < 300:
	case r.status == http.StatusTooManyRequests || r.status >= 500 || r.status < 400:
		return Route{}, station.Refuse(station.MESUnreachable, "route check: status %d", r.status)
	default:
		return Route{}, station.Refuse(station.MESRejected, "%s", orStatus(problemDetail(r.body), r.status))
	}
	switch route.Answer {
	case AnswerConfirmed:
		if err := route.check(); err != nil {
			return Route{}, err
		}
		return route, nil
	case AnswerRejectedHold:
		return Route{}, station.Refuse(station.MESRejected, "hold: %s", orStatus(route.Reason, r.status))
	case AnswerRejectedPass:
		return Route{}, station.Refuse(station.MESRejected, "nothing to do here, pass the unit on: %s", orStatus(route.Reason, r.status))
	}
	return Route{}, station.Refuse(station.MESUnreachable, "route check: no decision: %s", orStatus(route.Reason, r.status))
}

// maxRouteText bounds the names in an answer, in bytes: they go into the log with
// each run, onto screens and into exports.
const maxRouteText = 100

// check holds what the MES says of the unit against its form: a wrong digit
// there must not become a mismatch of the unit.
func (r Route) check() error {
	for _, f := range []struct{ name, text string }{
		{"work_order", r.Order}, {"sku", r.SKU}, {"customer", r.Customer}, {"recipe", r.Recipe}, {"batch", r.Batch}, {"eim", r.EIM},
	} {
		if len(f.text) > maxRouteText {
			return station.Refuse(station.MESUnreachable, "route check: %s has %d bytes, more than %d", f.name, len(f.text), maxRouteText)
		}
		if strings.ContainsFunc(f.text, func(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }) {
			return station.Refuse(station.MESUnreachable, "route check: %s has characters that cannot be shown", f.name)
		}
	}
	if r.IMEI != "" {
		if _, err := ident.ParseIMEI(string(r.IMEI)); err != nil {
			return station.Refuse(station.MESUnreachable, "route check: %v", err)
		}
	}
	if r.EID != "" {
		if _, err := ident.ParseEID(string(r.EID)); err != nil {
			return station.Refuse(station.MESUnreachable, "route check: %v", err)
		}
	}
	return nil
}

func orStatus(s string, status int) string {
	if s != "" {
		return s
	}
	return fmt.Sprintf("no reason given (status %d)", status)
}

// problemDetail is the text of a problem document, or a reason.
func problemDetail(body []byte) string {
	var p struct{ Reason, Detail, Title string }
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	for _, s := range []string{p.Reason, p.Detail, p.Title} {
		if s != "" {
			return bounded(s, 200)
		}
	}
	return ""
}

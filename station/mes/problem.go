package mes

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/internal/strictyaml"
	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
)

// Problem is an error of the API (RFC 9457), with the station's reason and the
// operator's advice where it refused.
type Problem struct {
	Type   string              `json:"type,omitempty" doc:"urn:linefit:reason:<code> for a refusal of the station"`
	Title  string              `json:"title"`
	Status int                 `json:"status"`
	Detail string              `json:"detail,omitempty"`
	Code   station.Code        `json:"code,omitempty" doc:"Stable code of the reason"`
	Class  station.Class       `json:"class,omitempty" doc:"Whose fault it is: unit, material, station, backend, operator"`
	Advice string              `json:"advice,omitempty" doc:"What the operator does now, in the language of Accept-Language"`
	Errors []*huma.ErrorDetail `json:"errors,omitempty"`
	// Mistakes are those of a file that was sent, in the order of its lines.
	Mistakes []Mistake `json:"mistakes,omitempty" doc:"Mistakes of a file that was sent, each with its line"`
}

// Mistake is one in a file that was sent.
type Mistake strictyaml.Problem

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return http.StatusText(p.Status)
}

// MarshalJSON implements json.Marshaler: a problem always has a title.
func (p *Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	filled := plain(*p)
	if filled.Title == "" {
		filled.Title = http.StatusText(filled.Status)
	}
	return json.Marshal(filled)
}

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// withoutValues takes out of a validation error what was sent: it may be a code
// that a scanner read into the wrong field, and errors end up in logs.
func withoutValues(_ huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		for _, e := range m.Errors {
			e.Value = nil
		}
	}
	return v, nil
}

// describeProblems makes the document say what errors look like here.
func describeProblems(api huma.API) {
	doc := api.OpenAPI()
	schema := doc.Components.Schemas.Schema(typeOf[Problem](), true, "Problem")
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post} {
			if op == nil {
				continue
			}
			for status, r := range op.Responses {
				if status >= "4" { // 4xx, 5xx, default
					r.Content = map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
				}
			}
		}
	}
	delete(doc.Components.Schemas.Map(), "ErrorModel")
}

// problemOf turns an error of the station into a problem.
func problemOf(lang text.Lang, err error) error {
	var refusal *station.Refusal
	switch {
	case errors.As(err, &refusal):
		return refused(lang, refusal.Reason)
	case errors.Is(err, rework.ErrNoUnit), errors.Is(err, rework.ErrNoTicket):
		return &Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: err.Error()}
	case errors.Is(err, rework.ErrManyUnits):
		return &Problem{Title: http.StatusText(http.StatusConflict), Status: http.StatusConflict, Detail: err.Error()}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Problem{Title: http.StatusText(http.StatusGatewayTimeout), Status: http.StatusGatewayTimeout,
			Detail: "the station did not answer in time; what it did is unknown: " + err.Error()}
	}
	return &Problem{Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError, Detail: err.Error()}
}

func refused(lang text.Lang, r *station.Reason) *Problem {
	c := text.For(lang)
	p := &Problem{
		Type: "urn:linefit:reason:" + string(r.Code), Title: c.Reason(r.Code), Status: http.StatusConflict,
		Detail: r.Detail, Code: r.Code, Class: r.Class, Advice: c.Advice(r.Code),
	}
	if r.Code == station.PermissionMissing {
		p.Status = http.StatusForbidden
	}
	return p
}

// writeProblem answers a request that does not get as far as an operation.
func writeProblem(w http.ResponseWriter, p *Problem) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p)
}

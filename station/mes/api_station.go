package mes

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station"
)

// Reply is the station's answer to a command that it took.
type Reply struct {
	station.Reply
	Message string `json:"message" doc:"What to tell the operator, in the language of Accept-Language"`
}

type (
	replyOutput struct{ Body Reply }
	viewOutput  struct{ Body station.View }
	readyOutput struct {
		Status int
		Body   Ready
	}
)

// Ready says whether the station takes units.
type Ready struct {
	Ready  bool           `json:"ready"`
	Health station.Health `json:"health"`
	Detail string         `json:"detail,omitempty"`
	MES    string         `json:"mes"`
}

// RecipeInfo is a recipe that the station can run.
type RecipeInfo struct {
	Name    string   `json:"name"`
	Version int      `json:"version"`
	Title   string   `json:"title,omitempty"`
	Digest  string   `json:"digest"`
	Accepts []string `json:"accepts"`
	Steps   int      `json:"steps"`
	Active  bool     `json:"active" doc:"A scan starts this one"`
}

// Operator is who acts, in the body of a request; the token's name where it is
// empty and a token was given.
type Operator struct {
	Operator station.Actor `json:"operator,omitempty" pattern:"^[^\\x00-\\x1f\\x7f]{1,64}$" doc:"Name, badge or pseudonym of the person who acts; the log has the pseudonym only"`
}

// ScanBody is whatever a scanner read.
type ScanBody struct {
	Operator
	Text   string          `json:"text" minLength:"1" maxLength:"512" doc:"Unit label, slot label or command barcode"`
	Slot   int             `json:"slot,omitempty" minimum:"1" maximum:"64" doc:"Slot that the scanner belongs to"`
	Expect *station.Expect `json:"expect,omitempty" doc:"Identity that is known beforehand"`
}

// WhyBody is an action with a reason.
type WhyBody struct {
	Operator
	Why string `json:"why,omitempty" maxLength:"200"`
}

var (
	changeSecurity = []map[string][]string{{"bearer": {}}}
	refusals       = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict}
)

// change describes an operation that changes state.
func change(id, path, tag, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: http.MethodPost, Path: path, Summary: summary, Tags: []string{tag},
		Security: changeSecurity, Errors: refusals, DefaultStatus: http.StatusOK, MaxBodyBytes: maxBody,
		Parameters: []*huma.Param{{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The same key with the same request gives the same answer for a day; with another request 422.",
		}},
	}
}

func look(id, path, tag, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag}}
}

func (s *Server) stationRoutes(api huma.API) {
	huma.Register(api, look("get-station", "/v1/station", "station", "The whole station: slots, stock, counts, health"),
		func(context.Context, *struct{}) (*viewOutput, error) { return &viewOutput{Body: s.View()}, nil })
	huma.Register(api, look("list-recipes", "/v1/recipes", "station", "Recipes that the station can run"),
		func(context.Context, *struct{}) (*struct {
			Body struct {
				Recipes []RecipeInfo `json:"recipes"`
			}
		}, error) {
			out := &struct {
				Body struct {
					Recipes []RecipeInfo `json:"recipes"`
				}
			}{}
			out.Body.Recipes = s.recipes()
			return out, nil
		})
	huma.Register(api, change("scan", "/v1/scan", "station", "Whatever a scanner read: a unit, a slot, a command barcode"),
		func(ctx context.Context, in *struct{ Body ScanBody }) (*replyOutput, error) {
			cmd := station.Command{Kind: station.CmdScan, Text: in.Body.Text, Slot: in.Body.Slot, Operator: in.Body.Operator.Operator}
			if in.Body.Expect != nil {
				cmd.Expect = *in.Body.Expect
			}
			return s.command(ctx, cmd)
		})
	huma.Register(api, change("halt", "/v1/station/halt", "station", "Emergency stop: every supply off, every run ends"), s.stationCommand(station.CmdHalt))
	huma.Register(api, change("resume", "/v1/station/resume", "station", "Work again after an emergency stop, a halted lot or a stopped log"), s.stationCommand(station.CmdResume))
	huma.Register(api, look("ready", "/readyz", "health", "Whether the station takes units"), func(context.Context, *struct{}) (*readyOutput, error) {
		v := s.opt.Station.View()
		link, _ := s.opt.Outbox.Link()
		out := &readyOutput{Status: http.StatusOK, Body: Ready{Ready: v.Health == station.HealthOK, Health: v.Health, Detail: v.Detail, MES: string(link)}}
		if !out.Body.Ready {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

func (s *Server) stationCommand(kind station.CommandKind) func(context.Context, *struct{ Body *WhyBody }) (*replyOutput, error) {
	return func(ctx context.Context, in *struct{ Body *WhyBody }) (*replyOutput, error) {
		cmd := station.Command{Kind: kind}
		if in.Body != nil {
			cmd.Operator, cmd.Why = in.Body.Operator.Operator, in.Body.Why
		}
		return s.command(ctx, cmd)
	}
}

func (s *Server) recipes() []RecipeInfo {
	list := []RecipeInfo{}
	for _, r := range s.opt.Recipes {
		list = append(list, RecipeInfo{
			Name: r.Name, Version: r.Version, Title: r.Title, Digest: r.Digest(), Accepts: r.Accepts, Steps: len(r.Steps),
			Active: r.Name == s.opt.Recipe,
		})
	}
	return list
}

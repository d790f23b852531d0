package mes

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"linefit/station"
	"linefit/station/pairing"
)

// PairingBody takes a module maker's pairing list in.
type PairingBody struct {
	PersonBody
	ListBody
	Replace bool `json:"replace,omitempty" doc:"Lines of this list correct those of earlier ones"`
}

// FreeBody lets a module be used by another unit.
type FreeBody struct {
	PersonBody
	ID  string `json:"id" minLength:"1" maxLength:"80" doc:"imei:, eid: or module:"`
	Why string `json:"why" minLength:"1" maxLength:"300"`
}

// pairingRoutes serves the pairing lists, where the station gives them to the
// server.
func (s *Server) pairingRoutes(api huma.API) {
	book := s.opt.Pairing
	if book == nil {
		return
	}
	huma.Register(api, look("list-pairing", "/v1/pairing", "pairing", "Pairing lists in force and their lines"), func(ctx context.Context, in *struct {
		ID    string `query:"id" maxLength:"80" doc:"Only the line with this imei:, eid: or module:"`
		List  string `query:"list" maxLength:"64"`
		Reel  string `query:"reel" maxLength:"64"`
		Limit int    `query:"limit" default:"1000" minimum:"0" maximum:"200000"`
	}) (*struct{ Body pairing.Listed }, error) {
		out, err := book.List(pairing.Filter{ID: in.ID, List: in.List, Reel: in.Reel}, in.Limit)
		return &struct{ Body pairing.Listed }{out}, pairingProblem(ctx, err)
	})
	op := change("import-pairing", "/v1/pairing/import", "pairing", "Take a module maker's pairing list in: all of it or nothing")
	op.MaxBodyBytes = maxList
	op.Errors = append([]int{http.StatusUnprocessableEntity}, op.Errors...)
	huma.Register(api, op, func(ctx context.Context, in *struct{ Body PairingBody }) (*struct{ Body pairing.Intake }, error) {
		ctx, cancel := s.longPatience(ctx)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, pairingProblem(ctx, err)
		}
		out, err := book.Import(ctx, by, in.Body.Name, []byte(in.Body.Data), in.Body.Replace)
		return &struct{ Body pairing.Intake }{out}, pairingProblem(ctx, err)
	})
	huma.Register(api, change("free-module", "/v1/pairing/free", "pairing", "Let a module and its eUICC be used by another unit"), func(ctx context.Context, in *struct{ Body FreeBody }) (*struct{ Body station.PairingFreed }, error) {
		ctx, cancel := s.patience(ctx)
		defer cancel()
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, pairingProblem(ctx, err)
		}
		out, err := book.Free(ctx, by, in.Body.ID, in.Body.Why)
		return &struct{ Body station.PairingFreed }{out}, pairingProblem(ctx, err)
	})
}

func pairingProblem(ctx context.Context, err error) error {
	if errors.Is(err, pairing.ErrNoUnit) || errors.Is(err, pairing.ErrUnused) {
		return &Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: err.Error()}
	}
	return stockProblem(ctx, err)
}

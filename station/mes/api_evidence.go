package mes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"linefit/audit"
	"linefit/station"
	"linefit/station/report"
)

// Evidence is the log as others verify it; audit/store.Store is one.
type Evidence interface {
	// Resource is one resource of the C2SP tlog-tiles API; what there is not is
	// fs.ErrNotExist.
	Resource(path string) ([]byte, error)
	// Bundle is everything about the units that an identifier finds;
	// audit.ErrNoUnit.
	Bundle(ctx context.Context, id string) (audit.Bundle, error)
}

// AlarmBody is what is wrong with the log.
type AlarmBody struct {
	Findings []audit.Finding `json:"findings"`
	Digest   string          `json:"digest,omitempty" doc:"Names these findings in an acceptance"`
}

// AcceptBody is the decision of two people to go on.
type AcceptBody struct {
	PersonBody
	Second station.Actor `json:"second" minLength:"1" maxLength:"64" doc:"Name, badge or pseudonym of the second person"`
	Why    string        `json:"why" minLength:"1" maxLength:"300"`
	Digest string        `json:"digest" minLength:"16" maxLength:"64" doc:"Of the findings that both have seen"`
}

// FindingsDigest names a list of findings.
func FindingsDigest(findings []audit.Finding) (string, error) {
	text, err := json.Marshal(findings)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), err
}

func (s *Server) alarm() (AlarmBody, error) {
	out := AlarmBody{Findings: append([]audit.Finding{}, s.opt.Alarm()...)}
	var err error
	if len(out.Findings) > 0 {
		out.Digest, err = FindingsDigest(out.Findings)
	}
	return out, err
}

// findInput is a containment question as query parameters.
type findInput struct {
	Slots       []int     `query:"slot" doc:"Runs in these slots"`
	Since       time.Time `query:"since" doc:"Runs that started then or later"`
	Until       time.Time `query:"until" doc:"Runs that started before"`
	Recipe      string    `query:"recipe" maxLength:"128"`
	Digest      string    `query:"digest" maxLength:"64" doc:"Of the recipe, or its first 8 digits or more"`
	WorkOrder   string    `query:"work_order" maxLength:"128"`
	SKU         string    `query:"sku" maxLength:"128"`
	Software    string    `query:"software" maxLength:"128"`
	Maker       string    `query:"maker" maxLength:"128"`
	Model       string    `query:"model" maxLength:"128"`
	Firmware    string    `query:"firmware" maxLength:"128" doc:"Of the module; in all texts * stands for any characters"`
	Route       string    `query:"route" maxLength:"32"`
	Generation  string    `query:"generation" enum:"sgp22,sgp32,sgp02,sgp41" doc:"Of the eUICC; sgp41: units of in-factory provisioning"`
	Platform    []string  `query:"platform" doc:"name=text, of the eUICC: eum, firmware, svn, pp_version, sas, label"`
	SMDP        string    `query:"smdp" maxLength:"255"`
	Batch       string    `query:"batch" maxLength:"128"`
	Verdict     string    `query:"verdict" enum:"pass,fail,inconclusive"`
	Reason      string    `query:"reason" maxLength:"64"`
	SinceGolden bool      `query:"since_golden" doc:"Of each slot, runs after its last golden sample that passed"`
}

func (in findInput) query() (report.Query, error) {
	q := report.Query{
		Slots: in.Slots, Since: in.Since, Until: in.Until, Recipe: in.Recipe, Digest: strings.ToLower(in.Digest), WorkOrder: in.WorkOrder,
		SKU: in.SKU, Software: in.Software, Maker: in.Maker, Model: in.Model, Firmware: in.Firmware, Route: in.Route, Generation: in.Generation, SMDP: in.SMDP,
		Batch: in.Batch, Verdict: in.Verdict, Reason: in.Reason, SinceGolden: in.SinceGolden,
	}
	for _, p := range in.Platform {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return q, fmt.Errorf("platform %q is not name=text", p)
		}
		if q.Platform == nil {
			q.Platform = map[string]string{}
		}
		q.Platform[name] = value
	}
	return q, q.Check()
}

// FindBody answers a containment question.
type FindBody struct {
	Query report.Query `json:"query"`
	First uint64       `json:"first" doc:"Oldest entry at hand: above 1, older shards are in an archive"`
	Last  uint64       `json:"last" doc:"Newest entry"`
	report.Found
}

func (s *Server) findRoute(api huma.API) {
	huma.Register(api, look("find-runs", "/v1/audit/find", "audit", "Which runs share something, from an index; linefit audit find answers the same from the evidence"), func(_ context.Context, in *findInput) (*struct{ Body FindBody }, error) {
		q, err := in.query()
		if err != nil {
			return nil, &Problem{Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity, Detail: err.Error()}
		}
		out := &struct{ Body FindBody }{FindBody{Query: q}}
		err = s.read(func(v audit.View) error {
			out.Body.Last = v.Last()
			out.Body.Found, out.Body.First, err = report.FindIndexed(v, q)
			return err
		})
		return out, err
	})
}

// evidenceRoutes serves what QA verifies, and what it decides.
func (s *Server) evidenceRoutes(api huma.API) {
	s.findRoute(api)
	if s.opt.Evidence != nil {
		huma.Register(api, look("get-bundle", "/v1/audit/bundle", "audit", "Everything about the units of an identifier, with proofs: one file that a stand-alone verifier checks"), func(ctx context.Context, in *struct {
			ID string `query:"id" required:"true" minLength:"1" maxLength:"128" doc:"A serial, imei:, eid:, iccid: or carrier:position"`
		}) (*huma.StreamResponse, error) {
			b, err := s.opt.Evidence.Bundle(ctx, in.ID)
			if err != nil {
				return nil, evidenceProblem(err)
			}
			text, err := b.Marshal()
			if err != nil {
				return nil, evidenceProblem(err)
			}
			return streamOf("application/json", text), nil
		})
		// C2SP tlog-tiles: a client needs no more than this prefix.
		s.mux.HandleFunc("GET /v1/audit/log/{path...}", s.tiles)
	}
	if s.opt.Alarm == nil || s.opt.Accept == nil {
		return
	}
	huma.Register(api, look("get-alarm", "/v1/audit/alarm", "audit", "What is wrong with the log; nothing runs while there is something"), func(context.Context, *struct{}) (*struct{ Body AlarmBody }, error) {
		a, err := s.alarm()
		return &struct{ Body AlarmBody }{a}, err
	})
	huma.Register(api, change("accept-log", "/v1/audit/accept", "audit", "Go on with a log that is not what it must be: two people, one of them QA"), func(ctx context.Context, in *struct{ Body AcceptBody }) (*struct{ Body AlarmBody }, error) {
		ctx, cancel := s.patience(ctx)
		defer cancel()
		a, err := s.alarm()
		if err != nil {
			return nil, err
		}
		if a.Digest != in.Body.Digest && len(a.Findings) > 0 {
			return nil, &Problem{Title: http.StatusText(http.StatusConflict), Status: http.StatusConflict, Detail: "the findings are not the ones that were accepted"}
		}
		if callerOf(ctx).role != "" { // a token stands for a system, or for one person
			return nil, problemOf(callerOf(ctx).lang, station.Refuse(station.PermissionMissing, "two people decide that at the station, over its socket"))
		}
		by, err := s.person(ctx, in.Body.PersonBody)
		if err != nil {
			return nil, problemOf(callerOf(ctx).lang, err)
		}
		second, err := s.actor(ctx, in.Body.Second)
		if err != nil {
			return nil, problemOf(callerOf(ctx).lang, err)
		}
		err = s.opt.Accept(ctx, by, audit.Acceptance{
			Persons: []string{string(by.Actor), string(second)}, Reason: in.Body.Why, Findings: a.Findings,
		})
		if err != nil {
			return nil, problemOf(callerOf(ctx).lang, err)
		}
		after, err := s.alarm()
		return &struct{ Body AlarmBody }{after}, err
	})
}

func streamOf(contentType string, data []byte) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", contentType)
		_, _ = ctx.BodyWriter().Write(data) // a reader that is gone asks again
	}}
}

// tiles answers like a static tlog-tiles server.
func (s *Server) tiles(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	data, err := s.opt.Evidence.Resource(path)
	if err != nil {
		var p *Problem
		if errors.As(evidenceProblem(err), &p) {
			writeProblem(w, p)
		}
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	switch {
	case strings.HasSuffix(path, "checkpoint"):
		h.Set("Content-Type", "text/plain; charset=utf-8")
	default: // tiles never change
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	_, _ = w.Write(data) // a reader that is gone asks again
}

func evidenceProblem(err error) error {
	status := http.StatusServiceUnavailable
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, audit.ErrNoUnit) {
		status = http.StatusNotFound
	}
	return &Problem{Title: http.StatusText(status), Status: status, Detail: err.Error()}
}

package mes

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"linefit/audit"
	"linefit/station"
)

// maxPageBytes bounds a page of entries.
const maxPageBytes = 4 << 20

// AuditPage is a page of the audit log.
type AuditPage struct {
	Entries []RawEntry `json:"entries"`
	Next    uint64     `json:"next" doc:"The cursor for the next page: ask for after=next"`
	Last    uint64     `json:"last" doc:"Number of the newest entry"`
}

// AuditHead is the log's signed head.
type AuditHead struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	Root       string `json:"root" doc:"Root hash, base64"`
	Checkpoint string `json:"checkpoint" doc:"Signed note (C2SP tlog-checkpoint)"`
	VKey       string `json:"vkey,omitempty" doc:"Verifier key of the log"`
	Last       uint64 `json:"last" doc:"Number of the newest entry"`
}

func (s *Server) auditRoutes(api huma.API) {
	op := look("list-entries", "/v1/audit", "audit", "Entries behind a cursor, in order: JSON, or JSON Lines of their own bytes")
	op.Responses = map[string]*huma.Response{"200": {Description: "OK. With format=jsonl the header Linefit-Next has the cursor.", Content: map[string]*huma.MediaType{
		"application/json":     {Schema: api.OpenAPI().Components.Schemas.Schema(typeOf[AuditPage](), true, "AuditPage")},
		"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString, Description: "One entry a line"}},
	}}}
	huma.Register(api, op, func(_ context.Context, in *struct {
		After  uint64 `query:"after" doc:"Cursor: 0, or next of the page before"`
		Limit  int    `query:"limit" default:"1000" minimum:"1" maximum:"10000"`
		Format string `query:"format" default:"json" enum:"json,jsonl"`
	}) (*huma.StreamResponse, error) {
		page, err := s.auditPage(in.After, in.Limit)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) { writePage(ctx, page, in.Format) }}, nil
	})
	huma.Register(api, look("get-audit-head", "/v1/audit/head", "audit", "Signed checkpoint of the log"), func(context.Context, *struct{}) (*struct{ Body AuditHead }, error) {
		note, err := s.opt.Log.Checkpoint()
		if err != nil {
			return nil, &Problem{Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: err.Error()}
		}
		cp, err := audit.ParseCheckpoint(note)
		if err != nil {
			return nil, &Problem{Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError, Detail: err.Error()}
		}
		head := AuditHead{Origin: cp.Origin, Size: cp.Size, Root: cp.Root.String(), Checkpoint: string(note), Last: s.opt.Log.Last()}
		if s.opt.VKey != nil {
			head.VKey = s.opt.VKey()
		}
		return &struct{ Body AuditHead }{head}, nil
	})
}

// auditPage reads a page whole, so that a slow reader holds nothing up.
func (s *Server) auditPage(after uint64, limit int) (AuditPage, error) {
	page := AuditPage{Entries: []RawEntry{}, Next: after}
	err := s.read(func(v audit.View) error {
		page.Last = v.Last()
		if after >= page.Last {
			return nil
		}
		size := 0
		for e, err := range v.Entries(after+1, min(after+uint64(limit), page.Last)) {
			if err != nil {
				return err
			}
			raw := audit.AppendEntry(nil, e)
			if size += len(raw); size > maxPageBytes && len(page.Entries) > 0 {
				return nil
			}
			page.Entries, page.Next = append(page.Entries, raw), e.Seq
		}
		return nil
	})
	return page, err
}

func writePage(ctx huma.Context, page AuditPage, format string) {
	ctx.SetHeader("Linefit-Next", strconv.FormatUint(page.Next, 10))
	ctx.SetHeader("Linefit-Last", strconv.FormatUint(page.Last, 10))
	if format == "json" {
		ctx.SetHeader("Content-Type", "application/json")
		body, err := marshal(page)
		if err != nil {
			ctx.SetStatus(http.StatusInternalServerError)
			return
		}
		_, _ = ctx.BodyWriter().Write(append(body, '\n')) // a reader that is gone asks again
		return
	}
	ctx.SetHeader("Content-Type", "application/x-ndjson")
	var b bytes.Buffer
	for _, e := range page.Entries {
		b.Write(e)
		b.WriteByte('\n')
	}
	_, _ = ctx.BodyWriter().Write(b.Bytes())
}

// OutboxPage is the outbox: counts, the link, and what waits or is parked.
type OutboxPage struct {
	OutboxStatus
	Items []Item `json:"items"`
	Next  uint64 `json:"next" doc:"The cursor for the next page: ask for after=next"`
	More  bool   `json:"more"`
}

func (s *Server) outboxRoutes(api huma.API) {
	huma.Register(api, look("get-outbox", "/v1/outbox", "outbox", "Events that the MES has not taken"), func(_ context.Context, in *struct {
		State ItemState `query:"state" enum:"pending,rejected" doc:"Only what waits, or only what the MES has refused for good; both where nothing is said"`
		After uint64    `query:"after"`
		Limit int       `query:"limit" default:"100" minimum:"1" maximum:"1000"`
	}) (*struct{ Body OutboxPage }, error) {
		status, err := s.opt.Outbox.Status()
		if err != nil {
			return nil, &Problem{Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, Detail: err.Error()}
		}
		out := &struct{ Body OutboxPage }{Body: OutboxPage{OutboxStatus: status, Items: []Item{}, Next: in.After}}
		states := []ItemState{ItemPending, ItemRejected}
		if in.State != "" {
			states = []ItemState{in.State}
		}
		err = s.read(func(v audit.View) (err error) {
			out.Body.Items, out.Body.More, err = items(v, states, in.After, in.Limit)
			return err
		})
		if n := len(out.Body.Items); n > 0 {
			out.Body.Next = out.Body.Items[n-1].Seq
		}
		return out, err
	})
	huma.Register(api, change("replay-event", "/v1/outbox/{id}/replay", "outbox", "Send a parked event again, or a waiting one now"), func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"150"`
		Body *WhyBody
	}) (*replyOutput, error) {
		caller := callerOf(ctx)
		var named station.Actor
		why := ""
		if in.Body != nil {
			named, why = in.Body.Operator.Operator, in.Body.Why
		}
		actor, err := s.actor(ctx, named)
		if err != nil {
			return nil, problemOf(caller.lang, err)
		}
		if actor == "" {
			actor = "operator"
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
		defer cancel()
		if err := s.opt.Outbox.Replay(ctx, in.ID, actor, why); err != nil {
			return nil, problemOf(caller.lang, err)
		}
		return &replyOutput{Body: Reply{Reply: station.Reply{Text: "scan.done"}}}, nil
	})
}

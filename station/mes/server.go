package mes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/pairing"
	"linefit/station/people"
	"linefit/station/stock"
	"linefit/station/text"
)

// Station is the running station; engine.Engine is one.
type Station interface {
	View() station.View
	Do(ctx context.Context, cmd station.Command) (station.Reply, error)
	// Changed returns a channel that is closed at the next change of the view.
	Changed() <-chan struct{}
}

// Desk is where people work on tickets; rework.Desk is one.
type Desk interface {
	Claim(ctx context.Context, by rework.Person, ref string) (station.Ticket, error)
	Repair(ctx context.Context, by rework.Person, ref, cause, action string) (station.Ticket, error)
	Dispose(ctx context.Context, by rework.Person, ref string, to station.Disposition, why string) (station.Ticket, error)
}

// ServerOptions are a server's parts. Station, Log and Outbox are needed; the
// log must have the projections of this package, of rework and of stock.
type ServerOptions struct {
	Station Station
	Log     Log
	Outbox  *Outbox
	Desk    Desk          // nil: tickets are read only
	Stock   *stock.Room   // nil: not served
	Pairing *pairing.Book // nil: not served
	// People know who stands behind pseudonyms: every person who is named in a
	// request becomes a pseudonym here. Nil: who is named stands in the log.
	People *people.Book
	// LoadingReport makes the loading report of in-factory provisioning, of one
	// batch or of all (""); nil: not served.
	LoadingReport func(batch string) (func(io.Writer) error, error)
	// Evidence serves tiles and bundles; nil: not served.
	Evidence Evidence
	// Alarm is what is wrong with the log, and Accept lets the station go on in
	// spite of it; nil: not served.
	Alarm  func() []audit.Finding
	Accept func(ctx context.Context, by station.Person, a audit.Acceptance) error
	// Hand carries out work by hand on the eUICC in a slot; nil: not served.
	Hand func(ctx context.Context, by station.Person, slot int, body HandBody) (HandReply, error)
	// Recipes lists the recipes that the station can run; Recipe names the one
	// that a scan starts.
	Recipes []*station.Recipe
	Recipe  string
	// VKey is the verifier key of the log's newest shard; nil: not told.
	VKey func() string
	// Tokens authorise over TCP.
	Tokens []Token
	// Hosts are names by which others reach the TCP port, beside those of
	// loopback: what a Host or Origin header may say.
	Hosts []string
	// ReadToken asks for a token for reading too, over TCP: whoever binds to
	// more than loopback must set it.
	ReadToken bool
	// Timeout bounds a command; zero is one minute. It must be longer than a
	// route check may take.
	Timeout  time.Duration
	Registry *prometheus.Registry // nil: one of its own
	Logger   zerolog.Logger
}

// Token is a bearer token.
type Token struct {
	Name   string // actor of what is done with it, "mes"
	Secret stock.Secret
	Role   rework.Role // on tickets; empty is QA
	// ReadOnly tokens change nothing.
	ReadOnly bool
}

// Server serves the API.
type Server struct {
	opt     ServerOptions
	mux     *http.ServeMux
	keys    *idempotency
	metrics *metrics
	streams chan struct{} // one for each open stream

	mu     sync.Mutex // guards what follows
	cached station.View
	at     uint64 // number of the newest entry in cached
	fresh  bool
}

// maxStreams bounds the screens that follow the station.
const maxStreams = 64

// NewServer makes a server. It listens to nothing.
func NewServer(opt ServerOptions) (*Server, error) {
	if opt.Station == nil || opt.Log == nil || opt.Outbox == nil {
		return nil, errors.New("mes: the server lacks station, log or outbox")
	}
	if opt.Timeout <= 0 {
		opt.Timeout = time.Minute
	}
	if opt.Registry == nil {
		opt.Registry = prometheus.NewRegistry()
	}
	for _, t := range opt.Tokens {
		if t.Secret.Len() < 16 {
			return nil, errors.New("mes: a token of the API has fewer than 16 characters")
		}
	}
	s := &Server{opt: opt, mux: http.NewServeMux(), keys: newIdempotency(), streams: make(chan struct{}, maxStreams)}
	var err error
	if s.metrics, err = newMetrics(s, opt.Registry); err != nil {
		return nil, err
	}
	s.routes()
	return s, nil
}

// routes registers every operation.
func (s *Server) routes() {
	cfg := huma.DefaultConfig("linefit station", "1")
	cfg.Info.Description = "A provisioning station: its slots, units, results, rework and audit log. " +
		"Reading never changes state. Over TCP every change needs a bearer token. Errors are problem details (RFC 9457)."
	cfg.CreateHooks = nil // no $schema members: bodies are what docs/mes.md shows
	cfg.Transformers = append(cfg.Transformers, withoutValues)
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	api := humago.New(s.mux, cfg)
	s.stationRoutes(api)
	s.slotRoutes(api)
	s.handRoute(api)
	s.unitRoutes(api)
	s.reworkRoutes(api)
	s.stockRoutes(api)
	s.pairingRoutes(api)
	s.peopleRoutes(api)
	s.auditRoutes(api)
	s.evidenceRoutes(api)
	s.outboxRoutes(api)
	s.streamRoute(api)
	describeProblems(api)
	s.mux.HandleFunc("GET /openapi-mes.json", s.serveMESDocument)
	s.mux.Handle("GET /metrics", s.metrics.handler())
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	s.mux.HandleFunc("/", s.nothing)
}

// nothing answers where the mux has no route: 404, or 405 with the methods that are
// taken there.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	path := text.Printable(r.URL.Path)
	var taken []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" {
			taken = append(taken, method)
		}
	}
	if len(taken) == 0 {
		writeProblem(w, &Problem{Status: http.StatusNotFound, Detail: "there is nothing at " + path})
		return
	}
	allow := strings.Join(taken, ", ")
	w.Header().Set("Allow", allow)
	writeProblem(w, &Problem{Status: http.StatusMethodNotAllowed, Detail: path + " takes " + allow})
}

// View is the station's view with what the engine does not know: stock, MES,
// counts and the log's head.
func (s *Server) View() station.View {
	v := s.opt.Station.View()
	derived := s.derived()
	v.Stock, v.Counts, v.Pending, v.Head = derived.Stock, derived.Counts, derived.Pending, derived.Head
	link, _ := s.opt.Outbox.Link()
	v.MES, v.Recipe = string(link), s.opt.Recipe
	for i := range v.Slots {
		refreshElapsed(&v.Slots[i])
	}
	return v
}

// refreshElapsed brings a running slot's time up to now: the engine publishes
// it only when something happens.
func refreshElapsed(v *station.SlotView) {
	if v.State != station.SlotRunning && v.State != station.SlotArmed {
		return
	}
	if at, err := time.Parse(time.RFC3339, v.StartedAt); err == nil {
		v.ElapsedMS = max(v.ElapsedMS, time.Since(at).Milliseconds())
	}
}

// derived is what the log's projections say, read anew when the log has grown.
func (s *Server) derived() station.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.opt.Log.Last()
	if s.fresh && s.at == last {
		return s.cached
	}
	var v station.View
	err := s.opt.Log.View(func(a audit.View) error {
		n, err := rework.Count(a)
		if err != nil {
			return err
		}
		box, err := CountOutbox(a)
		if err != nil {
			return err
		}
		v.Counts, v.Pending, v.Head = n.Counts, box.Pending, a.Last()
		v.Stock, err = stock.Count(a)
		return err
	})
	if err != nil { // the log is closed: what was known last stands
		s.opt.Logger.Warn().Err(err).Msg("api: the log cannot be read")
		return s.cached
	}
	s.cached, s.at, s.fresh = v, v.Head, true
	return v
}

// read runs fn with a view of the log and turns its errors into problems.
func (s *Server) read(fn func(audit.View) error) error {
	err := s.opt.Log.View(fn)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rework.ErrNoUnit), errors.Is(err, rework.ErrNoTicket):
		return &Problem{Status: http.StatusNotFound, Detail: err.Error()}
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Status: http.StatusServiceUnavailable, Detail: err.Error()}
}

// command carries out a command. The caller's connection may go: what was
// begun comes to its end.
func (s *Server) command(ctx context.Context, cmd station.Command) (*replyOutput, error) {
	caller := callerOf(ctx)
	var err error
	if cmd.Operator, err = s.actor(ctx, cmd.Operator); err != nil {
		return nil, problemOf(caller.lang, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.Timeout)
	defer cancel()
	reply, err := s.opt.Station.Do(ctx, cmd)
	if err != nil {
		return nil, problemOf(caller.lang, err)
	}
	if reply.Text == "" {
		reply.Text = replyText(cmd)
	}
	slot := reply.Slot
	return &replyOutput{Body: Reply{Reply: reply, Message: text.For(caller.lang).T(reply.Text, "slot", slot)}}, nil
}

// replyText says what to tell where the station only says yes.
func replyText(cmd station.Command) string {
	kind := cmd.Kind
	if code, err := station.ParseBarcode(cmd.Text); err == nil && kind == station.CmdScan {
		kind = map[string]station.CommandKind{
			station.VerbAck: station.CmdAck, station.VerbBin: station.CmdAck, station.VerbClear: station.CmdClear,
			station.VerbEnable: station.CmdEnable, station.VerbDisable: station.CmdDisable,
		}[code.Verb]
	}
	switch kind {
	case station.CmdAck:
		return "scan.acknowledged"
	case station.CmdClear:
		return "scan.cleared"
	case station.CmdEnable:
		return "scan.enabled"
	case station.CmdDisable:
		return "scan.disabled"
	}
	return "scan.done"
}

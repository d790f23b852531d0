package sim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"linefit/modem/ident"
	"linefit/station"
)

// MES is a virtual manufacturing execution system: it confirms routes and
// keeps results, by idempotency key, in a file.
type MES struct {
	file   string
	seed   uint64
	faults string
	route  func(unit station.Serial) map[string]string // more of a route answer; nil: nothing
	// pool are the codes that it hands out, where it is their source; nil: none.
	pool    func() ([]Code, error)
	profile func(unit station.Serial, iccid ident.ICCID) map[string]any // changes what it hands out; nil: nothing

	mu    sync.Mutex // guards what follows and the file
	state mesState
}

type mesState struct {
	Events map[string]json.RawMessage `json:"events"` // by CloudEvents id
	Tries  map[string]int             `json:"tries"`  // requests per id, for the dice
	// Anchors are the newest checkpoints, base64, by the log's name.
	Anchors map[string]string `json:"anchors"`
	Issues  []issueState      `json:"issues,omitempty"`
	// Claims say which station's log has the sole use of a profile, by ICCID, or of
	// a batch whose list names none.
	Claims map[string]string `json:"claims,omitempty"`
}

func openMES(file string, seed uint64, faults string) (*MES, error) {
	m := &MES{file: file, seed: seed, faults: faults, state: mesState{Events: map[string]json.RawMessage{}, Tries: map[string]int{}, Anchors: map[string]string{}}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("virtual MES: %w", err)
	}
	if err := json.Unmarshal(data, &m.state); err != nil {
		return nil, fmt.Errorf("virtual MES: %s: %w", file, err)
	}
	if m.state.Anchors == nil {
		m.state.Anchors = map[string]string{}
	}
	return m, nil
}

// Events are the ids of the results that the MES has.
func (m *MES) Events() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.state.Events)
}

// mesChances are how often the MES refuses to work, by plan.
var mesChances = map[string]float64{"typical": 0.03, "harsh": 0.10}

// ServeHTTP answers the station.
func (m *MES) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/v1/units/validate":
		m.validate(w, body)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/stock/claims":
		m.claim(w, r.Header.Get("Linefit-Origin"), body)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/events":
		m.take(w, r.Header, body)
	case r.Method == http.MethodOptions && r.URL.Path == "/v1/events": // CloudEvents webhooks, section 4
		w.Header().Set("WebHook-Allowed-Origin", r.Header.Get("WebHook-Request-Origin"))
		w.Header().Set("WebHook-Allowed-Rate", "*")
	case r.Method == http.MethodGet && r.URL.Path == "/v1/checkpoints":
		m.checkpoint(w, r.URL.Query().Get("origin"))
	default:
		http.NotFound(w, r)
	}
}

func (m *MES) validate(w http.ResponseWriter, body []byte) {
	var ask struct {
		Station string         `json:"station"`
		Unit    station.Serial `json:"unit"`
		Run     string         `json:"run"`
	}
	if json.Unmarshal(body, &ask) != nil || ask.Unit == "" {
		http.Error(w, `{"detail":"no unit"}`, http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	fault, err := m.fault("route/" + string(ask.Unit))
	var profile map[string]any
	if err == nil && m.pool != nil { // handed out, whether the answer arrives or not
		profile, err = m.issue(ask.Station, ask.Unit)
	}
	m.mu.Unlock()
	if err != nil || fault {
		http.Error(w, `{"detail":"busy"}`, http.StatusServiceUnavailable)
		return
	}
	out := map[string]any{"answer": "confirmed", "work_order": "WO-DEMO", "ref": ask.Run}
	if m.route != nil {
		for name, text := range m.route(ask.Unit) {
			out[name] = text
		}
	}
	if profile != nil {
		out["profile"] = profile
	}
	answer(w, out)
}

// fault throws the dice for a request. The caller holds mu.
func (m *MES) fault(id string) (bool, error) {
	m.state.Tries[id]++
	return draw(m.seed, "mes", id, m.state.Tries[id]) < mesChances[m.faults], m.save()
}

// take keeps an event; the same one again changes nothing.
func (m *MES) take(w http.ResponseWriter, h http.Header, body []byte) {
	var event struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if json.Unmarshal(body, &event) != nil || event.ID == "" {
		http.Error(w, `{"detail":"no CloudEvents id"}`, http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fault, err := m.fault(event.ID)
	origin := h.Get("Linefit-Origin")
	if err == nil && !fault {
		if next := h.Get("Linefit-Checkpoint"); newer(m.state.Anchors[origin], next) {
			m.state.Anchors[origin] = next
		}
		if _, have := m.state.Events[event.ID]; !have {
			m.state.Events[event.ID] = json.RawMessage(body)
			if event.Type == "linefit.ProfileSettled.v1" {
				m.settle(body)
			}
			err = m.save()
		}
	}
	if err != nil || fault {
		http.Error(w, `{"detail":"busy"}`, http.StatusServiceUnavailable)
		return
	}
	answer(w, map[string]string{"answer": "confirmed", "ref": event.ID, "checkpoint": m.state.Anchors[origin]})
}

// checkpoint gives back the newest checkpoint of a log.
func (m *MES) checkpoint(w http.ResponseWriter, origin string) {
	note, ok := m.Anchor(origin)
	if !ok {
		http.Error(w, "none", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(note) // a client that is gone asks again
}

// Anchor is the newest checkpoint of a log that the MES keeps.
func (m *MES) Anchor(origin string) (note []byte, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	note, err := base64.StdEncoding.DecodeString(m.state.Anchors[origin])
	return note, err == nil && len(note) > 0
}

// newer compares two checkpoints as an MES does that knows their form only: by
// the number of the log's shard, then by size.
func newer(old, next string) bool {
	a, okA := parsePosition(old)
	b, okB := parsePosition(next)
	return okB && (!okA || b.shard > a.shard || b.shard == a.shard && b.size > a.size)
}

type position struct{ shard, size uint64 }

// parsePosition reads the first two lines of a C2SP tlog-checkpoint.
func parsePosition(encoded string) (p position, ok bool) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	lines := strings.SplitN(string(text), "\n", 3)
	if err != nil || len(lines) < 3 {
		return p, false
	}
	if p.size, err = strconv.ParseUint(lines[1], 10, 64); err != nil {
		return p, false
	}
	p.shard = 1
	if n, err := strconv.ParseUint(lines[0][strings.LastIndexByte(lines[0], '/')+1:], 10, 32); err == nil {
		p.shard = n
	}
	return p, true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone asks again
}

// save writes the file. The caller holds mu.
func (m *MES) save() error {
	data, err := json.Marshal(m.state)
	if err != nil {
		return fmt.Errorf("virtual MES: %w", err)
	}
	return replace(m.file, data)
}

// Serve serves the MES until ctx ends.
func (m *MES) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: m, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("virtual MES: %w", err)
	}
	return nil
}

// RoundTripper is the MES without a socket.
func (m *MES) RoundTripper() http.RoundTripper { return inProcess{m} }

type inProcess struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.h.ServeHTTP(rec, r)
	res := rec.Result()
	res.Request = r
	return res, nil
}

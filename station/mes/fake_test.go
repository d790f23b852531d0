package mes_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/report"
	"linefit/station/stock"
)

// fakeMES is an MES in memory behind an http.RoundTripper.
type fakeMES struct {
	secret *webhooks.Webhook // checks signatures where set
	token  string

	mu     sync.Mutex
	down   bool                                   // no answer at all
	slow   time.Duration                          // before each answer
	answer func(id string, nth int) (int, string) // of events; nil confirms
	route  func(req mes.RouteRequest) (int, string)
	tries  map[string]int
	bodies map[string]string
	order  []string // ids as taken, each once
	taken  map[string]bool
	bad    []string // what was wrong with requests
	note   []byte   // newest checkpoint
	// leave answers OPTIONS; nil: this MES does not know it.
	leave  func() (status int, header map[string]string)
	asked  int         // by OPTIONS
	probed int         // for checkpoints
	at     []time.Time // events
}

func newFakeMES() *fakeMES {
	return &fakeMES{tries: map[string]int{}, bodies: map[string]string{}, taken: map[string]bool{}}
}

func (f *fakeMES) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	down, slow := f.down, f.slow
	f.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if down {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *fakeMES) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/mes/v1/checkpoints" && f.token != "" {
		f.probed++
	}
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.wrong("body: %v", err)
	}
	switch r.URL.Path {
	case "/mes/v1/events":
		if r.Method == http.MethodOptions {
			f.options(w)
			return
		}
		f.at = append(f.at, time.Now())
		f.event(w, r, body)
	case "/mes/v1/units/validate":
		var req mes.RouteRequest
		if err := json.Unmarshal(body, &req); err != nil {
			f.wrong("validate: %v", err)
		}
		status, text := f.route(req)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	case "/mes/v1/checkpoints":
		f.probed++
		if f.note == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(f.note)
	default:
		f.wrong("path %s", r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
	}
}

func (f *fakeMES) options(w http.ResponseWriter) {
	f.asked++
	if f.leave == nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	status, header := f.leave()
	for k, v := range header {
		w.Header().Set(k, v)
	}
	w.WriteHeader(status)
}

func (f *fakeMES) wrong(format string, args ...any) {
	f.bad = append(f.bad, fmt.Sprintf(format, args...))
}

func (f *fakeMES) event(w http.ResponseWriter, r *http.Request, body []byte) {
	var e struct{ SpecVersion, ID, Type, Source, Subject, Sequence, Time string }
	if err := json.Unmarshal(body, &e); err != nil || e.SpecVersion != "1.0" || e.Source == "" || e.Subject == "" || len(e.Sequence) != 20 {
		f.wrong("event %s: %v", body, err)
	}
	if r.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || r.Header.Get("Idempotency-Key") != e.ID {
		f.wrong("headers %v", r.Header)
	}
	if f.secret != nil {
		if err := f.secret.VerifyIgnoringTimestamp(body, r.Header); err != nil {
			f.wrong("signature: %v", err)
		}
	}
	note, err := base64.StdEncoding.DecodeString(r.Header.Get("Linefit-Checkpoint"))
	if _, perr := audit.ParseCheckpoint(note); err != nil || perr != nil {
		f.wrong("checkpoint: %v %v", err, perr)
	}
	f.note = note
	if old, ok := f.bodies[e.ID]; ok && old != string(body) {
		f.wrong("the body of %s changed between attempts", e.ID)
	}
	f.bodies[e.ID] = string(body)
	f.tries[e.ID]++
	status, text := http.StatusOK, ""
	if f.answer != nil {
		status, text = f.answer(e.ID, f.tries[e.ID])
	}
	if status < 300 && !f.taken[e.ID] {
		f.taken[e.ID] = true
		f.order = append(f.order, e.ID)
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func (f *fakeMES) set(change func(*fakeMES)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeMES) count(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tries[id]
}

func (f *fakeMES) check(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bad {
		t.Errorf("the MES saw: %s", b)
	}
}

func client(t testing.TB, f *fakeMES) *mes.Client {
	t.Helper()
	c, err := mes.NewClient(mes.ClientOptions{
		URL: "https://mes.test/mes", Transport: f, RouteTimeout: 5 * time.Second, EventTimeout: 10 * time.Second,
		Origin: "test.example/station", Token: stock.NewSecret([]byte(f.token)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openLog starts a store with this package's projections.
func openLog(t testing.TB, disk *storetest.Disk) *storetest.Station {
	t.Helper()
	return storetest.Start(t, disk, store.Options{
		Projections: []audit.Projection{mes.OutboxProjection{}, rework.Projection{}, stock.Projection{}, report.RunIndex()},
	})
}

// gate appends facts.
func gate(t testing.TB, log mes.Log, d audit.Draft, facts ...station.Fact) {
	t.Helper()
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		d.Type, d.Data = name, data
		if _, err := log.Gate(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
}

var opened = station.StationOpened{Software: "test", Site: "plant", Line: "L1", Station: "S 1", Slots: 4, MES: "https://mes.test", Next: 1}

const (
	anIMEI  ident.IMEI  = "490154203237518"
	anEID   ident.EID   = "89049032123451234512345678901235"
	anICCID ident.ICCID = "8949000000000000019"
)

// build appends a whole run up to its disposition.
func build(t testing.TB, log mes.Log, unit station.Serial, run station.RunID, slot int, verdict station.Verdict, to station.Disposition) {
	t.Helper()
	d := audit.Draft{Slot: slot, Actor: "op1", Unit: string(unit), Run: string(run)}
	v := station.RunVerdict{Verdict: verdict, IMEI: anIMEI, EID: anEID, Millis: 900}
	if verdict == station.Pass {
		v.ICCIDs = []ident.ICCID{anICCID}
		v.Evidence = &station.Evidence{ICCID: anICCID, EID: anEID, State: "enabled"}
	} else {
		v.Reason, v.Step = station.NewReason(station.ModuleSilent, "no answer"), "boot"
	}
	gate(t, log, d,
		station.RunStarted{Recipe: "consumer", Version: 1, Digest: "d", Route: "confirmed", Number: 1},
		station.UnitIdentified{Maker: "Quectel", Model: "EG25", IMEI: anIMEI, EID: anEID}, v,
		station.UnitDisposed{Disposition: to, Rule: "test"})
}

func left(t testing.TB, log mes.Log, unit station.Serial, run station.RunID, slot int) {
	t.Helper()
	gate(t, log, audit.Draft{Slot: slot, Unit: string(unit), Run: string(run)}, station.UnitLeft{})
}

func counts(t testing.TB, log mes.Log) (n mes.OutboxCount) {
	t.Helper()
	err := log.View(func(v audit.View) (err error) {
		n, err = mes.CountOutbox(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

package mes_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/stock"
)

// fakeStation answers commands by a script.
type fakeStation struct {
	do func(cmd station.Command) (station.Reply, error)

	mu      sync.Mutex
	view    station.View
	cmds    []station.Command
	changed chan struct{}
}

func newFakeStation() *fakeStation {
	return &fakeStation{changed: make(chan struct{}), view: station.View{
		Station: "S1", Software: "test", Health: station.HealthOK, Simulated: true,
		Slots: []station.SlotView{{ID: 1, State: station.SlotEmpty, Lamp: station.LampOff}, {ID: 2, State: station.SlotRunning, Lamp: station.LampBusy, Unit: "SN7"}},
	}}
}

func (f *fakeStation) View() station.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.view
	v.Slots = append([]station.SlotView(nil), f.view.Slots...)
	return v
}

func (f *fakeStation) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeStation) set(change func(*station.View)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.view)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeStation) Do(_ context.Context, cmd station.Command) (station.Reply, error) {
	f.mu.Lock()
	f.cmds = append(f.cmds, cmd)
	do := f.do
	f.mu.Unlock()
	if do == nil {
		return station.Reply{Slot: cmd.Slot}, nil
	}
	return do(cmd)
}

func (f *fakeStation) commands() []station.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]station.Command(nil), f.cmds...)
}

const theToken = "0123456789abcdef"

// journal is a rework.Journal over the log.
type journal struct{ log mes.Log }

func (j journal) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	var drafts []audit.Draft
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return err
		}
		drafts = append(drafts, audit.Draft{Type: name, Data: data, Slot: at.Slot, Unit: string(at.Unit), Run: string(at.Run), Actor: string(at.Actor)})
	}
	_, err := j.log.Gate(ctx, drafts...)
	return err
}

// serve makes a server over a log and a fake station.
func serve(t testing.TB, log mes.Log, st *fakeStation, change ...func(*mes.ServerOptions)) *mes.Server {
	t.Helper()
	none, err := mes.NewClient(mes.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	opt := mes.ServerOptions{
		Station: st, Log: log, Outbox: mes.NewOutbox(mes.OutboxOptions{Log: log, Client: none}), Desk: rework.NewDesk(log.View, journal{log}),
		Recipes: []*station.Recipe{{Name: "consumer", Version: 3, Accepts: []string{"sgp22"}}}, Recipe: "consumer",
		Tokens: []mes.Token{
			{Name: "mes", Secret: stock.NewSecret([]byte(theToken))},
			{Name: "qa-pull", Secret: stock.NewSecret([]byte("fedcba9876543210")), ReadOnly: true},
		},
		Hosts: []string{"station.plant"},
	}
	for _, f := range change {
		f(&opt)
	}
	s, err := mes.NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request.
func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8088"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func into[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

func TestEveryChangeNeedsAToken(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	spec := into[struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ Security []map[string][]string }
	}](t, ask(s.Remote(), "GET", "/openapi.json", ""))
	if !strings.HasPrefix(spec.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %q", spec.OpenAPI)
	}
	changes := 0
	for path, methods := range spec.Paths {
		concrete := strings.NewReplacer("{id}", "1", "{ticket}", "T1").Replace(path)
		for method, op := range methods {
			if method != "get" {
				changes++
				if len(op.Security) == 0 {
					t.Errorf("%s %s names no security", method, path)
				}
				for name, header := range map[string][]string{
					"no token": nil, "wrong token": {"Authorization", "Bearer 0123456789abcdeX"}, "prefix": {"Authorization", "Bearer 0123456789abcde"},
					"basic": {"Authorization", "Basic " + theToken}, "empty": {"Authorization", "Bearer "},
				} {
					if w := ask(s.Remote(), strings.ToUpper(method), concrete, "{}", header...); w.Code != http.StatusUnauthorized {
						t.Errorf("%s %s with %s: %d", method, path, name, w.Code)
					}
				}
				if w := ask(s.Remote(), strings.ToUpper(method), concrete, "{}", "Authorization", "Bearer fedcba9876543210"); w.Code != http.StatusForbidden {
					t.Errorf("%s %s with a reading token: %d", method, path, w.Code)
				}
			}
		}
	}
	if changes < 12 {
		t.Errorf("only %d operations change state", changes)
	}
	if len(st.commands()) != 0 {
		t.Errorf("commands went through: %v", st.commands())
	}
}

// TestDocument holds that the OpenAPI document is whole: what it refers to is
// there, and it says what errors look like.
func TestDocument(t *testing.T) {
	s := serve(t, openLog(t, nil), newFakeStation())
	raw := ask(s.Local(), http.MethodGet, "/openapi.json", "").Body.Bytes()
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]*)"`).FindAllSubmatch(raw, -1) {
		if _, ok := doc.Components.Schemas[string(ref[1])]; !ok {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	if p := doc.Components.Schemas["Problem"]; p.Properties["code"] == nil || p.Properties["advice"] == nil {
		t.Errorf("problems are described as %v", p)
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if ids[op.OperationID] {
				t.Errorf("the operation %q stands twice", op.OperationID)
			}
			ids[op.OperationID] = true
			for status, r := range op.Responses {
				if _, ok := r.Content["application/problem+json"]; ok != (status >= "4") {
					t.Errorf("%s %s: %s is described as %v", method, path, status, r.Content)
				}
			}
		}
	}
}

// TestReadingChangesNothing walks every GET that the document names.
func TestReadingChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := openLog(t, nil), newFakeStation()
		s := serve(t, log, st)
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN1", "r1", 1, station.Failed, station.Rework)
		gate(t, log, audit.Draft{Unit: "SN1", Run: "r1"}, station.TicketOpened{Ticket: "T1", Queue: "rework", Wanted: station.Rework})
		before := log.Last()
		spec := into[struct{ Paths map[string]map[string]any }](t, ask(s.Remote(), "GET", "/openapi.json", ""))
		for path, methods := range spec.Paths {
			if methods["get"] == nil || path == "/v1/stream" {
				continue
			}
			concrete := strings.NewReplacer("/units/{id}", "/units/SN1", "{id}", "1", "{ticket}", "T1").Replace(path)
			if w := ask(s.Remote(), "GET", concrete, ""); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("GET %s: %d %s", concrete, w.Code, w.Body)
			}
		}
		synctest.Wait()
		if log.Last() != before || len(st.commands()) != 0 {
			t.Errorf("%d entries more, commands %v", log.Last()-before, st.commands())
		}
	})
}

func TestHostAndOrigin(t *testing.T) {
	s := serve(t, openLog(t, nil), newFakeStation())
	for host, want := range map[string]int{
		"127.0.0.1:8088": 200, "localhost": 200, "LOCALHOST:1": 200, "[::1]:8088": 200, "station.plant": 200, "station.plant:8088": 200,
		"evil.example": 421, "127.0.0.1.evil.example": 421, "10.0.0.7": 421, "": 421, "localhost.evil.example:8088": 421,
	} {
		if w := ask(s.Remote(), "GET", "/v1/station", "", "Host", host); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
	for origin, want := range map[string]int{
		"http://127.0.0.1:8088": 200, "http://station.plant": 200, "https://evil.example": 403, "null": 403, "file://": 403, "http://localhost.evil.example": 403,
	} {
		if w := ask(s.Remote(), "GET", "/v1/station", "", "Origin", origin); w.Code != want {
			t.Errorf("Origin %q: %d, want %d", origin, w.Code, want)
		}
	}
	closed := serve(t, openLog(t, nil), newFakeStation(), func(o *mes.ServerOptions) { o.ReadToken = true })
	for path, want := range map[string]int{"/v1/station": 401, "/metrics": 401, "/openapi.json": 401, "/healthz": 200, "/readyz": 200} {
		if w := ask(closed.Remote(), "GET", path, ""); w.Code != want {
			t.Errorf("GET %s without a token: %d, want %d", path, w.Code, want)
		}
	}
	if w := ask(closed.Remote(), "GET", "/v1/station", "", "Authorization", "Bearer fedcba9876543210"); w.Code != 200 {
		t.Errorf("reading with a token: %d", w.Code)
	}
}

func TestCommands(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	for _, c := range []struct {
		path, body string
		want       station.Command
		text       string
	}{
		{"/v1/scan", `{"text":"LF:SLOT:2","operator":"op1"}`, station.Command{Kind: station.CmdScan, Text: "LF:SLOT:2", Operator: "op1"}, "scan.done"},
		{"/v1/scan", `{"text":"SN1","slot":2,"expect":{"source":"label","imei":"490154203237518"}}`, station.Command{Kind: station.CmdScan, Text: "SN1", Slot: 2, Expect: station.Expect{Source: "label", IMEI: anIMEI}}, "scan.done"},
		{"/v1/scan", `{"text":"LF:BIN:A"}`, station.Command{Kind: station.CmdScan, Text: "LF:BIN:A"}, "scan.acknowledged"},
		{"/v1/slots/2/start", `{"unit":"SN1"}`, station.Command{Kind: station.CmdStart, Slot: 2, Unit: "SN1"}, "scan.done"},
		{"/v1/slots/2/abort", ``, station.Command{Kind: station.CmdAbort, Slot: 2}, "scan.done"},
		{"/v1/slots/2/ack", `{"bin":"HOLD-1"}`, station.Command{Kind: station.CmdAck, Slot: 2, Text: "HOLD-1"}, "scan.acknowledged"},
		{"/v1/slots/64/disable", `{"why":"needle"}`, station.Command{Kind: station.CmdDisable, Slot: 64, Why: "needle"}, "scan.disabled"},
		{"/v1/slots/2/enable", `{}`, station.Command{Kind: station.CmdEnable, Slot: 2}, "scan.enabled"},
		{"/v1/slots/2/clear", ``, station.Command{Kind: station.CmdClear, Slot: 2}, "scan.cleared"},
		{"/v1/station/halt", ``, station.Command{Kind: station.CmdHalt}, "scan.done"},
		{"/v1/station/resume", `{"operator":"lead"}`, station.Command{Kind: station.CmdResume, Operator: "lead"}, "scan.done"},
	} {
		n := len(st.commands())
		w := ask(s.Local(), "POST", c.path, c.body)
		cmds := st.commands()
		if w.Code != http.StatusOK || len(cmds) != n+1 || cmds[n] != c.want {
			t.Errorf("POST %s %s: %d %s, commands %+v", c.path, c.body, w.Code, w.Body, cmds[n:])
			continue
		}
		if r := into[mes.Reply](t, w); r.Text != c.text || r.Message == "" {
			t.Errorf("POST %s: %+v", c.path, r)
		}
	}
	if w := ask(s.Remote(), "POST", "/v1/slots/1/abort", "", "Authorization", "Bearer "+theToken); w.Code != 200 || st.commands()[len(st.commands())-1].Operator != "mes" {
		t.Errorf("%d %v", w.Code, st.commands())
	}
}

func TestRefusalsAreProblems(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	for code := range station.Codes() {
		st.do = func(station.Command) (station.Reply, error) {
			return station.Reply{}, station.Refuse(code, "detail %d", 7)
		}
		w := ask(s.Local(), "POST", "/v1/scan", `{"text":"SN1"}`, "Accept-Language", "zh-CN,en;q=0.5")
		p := into[mes.Problem](t, w)
		want := http.StatusConflict
		if code == station.PermissionMissing {
			want = http.StatusForbidden
		}
		if w.Code != want || p.Status != want || p.Code != code || p.Class != code.Class() || p.Detail != "detail 7" || p.Advice == "" || p.Title == "" ||
			p.Type != "urn:linefit:reason:"+string(code) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
	}
	st.do = func(station.Command) (station.Reply, error) { return station.Reply{}, context.DeadlineExceeded }
	if w := ask(s.Local(), "POST", "/v1/scan", `{"text":"SN1"}`); w.Code != http.StatusGatewayTimeout {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestBadRequests holds that what is malformed is a problem and no command.
func TestBadRequests(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/scan", ``, 400}, {"POST", "/v1/scan", `{`, 400}, {"POST", "/v1/scan", `[]`, 422}, {"POST", "/v1/scan", `{"text":1}`, 422},
		{"POST", "/v1/scan", `{"text":""}`, 422}, {"POST", "/v1/scan", `{"text":"a","more":1}`, 422},
		{"POST", "/v1/scan", `{"text":"` + strings.Repeat("a", 513) + `"}`, 422},
		{"POST", "/v1/scan", `{"text":"` + strings.Repeat("a", 70_000) + `"}`, 413},
		{"POST", "/v1/slots/0/abort", ``, 422}, {"POST", "/v1/slots/65/abort", ``, 422}, {"POST", "/v1/slots/x/abort", ``, 422},
		{"POST", "/v1/slots/1/start", `{"unit":"a b"}`, 422}, {"POST", "/v1/slots/1/start", `{"unit":"a","operator":"\u001b"}`, 422},
		{"POST", "/v1/slots/1/explode", ``, 404}, {"GET", "/nothing", ``, 404}, {"GET", "/v1/units/nope", ``, 404},
		{"PUT", "/v1/scan", `{}`, 405}, {"GET", "/v1/slots/1/ack", ``, 405}, {"POST", "/v1/station", `{}`, 405}, {"DELETE", "/metrics", ``, 405},
		{"GET", "/v1/units/imei:12", ``, 404}, {"GET", "/v1/rework/T9", ``, 404}, {"GET", "/v1/audit?after=-1", ``, 422},
		{"GET", "/v1/audit?format=xml", ``, 422}, {"GET", "/v1/results?limit=0", ``, 422}, {"GET", "/v1/slots/9", ``, 404},
		{"POST", "/v1/rework/T9/dispose", `{"disposition":"hold","why":"x"}`, 422}, {"POST", "/v1/outbox/r1.UnitsTested/replay", ``, 409},
	} {
		w := ask(s.Local(), c.method, c.path, c.body)
		if w.Code != c.status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %.40s: %d %s %s", c.method, c.path, c.body, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if allow := w.Header().Get("Allow"); (w.Code == 405) != (allow != "") || strings.Contains(allow, c.method) {
			t.Errorf("%s %s: Allow: %s", c.method, c.path, allow)
		}
	}
	if len(st.commands()) != 0 {
		t.Errorf("%v", st.commands())
	}
}

func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := openLog(t, nil), newFakeStation()
		release := make(chan struct{})
		st.do = func(cmd station.Command) (station.Reply, error) {
			switch cmd.Text {
			case "SLOW":
				<-release
			case "REFUSED":
				return station.Reply{}, station.Refuse(station.UnitDuplicate, "running")
			case "BROKEN":
				return station.Reply{}, io.ErrUnexpectedEOF
			}
			return station.Reply{Slot: 1, Text: "scan.started"}, nil
		}
		s := serve(t, log, st)
		scan := func(key, unit string) *httptest.ResponseRecorder {
			return ask(s.Local(), "POST", "/v1/scan", `{"text":"`+unit+`"}`, "Idempotency-Key", key)
		}
		first, again := scan("k1", "SN1"), scan("k1", "SN1")
		if first.Code != 200 || again.Code != 200 || first.Body.String() != again.Body.String() || len(st.commands()) != 1 || again.Header().Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s %s %v", first.Body, again.Body, st.commands())
		}
		if w := scan("k1", "SN2"); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("another body: %d", w.Code)
		}
		if a, b := scan("k2", "REFUSED"), scan("k2", "REFUSED"); a.Code != 409 || b.Code != 409 || a.Body.String() != b.Body.String() || len(st.commands()) != 2 {
			t.Errorf("a refusal is not kept: %s %s", a.Body, b.Body)
		}
		if a, b := scan("k3", "BROKEN"), scan("k3", "BROKEN"); a.Code != 500 || b.Code != 500 || len(st.commands()) != 4 {
			t.Errorf("a fault is kept: %d %d", a.Code, b.Code)
		}
		done := make(chan int)
		go func() { done <- scan("k4", "SLOW").Code }()
		synctest.Wait()
		if w := scan("k4", "SLOW"); w.Code != http.StatusConflict {
			t.Errorf("while the first is worked on: %d", w.Code)
		}
		close(release)
		if code := <-done; code != 200 {
			t.Errorf("%d", code)
		}
		if w := scan(strings.Repeat("k", 256), "SN1"); w.Code != http.StatusBadRequest {
			t.Errorf("a long key: %d", w.Code)
		}
		if w := ask(s.Local(), "POST", "/v1/scan", `{"texd":1}`, "Idempotency-Key", "k5"); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("a body that is wrong: %d", w.Code)
		}
		if w := scan("k5", "SN1"); w.Code != 200 {
			t.Errorf("the right request after a wrong one: %d %s", w.Code, w.Body)
		}
		var problem struct{ Title string }
		if w := ask(s.Local(), "GET", "/v1/units/eid:1", ""); json.Unmarshal(w.Body.Bytes(), &problem) != nil || problem.Title == "" {
			t.Errorf("a problem without a title: %s", w.Body)
		}
		n := len(st.commands())
		for i := range 5000 { // old keys make room
			scan(fmt.Sprint("x", i), "SN1")
		}
		scan("k1", "SN1")
		if got := len(st.commands()) - n; got != 5001 {
			t.Errorf("%d commands", got)
		}
	})
}

// What the MES has refused for good is seen together with what waits, in the
// order of the log, page by page.
func TestOutboxShowsWhatIsParked(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	opened := opened
	opened.MES = "https://mes.example"
	gate(t, log, audit.Draft{}, opened)
	for i := range 5 {
		build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), 1, station.Pass, station.Release)
	}
	gate(t, log, audit.Draft{}, station.OutboxRejected{Event: "r1.UnitsTested", Status: 422}, station.OutboxRejected{Event: "r3.UnitsTested", Status: 422})
	list := func(query string) (ids []string) {
		for after := uint64(0); ; {
			p := into[mes.OutboxPage](t, ask(s.Local(), "GET", fmt.Sprintf("/v1/outbox?limit=2&after=%d%s", after, query), ""))
			for _, it := range p.Items {
				ids = append(ids, strings.TrimSuffix(it.ID, ".UnitsTested"))
			}
			if after = p.Next; !p.More {
				return ids
			}
		}
	}
	for query, want := range map[string]string{"": "[r0 r1 r2 r3 r4]", "&state=pending": "[r0 r2 r4]", "&state=rejected": "[r1 r3]"} {
		if got := fmt.Sprint(list(query)); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

func TestUnitsResultsAndPages(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	gate(t, log, audit.Draft{}, opened)
	for i := range 7 {
		build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), 1, station.Pass, station.Release)
	}
	var runs []station.RunID
	after := uint64(0)
	for range 10 {
		p := into[mes.ResultPage](t, ask(s.Local(), "GET", fmt.Sprintf("/v1/results?limit=3&after=%d", after), ""))
		for _, r := range p.Results {
			runs = append(runs, r.Run)
		}
		if after = p.Next; !p.More {
			break
		}
	}
	if fmt.Sprint(runs) != "[r0 r1 r2 r3 r4 r5 r6]" {
		t.Errorf("pulled %v", runs)
	}
	if p := into[mes.ResultPage](t, ask(s.Local(), "GET", fmt.Sprintf("/v1/results?after=%d", after), "")); len(p.Results) != 0 || p.Next != after {
		t.Errorf("%+v", p)
	}
	for _, id := range []string{"SN6", "sn:SN6", "imei:" + string(anIMEI), "eid:" + string(anEID), "iccid:" + string(anICCID)} {
		u := into[struct {
			Unit    rework.Unit
			Runs    []rework.RunSummary
			Others  []station.Serial
			Entries []struct{ Type string }
		}](t, ask(s.Local(), "GET", "/v1/units/"+id, ""))
		others := 0
		if strings.Contains(id, ":8") || strings.Contains(id, ":4") {
			others = 6
		}
		if u.Unit.Serial != "SN6" || len(u.Runs) != 1 || len(u.Entries) != 4 || len(u.Others) != others {
			t.Errorf("%s: %+v", id, u)
		}
	}
	var bytes strings.Builder
	for after, last := uint64(0), uint64(1); after < last; {
		w := ask(s.Local(), "GET", fmt.Sprintf("/v1/audit?format=jsonl&limit=10&after=%d", after), "")
		bytes.Write(w.Body.Bytes())
		_, _ = fmt.Sscan(w.Header().Get("Linefit-Next"), &after)
		_, _ = fmt.Sscan(w.Header().Get("Linefit-Last"), &last)
	}
	checker := audit.NewChecker(1, false)
	for line := range strings.Lines(bytes.String()) {
		if _, _, err := checker.Add([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
			t.Error(err)
		}
	}
	head := into[mes.AuditHead](t, ask(s.Local(), "GET", "/v1/audit/head", ""))
	if cp, err := audit.ParseCheckpoint([]byte(head.Checkpoint)); err != nil || cp.Head != checker.Head() || head.Size != uint64(checker.Next()-1) {
		t.Errorf("head %+v, pages give %+v: %v", head, checker.Head(), err)
	}
	if page := into[struct{ Entries []json.RawMessage }](t, ask(s.Local(), "GET", "/v1/audit", "")); len(page.Entries) != int(head.Size) {
		t.Errorf("%d entries", len(page.Entries))
	}
}

func TestReworkDesk(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	gate(t, log, audit.Draft{}, opened)
	build(t, log, "SN1", "r1", 1, station.Failed, station.Rework)
	gate(t, log, audit.Draft{Unit: "SN1", Run: "r1"}, station.TicketOpened{Ticket: "T1", Queue: "rework", Wanted: station.Rework})
	left(t, log, "SN1", "r1", 1)
	for _, c := range []struct {
		path, body string
		status     int
		state      station.TicketState
	}{
		{"/v1/rework/T1/claim", `{}`, 403, ""},
		{"/v1/rework/T1/claim", `{"operator":"rw1"}`, 200, station.TicketTaken},
		{"/v1/rework/T1/claim", `{"operator":"rw2"}`, 409, ""},
		{"/v1/rework/SN1/repair", `{"operator":"rw1","cause":"cold joint","action":"reflow"}`, 200, station.TicketDone},
		{"/v1/rework/T1/dispose", `{"operator":"rw1","disposition":"release","why":"looks good"}`, 403, ""},
		{"/v1/rework/T1/dispose", `{"operator":"boss","role":"lead","disposition":"scrap","why":"burnt"}`, 200, station.TicketShut},
	} {
		w := ask(s.Local(), "POST", c.path, c.body)
		if w.Code != c.status || c.state != "" && into[station.Ticket](t, w).State != c.state {
			t.Errorf("%s %s: %d %s", c.path, c.body, w.Code, w.Body)
		}
	}
	tickets := func(query string) int {
		return len(into[struct{ Tickets []station.Ticket }](t, ask(s.Local(), "GET", "/v1/rework"+query, "")).Tickets)
	}
	if tickets("") != 0 || tickets("?closed=true") != 1 || tickets("?unit=SN1&closed=true") != 1 {
		t.Error("the list of tickets is wrong")
	}
	// A body's role counts on the socket only: a token has its own.
	gate(t, log, audit.Draft{Unit: "SN1", Run: "r1"}, station.TicketOpened{Ticket: "T2", Queue: "hold", Wanted: station.Hold})
	weak := serve(t, log, st, func(o *mes.ServerOptions) { o.Tokens[0].Role = rework.RoleOperator })
	if w := ask(weak.Remote(), "POST", "/v1/rework/T2/claim", `{"role":"qa"}`, "Authorization", "Bearer "+theToken); w.Code != 403 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s.Remote(), "POST", "/v1/rework/T2/claim", `{}`, "Authorization", "Bearer "+theToken); w.Code != 200 || into[station.Ticket](t, w).Actor != "mes" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestViewIsComplete(t *testing.T) {
	log, st := openLog(t, nil), newFakeStation()
	s := serve(t, log, st)
	none := opened
	none.MES = "none"
	gate(t, log, audit.Draft{}, none)
	build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
	build(t, log, "SN2", "r2", 1, station.Failed, station.Rework)
	build(t, log, "SN3", "r3", 1, station.Inconclusive, station.Hold)
	gate(t, log, audit.Draft{}, station.StockImported{Handle: "h1", Batch: "b", SMDP: "x"})
	st.set(func(v *station.View) {
		v.Witnesses = []station.Witness{{Name: "w.example/1", Log: "o", Size: 7}, {Name: "w.example/2", Tries: 3, Error: "gone", Fork: true}}
	})
	v := into[station.View](t, ask(s.Remote(), "GET", "/v1/station", ""))
	if len(v.Witnesses) != 2 || v.Witnesses[1].Error != "gone" {
		t.Errorf("%+v", v.Witnesses)
	}
	if v.Counts != (station.Counts{Passed: 1, Failed: 1, Held: 1, Runs: 3}) || v.Stock.Available != 1 || v.MES != "none" || v.Recipe != "consumer" || v.Head != log.Last() {
		t.Errorf("%+v", v)
	}
	text := ask(s.Remote(), "GET", "/metrics", "").Body.String()
	for _, line := range []string{
		`linefit_units{result="passed"} 1`, `linefit_slots{state="running"} 1`, `linefit_profiles{state="available"} 1`, `linefit_runs_total 3`,
		`linefit_health{health="ok"} 1`, `linefit_simulated 1`, `linefit_mes_events_pending 0`,
		`linefit_log_cosigned_entries{witness="w.example/1"} 7`, `linefit_witness_tries{witness="w.example/2"} 3`, `linefit_witness_fork{witness="w.example/2"} 1`, `linefit_witness_fork{witness="w.example/1"} 0`,
		`linefit_http_requests_total{method="GET",status="200"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	st.set(func(v *station.View) { v.Health, v.Detail = station.HealthStopped, "disk full" })
	if w := ask(s.Remote(), "GET", "/readyz", ""); w.Code != http.StatusServiceUnavailable || !into[mes.Ready](t, w).Ready == false {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s.Remote(), "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// pipeWriter is a ResponseWriter whose bytes a test reads as they come.
type pipeWriter struct {
	header http.Header
	w      io.Writer
}

func (p pipeWriter) Header() http.Header         { return p.header }
func (p pipeWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipeWriter) WriteHeader(int)             {}
func (p pipeWriter) Flush()                      {}

// TestStream holds that a screen gets a snapshot at once, one after a change,
// not more than ten a second, a sign of life in between, and that it ends.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := openLog(t, nil), newFakeStation()
		s := serve(t, log, st)
		pr, pw := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/stream", nil).WithContext(ctx)
		go func() {
			s.Remote().ServeHTTP(pipeWriter{http.Header{}, pw}, r)
			_ = pw.Close()
		}()
		var mu sync.Mutex
		var views, beats int
		var last station.View
		read := make(chan error, 1)
		go func() {
			lines := bufio.NewScanner(pr)
			for lines.Scan() {
				mu.Lock()
				data, isData := strings.CutPrefix(lines.Text(), "data: ")
				switch {
				case isData:
					views++
					_ = json.Unmarshal([]byte(data), &last)
				case strings.HasPrefix(lines.Text(), ":"):
					beats++
				}
				mu.Unlock()
			}
			read <- lines.Err()
		}()
		expect := func(what string, minViews, maxViews, minBeats int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if views < minViews || views > maxViews || beats < minBeats {
				t.Errorf("%s: %d views, %d signs of life", what, views, beats)
			}
			views, beats = 0, 0
		}
		time.Sleep(time.Second)
		expect("at the beginning", 1, 1, 0)
		for i := range 1000 {
			st.set(func(v *station.View) { v.Counts.Passed = i })
			time.Sleep(time.Millisecond)
		}
		st.set(func(v *station.View) { v.Detail = "the end" })
		time.Sleep(time.Second)
		expect("after 1001 changes in a second", 5, 13, 0)
		if last.Detail != "the end" {
			t.Errorf("the last change is not shown: %+v", last)
		}
		time.Sleep(time.Minute)
		expect("in a quiet minute", 0, 0, 10)
		gate(t, log, audit.Draft{}, opened)
		time.Sleep(time.Second)
		expect("after an entry", 1, 1, 0)
		cancel()
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

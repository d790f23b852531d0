package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/rework"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/stock"
	"linefit/ui/client"
)

// theStation is a station whose commands are recorded.
type theStation struct {
	mu   sync.Mutex
	view station.View
	cmds []station.Command
	err  error
}

func (s *theStation) View() station.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}
func (s *theStation) Changed() <-chan struct{} { return nil }
func (s *theStation) Do(_ context.Context, cmd station.Command) (station.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmds = append(s.cmds, cmd)
	return station.Reply{Slot: cmd.Slot, Text: "scan.slot_chosen"}, s.err
}

func (s *theStation) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

const token = "0123456789abcdef"

// realServer is the station's API as it is served.
func realServer(t *testing.T) (*mes.Server, *theStation, *storetest.Station) {
	t.Helper()
	log := storetest.Start(t, nil, store.Options{Projections: []audit.Projection{mes.OutboxProjection{}, rework.Projection{}, stock.Projection{}}})
	none, err := mes.NewClient(mes.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st := &theStation{view: station.View{Station: "S1", Health: station.HealthOK, Slots: []station.SlotView{{ID: 1, State: station.SlotEmpty}}}}
	s, err := mes.NewServer(mes.ServerOptions{
		Station: st, Log: log, Outbox: mes.NewOutbox(mes.OutboxOptions{Log: log, Client: none}), Desk: rework.NewDesk(log.View, journal{log}),
		Tokens: []mes.Token{{Name: "mes", Secret: stock.NewSecret([]byte(token))}},
		LoadingReport: func(batch string) (func(io.Writer) error, error) {
			switch batch {
			case "":
			case "cut":
				return func(w io.Writer) error {
					_, err := w.Write(longReport[:len(longReport)/2])
					return errors.Join(err, errors.New("the rest cannot be read"))
				}, nil
			default:
				return nil, station.Refuse(station.StockEmpty, "no batch %s", batch)
			}
			return func(w io.Writer) error {
				_, err := w.Write(longReport)
				return err
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, st, log
}

// longReport is longer than any other answer may be; its bytes are its own.
var longReport = append([]byte("{\n \"note\": \"<a&b>\",\n \"filler\": \""), append(bytes.Repeat([]byte("x"), 20<<20), "\"\n}\n"...)...)

// A loading report comes byte for byte, however long it is.
func TestDownload(t *testing.T) {
	s, _, _ := realServer(t)
	c, err := client.New(client.Options{Address: "http://127.0.0.1:1", Token: token, Transport: inProcess{s.Local()}})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := c.Download(t.Context(), "/v1/stock/loading-report", &got); err != nil || !bytes.Equal(got.Bytes(), longReport) {
		t.Errorf("%d bytes of %d, %v", got.Len(), len(longReport), err)
	}
	got.Reset()
	if err := c.Download(t.Context(), "/v1/stock/loading-report?batch=none", &got); err == nil || got.Len() > 0 {
		t.Errorf("%q, %v", got.String(), err)
	}
}

// A report that breaks off is none: the client must not take a part for the whole.
func TestDownloadThatBreaksOff(t *testing.T) {
	s, _, _ := realServer(t)
	server := httptest.NewServer(s.Local())
	defer server.Close()
	c, err := client.New(client.Options{Address: server.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got bytes.Buffer
	if err := c.Download(t.Context(), "/v1/stock/loading-report?batch=cut", &got); err == nil || got.Len() == 0 {
		t.Errorf("%d bytes of %d, %v", got.Len(), len(longReport), err)
	}
}

type journal struct{ log mes.Log }

func (j journal) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return err
		}
		if _, err := j.log.Gate(ctx, audit.Draft{Type: name, Data: data, Slot: at.Slot, Unit: string(at.Unit), Run: string(at.Run), Actor: string(at.Actor)}); err != nil {
			return err
		}
	}
	return nil
}

// inProcess is a way to a handler without a socket.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestAgainstTheServer holds client and server to the same contract.
func TestAgainstTheServer(t *testing.T) {
	s, st, log := realServer(t)
	ctx := t.Context()
	c, err := client.New(client.Options{Address: "unix:/nowhere", Lang: "zh", Transport: inProcess{s.Local()}})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Station(ctx); err != nil || v.Station != "S1" || len(v.Slots) != 1 {
		t.Errorf("%+v %v", v, err)
	}
	for _, cmd := range []station.Command{
		{Kind: station.CmdScan, Text: "LF:SLOT:3", Operator: "op1"},
		{Kind: station.CmdScan, Text: "SN1", Slot: 3, Expect: station.Expect{Source: "label", IMEI: "490154203237518"}},
		{Kind: station.CmdStart, Slot: 4, Unit: "SN2", Expect: station.Expect{Source: "x"}},
		{Kind: station.CmdAbort, Slot: 4, Why: "smoke"}, {Kind: station.CmdAck, Slot: 4, Text: "A"}, {Kind: station.CmdEnable, Slot: 4},
		{Kind: station.CmdDisable, Slot: 4, Operator: "op1"}, {Kind: station.CmdClear, Slot: 4}, {Kind: station.CmdHalt, Operator: "op1"}, {Kind: station.CmdResume},
	} {
		reply, err := c.Do(ctx, cmd)
		if err != nil || reply.Text == "" || !strings.Contains(reply.Message, "工位") {
			t.Errorf("%+v: %+v %v", cmd, reply, err)
		}
		if got := st.cmds[len(st.cmds)-1]; got != cmd {
			t.Errorf("sent %+v, came %+v", cmd, got)
		}
	}
	if _, err := c.Do(ctx, station.Command{Kind: "explode"}); err == nil {
		t.Error("an unknown command went out")
	}
	st.fail(station.Refuse(station.UnitDuplicate, "in slot 2"))
	var refusal *station.Refusal
	if _, err := c.Do(ctx, station.Command{Kind: station.CmdScan, Text: "SN1"}); !errors.As(err, &refusal) || *refusal.Reason != *station.NewReason(station.UnitDuplicate, "in slot 2") {
		t.Errorf("%v", err)
	}
	checkDesk(t, c, log)
}

// checkDesk walks a ticket from its opening to its end.
func checkDesk(t *testing.T, c *client.Client, log *storetest.Station) {
	t.Helper()
	ctx := t.Context()
	at := station.Scope{Unit: "SN/ 1", Run: "r1", Slot: 1, Actor: "op1"}
	at.Unit = "SN/1"
	facts := []station.Fact{
		station.RunStarted{Recipe: "consumer"}, station.RunVerdict{Verdict: station.Failed, Reason: station.NewReason(station.ModuleSilent, "x"), EID: "89049032123451234512345678901235"},
		station.TicketOpened{Ticket: "T1", Queue: "rework", Wanted: station.Rework}, station.UnitDisposed{Disposition: station.Rework}, station.UnitLeft{},
	}
	if err := (journal{log}).Gate(ctx, at, facts...); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"SN/1", "eid:89049032123451234512345678901235"} {
		u, err := c.Unit(ctx, id)
		if err != nil || u.Unit.Serial != "SN/1" || len(u.Entries) != 5 || u.Entries[0].Type != "run.started/1" || u.Entries[0].Actor != "op1" || u.Entries[0].UTC.IsZero() || len(u.Tickets) != 1 {
			t.Errorf("%s: %+v %v", id, u, err)
		}
	}
	for _, id := range []string{"SN9", "..", "."} {
		var e *client.Error
		if _, err := c.Unit(ctx, id); !errors.As(err, &e) || e.Kind != client.NotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
	by := rework.Person{Actor: "rw1", Role: rework.RoleLead}
	if tk, err := c.Claim(ctx, by, "T1"); err != nil || tk.State != station.TicketTaken {
		t.Errorf("%+v %v", tk, err)
	}
	if list, err := c.Tickets(ctx, rework.Filter{State: station.TicketTaken}); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	if tk, err := c.Repair(ctx, by, "SN/1", "solder", "reflow"); err != nil || tk.State != station.TicketDone || tk.Cause != "solder" {
		t.Errorf("%+v %v", tk, err)
	}
	if tk, err := c.Ticket(ctx, "T1"); err != nil || tk.Action != "reflow" {
		t.Errorf("%+v %v", tk, err)
	}
	if tk, err := c.Dispose(ctx, by, "T1", station.Scrap, "burnt"); err != nil || tk.State != station.TicketShut {
		t.Errorf("%+v %v", tk, err)
	}
	var refusal *station.Refusal
	if _, err := c.Claim(ctx, rework.Person{}, "T1"); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
	if err := c.Replay(ctx, "r1.UnitsTested", "rw1", ""); !errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
}

func TestTokenAndHost(t *testing.T) {
	s, _, _ := realServer(t)
	for name, c := range map[string]struct {
		address, token string
		kind           client.Kind
	}{
		"good":       {"http://127.0.0.1:8088", token, ""},
		"no token":   {"http://127.0.0.1:8088", "", client.Denied},
		"bad token":  {"http://127.0.0.1:8088", "x", client.Denied},
		"other host": {"http://evil.example", token, client.Denied},
	} {
		cl, err := client.New(client.Options{Address: c.address, Token: c.token, Transport: inProcess{s.Remote()}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cl.Do(t.Context(), station.Command{Kind: station.CmdHalt})
		var e *client.Error
		if c.kind == "" && err != nil || c.kind != "" && (!errors.As(err, &e) || e.Kind != c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error shows the token", name)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"unix:/run/x.sock", "/run/x.sock", "http://127.0.0.1:80", "http://[::1]:80/", "https://station.plant", "localhost:80", ":80", "[::1]:80"} {
		if _, err := client.New(client.Options{Address: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "unix:", "localhost", "localhost:", "ftp://x", "http://", "http://x/y", "http://x?q", "http://u:p@x", "://"} {
		if _, err := client.New(client.Options{Address: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := client.New(client.Options{Address: "http://x", Token: "a\nb"}); err == nil {
		t.Error("a token with a line break is taken")
	}
}

// TestSocket reaches a server over a real unix socket, and says why where it
// cannot.
func TestSocket(t *testing.T) {
	s, _, _ := realServer(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, mes.Listeners{Local: l}) }()
	c, err := client.New(client.Options{Address: "unix:" + path})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Station(ctx); err != nil || v.Station != "S1" {
		t.Errorf("%+v %v", v, err)
	}
	c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	var e *client.Error
	if _, err := c.Station(t.Context()); !errors.As(err, &e) || e.Kind != client.Unreachable || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

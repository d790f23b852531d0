package mes_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"linefit/audit"
	"linefit/audit/store/storetest"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/stock"
)

// run starts an outbox and returns it with a function that ends it.
func run(t *testing.T, log mes.Log, c *mes.Client, change ...func(*mes.OutboxOptions)) (*mes.Outbox, func()) {
	t.Helper()
	opt := mes.OutboxOptions{Log: log, Client: c}
	for _, f := range change {
		f(&opt)
	}
	o := mes.NewOutbox(opt)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return o, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("outbox: %v", err)
		}
	}
}

func TestResultsLeaveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.token = "secret"
		gate(t, log, audit.Draft{}, opened)
		o, stop := run(t, log, client(t, f))
		for i := range 6 { // two runs each of three units
			unit, id := station.Serial(fmt.Sprintf("SN%d", i%3)), station.RunID(fmt.Sprintf("r%d", i))
			build(t, log, unit, id, i%3+1, station.Pass, station.Release)
			left(t, log, unit, id, i%3+1)
		}
		synctest.Wait()
		stop()
		f.check(t)
		if n := counts(t, log); n != (mes.OutboxCount{Delivered: 6}) {
			t.Errorf("%+v", n)
		}
		for i := range 3 {
			if slices.Index(f.order, fmt.Sprintf("r%d.UnitsTested", i)) > slices.Index(f.order, fmt.Sprintf("r%d.UnitsTested", i+3)) {
				t.Errorf("unit %d: %v", i, f.order)
			}
		}
		if s, err := o.Status(); err != nil || s.Link != mes.LinkOK {
			t.Errorf("%+v %v", s, err)
		}
		checkEvent(t, f.bodies["r0.UnitsTested"])
	})
}

func checkEvent(t *testing.T, body string) {
	t.Helper()
	var e struct {
		Type, Source, Subject string
		Data                  mes.Result
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	d := e.Data
	if e.Type != "linefit.UnitsTested.v1" || e.Source != "/plant/L1/S%201" || e.Subject != "SN0" {
		t.Errorf("%s", body)
	}
	if d.Verdict != station.Pass || d.Disposition != station.Release || d.IMEI != anIMEI || d.EID != anEID || len(d.ICCIDs) != 1 ||
		d.Evidence == nil || d.Model != "EG25" || d.Recipe != "consumer" || d.Equipment.Station != "S 1" || d.Slot != 1 || d.Operator != "op1" {
		t.Errorf("%s", body)
	}
}

// TestMESAway holds what happens while the MES is away: nothing is lost, it is
// asked more and more rarely, and everything leaves soon after it is back.
func TestMESAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.down = true
		gate(t, log, audit.Draft{}, opened)
		o, stop := run(t, log, client(t, f))
		for i := range 20 {
			build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), 1, station.Pass, station.Release)
		}
		time.Sleep(time.Hour)
		if link, _ := o.Link(); link != mes.LinkUnreachable {
			t.Errorf("link is %s", link)
		}
		if n := counts(t, log); n.Pending != 20 {
			t.Errorf("%+v", n)
		}
		f.set(func(f *fakeMES) { f.down = false })
		time.Sleep(20 * time.Second) // the longest delay is 15 s and a quarter
		synctest.Wait()
		if n := counts(t, log); n != (mes.OutboxCount{Delivered: 20}) {
			t.Errorf("%+v", n)
		}
		stop()
		f.check(t)
	})
}

func TestWhatAStatusMeans(t *testing.T) {
	for _, c := range []struct {
		status              int
		delivered, rejected int
		link                mes.Link
	}{
		{200, 1, 0, mes.LinkOK}, {201, 1, 0, mes.LinkOK}, {202, 1, 0, mes.LinkOK}, {204, 1, 0, mes.LinkOK},
		{301, 0, 0, mes.LinkUnreachable}, {307, 0, 0, mes.LinkUnreachable},
		{400, 0, 1, mes.LinkOK}, {404, 0, 1, mes.LinkOK}, {413, 0, 1, mes.LinkOK}, {415, 0, 1, mes.LinkOK}, {422, 0, 1, mes.LinkOK},
		{401, 0, 0, mes.LinkRefused}, {403, 0, 0, mes.LinkRefused},
		{408, 0, 0, mes.LinkOK}, {409, 0, 0, mes.LinkOK}, {425, 0, 0, mes.LinkOK}, {429, 0, 0, mes.LinkOK},
		{410, 0, 0, mes.LinkStopped},
		{500, 0, 0, mes.LinkOK}, {501, 0, 0, mes.LinkOK}, {502, 0, 0, mes.LinkUnreachable}, {503, 0, 0, mes.LinkUnreachable},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, f := openLog(t, nil), newFakeMES()
				f.answer = func(string, int) (int, string) { return c.status, "" }
				gate(t, log, audit.Draft{}, opened)
				o, stop := run(t, log, client(t, f))
				build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
				synctest.Wait()
				link, _ := o.Link()
				n := counts(t, log)
				if n.Delivered != c.delivered || n.Rejected != c.rejected || n.Pending != 1-c.delivered-c.rejected || link != c.link {
					t.Errorf("%+v, link %s", n, link)
				}
				if n.Pending == 1 && c.status != http.StatusGone { // it is tried again, and again with the same bytes
					time.Sleep(2 * time.Minute)
					f.set(func(f *fakeMES) { f.answer = nil })
					time.Sleep(8 * time.Minute) // the longest delay by then is 5 minutes and a quarter, from 2 minutes on
					synctest.Wait()
					if n := counts(t, log); n.Delivered != 1 || f.count("r1.UnitsTested") < 3 {
						t.Errorf("%+v after %d tries", n, f.count("r1.UnitsTested"))
					}
				}
				stop()
				f.check(t)
			})
		})
	}
}

// TestOneBadEventStopsNoOther holds that an event at which the MES chokes keeps
// back its own unit only.
func TestOneBadEventStopsNoOther(t *testing.T) {
	for name, bad := range map[string]func(f *fakeMES){
		"500":  func(f *fakeMES) { f.answer = failing(http.StatusInternalServerError) },
		"503":  func(f *fakeMES) { f.answer = failing(http.StatusServiceUnavailable) },
		"park": func(f *fakeMES) { f.answer = failing(http.StatusBadRequest) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, f := openLog(t, nil), newFakeMES()
				bad(f)
				gate(t, log, audit.Draft{}, opened)
				build(t, log, "BAD", "bad", 1, station.Pass, station.Release)
				left(t, log, "BAD", "bad", 1)
				build(t, log, "BAD", "bad2", 1, station.Pass, station.Release)
				for i := range 30 {
					build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), 2, station.Pass, station.Release)
				}
				_, stop := run(t, log, client(t, f))
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				n := counts(t, log)
				stop()
				f.check(t)
				want := mes.OutboxCount{Delivered: 30, Pending: 2}
				if name == "park" {
					want = mes.OutboxCount{Delivered: 31, Rejected: 1} // a parked event lets its unit's next one go
				}
				if n != want {
					t.Errorf("%+v, want %+v", n, want)
				}
			})
		})
	}
}

func failing(status int) func(string, int) (int, string) {
	return func(id string, _ int) (int, string) {
		if id == "bad.UnitsTested" {
			return status, `{"detail":"no such order"}`
		}
		return http.StatusOK, ""
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		gate(t, log, audit.Draft{}, opened)
		c, err := mes.NewClient(mes.ClientOptions{URL: "https://mes.test/mes", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := f.RoundTrip(r)
			if f.count("r1.UnitsTested") == 1 {
				resp.StatusCode = http.StatusTooManyRequests
				resp.Header = http.Header{"Retry-After": {"300"}}
			}
			return resp, err
		})})
		if err != nil {
			t.Fatal(err)
		}
		_, stop := run(t, log, c)
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		time.Sleep(299 * time.Second)
		synctest.Wait()
		if f.count("r1.UnitsTested") != 1 {
			t.Errorf("%d tries within Retry-After", f.count("r1.UnitsTested"))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := counts(t, log); n.Delivered != 1 {
			t.Errorf("%+v", n)
		}
		stop()
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGoneStopsAndReplayGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.answer = func(string, int) (int, string) { return http.StatusGone, "" }
		gate(t, log, audit.Draft{}, opened)
		o, stop := run(t, log, client(t, f))
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		build(t, log, "SN2", "r2", 2, station.Pass, station.Release)
		time.Sleep(time.Hour)
		synctest.Wait()
		if total := f.count("r1.UnitsTested") + f.count("r2.UnitsTested"); total > 2 {
			t.Errorf("%d tries after 410", total)
		}
		f.set(func(f *fakeMES) { f.answer = nil })
		if err := o.Replay(t.Context(), "r1.UnitsTested", "lead", "address mended"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := counts(t, log); n.Delivered != 2 {
			t.Errorf("%+v", n)
		}
		stop()
		f.check(t)
	})
}

func TestParkedEventIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.answer = func(string, int) (int, string) {
			return http.StatusUnprocessableEntity, `{"title":"Unprocessable","detail":"order closed\u001b[2J"}`
		}
		gate(t, log, audit.Draft{}, opened)
		o, stop := run(t, log, client(t, f))
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := counts(t, log); n.Rejected != 1 || f.count("r1.UnitsTested") != 1 {
			t.Errorf("%+v, %d tries", n, f.count("r1.UnitsTested"))
		}
		err := log.View(func(v audit.View) error {
			return mes.EachItem(v, mes.ItemRejected, 0, func(it mes.Item) error {
				if it.Status != 422 || it.Detail != "order closed [2J" {
					t.Errorf("%+v", it)
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
		f.set(func(f *fakeMES) { f.answer = nil })
		if err := o.Replay(t.Context(), "r1.UnitsTested", "lead", "order opened again"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := counts(t, log); n != (mes.OutboxCount{Delivered: 1}) {
			t.Errorf("%+v", n)
		}
		for _, id := range []string{"r9.UnitsTested", "r1.UnitsTested"} {
			if err := o.Replay(t.Context(), id, "lead", ""); err == nil {
				t.Errorf("%s was replayed", id)
			}
		}
		stop()
		f.check(t)
	})
}

// TestCrashes pulls the plug around a delivery, at every fault of the log: the
// MES gets the event at least once, always with the same bytes, and in the end
// the log says so.
func TestCrashes(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "took effect": storetest.TookEffect, "torn": storetest.Torn} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := storetest.NewDisk(storetest.Rule{Type: "outbox.delivered/1", Nth: 1, Fault: fault})
				log, f := openLog(t, disk), newFakeMES()
				gate(t, log, audit.Draft{}, opened)
				build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
				_, stop := run(t, log, client(t, f))
				time.Sleep(time.Minute)
				stop()
				log.PowerCut()
				log = log.Restart()
				_, stop = run(t, log, client(t, f))
				time.Sleep(time.Minute)
				synctest.Wait()
				stop()
				f.check(t)
				if n := counts(t, log); n != (mes.OutboxCount{Delivered: 1}) || f.count("r1.UnitsTested") < 1 {
					t.Errorf("%+v after %d tries", n, f.count("r1.UnitsTested"))
				}
			})
		})
	}
}

// TestLogComesBack holds that a delivery that the log did not take is told
// again once it takes entries, without a restart.
func TestLogComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := storetest.NewDisk()
		log, f := openLog(t, disk), newFakeMES()
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		disk.Add(storetest.Rule{Type: "outbox.delivered/1", Nth: 1, Fault: storetest.Failed})
		_, stop := run(t, log, client(t, f))
		time.Sleep(time.Minute)
		if err := log.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		stop()
		f.check(t)
		if n := counts(t, log); n.Delivered != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// TestNoMES holds that a station without an MES makes no events, and that one
// which gets an MES later does not tell it the past.
func TestNoMES(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		none := opened
		none.MES = "none"
		gate(t, log, audit.Draft{}, none)
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN2", "r2", 1, station.Failed, station.Rework)
		_, stop := run(t, log, client(t, f))
		synctest.Wait()
		stop()
		f.check(t)
		if n := counts(t, log); n != (mes.OutboxCount{Delivered: 1}) || !slices.Equal(f.order, []string{"r2.UnitsTested"}) {
			t.Errorf("%+v %v", n, f.order)
		}
		var pulled []station.RunID
		err := log.View(func(v audit.View) error {
			return mes.EachResult(v, 0, func(r mes.Result) error {
				pulled = append(pulled, r.Run)
				return nil
			})
		})
		if err != nil || !slices.Equal(pulled, []station.RunID{"r1", "r2"}) {
			t.Errorf("pulled %v, %v", pulled, err)
		}
	})
}

func TestTicketsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN1", "r1", 1, station.Failed, station.Rework)
		d := audit.Draft{Unit: "SN1", Run: "r1", Actor: "rw1"}
		gate(t, log, d, station.TicketOpened{Ticket: "T1", Queue: "rework", Wanted: station.Rework}, station.TicketClaimed{Ticket: "T1"},
			station.TicketRepaired{Ticket: "T1", Cause: "solder", Action: "reflow"}, station.TicketClosed{Ticket: "T1", Disposition: station.Scrap, Why: "burnt"})
		_, stop := run(t, log, client(t, f))
		synctest.Wait()
		stop()
		f.check(t)
		if !slices.Equal(f.order, []string{"r1.UnitsTested", "T1.UnitsRepaired", "T1.UnitsDisqualified"}) {
			t.Errorf("%v", f.order)
		}
		if b := f.bodies["T1.UnitsRepaired"]; !strings.Contains(b, `"cause":"solder"`) || !strings.Contains(b, `"actor":"rw1"`) {
			t.Error(b)
		}
	})
}

func TestSignedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		raw := []byte("0123456789abcdef0123456789abcdef")
		var err error
		if f.secret, err = webhooks.NewWebhookRaw(raw); err != nil {
			t.Fatal(err)
		}
		secret := "whsec_" + base64.StdEncoding.EncodeToString(raw)
		c, err := mes.NewClient(mes.ClientOptions{URL: "https://mes.test/mes/", Transport: f, WebhookSecret: stock.NewSecret([]byte(secret + "\n"))})
		if err != nil {
			t.Fatal(err)
		}
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		_, stop := run(t, log, c)
		synctest.Wait()
		stop()
		f.check(t)
		if f.count("r1.UnitsTested") != 1 {
			t.Errorf("%d tries", f.count("r1.UnitsTested"))
		}
	})
}

func TestAnchorsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.answer = func(string, int) (int, string) {
			return http.StatusOK, `{"answer":"confirmed","checkpoint":"` + base64.StdEncoding.EncodeToString(f.note) + `"}`
		}
		gate(t, log, audit.Draft{}, opened)
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		var notes [][]byte
		c := client(t, f)
		_, stop := run(t, log, c, func(o *mes.OutboxOptions) { o.Anchored = func(n []byte) { notes = append(notes, n) } })
		synctest.Wait()
		stop()
		if len(notes) != 1 {
			t.Fatalf("%d anchors", len(notes))
		}
		cp, err := audit.ParseCheckpoint(notes[0])
		if err != nil || cp.Origin != "test.example/station" || cp.Size == 0 {
			t.Errorf("%+v %v", cp, err)
		}
		note, err := c.Anchor(t.Context())
		if err != nil || string(note) != string(f.note) {
			t.Errorf("%q %v", note, err)
		}
	})
}

// What keeps a checkpoint writes a file: deliveries that end side by side do not
// meet there.
func TestAnchorsComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.answer = func(string, int) (int, string) {
			return http.StatusOK, `{"answer":"confirmed","checkpoint":"` + base64.StdEncoding.EncodeToString(f.note) + `"}`
		}
		gate(t, log, audit.Draft{}, opened)
		for i := range 4 {
			build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), i+1, station.Pass, station.Release)
		}
		var now, most, all atomic.Int32
		_, stop := run(t, log, client(t, f), func(o *mes.OutboxOptions) {
			o.Anchored = func([]byte) {
				all.Add(1)
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
			}
		})
		time.Sleep(time.Minute)
		stop()
		if all.Load() != 4 || most.Load() != 1 {
			t.Errorf("%d checkpoints, %d at a time", all.Load(), most.Load())
		}
	})
}

func TestClientOptions(t *testing.T) {
	for _, url := range []string{"mes.test", "ftp://mes.test", "https://", "https://u:p@mes.test", "https://mes.test?x=1", "https://mes.test#f", "://"} {
		if _, err := mes.NewClient(mes.ClientOptions{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error shows a credential: %v", err)
		}
	}
	for _, secret := range []string{"whsec_!!", "whsec_c2hvcnQ="} {
		_, err := mes.NewClient(mes.ClientOptions{URL: "https://mes.test", WebhookSecret: stock.NewSecret([]byte(secret))})
		if err == nil || strings.Contains(err.Error(), secret[6:]) {
			t.Errorf("%v", err)
		}
	}
	if _, err := mes.NewTransport([]byte("no PEM")); err == nil {
		t.Error("a CA file without a certificate is taken")
	}
	for _, none := range []string{"", "none"} {
		c, err := mes.NewClient(mes.ClientOptions{URL: none})
		if err != nil || !c.None() {
			t.Errorf("%q: %v", none, err)
		}
		if r, err := c.Validate(t.Context(), mes.RouteRequest{}); err != nil || r.Answer != "none" {
			t.Errorf("%+v %v", r, err)
		}
	}
}

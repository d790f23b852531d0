package mes_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
)

func aRun(d station.Disposition) *station.Run {
	return &station.Run{ID: "r1", Unit: "SN1", Disposition: &station.UnitDisposed{Disposition: d}}
}

func TestAcceptance(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		down   bool
		late   mes.Late
		to     station.Disposition // of the policy
		answer string
		then   station.Code // of the disposition that replaces it
		waits  time.Duration
	}{
		{"empty answer", 200, "", false, mes.LateHold, station.Release, mes.AnswerConfirmed, "", 0},
		{"confirmed", 200, `{"answer":"confirmed","ref":"77"}`, false, mes.LateHold, station.Release, mes.AnswerConfirmed, "", 0},
		{"hold", 200, `{"answer":"rejected_hold","reason":"order full"}`, false, mes.LateDeferred, station.Release, mes.AnswerRejectedHold, station.MESRejected, 0},
		{"pass on", 200, `{"answer":"rejected_pass","reason":"not needed"}`, false, mes.LateHold, station.Release, mes.AnswerRejectedPass, "", 0},
		{"refused for good", 422, `{"detail":"unknown unit"}`, false, mes.LateDeferred, station.Release, mes.AnswerRejectedHold, station.MESRejected, 0},
		{"taken, not processed; deferred", 202, "", false, mes.LateDeferred, station.Release, mes.AnswerDeferred, "", 0},
		{"taken, not processed; hold", 202, "", false, mes.LateHold, station.Release, mes.AnswerDeferred, station.MESUnreachable, 0},
		{"no decision", 200, `{"answer":"error","reason":"database"}`, false, mes.LateHold, station.Release, mes.AnswerDeferred, station.MESUnreachable, 0},
		{"not understood", 200, `<html>`, false, mes.LateHold, station.Release, mes.AnswerDeferred, station.MESUnreachable, 0},
		{"away; deferred", 0, "", true, mes.LateDeferred, station.Release, mes.AnswerDeferred, "", 5 * time.Second},
		{"away; hold", 0, "", true, mes.LateHold, station.Release, mes.AnswerDeferred, station.MESUnreachable, 5 * time.Second},
		{"bad unit does not wait", 0, "", true, mes.LateHold, station.Rework, mes.AnswerDeferred, "", 0},
		{"hold stays hold", 200, `{"answer":"rejected_hold"}`, false, mes.LateHold, station.Hold, mes.AnswerRejectedHold, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, f := openLog(t, nil), newFakeMES()
				f.down = c.down
				f.answer = func(string, int) (int, string) { return c.status, c.body }
				gate(t, log, audit.Draft{}, opened)
				o, stop := run(t, log, client(t, f))
				defer stop()
				a := mes.NewAcceptance(mes.AcceptanceOptions{Outbox: o, Within: 5 * time.Second, Late: c.late})
				build(t, log, "SN1", "r1", 1, station.Pass, c.to)
				if c.to == station.Hold {
					synctest.Wait() // the answer is there already
				}
				begin := time.Now()
				got, err := a.Accept(t.Context(), aRun(c.to))
				if err != nil {
					t.Fatal(err)
				}
				if got.Answer.Answer != c.answer || time.Since(begin) != c.waits {
					t.Errorf("%+v after %v", got.Answer, time.Since(begin))
				}
				var then station.Code
				for _, fact := range got.Then {
					d := fact.(station.UnitDisposed)
					if then = d.Reason.Code; d.Disposition != station.Hold || d.Rule != "mes" {
						t.Errorf("%+v", d)
					}
				}
				if then != c.then {
					t.Errorf("held for %q, want %q", then, c.then)
				}
			})
		})
	}
}

// TestAcceptanceAfterCrash holds that the answer survives: the unit that the
// MES wants held is held although the station died before it said so.
func TestAcceptanceAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.answer = func(string, int) (int, string) {
			return http.StatusOK, `{"answer":"rejected_hold","ref":"9","reason":"recalled"}`
		}
		gate(t, log, audit.Draft{}, opened)
		_, stop := run(t, log, client(t, f))
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		synctest.Wait()
		stop()
		log.PowerCut()
		log = log.Restart()
		f.set(func(f *fakeMES) { f.down = true })
		o, stop := run(t, log, client(t, f))
		defer stop()
		hold := func(_ context.Context, run *station.Run, reason *station.Reason) ([]station.Fact, error) {
			return []station.Fact{station.TicketOpened{Ticket: "T1", Reason: reason}, station.UnitDisposed{Disposition: station.Hold, Reason: reason}}, nil
		}
		a := mes.NewAcceptance(mes.AcceptanceOptions{Outbox: o, Within: time.Second, Late: mes.LateDeferred, Hold: hold})
		got, err := a.Accept(t.Context(), aRun(station.Release))
		if err != nil || got.Answer != (station.RunAccepted{Answer: "rejected_hold", Ref: "9", Detail: "recalled"}) || len(got.Then) != 2 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestAcceptanceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.down = true
		gate(t, log, audit.Draft{}, opened)
		o, stop := run(t, log, client(t, f))
		defer stop()
		build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
		a := mes.NewAcceptance(mes.AcceptanceOptions{Outbox: o, Within: time.Hour, Late: mes.LateHold})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Accept(ctx, aRun(station.Release)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestRouteCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		code   station.Code // of the refusal; empty: the unit may run
	}{
		{"confirmed", 200, `{"answer":"confirmed","work_order":"WO1","sku":"A","batch":"B7","recipe":"consumer","ref":"5","imei":"490154203237518","eid":"89049032123451234512345678901235"}`, ""},
		{"hold", 200, `{"answer":"rejected_hold","reason":"on hold"}`, station.MESRejected},
		{"pass", 200, `{"answer":"rejected_pass","reason":"done at station 2"}`, station.MESRejected},
		{"error", 200, `{"answer":"error","reason":"database"}`, station.MESUnreachable},
		{"silence", 200, ``, station.MESUnreachable},
		{"other words", 200, `{"answer":"yes"}`, station.MESUnreachable},
		{"no JSON", 200, `OK`, station.MESUnreachable},
		{"wrong digit", 200, `{"answer":"confirmed","imei":"490154203237519"}`, station.MESUnreachable},
		{"long order", 200, `{"answer":"confirmed","work_order":"` + strings.Repeat("W", 2000) + `"}`, station.MESUnreachable},
		{"cannot be shown", 200, `{"answer":"confirmed","customer":"a\u001b[31m"}`, station.MESUnreachable},
		{"wrong EID", 200, `{"answer":"confirmed","eid":"1"}`, station.MESUnreachable},
		{"not found", 404, `{"detail":"no such unit"}`, station.MESRejected},
		{"forbidden", 403, ``, station.MESRejected},
		{"busy", 429, ``, station.MESUnreachable},
		{"fault", 500, `{"answer":"confirmed"}`, station.MESUnreachable},
		{"elsewhere", 302, `{"answer":"confirmed"}`, station.MESUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeMES()
			f.route = func(req mes.RouteRequest) (int, string) {
				if req.Unit != "SN1" || req.Slot != 3 || req.Run != "r1" {
					f.wrong("%+v", req)
				}
				return c.status, c.body
			}
			route, err := client(t, f).Validate(t.Context(), mes.RouteRequest{Unit: "SN1", Slot: 3, Run: "r1", Station: "S1"})
			f.check(t)
			var refusal *station.Refusal
			if c.code == "" {
				if err != nil || route.Order != "WO1" || route.Batch != "B7" || route.Expect() != (station.Expect{Source: "mes", IMEI: anIMEI, EID: anEID}) {
					t.Errorf("%+v %v", route, err)
				}
				return
			}
			if !errors.As(err, &refusal) || refusal.Reason.Code != c.code || route != (mes.Route{}) {
				t.Errorf("%+v %v, want %s", route, err, c.code)
			}
		})
	}
}

func TestRouteCheckFailsClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeMES()
		f.slow = time.Hour
		c := client(t, f)
		begin := time.Now()
		_, err := c.Validate(t.Context(), mes.RouteRequest{Unit: "SN1"})
		var refusal *station.Refusal
		if !errors.As(err, &refusal) || refusal.Reason.Code != station.MESUnreachable || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if link, _ := c.Link(); link != mes.LinkUnreachable {
			t.Errorf("link is %s", link)
		}
	})
}

// FuzzAnswer holds that whatever an MES says, a route check says yes only to a
// clear yes, and nothing of it breaks the log or the screen.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "{}", `{"answer":"confirmed"}`, `{"answer":"rejected_hold","reason":"\u001b[2J"}`, `[1]`, `{"answer":1}`, "\xff", `{"Answer":"confirmed"}`} {
		f.Add(200, s)
	}
	f.Add(422, `{"detail":"x"}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 100 || status > 599 {
			return
		}
		c, err := mes.NewClient(mes.ClientOptions{URL: "http://mes.test", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: readCloser{strings.NewReader(body)}}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		route, err := c.Validate(t.Context(), mes.RouteRequest{Unit: "SN1"})
		var refusal *station.Refusal
		switch {
		case err == nil && (status < 200 || status > 299 || route.Answer != mes.AnswerConfirmed):
			t.Errorf("yes to %d %q", status, body)
		case err != nil && (!errors.As(err, &refusal) || strings.ContainsAny(err.Error(), "\x1b\n\x00")):
			t.Errorf("%q", err)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

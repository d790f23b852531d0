package mes_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/mes/mestest"
	"linefit/station/stock"
)

// asking is a client that asks for leave before it sends events; what passes is
// held to the document.
func asking(t testing.TB, f *fakeMES) *mes.Client {
	t.Helper()
	checked := mestest.Checked(f)
	t.Cleanup(func() {
		for _, what := range checked.Problems() {
			t.Error(what)
		}
	})
	c, err := mes.NewClient(mes.ClientOptions{
		URL: "https://mes.test/mes", Transport: checked, RouteTimeout: 5 * time.Second, EventTimeout: 10 * time.Second,
		Origin: "test.example/station", WebhookOrigin: "st-1.plant.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func results(t testing.TB, log mes.Log, n int) {
	t.Helper()
	for i := range n {
		build(t, log, station.Serial(fmt.Sprintf("SN%d", i)), station.RunID(fmt.Sprintf("r%d", i)), 1, station.Pass, station.Release)
	}
}

// TestLeaveIsAskedOnce: one OPTIONS before the first event, and no more events a
// minute than the MES allows.
func TestLeaveIsAskedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		header map[string]string
		apart  time.Duration
	}{
		"no limit":              {map[string]string{"WebHook-Allowed-Origin": "st-1.plant.example", "WebHook-Allowed-Rate": "*"}, 0},
		"nothing about rates":   {map[string]string{"WebHook-Allowed-Origin": "*"}, 0},
		"thirty events an hour": {map[string]string{"WebHook-Allowed-Origin": "ST-1.Plant.Example", "WebHook-Allowed-Rate": "30"}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, f := openLog(t, nil), newFakeMES()
				f.leave = func() (int, map[string]string) { return 200, c.header }
				gate(t, log, audit.Draft{}, opened)
				results(t, log, 6)
				_, stop := run(t, log, asking(t, f))
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := counts(t, log); n != (mes.OutboxCount{Delivered: 6}) || f.asked != 1 {
					t.Errorf("%+v, asked %d times", n, f.asked)
				}
				for i := 1; i < len(f.at); i++ {
					if apart := f.at[i].Sub(f.at[i-1]); apart < c.apart {
						t.Errorf("event %d came %v after the one before", i, apart)
					}
				}
				stop()
				f.check(t)
			})
		})
	}
}

// TestNoEventWithoutLeave: nothing is sent, nothing is lost, and the MES is asked
// again until it allows.
func TestNoEventWithoutLeave(t *testing.T) {
	origin := map[string]string{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "60"}
	for name, no := range map[string]func() (int, map[string]string){
		"not known":      nil,
		"forbidden":      func() (int, map[string]string) { return 403, origin },
		"no origin":      func() (int, map[string]string) { return 200, nil },
		"another origin": func() (int, map[string]string) { return 200, map[string]string{"WebHook-Allowed-Origin": "x.example"} },
		"no rate": func() (int, map[string]string) {
			return 503, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, f := openLog(t, nil), newFakeMES()
				f.leave = no
				gate(t, log, audit.Draft{}, opened)
				results(t, log, 2)
				var c *mes.Client
				if name == "no origin" { // not in the document: nobody looks
					c = unlooked(t, f)
				} else {
					c = asking(t, f)
				}
				o, stop := run(t, log, c)
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := counts(t, log); n.Pending != 2 || len(f.at) != 0 || f.asked < 10 || f.asked > 600 {
					t.Errorf("%+v, asked %d times, %d events", n, f.asked, len(f.at))
				}
				if link, detail := o.Link(); link == mes.LinkOK || detail == "" {
					t.Errorf("link %s: %s", link, detail)
				}
				f.set(func(f *fakeMES) { f.leave = func() (int, map[string]string) { return 200, origin } })
				time.Sleep(30 * time.Second)
				synctest.Wait()
				if n := counts(t, log); n.Delivered != 2 {
					t.Errorf("after leave was given: %+v", n)
				}
				stop()
				f.check(t)
			})
		})
	}
}

func unlooked(t testing.TB, f *fakeMES) *mes.Client {
	t.Helper()
	c, err := mes.NewClient(mes.ClientOptions{
		URL: "https://mes.test/mes", Transport: f, EventTimeout: 10 * time.Second, Origin: "test.example/station", WebhookOrigin: "st-1.plant.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLeaveEndsWith410, and is asked for anew when a person sends again.
func TestLeaveEndsWith410(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.leave = func() (int, map[string]string) {
			return 200, map[string]string{"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}
		}
		f.answer = func(string, int) (int, string) { return 410, "" }
		gate(t, log, audit.Draft{}, opened)
		results(t, log, 1)
		o, stop := run(t, log, asking(t, f))
		time.Sleep(time.Minute)
		synctest.Wait()
		if link, _ := o.Link(); link != mes.LinkStopped || f.asked != 1 || len(f.at) != 1 {
			t.Errorf("link %s, asked %d times, %d events", link, f.asked, len(f.at))
		}
		f.set(func(f *fakeMES) { f.answer = nil })
		if err := o.Replay(t.Context(), "r0.UnitsTested", "qa-1", "the MES is back"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := counts(t, log); n.Delivered != 1 || f.asked != 2 {
			t.Errorf("%+v, asked %d times", n, f.asked)
		}
		stop()
		f.check(t)
	})
}

// TestRefusedStationDoesNotHammer: an MES that does not know this station's token
// is asked more and more rarely, also while there is nothing to tell it.
func TestRefusedStationDoesNotHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := openLog(t, nil), newFakeMES()
		f.token = "another"
		c, err := mes.NewClient(mes.ClientOptions{URL: "https://mes.test/mes", Transport: f, RouteTimeout: 5 * time.Second, Token: stock.NewSecret([]byte("wrong")), Origin: "test.example/station"})
		if err != nil {
			t.Fatal(err)
		}
		_, stop := run(t, log, c)
		if _, err := c.Validate(t.Context(), mes.RouteRequest{Unit: "SN1", Run: "r1"}); err == nil {
			t.Error("a route check went through")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if f.probed < 10 || f.probed > 600 {
			t.Errorf("asked %d times in an hour", f.probed)
		}
		stop()
	})
}

func TestWebhookOrigin(t *testing.T) {
	for origin, ok := range map[string]bool{"": true, "st-1.plant.example": true, "localhost": true, "a/b": false, "a..b": false, "http://a": false, "ü.example": false} {
		if _, err := mes.NewClient(mes.ClientOptions{URL: "https://mes.test", WebhookOrigin: origin}); (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

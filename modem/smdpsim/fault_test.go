package smdpsim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

func printed(t *testing.T, v any) []string {
	t.Helper()
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return []string{fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), string(j)}
}

// plan faults the first request at one point.
func plan(point smdpsim.Point, f smdpsim.Fault) func(*smdpsim.Config) {
	return func(c *smdpsim.Config) {
		c.Fault = func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == point && p.Attempt == 1 {
				return f
			}
			return smdpsim.Fault{}
		}
	}
}

// Every fault at every point: what the client sees, what became of the order,
// and that the same card can go on afterwards.
func TestFaults(t *testing.T) {
	before := []smdpsim.FaultKind{smdpsim.FaultReset, smdpsim.FaultServerError}
	after := []smdpsim.FaultKind{smdpsim.FaultReplyLost, smdpsim.FaultServerErrorAfter}
	for _, point := range []smdpsim.Point{
		smdpsim.InitiateAuthentication, smdpsim.AuthenticateClient, smdpsim.GetBoundProfilePackage,
		smdpsim.HandleNotification, smdpsim.CancelSession,
	} {
		for _, kind := range append(before, after...) {
			t.Run(string(point)+" "+string(kind), func(t *testing.T) {
				tookEffect := kind == after[0] || kind == after[1]
				b := newBench(t, plan(point, smdpsim.Fault{Kind: kind}))
				id := b.order("a", nil)
				card := newCard(t, b.ca, 1)
				seen := func(err error) {
					t.Helper()
					lost := errors.Is(err, smdpsim.ErrConnection)
					var status errHTTP
					http := errors.As(err, &status) && status == 503
					if wantLost := kind == smdpsim.FaultReset || kind == smdpsim.FaultReplyLost; lost != wantLost || http == wantLost {
						t.Errorf("the client sees %v", err)
					}
				}
				r, err := b.l.authenticate(card, id)
				if point == smdpsim.InitiateAuthentication || point == smdpsim.AuthenticateClient {
					seen(err)
					b.is("a", smdpsim.StateReleased, 0)
					if r, err = b.l.authenticate(card, id); err != nil {
						t.Fatal(err)
					}
				}
				if point == smdpsim.CancelSession {
					seen(r.cancel(smdpsim.CancelLoadError))
					if tookEffect {
						b.is("a", smdpsim.StateError, 0)
						want(t, r.cancel(smdpsim.CancelLoadError), "8.10.1/3.9")
					} else {
						b.is("a", smdpsim.StateReleased, 0)
						want(t, r.cancel(smdpsim.CancelLoadError), "")
					}
					return
				}
				err = r.get("")
				deliveries := 1
				if point == smdpsim.GetBoundProfilePackage {
					seen(err)
					if tookEffect {
						b.is("a", smdpsim.StateDownloaded, 1)
						deliveries++
					} else {
						b.is("a", smdpsim.StateReleased, 0)
					}
					err = r.getAgain()
				}
				if err != nil {
					t.Fatal(err)
				}
				b.is("a", smdpsim.StateDownloaded, deliveries)
				result := card.result(t, r.transaction, testICCID, testpki.DPOID, 0)
				err = b.l.notify(result)
				if point == smdpsim.HandleNotification {
					seen(err)
					if tookEffect {
						b.is("a", smdpsim.StateInstalled, deliveries)
					} else {
						b.is("a", smdpsim.StateDownloaded, deliveries)
					}
					err = b.l.notify(result)
				}
				want(t, err, "")
				b.is("a", smdpsim.StateInstalled, deliveries)
				if n := b.s.Notifications(); n.Accepted != 1 {
					t.Errorf("%+v", n)
				}
			})
		}
	}
}

// Replies that are falsified are found out by a card that checks.
func TestFalsifiedReplies(t *testing.T) {
	for _, c := range []struct {
		point smdpsim.Point
		kind  smdpsim.FaultKind
		found string
	}{
		{smdpsim.InitiateAuthentication, smdpsim.FaultWrongSignature, "invalidSignature"},
		{smdpsim.AuthenticateClient, smdpsim.FaultWrongSignature, "invalidSignature"},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongSignature, "invalidSignature"},
		{smdpsim.InitiateAuthentication, smdpsim.FaultWrongTransactionID, "8.10.1/3.9"},
		{smdpsim.AuthenticateClient, smdpsim.FaultWrongTransactionID, "invalidTransactionId"},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongMAC, "MAC does not match"},
	} {
		b := newBench(t, plan(c.point, smdpsim.Fault{Kind: c.kind}))
		id := b.order("a", nil)
		card := newCard(t, b.ca, 1)
		_, err := b.l.download(card, id, "")
		if err == nil || err.Error() != c.found {
			t.Errorf("%s %s: %v, want %s", c.point, c.kind, err, c.found)
		}
		if _, err := b.l.install(card, id); err != nil {
			t.Errorf("%s %s: the second try: %v", c.point, c.kind, err)
		}
	}
	b := newBench(t, plan(smdpsim.GetBoundProfilePackage, smdpsim.Fault{Kind: smdpsim.FaultWrongTransactionID}))
	r, err := b.l.download(newCard(t, b.ca, 1), b.order("a", nil), "")
	if err != nil || string(r.loaded.transaction) == string(r.transaction) {
		t.Errorf("the package's transaction id is right, %v", err)
	}
	b = newBench(t, plan(smdpsim.AuthenticateClient, smdpsim.Fault{Kind: smdpsim.FaultRefuse, Status: &smdpsim.Status{Subject: "8.2", Reason: "3.7"}}))
	_, err = b.l.authenticate(newCard(t, b.ca, 1), b.order("a", nil))
	want(t, err, "8.2/3.7")
	b = newBench(t, plan(smdpsim.AuthenticateClient, smdpsim.Fault{Kind: smdpsim.FaultRefuse}))
	_, err = b.l.authenticate(newCard(t, b.ca, 1), b.order("a", nil))
	want(t, err, "8.1/4.8")
}

// Modelled time passes in a bubble and is charged to the EID, that of the
// request before authentication too.
func TestDelaysAreCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type charged struct {
			eid        ident.EID
			start, due time.Duration
		}
		var mu sync.Mutex
		var got []charged
		zero := time.Now()
		var order []smdpsim.Event
		b := newBench(t, func(c *smdpsim.Config) {
			c.Delay = func(p smdpsim.Point) time.Duration {
				if p == smdpsim.HandleNotification {
					return 0
				}
				return 100 * time.Millisecond
			}
			c.Charge = func(eid ident.EID, start, due time.Time) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, charged{eid, start.Sub(zero), due.Sub(zero)})
			}
			c.Fault = func(p smdpsim.FaultPoint) smdpsim.Fault {
				if p.Point == smdpsim.GetBoundProfilePackage {
					return smdpsim.Fault{Kind: smdpsim.FaultSlow, Delay: time.Second}
				}
				return smdpsim.Fault{}
			}
			c.Observe = func(e smdpsim.Event) { order = append(order, e) }
		})
		id := b.order("a", nil)
		card := newCard(t, b.ca, 1)
		if _, err := b.l.install(card, id); err != nil {
			t.Fatal(err)
		}
		const ms = time.Millisecond
		wanted := []charged{{card.EID, 0, 100 * ms}, {card.EID, 100 * ms, 200 * ms}, {card.EID, 200 * ms, 1300 * ms}}
		if fmt.Sprint(got) != fmt.Sprint(wanted) {
			t.Errorf("charged %v, want %v", got, wanted)
		}
		if d := time.Since(zero); d != 1300*ms {
			t.Errorf("the download took %v", d)
		}
		last := order[len(order)-1]
		if len(order) != 4 || last.From != smdpsim.StateDownloaded || last.To != smdpsim.StateInstalled || last.EID != card.EID || last.Status != "ok" {
			t.Errorf("%+v", order)
		}
	})
}

// The attempt that a fault is drawn from goes on after a restart.
func TestFaultAttemptsSurviveARestart(t *testing.T) {
	d := newDurable(t)
	_ = d.s.Close()
	var seen []int
	start := func() {
		s, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: d.file, Fault: func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == smdpsim.AuthenticateClient {
				seen = append(seen, p.Attempt)
			}
			return smdpsim.Fault{}
		}})
		if err != nil {
			t.Fatal(err)
		}
		d.s, d.l = s, inProcess(t, s)
	}
	card := newCard(t, d.ca, 1)
	for range 3 {
		start()
		_, err := d.l.authenticate(card, "MID-none")
		want(t, err, "8.2.6/3.8")
		_ = d.s.Close()
	}
	if fmt.Sprint(seen) != "[1 2 3]" {
		t.Errorf("attempts %v", seen)
	}
}

func TestDevicesAreReported(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	if _, err := b.l.authenticate(card, b.order("a", nil)); err != nil {
		t.Fatal(err)
	}
	if got := b.s.Devices()[card.EID]; len(got) != 1 || got[0] != (smdpsim.Device{TAC: "53761480", IMEI: "537614802143657f"}) {
		t.Errorf("%+v", got)
	}
}

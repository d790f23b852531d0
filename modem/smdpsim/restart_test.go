package smdpsim_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

// durable is a bench whose server can be killed and started again.
type durable struct {
	*bench
	file string
	pki  *testpki.Server
}

func newDurable(t *testing.T) *durable {
	t.Helper()
	d := &durable{file: filepath.Join(t.TempDir(), "state")}
	d.bench = newBench(t, func(c *smdpsim.Config) { c.State, d.pki = d.file, c.PKI })
	return d
}

// restart forgets the server and opens its file again, as after kill -9: the
// old server writes nothing when it goes.
func (d *durable) restart() {
	d.t.Helper()
	before := d.s.Orders()
	_ = d.s.Close() // gives the lock back, as the end of the process would
	s, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: d.file})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = s.Close() })
	d.s, d.l = s, inProcess(d.t, s)
	after := s.Orders()
	if len(before) != len(after) {
		d.t.Fatalf("%d orders became %d", len(before), len(after))
	}
	for i := range before {
		if before[i].State != after[i].State || before[i].Deliveries != after[i].Deliveries || len(before[i].Receipts) != len(after[i].Receipts) {
			d.t.Errorf("%+v became %+v", before[i], after[i])
		}
	}
}

// The server is killed after every step; nothing is lost and the steps after it
// find everything that they need.
func TestRestartInEveryState(t *testing.T) {
	d := newDurable(t)
	card := newCard(t, d.ca, 1)
	id := d.order("a", func(o *smdpsim.Order) { o.ConfirmationCode, o.ProtectionKeys, o.Held = "77", true, true })
	code, _, err := d.s.ActivationCode("a")
	if err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.is("a", smdpsim.StateAvailable, 0)
	if again, _, err := d.s.ActivationCode("a"); err != nil || again != code {
		t.Errorf("another activation code: %v", err)
	}
	if _, err := d.s.Release("a"); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.is("a", smdpsim.StateReleased, 0)

	challenge := make([]byte, 16)
	first, err := d.l.post(smdpsim.InitiateAuthentication, map[string][]byte{"smdpAddress": []byte(address), "euiccChallenge": challenge, "euiccInfo1": card.info1()})
	if err != nil {
		t.Fatal(err)
	}
	d.restart() // a session that is not authenticated
	response, err := card.authenticateServer(t, first, challenge, id)
	if err != nil {
		t.Fatal(err)
	}
	offer, err := d.l.post(smdpsim.AuthenticateClient, map[string][]byte{"transactionId": first["transactionId"], "authenticateServerResponse": response})
	if err != nil {
		t.Fatal(err)
	}
	d.restart() // one that is
	signature, _ := parse(t, response).Find(0xA0, 0x5F37)
	r := &run{l: d.l, card: card, transaction: first["transactionId"], signature1: signature.Raw, offer: offer}
	want(t, r.get("76"), "8.2.7/3.8")
	d.restart()
	if o := d.state("a"); o.WrongCodes != 1 {
		t.Errorf("%d wrong codes", o.WrongCodes)
	}
	r.l = d.l
	want(t, r.get("77"), "")
	profile := find(t, parse(t, r.bpp["boundProfilePackage"]), 0xA3)
	d.restart() // one with a delivery
	d.is("a", smdpsim.StateDownloaded, 1)
	again, err := d.l.download(card, id, "77")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(profile, find(t, parse(t, again.bpp["boundProfilePackage"]), 0xA3)) || !again.loaded.replaced {
		t.Error("the same one-time key, another protected profile after a restart")
	}
	d.restart()
	result := card.result(t, r.transaction, testICCID, testpki.DPOID, 0) // of the first session
	want(t, d.l.notify(result), "")
	d.restart()
	d.is("a", smdpsim.StateInstalled, 2)
	want(t, d.l.notify(result), "")
	want(t, d.l.notify(card.event(t, smdpsim.EventEnable, testICCID)), "")
	want(t, d.l.notify(newCard(t, d.ca, 2).event(t, smdpsim.EventEnable, testICCID)), "")
	want(t, d.l.notify([]byte{1}), "1.3.1/2.1")
	d.restart()
	if n := d.s.Notifications(); n.Accepted != 2 || len(n.Foreign) != 1 || n.Refused != 1 {
		t.Errorf("%+v", n)
	}
	want(t, d.l.notify(card.event(t, smdpsim.EventDelete, testICCID)), "")
	d.restart()
	d.is("a", smdpsim.StateUnavailable, 2)
}

func TestRestartOfOrdersThatEnded(t *testing.T) {
	d := newDurable(t)
	for id, der := range ts48(t) { // packages of others, each stored once
		for _, suffix := range []string{"", "-2"} {
			d.order(id+suffix, func(o *smdpsim.Order) { o.Generic, o.Package = nil, der })
		}
	}
	card := newCard(t, d.ca, 1)
	id := d.order("a", nil)
	r, err := d.l.authenticate(card, id)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r.cancel(smdpsim.CancelMetadataMismatch), "")
	d.restart()
	d.is("a", smdpsim.StateError, 0)
	want(t, r.cancel(smdpsim.CancelPostponed), "8.10.1/3.9")
	for id, der := range ts48(t) {
		got, err := d.l.download(newCard(t, d.ca, 2), smdpsim.MatchingID("MID-"+id+"-2"), "")
		if err != nil || !bytes.Equal(got.loaded.profile, der) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if st, err := os.Stat(d.file); err != nil || st.Mode().Perm() != 0o600 || st.Size() > 600_000 {
		t.Errorf("state file: %v, %v", st, err)
	}
}

// A line that was torn by a kill counts as not written; anything else that is
// wrong with the file is an error and changes nothing.
func TestTornAndBrokenStateFiles(t *testing.T) {
	d := newDurable(t)
	id := d.order("a", nil)
	if _, err := d.l.download(newCard(t, d.ca, 1), id, ""); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	_ = d.s.Close()
	open := func(content []byte) (*smdpsim.Server, error) {
		file := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: file})
		if err == nil {
			t.Cleanup(func() { _ = s.Close() })
			return s, nil
		}
		if left, rerr := os.ReadFile(file); rerr != nil || !bytes.Equal(left, content) {
			t.Errorf("the refused file was changed: %v", rerr)
		}
		return nil, err
	}
	last := lines[len(lines)-2] // the delivery; the last element is empty
	for cut := 0; cut < len(last); cut += 1 + len(last)/100 {
		s, err := open(whole[:len(whole)-len(last)+cut])
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := s.Order("a"); o.State != smdpsim.StateReleased {
			t.Fatalf("cut at %d of %d: %s", cut, len(last), o.State)
		}
		_ = s.Close()
	}
	for name, content := range map[string][]byte{
		"no JSON":       append([]byte("hello\n"), whole...),
		"unknown field": append([]byte(`{"order":{}}`+"\n"), whole...),
		"no package":    []byte(`{"orders":{"a":{"ID":"a"}}}` + "\n"),
	} {
		if _, err := open(content); !errors.Is(err, smdpsim.ErrStore) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: t.TempDir()}); !errors.Is(err, smdpsim.ErrStore) {
		t.Errorf("a folder: %v", err)
	}
}

func TestStateFileHasOneOwner(t *testing.T) {
	d := newDurable(t)
	d.order("a", nil)
	if _, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: d.file}); !errors.Is(err, smdpsim.ErrBusy) {
		t.Fatalf("second owner: %v", err)
	}
	d.restart()
	if _, err := smdpsim.New(smdpsim.Config{Address: address, PKI: d.pki, State: d.file}); !errors.Is(err, smdpsim.ErrBusy) {
		t.Fatalf("second owner after a restart: %v", err)
	}
	_ = d.s.Close()
	if _, err := d.s.AddOrder(smdpsim.Order{MatchingID: "X", Generic: &smdpsim.Generic{ICCID: testICCID, IMSI: testIMSI, Name: "x", Size: 1}}); !errors.Is(err, smdpsim.ErrStore) {
		t.Errorf("order on a closed store: %v", err)
	}
	if status, _, _ := d.l.raw(smdpsim.HandleNotification, []byte(`{"pendingNotification":"AAAA"}`)); status != 500 {
		t.Errorf("a state that cannot be kept: HTTP %d", status)
	}
}

// The secrets of orders are in the state file and nowhere else.
func TestNothingElseShowsSecrets(t *testing.T) {
	var events []smdpsim.Event
	b := newBench(t, func(c *smdpsim.Config) { c.Observe = func(e smdpsim.Event) { events = append(events, e) } })
	id := b.order("a", func(o *smdpsim.Order) { o.MatchingID, o.ConfirmationCode = "CANARY-MATCHING", "CANARY-CODE" })
	r, err := b.l.authenticate(newCard(t, b.ca, 1), id)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.get("CANARY-WRONG")
	_ = r.get("CANARY-CODE")
	_, derr := b.s.AddOrder(smdpsim.Order{ID: "b", MatchingID: id, Generic: &smdpsim.Generic{ICCID: testICCID, IMSI: testIMSI, Name: "x", Size: 1}})
	_, berr := b.s.AddOrder(smdpsim.Order{ID: "b", MatchingID: "CANARY $", ConfirmationCode: "CANARY"})
	code, matching, err := b.s.ActivationCode("a")
	if err != nil || code.Reveal() == "" {
		t.Fatal(err)
	}
	order := smdpsim.Order{
		MatchingID: id, ConfirmationCode: "CANARY", Package: []byte("CANARY"),
		Generic: &smdpsim.Generic{ICCID: testICCID, IMSI: testIMSI, Name: "x"},
	}
	file := smdpsim.ProfileFile{Name: "x", DER: []byte("CANARY")}
	for _, v := range []any{file, order.Generic, b.s.Orders(), events, derr, berr, code, matching, order, &order, b.s.Notifications(), order.ConfirmationCode} {
		for _, out := range printed(t, v) {
			if strings.Contains(out, "CANARY") || strings.Contains(out, "67 65 78") || strings.Contains(out, "Q0FOQVJZ") || strings.Contains(out, testIMSI.Reveal()) {
				t.Errorf("%T shows a secret: %s", v, out)
			}
		}
	}
	if len(events) != 4 {
		t.Errorf("%d events", len(events))
	}
}

package smdpsim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

func TestEIDBinding(t *testing.T) {
	b := newBench(t, nil)
	one, two := newCard(t, b.ca, 1), newCard(t, b.ca, 2)
	bound := b.order("bound", func(o *smdpsim.Order) { o.EID = one.EID })
	_, err := b.l.authenticate(two, bound)
	want(t, err, "8.1.1/3.8")
	_, err = b.l.authenticate(one, bound)
	want(t, err, "")

	open := b.order("open", nil)
	early, err := b.l.authenticate(two, open) // both may still have it
	want(t, err, "")
	_, err = b.l.download(one, open, "")
	want(t, err, "")
	want(t, early.get(""), "8.2/3.7") // the first delivery linked it
	_, err = b.l.authenticate(two, open)
	want(t, err, "8.1.1/3.8")
	b.is("open", smdpsim.StateDownloaded, 1)
}

func TestPendingOrders(t *testing.T) {
	b := newBench(t, nil)
	one, two := newCard(t, b.ca, 1), newCard(t, b.ca, 2)
	_, err := b.l.authenticate(one, "")
	want(t, err, "8.2.6/3.8")
	b.order("named", func(o *smdpsim.Order) { o.EID = one.EID }) // has a matching id: not found without it
	for _, id := range []string{"p1", "p2"} {
		b.order(id, func(o *smdpsim.Order) { o.MatchingID, o.EID = "", one.EID })
	}
	_, err = b.l.authenticate(two, "")
	want(t, err, "8.2.6/3.8")
	for _, id := range []string{"p1", "p2"} {
		if _, err := b.l.install(one, ""); err != nil {
			t.Fatal(err)
		}
		b.is(id, smdpsim.StateInstalled, 1)
	}
	_, err = b.l.authenticate(one, "")
	want(t, err, "8.2.6/3.8")
	b.is("named", smdpsim.StateReleased, 0)
}

func TestReusableOrder(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	id := b.order("a", func(o *smdpsim.Order) { o.Reusable, o.Attempts = true, 2 })
	for i := range 2 {
		if _, err := b.l.install(card, id); err != nil {
			t.Fatal(err)
		}
		b.is("a", smdpsim.StateInstalled, i+1)
		want(t, b.l.notify(card.event(t, smdpsim.EventDelete, testICCID)), "")
		b.is("a", smdpsim.StateReleased, i+1)
	}
	_, err := b.l.authenticate(newCard(t, b.ca, 2), id)
	want(t, err, "8.1.1/3.8")
	_, err = b.l.authenticate(card, id)
	want(t, err, "8.8.5/6.4")
}

func TestNotificationsThatOvertake(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	r, err := b.l.download(card, b.order("a", nil), "")
	if err != nil {
		t.Fatal(err)
	}
	installed := card.result(t, r.transaction, testICCID, testpki.DPOID, 0)
	deleted := card.event(t, smdpsim.EventDelete, testICCID)
	want(t, b.l.notify(deleted), "")
	b.is("a", smdpsim.StateDownloaded, 1)
	want(t, b.l.notify(installed), "")
	b.is("a", smdpsim.StateUnavailable, 1)
	if o := b.state("a"); len(o.Installs) != 1 || len(o.Receipts) != 2 {
		t.Errorf("%+v", o)
	}
}

func TestOperatorActions(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	id := b.order("a", func(o *smdpsim.Order) { o.Held = true })
	_, err := b.l.authenticate(card, id)
	want(t, err, "8.2/1.2")
	if o, err := b.s.Release("a"); err != nil || o.State != smdpsim.StateReleased {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := b.s.Release("a"); !errors.Is(err, smdpsim.ErrState) {
		t.Error(err)
	}
	if _, err := b.s.Reset("a"); !errors.Is(err, smdpsim.ErrState) {
		t.Error(err)
	}
	if _, err := b.s.Withdraw("a"); err != nil {
		t.Fatal(err)
	}
	_, err = b.l.authenticate(card, id)
	want(t, err, "8.2.6/3.8")
	if _, err := b.s.Reset("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.install(card, id); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.Withdraw("a"); !errors.Is(err, smdpsim.ErrState) {
		t.Error(err)
	}
	for _, act := range []func(string) (smdpsim.OrderInfo, error){b.s.Release, b.s.Withdraw, b.s.Reset} {
		if _, err := act("nobody"); !errors.Is(err, smdpsim.ErrUnknown) {
			t.Error(err)
		}
	}
	if _, _, err := b.s.ActivationCode("nobody"); !errors.Is(err, smdpsim.ErrUnknown) {
		t.Error(err)
	}
}

func TestOrdersThatAreRefused(t *testing.T) {
	b := newBench(t, nil)
	b.order("a", nil)
	generic := &smdpsim.Generic{ICCID: testICCID, IMSI: testIMSI, Name: "x", Size: 1}
	for name, c := range map[string]struct {
		o        smdpsim.Order
		err      error
		mistakes int
	}{
		"same id":          {smdpsim.Order{ID: "a", MatchingID: "X", Generic: generic}, smdpsim.ErrDuplicate, 1},
		"same matching id": {smdpsim.Order{ID: "b", MatchingID: "MID-a", Generic: generic}, smdpsim.ErrDuplicate, 1},
		"nothing":          {smdpsim.Order{}, smdpsim.ErrOrder, 2},
		"much": {smdpsim.Order{
			MatchingID: "a b", EID: "1", Package: []byte{1}, Attempts: -1,
			Metadata: smdpsim.Metadata{ServiceProvider: strings.Repeat("x", 33)},
		}, smdpsim.ErrOrder, 5},
		"two packages":  {smdpsim.Order{MatchingID: "X", Generic: generic, Package: []byte{1}}, smdpsim.ErrOrder, 1},
		"another ICCID": {smdpsim.Order{MatchingID: "X", Generic: generic, ICCID: "89000123456789012341"}, smdpsim.ErrOrder, 1},
		"bad generic":   {smdpsim.Order{MatchingID: "X", Generic: &smdpsim.Generic{}}, smdpsim.ErrOrder, 1},
		"name":          {smdpsim.Order{MatchingID: "X", Generic: generic, Metadata: smdpsim.Metadata{Name: "\xff"}}, smdpsim.ErrOrder, 1},
		"class":         {smdpsim.Order{MatchingID: "X", Generic: generic, Metadata: smdpsim.Metadata{Class: 3}}, smdpsim.ErrOrder, 1},
		"rule":          {smdpsim.Order{MatchingID: "X", Generic: generic, Metadata: smdpsim.Metadata{PPRs: []int{8}}}, smdpsim.ErrOrder, 1},
		"recipient":     {smdpsim.Order{MatchingID: "X", Generic: generic, Metadata: smdpsim.Metadata{Recipients: make([]smdpsim.Recipient, 1)}}, smdpsim.ErrOrder, 1},
	} {
		_, err := b.s.AddOrder(c.o)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != c.mistakes {
			t.Errorf("%s: %d mistakes told, not %d: %v", name, n, c.mistakes, err)
		}
	}
	if _, err := smdpsim.New(smdpsim.Config{}); !errors.Is(err, smdpsim.ErrConfig) {
		t.Error(err)
	}
	if _, err := b.s.AddOrder(smdpsim.Order{MatchingID: "Y", Generic: generic, Expires: time.Now()}); err != nil {
		t.Error(err)
	}
}

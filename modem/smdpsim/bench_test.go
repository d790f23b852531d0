package smdpsim_test

import (
	"errors"
	"testing"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

type bench struct {
	t  testing.TB
	ca *testpki.Authority
	s  *smdpsim.Server
	l  *lpa
}

func newBench(t testing.TB, change func(*smdpsim.Config)) *bench {
	t.Helper()
	ca, err := testpki.New([]byte("smdpsim"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	cfg := smdpsim.Config{Address: address, PKI: pki}
	if change != nil {
		change(&cfg)
	}
	s, err := smdpsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &bench{t, ca, s, inProcess(t, s)}
}

func (b *bench) order(id string, change func(*smdpsim.Order)) smdpsim.MatchingID {
	b.t.Helper()
	o := smdpsim.Order{
		ID: id, MatchingID: smdpsim.MatchingID("MID-" + id),
		Generic: &smdpsim.Generic{ICCID: testICCID, IMSI: testIMSI, Name: "linefit generic", Size: 1},
	}
	if change != nil {
		change(&o)
	}
	if _, err := b.s.AddOrder(o); err != nil {
		b.t.Fatal(err)
	}
	return o.MatchingID
}

func (b *bench) state(id string) smdpsim.OrderInfo {
	b.t.Helper()
	o, ok := b.s.Order(id)
	if !ok {
		b.t.Fatalf("order %s is gone", id)
	}
	return o
}

func (b *bench) is(id string, state smdpsim.State, deliveries int) {
	b.t.Helper()
	if o := b.state(id); o.State != state || o.Deliveries != deliveries {
		b.t.Errorf("order %s is %s after %d deliveries, not %s after %d", id, o.State, o.Deliveries, state, deliveries)
	}
}

func want(t testing.TB, err error, code string) {
	t.Helper()
	if code == "" && err == nil {
		return
	}
	var r refused
	if !errors.As(err, &r) || string(r) != code {
		t.Errorf("%v, want %q", err, code)
	}
}

package smdpsim_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"linefit/modem/smdpsim"
)

// Many slots at once: each gets its own profile, and one that several want goes
// to exactly one of them.
func TestConcurrentDownloads(t *testing.T) {
	const slots = 16
	b := newBench(t, func(c *smdpsim.Config) {
		c.State = filepath.Join(t.TempDir(), "state")
		c.Observe = func(smdpsim.Event) {}
		c.Fault = func(smdpsim.FaultPoint) smdpsim.Fault { return smdpsim.Fault{} }
	})
	wanted := b.order("wanted", nil)
	cards, ids := make([]*euicc, slots), make([]smdpsim.MatchingID, slots)
	for i := range slots {
		cards[i] = newCard(t, b.ca, i)
		ids[i] = b.order(fmt.Sprint(i), func(o *smdpsim.Order) { o.Generic = smdpsim.GeneratedProfile(i) })
	}
	var wg sync.WaitGroup
	for i := range slots {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := b.l.install(cards[i], ids[i]); err != nil {
				t.Errorf("slot %d: %v", i, err)
			}
			_, _ = b.l.install(cards[i], wanted)
			b.s.Orders()
			b.s.Notifications()
			b.s.Devices()
		}()
	}
	wg.Wait()
	for i := range slots {
		if o := b.state(fmt.Sprint(i)); o.State != smdpsim.StateInstalled || o.EID != cards[i].EID || o.Deliveries != 1 {
			t.Errorf("%+v", o)
		}
	}
	if o := b.state("wanted"); o.State != smdpsim.StateInstalled || o.Deliveries != 1 || len(o.Consumers()) != 1 {
		t.Errorf("%+v", o)
	}
	if n := b.s.Notifications(); n.Accepted != slots+1 {
		t.Errorf("%+v", n)
	}
}

// BenchmarkDownload is a whole session with its notification and a durable
// state, the test's eUICC included: five signatures of each side and what they
// cost to check.
func BenchmarkDownload(b *testing.B) {
	server := newBench(b, func(c *smdpsim.Config) { c.State = filepath.Join(b.TempDir(), "state") })
	card := newCard(b, server.ca, 1)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		id := server.order(fmt.Sprint(n), func(o *smdpsim.Order) { o.Generic = smdpsim.GeneratedProfile(n) })
		if _, err := server.l.install(card, id); err != nil {
			b.Fatal(err)
		}
	}
}

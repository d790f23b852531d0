package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

func mustGate(t testing.TB, s *store.Store, drafts ...audit.Draft) []audit.Entry {
	t.Helper()
	es, err := s.Gate(t.Context(), drafts...)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

// picky cannot take facts of some types; before it says so it has written.
type picky struct {
	counts
	cannot map[string]func() error
}

func (p picky) Apply(txn audit.Txn, e audit.Entry) error {
	if err := p.counts.Apply(txn, e); err != nil {
		return err
	}
	if cannot := p.cannot[e.Type]; cannot != nil {
		return cannot()
	}
	return nil
}

var errPicky = errors.New("it does not fit")

func refuses(types ...string) []audit.Projection {
	p := picky{cannot: map[string]func() error{}}
	for _, t := range types {
		p.cannot[t] = func() error { return errPicky }
	}
	return []audit.Projection{p}
}

// What a projection cannot take is refused where it is made, before it is
// evidence: alone, whole, without a trace in counters, roots or derived state;
// and the log goes on, now and at the next start.
func TestRefusedDraft(t *testing.T) {
	for name, cannot := range map[string]func() error{
		"error": func() error { return errPicky },
		"panic": func() error { panic("nil pointer") },
	} {
		t.Run(name, func(t *testing.T) {
			ps := []audit.Projection{picky{cannot: map[string]func() error{"run.verdict/1": cannot}}}
			s := storetest.Start(t, nil, store.Options{Projections: ps})
			mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 1))
			_, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 2), draft("run.verdict/1", 1, "SN1", 3))
			var refused *audit.RefusedError
			if !errors.As(err, &refused) || refused.Type != "run.verdict/1" || refused.Slot != 1 || refused.Earlier || errors.Is(err, store.ErrUnknown) {
				t.Fatalf("got %v", err)
			}
			if h := s.State(); h.State != store.OK {
				t.Fatalf("%+v", h)
			}
			es := mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 4))
			if e := es[0]; e.Seq != 2 || e.SlotSeq != 2 || e.UnitSeq != 2 {
				t.Fatalf("%+v", e)
			}
			if n := count(t, s.Store, "step.done/1"); n != 2 {
				t.Errorf("%d steps are derived", n)
			}
			s.Kill()
			again := s.Restart()
			if h := again.State(); h.State != store.OK {
				t.Fatalf("%+v", h)
			}
			if n, v := count(t, again.Store, "step.done/1"), count(t, again.Store, "run.verdict/1"); n != 2 || v != 0 {
				t.Errorf("%d steps, %d verdicts", n, v)
			}
			again.Stop()
			if r := verify(t, s.Options.Dir, store.VerifyOptions{}); !r.OK || r.Entries != 2 {
				t.Errorf("%+v", r)
			}
			if r, err := store.Rebuild(t.Context(), again.Options); err != nil || !r.Same {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// A queued fact that is refused holds its slot, and no other, until a gate of the
// slot was told: what comes behind it must not be recorded without it.
func TestRefusedQueued(t *testing.T) {
	s := storetest.Start(t, nil, store.Options{Projections: refuses("run.verdict/1")})
	for _, d := range []audit.Draft{draft("step.done/1", 1, "SN1", 1), draft("run.verdict/1", 1, "SN1", 2), draft("step.done/1", 1, "SN1", 3)} {
		if err := s.Queue(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	mustGate(t, s.Store, draft("step.done/1", 2, "SN2", 1))
	_, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 4))
	var refused *audit.RefusedError
	if !errors.As(err, &refused) || !refused.Earlier || refused.Slot != 1 || !errors.Is(err, errPicky) {
		t.Fatalf("got %v", err)
	}
	if es := mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 5)); es[0].SlotSeq != 2 || es[0].Seq != 3 {
		t.Fatalf("%+v", es[0])
	}
	// A gate without drafts hears of any slot; Close of what nobody asked for.
	if err := s.Queue(t.Context(), draft("run.verdict/1", 1, "SN1", 6)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Gate(t.Context()); !errors.As(err, &refused) || !refused.Earlier {
		t.Fatalf("got %v", err)
	}
	mustGate(t, s.Store)

	o := store.Options{Dir: t.TempDir(), Key: newKey(t), Projections: refuses("run.verdict/1")}
	plain, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- plain.Run(ctx) }()
	if err := plain.Queue(t.Context(), draft("run.verdict/1", 1, "SN1", 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := plain.Close(); !errors.As(err, &refused) {
		t.Errorf("close: %v", err)
	}
}

// Writers whose facts are refused in the middle of others' batches: everybody
// gets the answer to what was asked, and the log and everything derived agree.
func TestRefusedAmongOthers(t *testing.T) {
	s := storetest.Start(t, nil, store.Options{Projections: refuses("run.verdict/1")})
	const writers, each = 16, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				bad := (w+i)%5 == 0
				kind := map[bool]string{true: "run.verdict/1", false: "step.done/1"}[bad]
				_, err := s.Gate(t.Context(), draft("step.done/1", 1+w, "SN", i), draft(kind, 1+w, fmt.Sprint("SN", w), i))
				if bad != errors.Is(err, errPicky) {
					t.Errorf("writer %d, %d: %v", w, i, err)
				}
			}
		})
	}
	wg.Wait()
	want := uint64(writers * each * 4 / 5 * 2)
	if n := count(t, s.Store, "step.done/1"); n != want || s.Last() != want {
		t.Errorf("%d derived, %d entries, want %d", n, s.Last(), want)
	}
	s.Stop()
	if r := verify(t, s.Options.Dir, store.VerifyOptions{}); !r.OK {
		t.Errorf("%v", r.Findings)
	}
	if r, err := store.Rebuild(t.Context(), s.Options); err != nil || !r.Same {
		t.Errorf("%+v, %v", r, err)
	}
}

// A log that holds what this version's projection cannot take opens: red, with
// the entry, and everything else derived. A version that takes it opens it well;
// or two people go on, and then it is no alarm any more.
func TestRefusedInTheLog(t *testing.T) {
	s := storetest.Start(t, nil, store.Options{Projections: []audit.Projection{counts{}}, ShardKey: sharded(t).ShardKey})
	mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 1))
	mustGate(t, s.Store, draft("run.verdict/1", 1, "SN1", 2))
	mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 3))
	s.Stop()
	drop := func() {
		if err := os.RemoveAll(filepath.Join(s.Options.Dir, "badger")); err != nil {
			t.Fatal(err)
		}
	}
	drop()
	s.Options.Projections = refuses("run.verdict/1")
	var findings []audit.Finding
	for range 2 { // it stays one at the next start
		red := s.Restart()
		h := red.State()
		if h.Cause != store.CauseAlarm || len(h.Findings) != 1 || h.Findings[0].Code != audit.FindDerived || h.Findings[0].Seq != 2 {
			t.Fatalf("%+v", h)
		}
		if n, v := count(t, red.Store, "step.done/1"), count(t, red.Store, "run.verdict/1"); n != 2 || v != 0 {
			t.Errorf("%d steps, %d verdicts are derived", n, v)
		}
		if _, err := red.Gate(t.Context(), draft("step.done/1", 1, "SN1", 4)); err == nil {
			t.Error("appended")
		}
		findings = h.Findings
		red.Stop()
	}
	s.Options.Projections = []audit.Projection{counts{}}
	good := s.Restart()
	if h := good.State(); h.State != store.OK || count(t, good.Store, "run.verdict/1") != 1 {
		t.Fatalf("%+v", h)
	}
	good.Stop()

	drop()
	s.Options.Projections = refuses("run.verdict/1")
	red := s.Restart()
	err := red.Accept(t.Context(), audit.Acceptance{Persons: []string{"qa-1", "qa-2"}, Reason: "an old fact", Findings: findings})
	if err != nil {
		t.Fatal(err)
	}
	mustGate(t, red.Store, draft("step.done/1", 1, "SN1", 5))
	for range 2 {
		red.Kill()
		red = red.Restart()
		if h := red.State(); h.State != store.OK || count(t, red.Store, "step.done/1") != 3 {
			t.Fatalf("%+v", h)
		}
	}
	red.Stop()
	if r := verify(t, s.Options.Dir, store.VerifyOptions{}); !r.OK {
		t.Errorf("%v", r.Findings)
	}
}

// The log's own entries are always written: what a projection cannot take of them
// is an alarm, at once and at every start, until a version takes it.
func TestRefusedOwn(t *testing.T) {
	for _, own := range []string{audit.TypeShardClosed, audit.TypeShardOpened, audit.TypeShardReady} {
		o := sharded(t)
		o.Projections = refuses(own)
		s := storetest.Start(t, nil, o)
		mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 1))
		if err := s.Rotate(t.Context()); err == nil {
			t.Errorf("%s: rotated", own)
		}
		alarmed := func(s *store.Store) {
			t.Helper()
			if h := s.State(); h.Cause != store.CauseAlarm || h.Findings[0].Code != audit.FindDerived {
				t.Errorf("%s: %+v", own, h)
			}
		}
		alarmed(s.Store)
		s.Kill()
		for range 2 {
			s = s.Restart()
			alarmed(s.Store)
			s.Stop()
		}
		s.Options.Projections = []audit.Projection{picky{}}
		s = s.Restart()
		if h := s.State(); h.State != store.OK {
			t.Errorf("%s: %+v", own, h)
		}
		mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 2))
		s.Stop()
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
			t.Errorf("%s: %v", own, r.Findings)
		}
	}
}

// hoard derives from one entry so much that a batch of them is more than one
// transaction of Badger holds; or, from one of its size, too much by itself.
type hoard struct{ counts }

func (h hoard) Apply(txn audit.Txn, e audit.Entry) error {
	n := map[string]int{"step.done/1": 2000, "run.verdict/1": 40_000}[e.Type]
	for i := range n {
		if err := txn.Set(fmt.Appendf(nil, "%s %d %d", e.Type, e.Seq, i), nil); err != nil {
			return err
		}
	}
	return h.counts.Apply(txn, e)
}

func TestMoreThanOneTransaction(t *testing.T) {
	s := storetest.Start(t, nil, store.Options{Projections: []audit.Projection{hoard{}}})
	many := make([]audit.Draft, 40)
	for i := range many {
		many[i] = draft("step.done/1", 1, "SN1", i)
	}
	mustGate(t, s.Store, many...)
	var refused *audit.RefusedError
	if _, err := s.Gate(t.Context(), draft("run.verdict/1", 1, "SN1", 1)); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	mustGate(t, s.Store, draft("step.done/1", 1, "SN1", 41))
	if n := count(t, s.Store, "step.done/1"); n != 41 {
		t.Errorf("%d steps", n)
	}
	s.Stop()
	if r, err := store.Rebuild(t.Context(), s.Options); err != nil || !r.Same {
		t.Errorf("%+v, %v", r, err)
	}
}

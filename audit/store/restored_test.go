package store_test

import (
	"path/filepath"
	"slices"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

func codes(fs []audit.Finding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Code)
	}
	return out
}

func goOn(t *testing.T, s *store.Store) {
	t.Helper()
	h := s.State()
	if h.State != store.ReadOnly || h.Cause != store.CauseAlarm {
		t.Fatalf("%+v", h)
	}
	if _, err := s.Checkpoint(); err == nil {
		t.Fatal("a log that is not what it must be was signed")
	}
	if err := s.Accept(t.Context(), audit.Acceptance{Persons: []string{"qa-1", "qa-2"}, Reason: "known", Findings: h.Findings}); err != nil {
		t.Fatal(err)
	}
	if h := s.State(); h.State != store.OK {
		t.Fatalf("%+v", h)
	}
}

// Yesterday's copy put back: with the mark, or with a newer anchor, it opens
// read-only; going on takes two people, once, and no number is used again.
func TestRestoredStore(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 50)
	stop()
	backup := copyDir(t, o.Dir)
	s, stop = start(t, o)
	gateN(t, s, "SN2", 70)
	stop()
	anchor, last := readAll(t, filepath.Join(o.Dir, "checkpoint")), uint64(120)
	for _, c := range []struct {
		name    string
		mark    bool
		anchors [][]byte
		want    []string
	}{
		{"mark", true, nil, []string{audit.FindRestored}},
		{"anchor", false, [][]byte{anchor}, []string{audit.FindRollback}},
		{"both", true, [][]byte{anchor}, []string{audit.FindRestored, audit.FindRollback}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			o.Dir, o.Anchors = copyDir(t, backup), c.anchors
			if c.mark {
				if err := (store.Restored{ID: "r1", What: "backup of yesterday"}).Mark(o.Dir); err != nil {
					t.Fatal(err)
				}
			}
			s, stop := start(t, o)
			if got := codes(s.State().Findings); !slices.Equal(got, c.want) {
				t.Fatalf("%v", s.State().Findings)
			}
			goOn(t, s)
			es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN3", 1))
			if err != nil || len(c.anchors) > 0 && es[0].Seq <= last {
				t.Fatalf("%+v, %v", es, err)
			}
			stop()
			for range 2 { // it is not asked again
				s, stop = start(t, o)
				if h := s.State(); h.State != store.OK {
					t.Fatalf("%+v", h)
				}
				stop()
			}
			r := verify(t, o.Dir, store.VerifyOptions{})
			if !r.OK || len(r.Accepted) != 1 || r.Accepted[0].Persons[0] != "qa-1" {
				t.Fatalf("%+v", r)
			}
			if r := verify(t, o.Dir, store.VerifyOptions{Checkpoint: anchor}); r.OK || !hasCode(r, audit.FindRollback) {
				t.Fatalf("who holds the newer checkpoint must see what is missing: %+v", r)
			}
			rebuilt, err := store.Rebuild(t.Context(), o)
			if err != nil || !rebuilt.Same {
				t.Fatalf("%+v, %v", rebuilt, err)
			}
		})
	}
}

// A replacement begins a log of its own behind the last outside anchor of the
// one that was lost.
func TestReplacementStore(t *testing.T) {
	lost := sharded(t)
	s, stop := start(t, lost)
	gateN(t, s, "SN1", 40)
	stop()
	anchor := readAll(t, filepath.Join(lost.Dir, "checkpoint"))
	o := sharded(t) // other keys, the same name
	if err := (store.Restored{ID: "r2", What: "replacement", Anchors: [][]byte{anchor}, Keys: []string{lost.Key.VKey()}}).Mark(o.Dir); err != nil {
		t.Fatal(err)
	}
	s, stop = start(t, o)
	goOn(t, s)
	if s.Origin() != "test.example/station-1/2" {
		t.Fatal(s.Origin())
	}
	es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN2", 1))
	if err != nil || es[0].Seq <= 40 {
		t.Fatalf("%+v, %v", es, err)
	}
	stop()
	r := verify(t, o.Dir, store.VerifyOptions{})
	if !r.OK || len(r.Accepted) != 1 {
		t.Fatalf("%+v", r)
	}
	s, stop = start(t, o)
	if h := s.State(); h.State != store.OK {
		t.Fatalf("%+v", h)
	}
	stop()
}

// Another station's store is shown, never continued; one whose key was lost can
// be, by two people.
func TestForeignStore(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 10)
	stop()
	other := o
	var err error
	if other.Key, _, err = audit.NewKey("test.example/station-2"); err != nil {
		t.Fatal(err)
	}
	s, stop = start(t, other)
	h := s.State()
	if h.State != store.ReadOnly || h.Findings[0].Code != audit.FindOrigin {
		t.Fatalf("%+v", h)
	}
	if n := count(t, s, "step.done/1"); n != 10 {
		t.Errorf("%d entries can be seen", n)
	}
	if err := s.Accept(t.Context(), audit.Acceptance{Persons: []string{"a", "b"}, Reason: "x", Findings: h.Findings}); err == nil {
		t.Fatal("another station's log was continued")
	}
	stop()
	if r := verify(t, o.Dir, store.VerifyOptions{Key: o.Key.VKey()}); !r.OK || r.Entries != 10 {
		t.Fatalf("%+v", r)
	}
	was := o.Key
	o.Key = newKey(t)
	s, stop = start(t, o)
	if h := s.State(); h.State != store.ReadOnly || h.Findings[0].Code != audit.FindKey {
		t.Fatalf("%+v", h)
	}
	goOn(t, s)
	gateN(t, s, "SN2", 1)
	stop()
	r := verify(t, o.Dir, store.VerifyOptions{Key: o.Key.VKey() + " "})
	if !hasCode(r, audit.FindKey) { // that of the first shard's name, which signed nothing here
		t.Fatalf("%+v", r)
	}
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if r = verify(t, o.Dir, store.VerifyOptions{Key: l.VKey()}); !r.OK || len(r.Accepted) != 1 || r.Shards != 2 {
		t.Fatalf("%+v", r)
	}
	// The lost key's word for the new one is not there: it can be anybody's.
	r = verify(t, o.Dir, store.VerifyOptions{Key: was.VKey()})
	if !hasCode(r, audit.FindKey) || len(r.Findings) != 1 || len(r.Unvouched) != 1 {
		t.Fatalf("%+v", r)
	}
}

// A running store is held against checkpoints that come in.
func TestHold(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 20)
	old := copyDir(t, o.Dir)
	gateN(t, s, "SN1", 20)
	newest, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Hold(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	stranger := fill(t, 20)
	if err := s.Hold(t.Context(), readAll(t, filepath.Join(stranger.Dir, "checkpoint"))); err == nil || s.State().State != store.OK {
		t.Fatalf("a stranger's checkpoint: %v, %+v", err, s.State())
	}
	stop()
	o.Dir = old
	remove(t, filepath.Join(old, "lock"))
	s, stop = start(t, o)
	if err := s.Hold(t.Context(), newest); err == nil {
		t.Fatal("a newer checkpoint was consistent with an older log")
	}
	goOn(t, s)
	stop()
}

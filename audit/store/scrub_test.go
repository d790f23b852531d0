package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/audit/store"
)

// Damage in a closed shard, which opening does not read, is found while the
// station runs, stays an alarm over restarts, and ends when the file is mended.
func TestScrubFindsBitRot(t *testing.T) {
	o := threeShards(t)
	s, stop := start(t, o)
	r, err := s.Scrub(t.Context(), 1<<30)
	if err != nil || !r.OK || r.Shards != 3 || count(t, s, audit.TypeScrubbed) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	segs, err := filepath.Glob(filepath.Join(o.Dir, "segments", "0001-*"))
	if err != nil {
		t.Fatal(err)
	}
	good := readAll(t, segs[0])
	bad := append([]byte{}, good...)
	bad[len(bad)/2] ^= 4
	write(t, segs[0], bad)

	var state *store.StateError
	if _, err := s.Scrub(t.Context(), 1<<30); !errors.As(err, &state) || state.Cause != store.CauseAlarm {
		t.Fatalf("%v", err)
	}
	alarmed := func(s *store.Store) {
		t.Helper()
		h := s.State()
		if h.State != store.ReadOnly || len(h.Findings) == 0 || h.Findings[0].File != "segments/"+filepath.Base(segs[0]) || h.Findings[0].Offset == 0 {
			t.Fatalf("%+v", h)
		}
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 1)); !errors.As(err, &state) {
			t.Fatalf("it goes on: %v", err)
		}
	}
	alarmed(s)
	if n := count(t, s, audit.TypeScrubbed); n != 2 {
		t.Errorf("%d results in the log", n)
	}
	stop()
	if text, err := store.Damage(o.Dir); err != nil || !strings.Contains(text, filepath.Base(segs[0])) {
		t.Errorf("%q, %v", text, err)
	}
	s, stop = start(t, o)
	alarmed(s)
	stop()
	write(t, segs[0], good)
	s, stop = start(t, o)
	if h := s.State(); h.State != store.OK {
		t.Fatalf("mended: %+v", h)
	}
	if text, err := store.Damage(o.Dir); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
	stop()
}

// People may go on with damage that a scrub found; it is no alarm again, and
// another one is.
func TestScrubAccepted(t *testing.T) {
	o := threeShards(t)
	segs, err := filepath.Glob(filepath.Join(o.Dir, "segments", "000[12]-*"))
	if err != nil || len(segs) < 2 {
		t.Fatal(segs, err)
	}
	rot := func(name string) {
		b := readAll(t, name)
		b[len(b)/2] ^= 4
		write(t, name, b)
	}
	rot(segs[0])
	s, stop := start(t, o)
	if _, err := s.Scrub(t.Context(), 1<<30); err == nil {
		t.Fatal("nothing was found")
	}
	a := audit.Acceptance{Persons: []string{"a", "b"}, Reason: "disk replaced", Findings: s.State().Findings}
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 1)
	if _, err := s.Scrub(t.Context(), 1<<30); err != nil || s.State().State != store.OK {
		t.Fatalf("accepted, and again an alarm: %v %+v", err, s.State())
	}
	stop()
	s, stop = start(t, o)
	if s.State().State != store.OK {
		t.Fatalf("%+v", s.State())
	}
	rot(segs[len(segs)-1])
	if _, err := s.Scrub(t.Context(), 1<<30); err == nil || s.State().State != store.ReadOnly {
		t.Fatalf("more damage: %v %+v", err, s.State())
	}
	stop()
}

// A scrub reads no faster than it was told.
func TestScrubIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := sharded(t)
		s, stop := start(t, o)
		gateN(t, s, "SN1", 300)
		begin := time.Now()
		r, err := s.Scrub(t.Context(), 1000)
		if took := time.Since(begin); err != nil || took < time.Duration(r.Bytes/1000)*time.Second*9/10 {
			t.Errorf("%d bytes in %v, %v", r.Bytes, took, err)
		}
		stop()
	})
}

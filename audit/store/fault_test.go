package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

// Every fault of a batch, then a crash of every kind, then the log is opened
// again: it is good, it holds everything acknowledged, and the faulty batch
// as the fault says.
func TestFaultThenCrash(t *testing.T) {
	faults := []struct {
		name    string
		fault   storetest.Fault
		unknown bool
		kept    bool // recorded, seen after a kill
	}{
		{"failed", storetest.Failed, true, false},
		{"took effect", storetest.TookEffect, true, true},
		{"torn", storetest.Torn, true, false},
		{"full", storetest.Full, true, false},
	}
	crashes := map[string]func(*storetest.Station){
		"stop":      (*storetest.Station).Stop,
		"kill":      (*storetest.Station).Kill,
		"power cut": (*storetest.Station).PowerCut,
		"resume": func(s *storetest.Station) {
			s.Disk.MakeSpace()
			if err := s.Resume(t.Context()); err != nil {
				t.Errorf("resume: %v", err)
			}
		},
	}
	for _, f := range faults {
		for name, crash := range crashes {
			t.Run(f.name+", "+name, func(t *testing.T) {
				disk := storetest.NewDisk(storetest.Rule{Type: "run.verdict/1", Nth: 2, Fault: f.fault})
				s := storetest.Start(t, disk, store.Options{Projections: []audit.Projection{counts{}}})
				for i := range 3 {
					if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", i)); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := s.Gate(t.Context(), draft("run.verdict/1", 1, "SN1", 1)); err != nil {
					t.Fatal(err)
				}
				_, err := s.Gate(t.Context(), draft("run.verdict/1", 1, "SN1", 2))
				var state *store.StateError
				if !errors.As(err, &state) || state.Unknown != f.unknown || errors.Is(err, store.ErrUnknown) != f.unknown {
					t.Fatalf("gate: %v", err)
				}
				if f.fault == storetest.Full && (state.Cause != store.CauseDiskFull || !errors.Is(err, syscall.ENOSPC)) {
					t.Fatalf("cause %s: %v", state.Cause, err)
				}
				_, err = s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 9))
				if !errors.As(err, &state) || state.Unknown || s.State().State != store.Stopped {
					t.Fatalf("after the fault: %v, state %+v", err, s.State())
				}
				crash(s)
				s.Disk.MakeSpace()
				again := s
				if name != "resume" {
					again = s.Restart()
				}
				if h := again.State(); h.State != store.OK {
					t.Fatalf("opened again: %+v", h)
				}
				want := uint64(1)
				if f.kept {
					want = 2
				}
				if n := count(t, again.Store, "run.verdict/1"); n != want {
					t.Errorf("%d verdicts, want %d", n, want)
				}
				if n := count(t, again.Store, "step.done/1"); n != 3 {
					t.Errorf("%d acknowledged entries, want 3", n)
				}
				if _, err := again.Gate(t.Context(), draft("step.done/1", 1, "SN1", 10)); err != nil {
					t.Fatal(err)
				}
				if n := count(t, again.Store, audit.TypeTailDropped); (n == 1) != (f.fault == storetest.Torn && name != "power cut") {
					t.Errorf("%d dropped tails", n)
				}
				again.Stop()
				if r := verify(t, s.Options.Dir, store.VerifyOptions{Key: s.Options.Key.VKey()}); !r.OK {
					t.Errorf("%+v", r.Findings)
				}
			})
		}
	}
}

func TestQueuedEntriesFailWithTheirGate(t *testing.T) {
	disk := storetest.NewDisk(storetest.Rule{Type: "step.done/1", Nth: 1, Fault: storetest.Failed})
	s := storetest.Start(t, disk, store.Options{})
	if err := s.Queue(t.Context(), draft("step.done/1", 1, "SN1", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Gate(t.Context()); !errors.As(err, new(*store.StateError)) {
		t.Fatalf("a gate passed although an entry before it was lost: %v", err)
	}
}

func TestSlowDiskHoldsOnlyItsBatch(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := storetest.NewDisk(storetest.Rule{Type: "run.verdict/1", Fault: storetest.Slow, Delay: 40 * time.Second})
		s := storetest.Start(t, disk, store.Options{Dir: dir})
		begin := time.Now()
		if _, err := s.Gate(t.Context(), draft("run.verdict/1", 1, "SN1", 1)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 40*time.Second {
			t.Errorf("gate took %v", d)
		}
		s.Stop()
	})
}

func TestDiskFullBelowReserve(t *testing.T) {
	disk := storetest.NewDisk()
	s := storetest.Start(t, disk, store.Options{})
	if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 1)); err != nil {
		t.Fatal(err)
	}
	disk.Fill()
	_, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 2))
	var state *store.StateError
	if !errors.As(err, &state) || state.Unknown || state.Cause != store.CauseDiskFull {
		t.Fatalf("gate on a full disk: %v", err)
	}
	if err := s.Resume(t.Context()); err == nil {
		t.Fatal("resumed on a full disk")
	}
	disk.MakeSpace()
	if err := s.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 3))
	if err != nil || es[0].Seq != 2 || es[0].SlotSeq != 2 {
		t.Fatalf("after space was made: %+v, %v", es, err)
	}
	s.Stop()
	if r := verify(t, s.Options.Dir, store.VerifyOptions{}); !r.OK {
		t.Fatal(r.Findings)
	}
}

// Whatever happens to Badger, the segments tell the same again; what they
// cannot tell is an alarm.
func TestDerivedStateLostOrAhead(t *testing.T) {
	o := fill(t, 300)
	digest := func(dir string) uint64 {
		o := o
		o.Dir = dir
		s, stop := start(t, o)
		defer stop()
		if h := s.State(); h.State != store.OK {
			t.Fatalf("%+v", h)
		}
		return count(t, s, "step.done/1")
	}
	t.Run("deleted", func(t *testing.T) {
		dir := copyDir(t, o.Dir)
		remove(t, filepath.Join(dir, "badger"))
		if n := digest(dir); n != 300 {
			t.Errorf("%d entries", n)
		}
	})
	t.Run("died while opening", func(t *testing.T) {
		dir := copyDir(t, o.Dir)
		write(t, filepath.Join(dir, "badger.opening"), nil)
		if n := digest(dir); n != 300 {
			t.Errorf("%d entries", n)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(o.Dir, "badger", "*.sst"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for at := 10; at < 3000; at += 271 {
			dir := copyDir(t, o.Dir)
			name := filepath.Join(dir, "badger", filepath.Base(files[0]))
			b := readAll(t, name)
			if at >= len(b) {
				break
			}
			b[at] ^= 4
			write(t, name, b)
			if n := digest(dir); n != 300 {
				t.Errorf("byte %d: %d entries", at, n)
			}
		}
	})
	t.Run("ahead", func(t *testing.T) {
		dir := copyDir(t, o.Dir)
		segs := evidence(t, dir)
		newest := segs[len(segs)-3]
		b := readAll(t, newest)
		write(t, newest, b[:len(b)-100])
		// Even an older checkpoint, which the shorter log satisfies, does not help.
		p := o
		p.Dir = dir
		s, stop := start(t, p)
		defer stop()
		if h := s.State(); h.State != store.ReadOnly || h.Cause != store.CauseAlarm {
			t.Fatalf("%+v", h)
		}
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "", 1)); err == nil {
			t.Fatal("appended to a log that lost entries")
		}
		if got := readAll(t, newest); len(got) != len(b)-100 {
			t.Fatal("the evidence was changed")
		}
	})
}

func TestClockStepIsSaid(t *testing.T) {
	utc, mono := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC), int64(0)
	o := store.Options{Now: func() (time.Time, int64, string) { return utc, mono, audit.ClockSynced }}
	s := storetest.Start(t, nil, o)
	gate := func(n int) {
		t.Helper()
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", n)); err != nil {
			t.Fatal(err)
		}
	}
	tick := func(d, step time.Duration) { utc, mono = utc.Add(d+step), mono+int64(d) }
	gate(1)
	tick(time.Minute, 900*time.Millisecond)
	gate(2) // within a second
	tick(time.Minute, 300*time.Millisecond)
	gate(3) // over a second since the first
	tick(time.Minute, -time.Hour)
	gate(4)
	tick(time.Second, 365*24*time.Hour)
	gate(5)
	tick(time.Minute, 0)
	gate(6)
	var steps []int64
	err := s.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			if e.Type == audit.TypeClockStep {
				var d struct {
					StepMS int64 `json:"step_ms"`
				}
				if err := json.Unmarshal(e.Data, &d); err != nil {
					return err
				}
				steps = append(steps, d.StepMS)
			}
		}
		return nil
	})
	if err != nil || fmt.Sprint(steps) != "[1200 -3600000 31536000000]" {
		t.Fatalf("steps %v, %v", steps, err)
	}
	s.Stop()
	if r := verify(t, s.Options.Dir, store.VerifyOptions{}); !r.OK {
		t.Fatal(r.Findings)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes read-only folders")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), store.Options{Dir: dir, Key: newKey(t)}); err == nil {
		t.Fatal("opened")
	}
}

// The queue is bounded: writers wait for room and for the disk no longer than
// their context, and know what that means.
func TestQueueIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := storetest.NewDisk(storetest.Rule{Nth: 1, Fault: storetest.Slow, Delay: time.Hour})
		s := storetest.Start(t, disk, store.Options{Dir: dir})
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.Gate(soon, draft("step.done/1", 1, "", 0)); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("gate on a slow disk: %v", err)
		}
		later, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		var err error
		for ; err == nil; n++ {
			err = s.Queue(later, draft("step.done/1", 1, "", n))
		}
		if n < 1000 || n > 10000 || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("%d queued, then %v", n, err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- s.Queue(t.Context(), draft("step.done/1", 1, "", -1)) }()
		synctest.Wait()
		time.Sleep(time.Hour)
		if err := <-waiting; err != nil {
			t.Errorf("waiting for room: %v", err)
		}
		if _, err := s.Gate(t.Context()); err != nil || s.Last() != uint64(n)+1 {
			t.Errorf("%d entries, queued %d, %v", s.Last(), n+1, err)
		}
		s.Stop()
	})
}

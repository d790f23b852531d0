package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// A Station is a store with its appender running.
type Station struct {
	*store.Store
	Disk    *Disk
	Options store.Options

	t      testing.TB
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

// Start opens a store and runs its appender until Stop, Kill, PowerCut or the
// test's end. Missing options get values for a test: a temporary folder, a
// new key for the log "test.example/station". In a synctest bubble call it
// inside.
func Start(t testing.TB, disk *Disk, o store.Options) *Station {
	t.Helper()
	if disk == nil {
		disk = NewDisk()
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Key == nil {
		key, _, err := audit.NewKey("test.example/station")
		if err != nil {
			t.Fatal(err)
		}
		o.Key = key
	}
	o.FS = disk
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	st := &Station{Store: s, Disk: disk, Options: o, t: t}
	var ctx context.Context
	ctx, st.cancel = context.WithCancel(context.Background())
	st.wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run store: %v", err)
		}
	})
	t.Cleanup(st.Stop)
	return st
}

// Stop ends the appender in good order and closes the store.
func (s *Station) Stop() {
	s.once.Do(func() {
		s.cancel()
		s.wg.Wait()
		if err := s.Close(); err != nil {
			s.t.Errorf("close store: %v", err)
		}
	})
}

// Kill ends the station as kill -9 does: from now on nothing reaches the
// disk, what was written before stays.
func (s *Station) Kill() {
	s.Disk.mu.Lock()
	s.Disk.dead = true
	s.Disk.mu.Unlock()
	s.Stop()
}

// PowerCut ends the station as pulling the plug does: what was not made
// durable is gone, derived state included.
func (s *Station) PowerCut() {
	s.Kill()
	if err := s.Disk.powerCut(s.Options.Dir); err != nil {
		s.t.Errorf("power cut: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(s.Options.Dir, "badger")); err != nil {
		s.t.Errorf("power cut: %v", err)
	}
}

// Restart starts a station again in the same folder, with the rules that are
// left.
func (s *Station) Restart() *Station {
	s.t.Helper()
	s.Stop()
	s.Disk.mu.Lock()
	s.Disk.dead, s.Disk.left = false, 0
	s.Disk.mu.Unlock()
	o := s.Options
	o.Boot = ""
	return Start(s.t, s.Disk, o)
}

package store_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store"
)

// With 64 writers and a disk that takes 2 ms more for a flush, at most one flush
// for every twenty entries. How writers meet depends on the machine: this runs
// with LINEFIT_SOAK set.
func TestAppendBudget(t *testing.T) {
	if os.Getenv("LINEFIT_SOAK") == "" {
		t.Skip("set LINEFIT_SOAK=1: what this counts depends on how busy the machine is")
	}
	s, stop := start(t, store.Options{Dir: t.TempDir(), Key: newKey(t), FS: slowFS{store.OSFS(), 2 * time.Millisecond}, Projections: []audit.Projection{counts{}}})
	const writers, each = 64, 60
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				if _, err := s.Gate(t.Context(), draft("step.done/1", 1+w, fmt.Sprint("SN", w), i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	stop()
	ratio := float64(st.Flushes) / float64(st.Entries)
	t.Logf("%d entries, %d flushes, %.3f flushes for an entry", st.Entries, st.Flushes, ratio)
	if st.Entries != writers*each || ratio > 0.05 {
		t.Errorf("%.3f flushes for an entry, at most 0.05 are allowed", ratio)
	}
}

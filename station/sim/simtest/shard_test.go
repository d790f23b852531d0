package simtest_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/sim/simtest"
)

// The log goes on in another shard again and again in the middle of runs, the
// station is killed meanwhile, closed shards leave the store, and derived state
// is lost: slots, stock, tickets and outbox go on from the snapshots.
func TestShardsInTheMiddleOfRuns(t *testing.T) {
	for kill := uint64(20); kill <= 44; kill += 8 {
		synctest.Test(t, func(t *testing.T) {
			l := simtest.New(t, simtest.Options{Units: 3, Shard: 24})
			l.KillAfter(l.Head() + kill)
			if r := l.RunUnit(1); r.Verdict == nil || r.Verdict.Verdict != station.Pass {
				t.Fatalf("killed %d entries on: %+v %+v", kill, r.Refused, r.Verdict)
			}
			before := counts(t, l)
			a, err := l.Store().Archive(t.Context(), t.TempDir(), mes.Archivable)
			if err != nil || len(a.Shards) < 1 {
				t.Fatalf("%+v, %v", a, err)
			}
			l.LoseDerived()
			if n := counts(t, l); n != before {
				t.Errorf("after the archive %+v, before %+v", n, before)
			}
			pass(t, l, 2)
			err = l.Store().View(func(v audit.View) error {
				n, err := mes.CountOutbox(v)
				if n.Delivered != 3 || n.Pending != 0 {
					t.Errorf("%+v", n)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			onceEach(t, l, 3)
			if segs, err := filepath.Glob(filepath.Join(l.Dir, "segments", "0001-*")); err != nil || len(segs) > 0 {
				t.Errorf("%v, %v", segs, err)
			}
			if _, err := os.Stat(filepath.Join(l.Dir, "checkpoint")); err != nil {
				t.Error(err)
			}
		})
	}
}

package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

// busy does everything that a store writes for: batches, a torn one among them,
// checkpoints, segments, another shard. It returns the newest entry that was
// acknowledged, and ends at the first error.
func busy(t *testing.T, s *storetest.Station) (acked uint64, whole bool) {
	t.Helper()
	note := func(es []audit.Entry, err error) bool {
		if err == nil && len(es) > 0 {
			acked = es[len(es)-1].Seq
		}
		return err == nil
	}
	for i := range 12 {
		if s.Queue(t.Context(), draft("step.started/1", 1+i%2, "SN1", i)) != nil || !note(s.Gate(t.Context(), draft("step.done/1", 1+i%2, "SN1", i))) {
			return acked, false
		}
		if i%5 == 4 {
			if _, err := s.Publish(t.Context()); err != nil {
				return acked, false
			}
		}
		if i == 8 {
			if s.Rotate(t.Context()) != nil {
				return acked, false
			}
		}
	}
	return acked, true
}

// The station is killed, or its plug pulled, before every write, flush, rename
// and removal of its work, and again before every one of the recovery that
// follows: nothing acknowledged is lost, nothing is alarming, and derived state
// comes out the same.
func TestCutAtEveryStep(t *testing.T) {
	moments, again, stride := 0, 0, 6
	if os.Getenv("LINEFIT_SOAK") != "" {
		stride = 1
	}
	for cut := 1; ; cut += stride {
		o := sharded(t)
		o.SegmentSize, o.PublishEvery = 1<<10, time.Hour
		s := storetest.Start(t, nil, o)
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN0", 0)); err != nil {
			t.Fatal(err)
		}
		s.Disk.DieAfter(cut)
		acked, whole := busy(t, s)
		if whole {
			s.Disk.DieAfter(0)
			s.Stop()
			t.Logf("%d moments, %d in recoveries", moments, again)
			if moments*stride < 60 || again*stride < 60 {
				t.Error("too few: the test does not see the steps")
			}
			return
		}
		moments++
		end := []func(){s.Kill, s.PowerCut}[moments%2]
		end()
		again += recoverCut(t, s, acked, fmt.Sprintf("cut %d", cut))
	}
}

// recoverCut restarts a station, with another cut at one of the recovery's first
// steps, and checks what is left. It returns how many recoveries were cut.
func recoverCut(t *testing.T, s *storetest.Station, acked uint64, name string) (cuts int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, acked))
	o := s.Options
	for try := range 1 + int(acked%2) {
		disk := storetest.NewDisk()
		disk.DieAfter(1 + rng.IntN(6))
		o.Dir = copyDir(t, s.Options.Dir)
		o.FS, o.Boot = disk, ""
		cut, err := store.Open(t.Context(), o)
		if err != nil { // what is left must open
			cuts++
		} else if err := cut.Close(); err != nil {
			t.Fatal(err)
		}
		o.FS, o.Boot = nil, ""
		c, stop := start(t, o)
		if h := c.State(); h.State != store.OK || c.Last() < acked {
			t.Fatalf("%s, recovery cut %d: %+v, %d of %d", name, try, h, c.Last(), acked)
		}
		gateN(t, c, "SN9", 1)
		stop()
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
			t.Fatalf("%s: %+v", name, r.Findings)
		}
	}
	if acked%3 == 0 {
		if r, err := store.Rebuild(t.Context(), o); err != nil || !r.Same {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
	}
	return cuts
}

// lookInside says what a store answers, in a process of its own: some damage in
// Badger ends the process that opens it.
func lookInside(dir string) error {
	o, err := childOptions(dir)
	if err != nil {
		return err
	}
	s, err := store.Open(context.Background(), o)
	if err != nil {
		return err
	}
	counted := uint64(0)
	err = s.View(func(v audit.View) error {
		r, err := v.Projection("counts/1")
		if err != nil {
			return err
		}
		value, _, err := r.Get([]byte("step.done/1"))
		if len(value) == 8 {
			counted = binary.BigEndian.Uint64(value)
		}
		return err
	})
	fmt.Printf("%s %d %d\n", s.State().State, s.Last(), counted)
	return errors.Join(err, s.Close())
}

// A flipped bit, a cut or zeroes anywhere in Badger: the store answers as before,
// made anew if it must. At worst the first start ends, and the next one is good;
// it never answers wrongly.
func TestDerivedFlips(t *testing.T) {
	rounds := 25
	if os.Getenv("LINEFIT_SOAK") != "" {
		rounds = 300
	}
	base := t.TempDir()
	dir := filepath.Join(base, "store")
	o, err := childOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, o)
	gateN(t, s, "SN1", 300)
	stop()
	stale := copyDir(t, filepath.Join(dir, "badger"))
	s, stop = start(t, o)
	gateN(t, s, "SN2", 50)
	stop()
	all, err := os.ReadDir(filepath.Join(dir, "badger"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range all {
		if st, err := f.Info(); err == nil && st.Size() > 0 && f.Name() != "LOCK" {
			files = append(files, f.Name())
		}
	}
	died := 0
	look := func(what, dir string) {
		t.Helper()
		for try := range 2 {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "LINEFIT_STORE_LOOK="+filepath.Join(dir, "store"))
			out, err := cmd.Output()
			switch {
			case err == nil && string(out) == "ok 350 350\n":
				return
			case err != nil && try == 0 && len(out) == 0:
				died++ // the latch tells the next start
			default:
				t.Errorf("%s: start %d says %q, %v", what, try+1, out, err)
				return
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range rounds {
		dir := copyDir(t, base)
		name := files[rng.IntN(len(files))]
		path := filepath.Join(dir, "store", "badger", name)
		b := readAll(t, path)
		at := rng.IntN(len(b))
		switch round % 8 {
		case 0:
			b = b[:at]
		case 1:
			clear(b[at:min(at+4096, len(b))])
		default:
			b[at] ^= 1 << rng.IntN(8)
		}
		write(t, path, b)
		look(fmt.Sprintf("round %d: %s at byte %d", round, name, at), dir)
		remove(t, dir)
	}
	older := copyDir(t, base)
	remove(t, filepath.Join(older, "store", "badger"))
	if err := os.CopyFS(filepath.Join(older, "store", "badger"), os.DirFS(stale)); err != nil {
		t.Fatal(err)
	}
	look("an older copy of it", older)
	t.Logf("%d rounds; in %d the first start ended and the second was good", rounds, died)
}

// dying is a context that ends at the n-th look.
type dying struct {
	context.Context
	left int
}

func (d *dying) Err() error {
	if d.left--; d.left < 0 {
		return context.Canceled
	}
	return nil
}

// An export that was cut is none, and the next one into the same folder is whole.
func TestExportCut(t *testing.T) {
	o := fill(t, 600)
	l := openLog(t, o)
	v, err := audit.ParseVKey(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "export")
	cuts := 0
	for n := 0; ; n = 2*n + 1 {
		if _, err := l.ExportTiles(&dying{t.Context(), n}, dir); err == nil {
			break
		}
		cuts++
		if _, err := os.Stat(dir); err == nil {
			if r := audit.CheckTiles(os.DirFS(dir), v, nil); len(r.Finding) == 0 {
				t.Fatalf("cut %d: a part of an export counts as one", n)
			}
		}
	}
	if r := audit.CheckTiles(os.DirFS(dir), v, nil); len(r.Finding) > 0 || r.Size != 600 || cuts < 3 {
		t.Fatalf("%d cuts, %+v", cuts, r)
	}
}

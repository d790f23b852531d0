package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// fill makes a log of n entries in small segments, ended in good order, and
// returns its options.
func fill(t testing.TB, n int) store.Options {
	t.Helper()
	return fillSegments(t, n, 12<<10)
}

func fillSegments(t testing.TB, n int, size int64) store.Options {
	t.Helper()
	o := store.Options{Dir: t.TempDir(), Key: newKey(t), SegmentSize: size, Projections: []audit.Projection{counts{}}}
	s, stop := start(t, o)
	for i := range n {
		d := draft("step.done/1", 1+i%3, fmt.Sprintf("SN%d", i/10), i)
		if i%10 < 7 {
			if err := s.Queue(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if _, err := s.Gate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if i%50 == 9 {
			if _, err := s.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	return o
}

func verify(t testing.TB, dir string, v store.VerifyOptions) store.Report {
	t.Helper()
	r, err := store.Verify(t.Context(), dir, v)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	return r
}

func evidence(t testing.TB, dir string) []string {
	t.Helper()
	segs, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	if err != nil || len(segs) < 3 {
		t.Fatalf("segments %v, %v", segs, err)
	}
	return append(segs, filepath.Join(dir, "checkpoint"), filepath.Join(dir, "station.vkey"))
}

func readAll(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyGood(t *testing.T) {
	o := fill(t, 400)
	r := verify(t, o.Dir, store.VerifyOptions{Key: o.Key.VKey(), Checkpoint: readAll(t, filepath.Join(o.Dir, "checkpoint"))})
	if !r.OK || r.Entries != 400 || r.Size != 400 || r.Published != 400 || r.Segments < 3 || r.Tail != nil {
		t.Fatalf("%+v", r)
	}
}

// Every flipped bit in a segment, the checkpoint or the key is found, and
// located in its file within its batch.
func TestVerifyFindsEveryFlippedBit(t *testing.T) {
	o := fillSegments(t, 60, 4<<10)
	files := evidence(t, o.Dir)
	rng := rand.New(rand.NewPCG(1, 2))
	every := os.Getenv("LINEFIT_SOAK") != ""
	tried := 0
	for _, name := range files {
		good := readAll(t, name)
		for at := 0; at < len(good); at++ {
			// Much of the first and last 160 bytes, one in every 64 bytes between.
			bits := []int{0, 1, 2, 3, 4, 5, 6, 7}
			if every {
				// all of them
			} else if at > 160 && at < len(good)-160 {
				if rng.IntN(128) != 0 {
					continue
				}
				bits = []int{rng.IntN(8)}
			} else if rng.IntN(8) != 0 {
				bits = []int{rng.IntN(8)}
			}
			for _, bit := range bits {
				flip(t, name, at, bit)
				tried++
				r := verify(t, o.Dir, store.VerifyOptions{})
				flip(t, name, at, bit)
				if r.OK {
					t.Errorf("%s: byte %d bit %d: not found", filepath.Base(name), at, bit)
					continue
				}
				if f := r.Findings[0]; strings.HasSuffix(name, ".seg") && (filepath.Base(f.File) != filepath.Base(name) || f.Offset > int64(at) || f.Offset < int64(at)-2048) {
					t.Errorf("%s: byte %d bit %d: located at %+v", filepath.Base(name), at, bit, r.Findings)
				}
			}
		}
	}
	if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
		t.Fatalf("not restored: %+v", r.Findings)
	}
	t.Logf("%d flips tried", tried)
}

// flip changes one bit of a file in place.
func flip(t testing.TB, name string, at, bit int) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsHands(t *testing.T) {
	o := fill(t, 400)
	other := fill(t, 400)
	kept := readAll(t, filepath.Join(o.Dir, "checkpoint"))
	cases := []struct {
		name string
		code string
		hand func(t *testing.T, dir string, files []string)
		with store.VerifyOptions
	}{
		{"cut in a batch", audit.FindTruncated, func(t *testing.T, _ string, f []string) {
			b := readAll(t, f[len(f)-3])
			write(t, f[len(f)-3], b[:len(b)-7])
		}, store.VerifyOptions{}},
		{"cut in an older segment", audit.FindFrame, func(t *testing.T, _ string, f []string) {
			b := readAll(t, f[0])
			write(t, f[0], b[:len(b)-7])
		}, store.VerifyOptions{}},
		{"newest segment deleted", audit.FindTruncated, func(t *testing.T, _ string, f []string) { remove(t, f[len(f)-3]) }, store.VerifyOptions{}},
		{"first segment deleted", audit.FindMissing, func(t *testing.T, _ string, f []string) { remove(t, f[0]) }, store.VerifyOptions{}},
		{"middle segment deleted", audit.FindMissing, func(t *testing.T, _ string, f []string) { remove(t, f[1]) }, store.VerifyOptions{}},
		{"all segments deleted", audit.FindMissing, func(t *testing.T, d string, _ []string) { remove(t, filepath.Join(d, "segments")) }, store.VerifyOptions{}},
		{"all deleted, checkpoint kept", audit.FindMissing, func(t *testing.T, d string, _ []string) {
			remove(t, filepath.Join(d, "segments"))
			remove(t, filepath.Join(d, "checkpoint"))
			remove(t, filepath.Join(d, "station.vkey"))
		}, store.VerifyOptions{Checkpoint: kept}},
		{"checkpoint deleted", audit.FindMissing, func(t *testing.T, d string, _ []string) { remove(t, filepath.Join(d, "checkpoint")) }, store.VerifyOptions{}},
		{"key deleted", audit.FindMissing, func(t *testing.T, d string, _ []string) { remove(t, filepath.Join(d, "station.vkey")) }, store.VerifyOptions{}},
		{"two segments swapped", audit.FindHeader, func(t *testing.T, _ string, f []string) {
			a, b := readAll(t, f[0]), readAll(t, f[1])
			write(t, f[0], b)
			write(t, f[1], a)
		}, store.VerifyOptions{}},
		{"segment of another station", audit.FindOrigin, func(t *testing.T, _ string, f []string) {
			write(t, f[0], readAll(t, evidence(t, other.Dir)[0]))
		}, store.VerifyOptions{}},
		{"zeroed page", audit.FindFrame, func(t *testing.T, _ string, f []string) {
			b := readAll(t, f[1])
			clear(b[4096:8192])
			write(t, f[1], b)
		}, store.VerifyOptions{}},
		{"zeroed end of the newest", audit.FindTruncated, func(t *testing.T, _ string, f []string) {
			b := readAll(t, f[len(f)-3])
			clear(b[len(b)-600:])
			write(t, f[len(f)-3], b)
		}, store.VerifyOptions{}},
		{"bytes added", audit.FindFrame, func(t *testing.T, _ string, f []string) {
			write(t, f[0], append(readAll(t, f[0]), "tail"...))
		}, store.VerifyOptions{}},
		{"file added", audit.FindForeign, func(t *testing.T, d string, _ []string) {
			write(t, filepath.Join(d, "segments", "notes.txt"), []byte("x"))
		}, store.VerifyOptions{}},
		{"another station's checkpoint", audit.FindKey, func(*testing.T, string, []string) {}, store.VerifyOptions{Checkpoint: readAll(t, filepath.Join(other.Dir, "checkpoint"))}},
		{"another key", audit.FindKey, func(*testing.T, string, []string) {}, store.VerifyOptions{Key: other.Key.VKey()}},
		{"checkpoint is no checkpoint", audit.FindCheckpoint, func(*testing.T, string, []string) {}, store.VerifyOptions{Checkpoint: []byte("hello\n")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, o.Dir)
			c.hand(t, dir, evidence(t, dir))
			r := verify(t, dir, c.with)
			if r.OK || !hasCode(r, c.code) {
				t.Fatalf("want %s, got %+v", c.code, r.Findings)
			}
			t.Log(r.Findings[0])
		})
	}
}

func hasCode(r store.Report, code string) bool {
	for _, f := range r.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

func remove(t testing.TB, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// A restored old copy of everything is found by a checkpoint kept outside; so
// is one that was then continued.
func TestVerifyFindsRollback(t *testing.T) {
	o := fill(t, 100)
	old := copyDir(t, o.Dir)
	s, stop := start(t, o)
	for i := range 50 {
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SNX", i)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	kept := readAll(t, filepath.Join(o.Dir, "checkpoint"))
	if r := verify(t, old, store.VerifyOptions{}); !r.OK {
		t.Fatalf("an old copy is whole in itself: %+v", r.Findings)
	}
	r := verify(t, old, store.VerifyOptions{Checkpoint: kept})
	if r.OK || !hasCode(r, audit.FindRollback) {
		t.Fatalf("rolled back: %+v", r.Findings)
	}
	o.Dir, o.Anchors = old, [][]byte{kept}
	s, stop = start(t, o)
	if h := s.State(); h.State != store.ReadOnly || h.Findings[0].Code != audit.FindRollback {
		t.Fatalf("opened with the anchor: %+v", h)
	}
	if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SNX", 1)); err == nil {
		t.Fatal("a rolled back log was continued")
	}
	stop()
	o.Anchors = nil
	s, stop = start(t, o)
	for i := range 80 {
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SNY", i)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	r = verify(t, old, store.VerifyOptions{Checkpoint: kept})
	if r.OK || !hasCode(r, audit.FindFork) {
		t.Fatalf("continued on the old copy: %+v", r.Findings)
	}
}

// Verifying while the station writes finds nothing.
func TestVerifyWhileWriting(t *testing.T) {
	o := store.Options{Dir: t.TempDir(), Key: newKey(t), SegmentSize: 32 << 10}
	s, _ := start(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = s.Gate(ctx, draft("step.done/1", 1+i%4, fmt.Sprint("SN", i/20), i)) // ends with ctx
		}
	}()
	for range 30 {
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
			t.Errorf("%+v", r.Findings)
		}
	}
	cancel()
	<-done
}

package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// giveOut asks a log for everything that it can give out.
func giveOut(t *testing.T, dir string) map[string]error {
	t.Helper()
	out := map[string]error{}
	l, err := store.OpenLog(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	_, out["read"] = l.Read(t.Context(), func(audit.Entry, []byte) error { return nil })
	_, out["jsonl"] = l.ExportJSONL(t.Context(), io.Discard, audit.Filter{})
	_, out["tiles"] = l.ExportTiles(t.Context(), filepath.Join(t.TempDir(), "tiles"))
	_, out["bundle"] = l.Bundle(t.Context(), "SN1")
	_, out["prove"] = l.Prove(t.Context(), 1)
	_, out["since"] = l.Since(t.Context(), 1)
	return out
}

// Each segment of three shards is cut to each of its first lengths, or removed:
// that is a finding, whatever is asked of the log, and no other error.
func TestNothingOutOfACutHeader(t *testing.T) {
	o := threeShards(t)
	segs, err := filepath.Glob(filepath.Join(o.Dir, "segments", "*"))
	if err != nil || len(segs) < 4 {
		t.Fatal(segs, err)
	}
	for _, name := range segs {
		good := readAll(t, name)
		for cut := -1; cut < 20; cut++ {
			remove(t, name)
			if cut >= 0 {
				write(t, name, good[:cut])
			}
			for what, err := range giveOut(t, o.Dir) {
				var d *store.DamagedError
				if !errors.As(err, &d) || len(d.Report.Findings) == 0 {
					t.Errorf("%s cut to %d, %s: %v", filepath.Base(name), cut, what, err)
				}
			}
		}
		write(t, name, good)
	}
	for what, err := range giveOut(t, o.Dir) {
		if err != nil {
			t.Errorf("whole again, %s: %v", what, err)
		}
	}
}

// The plug is pulled while the newest segment's header is written: whatever
// length of it is there, the log opens and goes on.
func TestOpensBehindACutHeader(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 3)
	stop()
	for cut := range 20 {
		o := o
		o.Dir = copyDir(t, o.Dir)
		header := readAll(t, filepath.Join(o.Dir, "segments", "0001-000000000001.seg"))
		write(t, filepath.Join(o.Dir, "segments", "0001-000000000004.seg"), header[:cut])
		s, stop := start(t, o)
		if h := s.State(); h.State != store.OK {
			t.Fatalf("cut to %d: %+v", cut, h)
		}
		gateN(t, s, "SN1", 1)
		stop()
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
			t.Fatalf("cut to %d: %+v", cut, r.Findings)
		}
	}
}

// A log with which people went on behind a shard that is lost skips its number,
// and gives out what is left.
func TestGivesOutBehindALostShard(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 30)
	stop()
	yesterday := copyDir(t, o.Dir)
	s, stop = start(t, o)
	for range 2 {
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	o.Anchors = [][]byte{readAll(t, filepath.Join(o.Dir, "checkpoint"))}
	key, err := o.ShardKey(3, "test.example/station-1/3")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Trusted = yesterday, []string{key.VKey()}
	s, stop = start(t, o)
	goOn(t, s)
	gateN(t, s, "SN2", 30)
	if s.Origin() != "test.example/station-1/4" {
		t.Fatal(s.Origin())
	}
	stop()
	if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK || r.Shards != 2 {
		t.Fatalf("%+v", r)
	}
	for what, err := range giveOut(t, o.Dir) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	dir, l := tilesBy(t, o.Dir, "")
	v, err := audit.ParseVKey(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if r := audit.CheckTiles(os.DirFS(dir), v, nil); len(r.Finding) > 0 || r.Shards != 2 {
		t.Fatal(fmt.Sprint(r.Shards, r.Finding))
	}
	b, err := l.Bundle(t.Context(), "SN1")
	if err != nil {
		t.Fatal(err)
	}
	if es, findings := b.Verify(v); len(es) != 30 || len(findings) > 0 {
		t.Fatal(len(es), findings)
	}
	if rebuilt, err := store.Rebuild(t.Context(), o); err != nil || !rebuilt.Same {
		t.Fatalf("%+v, %v", rebuilt, err)
	}
}

// A sector of a header that the disk does not give, or a folder where a segment
// should be: named, as all other damage.
func TestHeaderThatCannotBeRead(t *testing.T) {
	o := threeShards(t)
	write(t, filepath.Join(o.Dir, "segments", "0003-000000009999.seg"), nil)
	for what, err := range giveOut(t, o.Dir) {
		if err != nil { // a segment that was about to be begun
			t.Errorf("%s: %v", what, err)
		}
	}
	remove(t, filepath.Join(o.Dir, "segments", "0003-000000009999.seg"))
	if err := os.Mkdir(filepath.Join(o.Dir, "segments", "0003-000000009999.seg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{}); !hasCode(r, audit.FindUnreadable) {
		t.Fatalf("%+v", r.Findings)
	}
	s, stop := start(t, o)
	if h := s.State(); h.State != store.ReadOnly || h.Findings[0].Code != audit.FindUnreadable {
		t.Fatalf("%+v", h)
	}
	stop()
}

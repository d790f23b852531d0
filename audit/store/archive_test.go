package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

func freely(audit.View, uint64) error { return nil }

// Shards that were exported, verified and copied leave the store; what is left
// opens, derives the same state from the snapshot, verifies, and says where the
// rest is.
func TestArchive(t *testing.T) {
	o := threeShards(t)
	s, stop := start(t, o)
	to := t.TempDir()
	refused := errors.New("an open run needs them")
	if _, err := s.Archive(t.Context(), to, func(audit.View, uint64) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	first := uint64(0)
	a, err := s.Archive(t.Context(), to, func(_ audit.View, seq uint64) error { first = seq; return nil })
	if err != nil || len(a.Shards) != 2 || a.Entries != first-1 || a.Bytes == 0 {
		t.Fatalf("%+v, %v, first %d", a, err, first)
	}
	if again, err := s.Archive(t.Context(), to, freely); err != nil || len(again.Shards) != 0 {
		t.Fatalf("%+v, %v", again, err)
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, "segments", "000[12]-*"))
	if err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	err = s.View(func(v audit.View) error {
		if _, err := v.Entry(1); !errors.Is(err, audit.ErrArchived) {
			t.Errorf("entry 1: %v", err)
		}
		n := 0
		for _, err := range v.Unit("SN1") {
			if n++; err != nil {
				return err
			}
		}
		if n != 30 {
			t.Errorf("%d entries of the unit are here, 30 are in the newest shard", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 3)
	stop()
	if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
		t.Fatalf("%+v", r.Findings)
	}
	kept, err := audit.ParseCheckpoint([]byte(a.Shards[1].Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{Checkpoint: kept.Note}); !r.OK {
		t.Fatalf("a checkpoint of an archived shard: %+v", r.Findings)
	}
	for _, dir := range []string{"shards/0001", "shards/0002"} {
		if _, err := os.Stat(filepath.Join(to, dir, "checkpoint")); err != nil {
			t.Error(err)
		}
	}
	remove(t, filepath.Join(o.Dir, "badger"))
	s, stop = start(t, o)
	if n := count(t, s, "step.done/1"); n != 213 || s.State().State != store.OK {
		t.Fatalf("%d entries, %+v", n, s.State())
	}
	stop()
	// The archive and what is left are the whole log again.
	whole := copyDir(t, o.Dir)
	if err := os.CopyFS(filepath.Join(whole, "segments"), os.DirFS(filepath.Join(to, "segments"))); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, whole, store.VerifyOptions{Key: o.Key.VKey()}); !r.OK || r.Shards != 3 || r.Entries <= first {
		t.Fatalf("%+v", r)
	}
}

// Shards that nobody archived are missing.
func TestMissingShards(t *testing.T) {
	o := threeShards(t)
	for _, gone := range []string{"0001-*", "0002-*"} {
		files, err := filepath.Glob(filepath.Join(o.Dir, "segments", gone))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			remove(t, f)
		}
		if r := verify(t, o.Dir, store.VerifyOptions{}); r.OK || !hasCode(r, audit.FindMissing) {
			t.Fatalf("%+v", r)
		}
	}
	remove(t, filepath.Join(o.Dir, "badger")) // the snapshot is enough all the same
	s, stop := start(t, o)
	if n := count(t, s, "step.done/1"); n != 210 || s.State().State != store.OK {
		t.Fatalf("%d entries, %+v", n, s.State())
	}
	stop()
}

// What derived state gives out, over several shards, is what the evidence gives.
func TestBundleOfARunningStore(t *testing.T) {
	o := threeShards(t)
	s, stop := start(t, o)
	d := draft("unit.named/1", 1, "SN-2", 1)
	d.Data = json.RawMessage(`{"carrier":"PANEL7","position":3,"imei":"490154203237518"}`)
	if _, err := s.Gate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := s.Log()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"SN1", "SN-0", "imei:490154203237518", "PANEL7:3"} {
		fast, err := s.Bundle(t.Context(), id)
		if err != nil {
			t.Fatal(id, err)
		}
		slow, err := l.Bundle(t.Context(), id)
		if err != nil {
			t.Fatal(id, err)
		}
		v, err := audit.ParseVKey(l.VKey())
		if err != nil {
			t.Fatal(err)
		}
		got, findings := fast.Verify(v)
		want, _ := slow.Verify(v)
		if len(findings) > 0 || fmt.Sprint(got) != fmt.Sprint(want) || len(got) == 0 {
			t.Errorf("%s: %d entries, %d from the evidence, %v", id, len(got), len(want), findings)
		}
	}
	if _, err := s.Bundle(t.Context(), "nobody"); !errors.Is(err, store.ErrNoUnit) {
		t.Error(err)
	}
	for _, seq := range []uint64{1, 72, 100, 219} {
		p, err := s.Prove(seq)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := audit.Decode(p.Entry); err != nil || e.Seq != seq {
			t.Errorf("proof of %d: %+v, %v", seq, e, err)
		}
	}
	for _, path := range []string{"shards/0001/checkpoint", "shards/0002/tile/entries/000.p/72", "shards/0001/tile/0/000.p/10"} {
		if b, err := s.Resource(path); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
	for _, path := range []string{"shards/0003/checkpoint", "shards/1/checkpoint", "shards/0000/checkpoint", "shards/0009/checkpoint"} {
		if _, err := s.Resource(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	stop()
}

// A station that is killed, or whose plug is pulled, at any step of archiving has
// every entry in the store or in the archive, opens, verifies, and archives what
// is left when asked again.
func TestArchiveCutAnywhere(t *testing.T) {
	base := threeShards(t)
	want := verify(t, base.Dir, store.VerifyOptions{}).Entries
	cuts := 0
	for cut := 1; ; cut++ {
		o := base
		o.Dir, o.Boot = copyDir(t, base.Dir), ""
		to := t.TempDir()
		s := storetest.Start(t, nil, o)
		s.Disk.DieAfter(cut)
		_, err := s.Archive(t.Context(), to, freely)
		if err == nil {
			s.Stop()
			break
		}
		cuts++
		[]func(){s.Kill, s.PowerCut}[cut%2]()
		c, stop := start(t, o)
		if h := c.State(); h.State != store.OK {
			t.Fatalf("cut %d: %+v", cut, h)
		}
		gateN(t, c, "SN1", 1)
		if _, err := c.Archive(t.Context(), to, freely); err != nil {
			t.Fatalf("cut %d: again: %v", cut, err)
		}
		stop()
		left, err := filepath.Glob(filepath.Join(o.Dir, "segments", "000[12]-*"))
		if err != nil || len(left) > 0 {
			t.Fatalf("cut %d: %v, %v", cut, left, err)
		}
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK || len(r.Archived) != 2 {
			t.Fatalf("cut %d: %+v %+v", cut, r.Findings, r.Archived)
		}
		whole := copyDir(t, o.Dir)
		if err := os.CopyFS(filepath.Join(whole, "segments"), os.DirFS(filepath.Join(to, "segments"))); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, whole, store.VerifyOptions{Key: o.Key.VKey()}); !r.OK || r.Shards != 3 || r.Entries <= want {
			t.Fatalf("cut %d: %+v", cut, r)
		}
	}
	if cuts < 8 {
		t.Errorf("%d cuts: the test does not see the steps", cuts)
	}
	t.Logf("%d cuts", cuts)
}

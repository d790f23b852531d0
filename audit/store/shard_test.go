package store_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

// sharded returns options for a log with several shards, the keys in memory.
func sharded(t testing.TB) store.Options {
	keys := map[uint32]audit.Key{}
	return store.Options{
		Dir: t.TempDir(), Key: newKey(t), SegmentSize: 12 << 10, Projections: []audit.Projection{counts{}, audit.Names{}},
		ShardKey: func(shard uint32, origin string) (audit.Key, error) {
			if keys[shard] == nil {
				k, _, err := audit.NewKey(origin)
				if err != nil {
					return nil, err
				}
				keys[shard] = k
			}
			return keys[shard], nil
		},
	}
}

func gateN(t testing.TB, s *store.Store, unit string, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Gate(t.Context(), draft("step.done/1", 1, unit, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// threeShards is a log with two rotations; unit SN1 is in all of them.
func threeShards(t testing.TB) store.Options {
	o := sharded(t)
	s, stop := start(t, o)
	for i := range 3 {
		gateN(t, s, "SN1", 30)
		gateN(t, s, fmt.Sprint("SN-", i), 40)
		if i < 2 {
			if err := s.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := count(t, s, "step.done/1"); n != 210 || s.Origin() != "test.example/station-1/3" {
		t.Fatalf("%d entries, origin %s", n, s.Origin())
	}
	stop()
	return o
}

func TestShards(t *testing.T) {
	o := threeShards(t)
	r := verify(t, o.Dir, store.VerifyOptions{Key: o.Key.VKey()}) // the first shard's key
	if !r.OK || r.Shards != 3 || r.Origin != "test.example/station-1/3" || r.Entries != 218 {
		t.Fatalf("%+v", r)
	}
	s, stop := start(t, o)
	if h := s.State(); h.State != store.OK || s.Last() != 218 || s.Opening().Remade != "" {
		t.Fatalf("%+v %d %+v", h, s.Last(), s.Opening())
	}
	es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 1))
	if err != nil || es[0].Seq != 219 || es[0].UnitSeq != 31 || es[0].SlotSeq != 71 {
		t.Fatalf("%+v, %v", es, err)
	}
	followed := uint64(0)
	for e, err := range s.Follow(t.Context(), 0) {
		if followed++; err != nil || e.Seq != followed {
			t.Fatalf("entry %d came as number %d, %v", e.Seq, followed, err)
		}
		if followed == 219 {
			break
		}
	}
	stop()
	if r, err := store.Rebuild(t.Context(), o); err != nil || !r.Same {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestShardBundleAndTiles(t *testing.T) {
	o := threeShards(t)
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Bundle(t.Context(), "SN1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = audit.ParseBundle(text); err != nil {
		t.Fatal(err)
	}
	v, err := audit.ParseVKey(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if es, findings := b.Verify(v); len(es) != 90 || len(findings) != 0 {
		t.Fatalf("%d entries, %v", len(es), findings)
	}
	for name, change := range map[string]func(){
		"shard left out":  func() { b.Shards = append(b.Shards[:1], b.Shards[2:]...) },
		"no link":         func() { b.Shards[2].Link = nil },
		"another shard's": func() { b.Shards[1].Link = b.Shards[2].Link },
	} {
		if b, err = audit.ParseBundle(text); err != nil {
			t.Fatal(err)
		}
		change()
		if _, findings := b.Verify(v); len(findings) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	dir := filepath.Join(t.TempDir(), "export")
	if x, err := l.ExportTiles(t.Context(), dir); err != nil || x.Entries != 218 {
		t.Fatalf("%+v, %v", x, err)
	}
	bin := foreign(t, "verifier")
	for _, sub := range []string{".", "shards/0001", "shards/0002"} {
		d := filepath.Join(dir, sub)
		if out, err := exec.Command(bin, filepath.Join(d, "station.vkey"), d).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", sub, out)
		}
	}
	for _, seq := range []uint64{1, 72, 100, 218} {
		if p, err := l.Prove(t.Context(), seq); err != nil {
			t.Error(err)
		} else if e, err := audit.Decode(p.Entry); err != nil || e.Seq != seq {
			t.Errorf("proof of %d: %+v, %v", seq, e, err)
		}
	}
}

func TestShardsByItself(t *testing.T) {
	o := sharded(t)
	o.ShardEntries = 50
	s, stop := start(t, o)
	gateN(t, s, "SN1", 180)
	stop()
	if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK || r.Shards != 4 {
		t.Fatalf("%d shards, %+v", r.Shards, r.Findings)
	}
}

// A rotation that is cut at any write is finished at the next start.
func TestRotationCutAnywhere(t *testing.T) {
	o := sharded(t)
	for cut := 1; ; cut++ {
		o.Dir = t.TempDir()
		disk := storetest.NewDisk()
		s := storetest.Start(t, disk, o)
		gateN(t, s.Store, "SN1", 10)
		disk.DieAfter(cut)
		err := s.Rotate(t.Context())
		done := err == nil
		s.Kill()
		if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
			t.Fatalf("cut %d: %+v", cut, r.Findings)
		}
		again := s.Restart()
		if h := again.State(); h.State != store.OK {
			t.Fatalf("cut %d: %+v", cut, h)
		}
		gateN(t, again.Store, "SN1", 1)
		if n := count(t, again.Store, "step.done/1"); n != 11 {
			t.Fatalf("cut %d: %d entries", cut, n)
		}
		origin := again.Origin()
		again.Stop()
		r := verify(t, o.Dir, store.VerifyOptions{})
		if !r.OK || r.Shards == 2 != (origin == "test.example/station-1/2") {
			t.Fatalf("cut %d: %d shards, %+v", cut, r.Shards, r.Findings)
		}
		if rebuilt, err := store.Rebuild(t.Context(), again.Options); err != nil || !rebuilt.Same {
			t.Fatalf("cut %d: %+v, %v", cut, rebuilt, err)
		}
		if done {
			if cut < 10 || r.Shards != 2 {
				t.Fatalf("a rotation took %d writes", cut)
			}
			t.Logf("%d moments", cut)
			return
		}
	}
}

// Two people can go on with a damaged log: in a new shard, behind every
// number ever seen, with their decision as its first entry.
func TestAcceptDamage(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 100)
	stop()
	files := evidence(t, o.Dir)
	newest := files[len(files)-3]
	b := readAll(t, newest)
	write(t, newest, b[:len(b)-900])

	s, stop = start(t, o)
	h := s.State()
	if h.Cause != store.CauseAlarm {
		t.Fatalf("%+v", h)
	}
	a := audit.Acceptance{Persons: []string{"op-1", "op-1"}, Reason: "disk replaced", Findings: h.Findings}
	if err := s.Accept(t.Context(), a); err == nil {
		t.Fatal("one person was enough")
	}
	a.Persons[1] = "op-2"
	a.Findings = []audit.Finding{{Code: "other"}}
	if err := s.Accept(t.Context(), a); err == nil {
		t.Fatal("other findings were accepted")
	}
	a.Findings = h.Findings
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "step.done/1"); n != 100 {
		t.Errorf("%d entries are known", n)
	}
	es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 1))
	if err != nil || es[0].Seq <= 101 || es[0].UnitSeq != 1 {
		t.Fatalf("%+v, %v", es, err)
	}
	followed := 0
	for e, err := range s.Follow(t.Context(), 80) {
		if err != nil {
			t.Fatal(err)
		}
		if followed++; e.Seq == es[0].Seq {
			break
		}
	}
	if followed < 5 {
		t.Errorf("%d entries followed", followed)
	}
	stop()
	if err := s.Accept(t.Context(), a); !errors.As(err, new(*store.StateError)) {
		t.Fatal(err)
	}

	r := verify(t, o.Dir, store.VerifyOptions{})
	if r.OK || len(r.Accepted) != 1 || r.Accepted[0].Persons[1] != "op-2" {
		t.Fatalf("the damage is still there: %+v", r)
	}
	s, stop = start(t, o)
	if h := s.State(); h.State != store.OK {
		t.Fatalf("%+v", h)
	}
	stop()
	remove(t, filepath.Join(o.Dir, "badger"))
	s, stop = start(t, o)
	if n := count(t, s, "step.done/1"); n != 101 || s.State().State != store.OK {
		t.Fatalf("%d entries, %+v", n, s.State())
	}
	stop()
}

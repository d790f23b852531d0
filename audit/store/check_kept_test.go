package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
)

func verifierOf(t testing.TB, vkey string) note.Verifier {
	t.Helper()
	v, err := audit.ParseVKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signed(t testing.TB, k audit.Key, size uint64, root byte) []byte {
	t.Helper()
	h := audit.Head{Size: size}
	h.Root[0] = root
	b, err := audit.SignCheckpoint(h, k)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An export is checked with the key of any of its shards, and against checkpoints
// of any of them that somebody kept.
func TestCheckTilesOfAllShards(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	keys, kept := []audit.Key{o.Key}, [][]byte{}
	for shard := uint32(1); shard <= 3; shard++ {
		gateN(t, s, "SN1", 300)
		c, err := s.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
		gateN(t, s, fmt.Sprint("SN-", shard), 40)
		if shard == 3 {
			break
		}
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		k, err := o.ShardKey(shard+1, s.Origin())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	stop()
	dir, _ := tiles(t, o)
	stranger := newKey(t)
	for i, k := range keys {
		v := verifierOf(t, k.VKey())
		if r := audit.CheckTiles(os.DirFS(dir), v, nil, kept...); len(r.Finding) > 0 || r.Shards != 3 || len(r.Kept) != 3 || !r.Kept[0].Entries || len(r.Unvouched) > 0 {
			t.Fatalf("key %d: %+v", i, r)
		}
		for _, c := range []struct {
			what, code string
			kept       []byte
		}{
			{"another history", audit.FindFork, signed(t, k, 250, 7)},
			{"a newer one", audit.FindRollback, signed(t, k, 1_000_000, 7)},
			{"another key", audit.FindKey, signed(t, newNamed(t, k.Name()), 250, 7)},
			{"another log", audit.FindOrigin, signed(t, newNamed(t, "test.example/else"), 250, 7)},
			{"a shard that never was", audit.FindOrigin, signed(t, newNamed(t, o.Key.Name()+"/9"), 250, 7)},
			{"no checkpoint", audit.FindCheckpoint, []byte("hello")},
		} {
			if r := audit.CheckTiles(os.DirFS(dir), v, nil, kept[0], c.kept); len(r.Finding) != 1 || r.Finding[0].Code != c.code {
				t.Errorf("key %d, %s: %+v", i, c.what, r)
			}
		}
	}
	if r := audit.CheckTiles(os.DirFS(dir), verifierOf(t, stranger.VKey()), nil); len(r.Finding) != 1 {
		t.Errorf("a stranger's key: %+v", r)
	}
	// A key that is not the checkpoint's is found in each shard.
	for _, name := range []string{"station.vkey", "shards/0001/station.vkey", "shards/0002/station.vkey"} {
		good := readAll(t, filepath.Join(dir, name))
		shouted := bytes.Replace(good, []byte("+"), []byte("+A"), 1) // an id in capitals reads as the same number
		if id := bytes.SplitN(good, []byte("+"), 3)[1]; !bytes.Equal(id, bytes.ToUpper(id)) {
			shouted = bytes.Replace(good, id, bytes.ToUpper(id), 1)
		}
		tabbed := append(bytes.Clone(good[:len(good)-1]), '\v')
		for _, bad := range [][]byte{[]byte(stranger.VKey() + "\n"), flipped(good), shouted, tabbed, nil} {
			write(t, filepath.Join(dir, name), bad)
			if r := audit.CheckTiles(os.DirFS(dir), verifierOf(t, keys[2].VKey()), nil); len(r.Finding) != 1 || r.Finding[0].Code != audit.FindKey || r.Finding[0].File != name {
				t.Errorf("%s: %+v", name, r)
			}
		}
		write(t, filepath.Join(dir, name), good)
	}
}

func newNamed(t testing.TB, origin string) audit.Key {
	t.Helper()
	k, _, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A shard that somebody else has put behind the newest is not believed by who has
// an older key: nothing that this one signed names its key.
func TestCheckTilesForgedShard(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 30)
	stop()
	forged := o
	forged.Dir, forged.Projections = copyDir(t, o.Dir), nil
	forged.Key = newNamed(t, o.Key.Name()) // whoever forges has not the station's
	forged.ShardKey = func(_ uint32, origin string) (audit.Key, error) { return newNamed(t, origin), nil }
	remove(t, filepath.Join(forged.Dir, "badger"))
	old := verifierOf(t, o.Key.VKey())
	for _, accepted := range []bool{false, true} {
		f := forged
		f.Dir = copyDir(t, forged.Dir)
		name := fmt.Sprintf("accepted %t", accepted)
		if accepted {
			if err := (store.Restored{ID: "r1", What: "nobody asked"}).Mark(f.Dir); err != nil {
				t.Fatal(err)
			}
			s, stop := start(t, f)
			goOn(t, s)
			gateN(t, s, "SN2", 3)
			stop()
			dir, l := tilesBy(t, f.Dir, "")
			if r := audit.CheckTiles(os.DirFS(dir), old, nil); len(r.Finding) != 1 || r.Finding[0].Code != audit.FindKey || len(r.Unvouched) != 1 || r.Unvouched[0] != "test.example/station-1/2" {
				t.Errorf("%s: %+v", name, r)
			}
			if r := verify(t, f.Dir, store.VerifyOptions{Key: o.Key.VKey()}); !hasCode(r, audit.FindKey) {
				t.Errorf("%s: %+v", name, r)
			}
			asked, err := store.OpenLog(f.Dir, o.Key.VKey())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := asked.Newest(); !errors.Is(err, audit.ErrCheckpointKey) {
				t.Errorf("%s: %v", name, err)
			}
			b, err := l.Bundle(t.Context(), "SN2")
			if err != nil {
				t.Fatal(err)
			}
			if _, findings := b.Verify(old); len(findings) == 0 || findings[0].Code != audit.FindKey {
				t.Errorf("%s: bundle: %v", name, findings)
			}
			continue
		}
		s, stop := start(t, o)
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop()
		dir, _ := tiles(t, o)
		// The newest shard of another log of that name, which begins in the same way.
		key := newNamed(t, "test.example/station-1/2")
		head, err := audit.ParseCheckpoint(readAll(t, filepath.Join(dir, "checkpoint")))
		if err != nil {
			t.Fatal(err)
		}
		again, err := audit.SignCheckpoint(head.Head, key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "checkpoint"), again)
		write(t, filepath.Join(dir, "station.vkey"), []byte(key.VKey()+"\n"))
		if r := audit.CheckTiles(os.DirFS(dir), old, nil); len(r.Finding) != 1 || r.Finding[0].Code != audit.FindKey {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// The log of a replaced station is known by the checkpoint with which its
// successor's begins: older ones that QA kept hold against that.
func TestCheckTilesOfAReplacedStation(t *testing.T) {
	lost := sharded(t)
	lost.Key = newNamed(t, "test.example/the-lost-one")
	s, stop := start(t, lost)
	gateN(t, s, "SN1", 20)
	older, err := s.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 20)
	stop()
	anchor := readAll(t, filepath.Join(lost.Dir, "checkpoint"))
	o := sharded(t)
	if err := (store.Restored{ID: "r2", What: "replacement", Anchors: [][]byte{anchor}, Keys: []string{lost.Key.VKey()}}).Mark(o.Dir); err != nil {
		t.Fatal(err)
	}
	s, stop = start(t, o)
	goOn(t, s)
	gateN(t, s, "SN2", 5)
	stop()
	dir, l := tilesBy(t, o.Dir, "")
	v := verifierOf(t, l.VKey())
	if r := audit.CheckTiles(os.DirFS(dir), v, nil, older, anchor); len(r.Finding) > 0 || len(r.Kept) != 2 || r.Kept[0].Entries || r.Kept[1].Origin != lost.Key.Name() {
		t.Fatalf("%+v", r)
	}
	for code, kept := range map[string][]byte{
		audit.FindRollback: signed(t, lost.Key, 41, 1), audit.FindFork: signed(t, lost.Key, 40, 1), audit.FindKey: signed(t, newNamed(t, lost.Key.Name()), 40, 1),
	} {
		if r := audit.CheckTiles(os.DirFS(dir), v, nil, kept); len(r.Finding) != 1 || r.Finding[0].Code != code {
			t.Errorf("%s: %+v", code, r)
		}
	}
	// Nothing that the lost one's key signed names the new key: it can be anybody's.
	if r := audit.CheckTiles(os.DirFS(dir), verifierOf(t, lost.Key.VKey()), nil, anchor); len(r.Finding) != 1 || r.Finding[0].Code != audit.FindKey || len(r.Unvouched) != 1 {
		t.Errorf("with the lost one's key: %+v", r)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{Checkpoint: anchor, Key: lost.Key.VKey()}); !hasCode(r, audit.FindKey) || len(r.Findings) != 1 || len(r.Unvouched) != 1 {
		t.Errorf("%+v", r)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{Checkpoint: anchor, Key: l.VKey()}); !r.OK || len(r.Unvouched) != 0 {
		t.Errorf("%+v", r)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{Key: newNamed(t, lost.Key.Name()).VKey()}); !hasCode(r, audit.FindKey) {
		t.Errorf("%+v", r)
	}
}

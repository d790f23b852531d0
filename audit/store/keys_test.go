package store_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// anyShard is a log of four shards: one closed in good order, one put back from a
// backup and gone on with, one archived. It returns the keys of all of them.
func anyShard(t *testing.T) (store.Options, []string) {
	o := sharded(t)
	s, stop := start(t, o)
	keys := []string{s.VKey()}
	gateN(t, s, "SN1", 5)
	rotate := func() {
		if err := s.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, s.VKey())
		gateN(t, s, "SN1", 5)
	}
	rotate()
	stop()
	if err := (store.Restored{ID: "r1", What: "backup"}).Mark(o.Dir); err != nil {
		t.Fatal(err)
	}
	s, stop = start(t, o)
	goOn(t, s)
	keys = append(keys, s.VKey())
	gateN(t, s, "SN1", 5)
	rotate()
	stop()
	return o, keys
}

// Who has the key of any shard can check the store, its published checkpoint, an
// export and a bundle: each shard's key has given its word for the next one's.
// The key of another log of that name never does.
func TestAnyShardsKey(t *testing.T) {
	o, keys := anyShard(t)
	dir, l := tilesBy(t, o.Dir, "")
	b, err := l.Bundle(t.Context(), "SN1")
	if err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, o)
	live, err := s.Bundle(t.Context(), "SN1")
	stop()
	if err != nil || len(live.Shards) != 4 || len(b.Shards) != 4 {
		t.Fatalf("%d and %d shards, %v", len(live.Shards), len(b.Shards), err)
	}
	check := func(name, vkey string, good bool) {
		t.Helper()
		if r := verify(t, o.Dir, store.VerifyOptions{Key: vkey}); r.OK != good || hasCode(r, audit.FindKey) == good {
			t.Errorf("%s: verify: %v", name, r.Findings)
		}
		l, err := store.OpenLog(o.Dir, vkey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Newest(); (err == nil) != good {
			t.Errorf("%s: head: %v", name, err)
		}
		if r := audit.CheckTiles(os.DirFS(dir), verifierOf(t, vkey), nil); (len(r.Finding) == 0) != good {
			t.Errorf("%s: tiles: %v", name, r.Finding)
		}
		for _, b := range []audit.Bundle{b, live} {
			if es, findings := b.Verify(verifierOf(t, vkey)); (len(findings) == 0) != good || good && len(es) != 20 {
				t.Errorf("%s: bundle: %d entries, %v", name, len(es), findings)
			}
		}
	}
	for i, vkey := range keys {
		check(strings.Repeat("I", i+1), vkey, true)
		check("another "+strings.Repeat("I", i+1), newNamed(t, strings.Split(vkey, "+")[0]).VKey(), false)
	}
}

// A word for another key, by another key, or none, is found in bundles.
func TestBundleForgedWord(t *testing.T) {
	o, keys := anyShard(t)
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Bundle(t.Context(), "SN1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Shards { // also of a shard that has no entries of the unit
		b.Shards[i].Sim = true
		if _, findings := b.Verify(nil); len(findings) == 0 || findings[0].Code != audit.FindSim {
			t.Errorf("shard %d said to be simulated: %v", i+1, findings)
		}
		b.Shards[i].Sim = false
	}
	// What is before the last shard is real; the last one is by somebody else.
	forger := newNamed(t, b.Shards[3].Origin)
	head, err := audit.ParseCheckpoint([]byte(b.Shards[3].Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := audit.SignCheckpoint(head.Head, forger)
	if err != nil {
		t.Fatal(err)
	}
	b.Shards[3].VKey, b.Shards[3].Checkpoint = forger.VKey(), string(signed)
	if _, findings := b.Verify(nil); len(findings) != 0 {
		t.Fatalf("it must fit together: %v", findings)
	}
	for i, vkey := range keys {
		if _, findings := b.Verify(verifierOf(t, vkey)); len(findings) == 0 || findings[0].Code != audit.FindKey {
			t.Errorf("key %d: %v", i+1, findings)
		}
	}
}

// Two keys may share name and id, which has 32 bits only. These do; the second is
// not the log's.
const (
	sharedID = "PRIVATE+KEY+test.example/station-1+4603e216+AVojeThBkAFu+rxdmTw/Vd6DchFMlrWhn6xQK/zXGv6V"
	sameID   = "test.example/station-1+4603e216+AQAAAAAALIy/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestKeyOfTheSameID(t *testing.T) {
	key, err := audit.ParseKey(sharedID)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(key.VKey(), sameID[:len("test.example/station-1+4603e216+")]) || key.VKey() == sameID {
		t.Fatalf("%s is no other key of that id", key.VKey())
	}
	o := sharded(t)
	o.Key = key
	s, stop := start(t, o)
	gateN(t, s, "SN1", 5)
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 5)
	stop()
	for vkey, good := range map[string]bool{key.VKey(): true, sameID: false} {
		if r := verify(t, o.Dir, store.VerifyOptions{Key: vkey}); r.OK != good {
			t.Errorf("%s: verify: %v", vkey, r.Findings)
		}
		dir, l := tilesBy(t, o.Dir, "")
		if r := audit.CheckTiles(os.DirFS(dir), verifierOf(t, vkey), nil); (len(r.Finding) == 0) != good {
			t.Errorf("%s: tiles: %v", vkey, r.Finding)
		}
		b, err := l.Bundle(t.Context(), "SN1")
		if err != nil {
			t.Fatal(err)
		}
		if _, findings := b.Verify(verifierOf(t, vkey)); (len(findings) == 0) != good {
			t.Errorf("%s: bundle: %v", vkey, findings)
		}
	}
}

// A checkpoint that a batch carries is one that the station has signed, not only
// one with the right root.
func TestVerifyFindsForgedCarriedCheckpoint(t *testing.T) {
	o := sharded(t)
	o.SegmentSize = 0
	s, stop := start(t, o)
	gateN(t, s, "SN1", 3)
	note, err := s.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 3) // the first of them carries it
	stop()
	head, err := audit.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := audit.SignCheckpoint(head.Head, newNamed(t, o.Key.Name()))
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte{}, note...)
	for i := len(broken) - 8; ; i-- { // within the signature
		if broken[i] != 'A' {
			broken[i] = 'A'
			break
		}
	}
	for code, carried := range map[string][]byte{audit.FindKey: forged, audit.FindCheckpoint: broken} {
		dir := copyDir(t, o.Dir)
		offset := reframe(t, dir, note, carried)
		r := verify(t, dir, store.VerifyOptions{})
		if !hasCode(r, code) || r.Findings[0].Offset != offset || r.Findings[0].Seq != 4 || r.Findings[0].File == "" {
			t.Errorf("%s at %d: %v", code, offset, r.Findings)
		}
	}
}

// reframe puts a frame of another payload in the place of one in the newest
// segment, with a good checksum, and returns where.
func reframe(t *testing.T, dir string, was, is []byte) int64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	file := files[len(files)-1]
	data := readAll(t, file)
	at := bytes.Index(data, was)
	if at < 0 {
		t.Fatal("the segment does not carry it")
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(is))), 'S')
	sum := crc32.Checksum(append(append([]byte{}, frame...), is...), crc32.MakeTable(crc32.Castagnoli))
	frame = append(binary.BigEndian.AppendUint32(frame, sum), is...)
	write(t, file, append(append(append([]byte{}, data[:at-9]...), frame...), data[at+len(was):]...))
	return int64(at - 9)
}

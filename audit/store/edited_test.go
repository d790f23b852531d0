package store_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"linefit/audit"
	"linefit/audit/store"
)

// verdicts finds entries by the slot and the type, as the station's index does.
var verdicts = audit.Index{ID: "find/1", Terms: func(e audit.Entry) []string {
	if e.Slot == 0 {
		return nil
	}
	return []string{"type=" + e.Type}
}}

// byHand changes what is derived, behind the station's back.
func byHand(t *testing.T, dir string, change func(txn *badger.Txn, key, value []byte) error) {
	t.Helper()
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "badger")).WithLogger(nil).WithMemTableSize(16 << 20).WithValueLogFileSize(1 << 20).WithNumMemtables(2))
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	err = db.Update(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			v, err := it.Item().ValueCopy(nil)
			if err == nil {
				err = change(txn, it.Item().KeyCopy(nil), v)
			}
			if err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil || changed == 0 {
		t.Fatal(err)
	}
}

// Whatever is changed by hand in derived state is found by a rebuild, which names
// the part and the key, and is right afterwards: also where shards are archived.
func TestRebuildFindsHands(t *testing.T) {
	o := sharded(t)
	o.Projections = append(o.Projections, verdicts)
	s, stop := start(t, o)
	gateN(t, s, "SN1", 20)
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN2", 20)
	stop()
	whole := o.Dir
	away := o
	away.Dir = copyDir(t, whole)
	remove(t, filepath.Join(away.Dir, "lock"))
	s, stop = start(t, away)
	if a, err := s.Archive(t.Context(), t.TempDir(), func(audit.View, uint64) error { return nil }); err != nil || len(a.Shards) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	gateN(t, s, "SN3", 3)
	stop()
	newest := func(k []byte) bool { return k[len(k)-1] == 40 } // an entry of the second shard
	for name, c := range map[string]struct {
		part, key string
		change    func(txn *badger.Txn, k, v []byte) error
	}{
		"a value": {"projection counts/1", `"step.done/1" changed`, func(txn *badger.Txn, k, v []byte) error {
			if bytes.HasSuffix(k, []byte("step.done/1")) && k[0] == 'p' && bytes.Contains(k, []byte("counts/1")) {
				v[7]++
				return txn.Set(k, v)
			}
			return nil
		}},
		"found no more": {"projection find/1", "was missing", func(txn *badger.Txn, k, _ []byte) error {
			if k[0] == 'p' && bytes.Contains(k, []byte("find/1\x00type=step.done/1")) && newest(k) {
				return txn.Delete(k)
			}
			return nil
		}},
		"of a unit": {"units", `"SN2" entry 40 was missing`, func(txn *badger.Txn, k, _ []byte) error {
			if k[0] == 'u' && newest(k) {
				return txn.Delete(k)
			}
			return nil
		}},
		"a name": {"projection names/1", "was too many", func(txn *badger.Txn, k, _ []byte) error {
			if k[0] == 'm' {
				return txn.Set([]byte("p\x07names/1\x00i\x00imei:1\x00SN9"), nil)
			}
			return nil
		}},
		"nobody's": {"other", `"" was too many`, func(txn *badger.Txn, k, _ []byte) error {
			if k[0] == 'm' {
				return txn.Set([]byte("p"), []byte("x"))
			}
			return nil
		}},
	} {
		for kind, dir := range map[string]string{"whole": whole, "archived": away.Dir} {
			o := o
			o.Dir = copyDir(t, dir)
			remove(t, filepath.Join(o.Dir, "lock"))
			byHand(t, o.Dir, c.change)
			r, err := store.Rebuild(t.Context(), o)
			if err != nil || r.Same || r.NotCompared != "" {
				t.Fatalf("%s, %s: %+v, %v", name, kind, r, err)
			}
			for _, p := range r.Parts {
				if (p.Name == c.part) == p.Same || p.Name == c.part && (len(p.Differs) != 1 || !strings.HasSuffix(p.Differs[0], c.key)) {
					t.Errorf("%s, %s: %+v", name, kind, p)
				}
			}
			if r, err := store.Rebuild(t.Context(), o); err != nil || !r.Same {
				t.Errorf("%s, %s: afterwards %+v, %v", name, kind, r, err)
			}
		}
	}
}

// Records of the store's own that make no sense are no reason to die: what is
// derived is made anew.
func TestMalformedRecords(t *testing.T) {
	o := fill(t, 30)
	for _, record := range [][2]string{{"s\x00\x00\x00\x09", "x"}, {"b\x00", "x"}, {"b\x00\x00\x00\x00\x00\x00\x00\x01", ""}, {"m", "{"}, {"m", `{"format":1}`}, {"s", ""}} {
		o := o
		o.Dir = copyDir(t, o.Dir)
		remove(t, filepath.Join(o.Dir, "lock"))
		byHand(t, o.Dir, func(txn *badger.Txn, _, _ []byte) error { return txn.Set([]byte(record[0]), []byte(record[1])) })
		s, stop := start(t, o)
		if h := s.State(); h.State != store.OK || s.Opening().Remade == "" || count(t, s, "step.done/1") != 30 {
			t.Errorf("%q: %+v, %+v", record, h, s.Opening())
		}
		stop()
	}
}

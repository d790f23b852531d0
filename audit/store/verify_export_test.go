package store_test

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

func TestVerifyExport(t *testing.T) {
	o := threeShards(t)
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := l.ExportTiles(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	check := func(vkey string, kept []byte) store.Report {
		t.Helper()
		r, err := store.VerifyExport(t.Context(), dir, vkey, kept)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	kept := readAll(t, filepath.Join(o.Dir, "checkpoint"))
	if r := check(l.VKey(), kept); !r.OK || r.Entries != 218 || r.Shards != 3 || r.Checkpoint == nil {
		t.Fatalf("%+v", r)
	}
	older := readAll(t, filepath.Join(dir, "shards", "0001", "checkpoint"))
	if r := check("", older); !r.OK {
		t.Fatalf("%+v", r.Findings)
	}
	if r := check(newKey(t).VKey(), nil); r.OK {
		t.Fatal("another key")
	}
	foreign, err := audit.SignCheckpoint(audit.Head{Size: 3}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if r := check("", foreign); r.OK {
		t.Fatal("another log's checkpoint")
	}
	tried := 0
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		good := readAll(t, name)
		for at := 0; at < len(good); at += 1 + len(good)/7 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (at % 8)
			write(t, name, bad)
			tried++
			if r := check("", nil); r.OK {
				t.Errorf("%s byte %d: not found", name, at)
			}
		}
		remove(t, name)
		if r := check("", nil); r.OK {
			t.Errorf("%s removed: not found", name)
		}
		write(t, name, good)
		return nil
	})
	if err != nil || tried < 50 {
		t.Fatal(tried, err)
	}
}

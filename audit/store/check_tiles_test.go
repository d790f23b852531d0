package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// tiles exports a log, with the key that it is written with.
func tiles(t *testing.T, o store.Options) (string, *store.Log) {
	t.Helper()
	return tilesBy(t, o.Dir, o.Key.VKey())
}

// tilesBy does so with any key; "" is the one that lies beside the log.
func tilesBy(t *testing.T, from, vkey string) (string, *store.Log) {
	t.Helper()
	l, err := store.OpenLog(from, vkey)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := l.ExportTiles(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir, l
}

func TestCheckTiles(t *testing.T) {
	for name, o := range map[string]store.Options{"one shard": fill(t, 700), "three shards": threeShards(t)} {
		t.Run(name, func(t *testing.T) {
			dir, l := tiles(t, o)
			v, err := audit.ParseVKey(l.VKey())
			if err != nil {
				t.Fatal(err)
			}
			seen := uint64(0)
			r := audit.CheckTiles(os.DirFS(dir), v, func(e audit.Entry) {
				if seen++; e.Seq != seen {
					t.Fatalf("entry %d came as number %d", e.Seq, seen)
				}
			})
			if len(r.Finding) != 0 || r.Entries != seen || r.Last != seen || seen == 0 {
				t.Fatalf("%+v, %d entries seen", r, seen)
			}
			var files []string
			err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() && d.Name() != "station.vkey" {
					files = append(files, path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				good := readAll(t, f)
				for _, bad := range [][]byte{flipped(good), good[:len(good)-1], nil} {
					if bad == nil {
						remove(t, f)
					} else {
						write(t, f, bad)
					}
					r := audit.CheckTiles(os.DirFS(dir), v, nil)
					if len(r.Finding) != 1 || !strings.Contains(r.Finding[0].File, "/") && r.Finding[0].File != "checkpoint" {
						t.Fatalf("%s changed: %+v", f, r)
					}
					write(t, f, good)
				}
			}
		})
	}
}

func flipped(b []byte) []byte {
	out := append([]byte{}, b...)
	out[len(out)/2] ^= 1
	return out
}

func TestCheckTilesNamesTheEntry(t *testing.T) {
	o := fill(t, 300)
	dir, l := tiles(t, o)
	v, err := audit.ParseVKey(l.VKey())
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, audit.EntriesPath(0, 256))
	data := readAll(t, name)
	at := strings.Index(string(data), `"seq":77,`)
	at += strings.Index(string(data[at:]), `"n":`) + 4 // still an entry, another one
	data[at] = '9'
	write(t, name, data)
	r := audit.CheckTiles(os.DirFS(dir), v, nil)
	if len(r.Finding) != 1 || r.Finding[0].Code != audit.FindTile || r.Finding[0].Seq != 77 {
		t.Fatalf("%+v", r)
	}
	other, err := audit.ParseVKey(newKey(t).VKey())
	if err != nil {
		t.Fatal(err)
	}
	if r := audit.CheckTiles(os.DirFS(dir), other, nil); len(r.Finding) != 1 || r.Finding[0].Code != audit.FindKey {
		t.Fatalf("another key: %+v", r)
	}
}

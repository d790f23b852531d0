package plant_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/plant"
)

// A backup of a station that works is whole, whatever was published, and whichever
// shard was begun, while its files were copied one after another.
func TestBackupOfABusyStation(t *testing.T) {
	key, _, err := audit.NewKey("test.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "store")
	var shards sync.Map
	s, err := store.Open(t.Context(), store.Options{
		Dir: dir, Key: key, PublishEvery: time.Millisecond, SegmentSize: 50_000, ShardEntries: 800, Reserve: 1,
		ShardKey: func(_ uint32, origin string) (audit.Key, error) {
			k, _, err := audit.NewKey(origin)
			kept, _ := shards.LoadOrStore(origin, k)
			own, _ := kept.(audit.Key)
			return own, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, err := s.Gate(ctx, audit.Draft{Type: "step.ended/1", Slot: 1 + i%4, Unit: fmt.Sprint("SN", i/40), Data: []byte(`{}`)})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 25 {
		out := filepath.Join(t.TempDir(), fmt.Sprint(i))
		b, err := plant.MakeBackup(t.Context(), dir, out)
		if err != nil {
			t.Fatalf("backup %d: %v", i, err)
		}
		if read, err := plant.ReadBackup(t.Context(), out); err != nil || read.Checkpoint != b.Checkpoint {
			t.Fatalf("backup %d: %v", i, err)
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
	// An old checkpoint that somebody has put back is not brought up to date.
	old, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Gate(t.Context(), audit.Draft{Type: "step.ended/1", Slot: 9, Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	work.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged *store.DamagedError
	if _, err := plant.MakeBackup(t.Context(), dir, filepath.Join(t.TempDir(), "old")); !errors.As(err, &damaged) {
		t.Errorf("with an old checkpoint: %v", err)
	}
}

// A backup whose manifest was edited, or that has a file more, is none.
func TestBackupChanged(t *testing.T) {
	key, _, err := audit.NewKey("test.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	dir, out := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "backup")
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Key: key, Reserve: 1})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plant.MakeBackup(t.Context(), dir, out); err != nil {
		t.Fatal(err)
	}
	if _, err := plant.ReadBackup(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(out, "backup.json")
	good, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"checkpoint": "test`, `"checkpoint": "best`}, {`"vkey": "test`, `"vkey": "best`}, {`"entries": 0`, `"entries": 7`}, {`"origin": "test`, `"origin": "best`}} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s is not in\n%s", change[0], good)
		}
		if err := os.WriteFile(manifest, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := plant.Restore(t.Context(), out, filepath.Join(t.TempDir(), "again")); !errors.Is(err, plant.ErrBackup) {
			t.Errorf("%s: %v", change[1], err)
		}
	}
	if err := os.WriteFile(manifest, good, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, extra := range []string{"x", "segments/x", "vault/x.code"} {
		name := filepath.Join(out, "data", extra)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := plant.ReadBackup(t.Context(), out); !errors.Is(err, plant.ErrBackup) {
			t.Errorf("%s: %v", extra, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

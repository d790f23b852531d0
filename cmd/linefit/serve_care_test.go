package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"linefit/audit/store"
	"linefit/station"
	"linefit/station/plant"
)

// A station that runs reads its whole log by itself: damage makes the screen
// red, doctor says where, a restart is red at once, and the file put back is all
// that is needed.
func TestServeFindsBitRot(t *testing.T) {
	config, data := bareStation(t, "}\naudit: {scrub_every: 1s")
	d := startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	segs, err := filepath.Glob(filepath.Join(data, "segments", "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatal(segs, err)
	}
	f, err := os.OpenFile(segs[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	at := info.Size() / 2
	flip := func() {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	flip()
	v := d.view(health(station.HealthReadOnly))
	if !strings.Contains(v.Detail, "segments/"+filepath.Base(segs[0])) {
		t.Errorf("%+v", v)
	}
	if _, out := cliRun(t, "doctor", "--config", config); !strings.Contains(out, "FAIL  audit log") || !strings.Contains(out, filepath.Base(segs[0])) {
		t.Errorf("doctor: %s", out)
	}
	if code := d.end(); code != exitVerdict {
		t.Errorf("exit %d\n%s", code, d.errs)
	}
	d = startDaemon(t, config, data)
	d.view(health(station.HealthReadOnly))
	d.end()
	flip()
	d = startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	if code := d.end(); code != exitOK {
		t.Errorf("exit %d\n%s", code, d.errs)
	}
	if _, out := cliRun(t, "doctor", "--config", config); !strings.Contains(out, "ok    audit log") {
		t.Errorf("doctor: %s", out)
	}
}

// A station that runs moves closed shards to its archive.
func TestServeArchives(t *testing.T) {
	archive := t.TempDir()
	config, data := bareStation(t, "}\naudit: {archive: "+archive)
	d := startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	d.end()
	key, err := readKey(data+".audit.key", data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), plant.Plan{Dir: data, Key: key, ShardKey: shardKeys(data + ".audit.key")}.StoreOptions())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return s.Run(ctx) })
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d = startDaemon(t, config, data)
	eventually(t, "the shard is archived", func() bool { return strings.Contains(d.errs.String(), "closed shards archived") })
	if code := d.end(); code != exitOK {
		t.Errorf("exit %d\n%s", code, d.errs)
	}
	if code, out := cliRun(t, "audit", "check", filepath.Join(archive, "shards", "0001"), "--key", key.VKey()); code != exitOK {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out := cliRun(t, "audit", "verify", "--store", data); code != exitOK {
		t.Errorf("exit %d, %s", code, out)
	}
	if left, _ := filepath.Glob(filepath.Join(data, "segments", "0001-*")); len(left) > 0 {
		t.Errorf("%v", left)
	}
}

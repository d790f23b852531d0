package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"linefit/station"
	"linefit/station/mes"
)

// acceptAll has two people go on with whatever is wrong.
func acceptAll(t *testing.T, d *daemon, want string) {
	t.Helper()
	d.view(health(station.HealthReadOnly))
	_, out := cliRun(t, "audit", "accept", "--config", d.config, "--json")
	var alarm mes.AlarmBody
	if err := json.Unmarshal([]byte(out), &alarm); err != nil || !strings.Contains(out, want) {
		t.Fatalf("want %s: %v\n%s", want, err, out)
	}
	if code, out := cliRun(t, "audit", "accept", "--config", d.config, "--by", "a", "--with", "b", "--role", "qa", "--digest", alarm.Digest, "--why", "known"); code != exitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	d.view(health(station.HealthOK))
}

// A backup is made while the station runs, put back, and says that it was; a
// replacement begins a log behind the last checkpoint of the lost one.
func TestStationBackupRestoreReplace(t *testing.T) {
	config, data := bareStation(t, "")
	dir := filepath.Dir(config)
	backup := filepath.Join(dir, "backup")
	d := startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	if code, out := cliRun(t, "station", "backup", "--config", config, "--out", backup); code != exitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	if code, out := cliRun(t, "station", "backup", "--config", config, "--out", backup); code != exitMissing {
		t.Errorf("over an old backup: exit %d, %s", code, out)
	}
	if code, out := cliRun(t, "station", "backup", "--config", config, "--out", filepath.Join(data, "b")); code != exitUsage {
		t.Errorf("into the store: exit %d, %s", code, out)
	}
	if code := d.end(); code != exitOK {
		t.Fatal(code, d.errs)
	}
	if code, out := cliRun(t, "station", "restore", "--config", config, "--from", backup); code != exitMissing {
		t.Errorf("over a store: exit %d, %s", code, out)
	}
	head, err := os.ReadFile(filepath.Join(data, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := os.ReadFile(filepath.Join(data, "station.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(data, data+".broken"))
	if code, out := cliRun(t, "station", "restore", "--config", config, "--from", backup); code != exitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	d = startDaemon(t, config, data)
	acceptAll(t, d, `"code":"restored"`)
	if code := d.end(); code != exitOK {
		t.Fatal(code, d.errs)
	}
	// Who kept the newer checkpoint sees what is missing.
	kept := filepath.Join(dir, "kept")
	must(os.WriteFile(kept, head, 0o600))
	if code, out := cliRun(t, "audit", "verify", "--store", data, "--checkpoint", kept); code != exitVerdict || !strings.Contains(out, "rolled_back") {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out := cliRun(t, "audit", "verify", "--store", data); code != exitOK || !regexp.MustCompile(`op-\w{12} and op-\w{12} went on`).MatchString(out) {
		t.Errorf("exit %d, %s", code, out)
	}
	// A backup that was touched is none.
	files, err := filepath.Glob(filepath.Join(backup, "data", "segments", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seg, err := os.ReadFile(files[0])
	must(err)
	must(os.WriteFile(files[0], seg[:len(seg)-1], 0o600))
	must(os.Rename(data, data+".again"))
	if code, out := cliRun(t, "station", "restore", "--config", config, "--from", backup); code != exitVerdict {
		t.Errorf("a touched backup: exit %d, %s", code, out)
	}
	// Nothing is left but a checkpoint: another machine, another key.
	must(os.Rename(data+".audit.key", data+".audit.key.lost"))
	if code, out := cliRun(t, "station", "replace", "--config", config, "--checkpoint", kept, "--old-key", string(vkey)); code != exitOK {
		t.Fatalf("exit %d, %s", code, out)
	}
	d = startDaemon(t, config, data)
	acceptAll(t, d, "replacement of log test.example/st-1")
	if code := d.end(); code != exitOK {
		t.Fatal(code, d.errs)
	}
	if code, out := cliRun(t, "audit", "verify", "--store", data); code != exitOK || !strings.Contains(out, "test.example/st-1/2") {
		t.Errorf("exit %d, %s", code, out)
	}
	d = startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	if code := d.end(); code != exitOK {
		t.Fatal(code, d.errs)
	}
}

// Closed shards leave the store, and what is left goes on.
func TestAuditArchive(t *testing.T) {
	config, data := bareStation(t, "")
	for range 2 {
		d := startDaemon(t, config, data)
		d.view(health(station.HealthOK))
		if code := d.end(); code != exitOK {
			t.Fatal(code, d.errs)
		}
		if code, out := cliRun(t, "audit", "archive", "--store", data, "--out", filepath.Join(filepath.Dir(config), "archive"), "--rotate"); code != exitOK {
			t.Fatalf("exit %d, %s", code, out)
		}
	}
	if code, out := cliRun(t, "audit", "verify", "--store", data); code != exitOK || !strings.Contains(out, "test.example/st-1/3") {
		t.Errorf("exit %d, %s", code, out)
	}
	archive := filepath.Join(filepath.Dir(config), "archive", "shards", "0002")
	if code, out := cliRun(t, "audit", "check", archive); code != exitOK {
		t.Errorf("exit %d, %s", code, out)
	}
	if code, out := cliRun(t, "audit", "rebuild", "--store", data); code != exitOK {
		t.Errorf("exit %d, %s", code, out)
	}
	d := startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	if code := d.end(); code != exitOK {
		t.Fatal(code, d.errs)
	}
}

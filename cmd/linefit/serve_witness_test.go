package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/station"
)

// A station that runs has its checkpoints cosigned by itself, says so, and says when
// a witness is gone; it starts against what was cosigned.
func TestServeWitnessed(t *testing.T) {
	dir := t.TempDir()
	anchors := filepath.Join(dir, "anchors")
	if err := os.Mkdir(anchors, 0o755); err != nil {
		t.Fatal(err)
	}
	key, err := audit.LoadOrCreateKey(filepath.Join(dir, "audit.key"), "test.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, "stdout", "sim", "witness", "--log", key.VKey(), "--json", "--name", "witness.example/w1", "--state", filepath.Join(dir, "witness"))
	var up struct{ URL, VKey string }
	if err := json.Unmarshal([]byte(w.line("url")), &up); err != nil {
		t.Fatal(err)
	}
	config, data := bareStation(t, "}\naudit: {key: "+filepath.Join(dir, "audit.key")+", anchors: "+anchors+
		", witnesses: {every: 100ms, timeout: 2s, keep: "+anchors+", list: [{url: \""+up.URL+"\", vkey: \""+up.VKey+"\"}]}")
	cosigned := func(v station.View) bool { return len(v.Witnesses) == 1 && v.Witnesses[0].Size > 0 }
	d := startDaemon(t, config, data)
	v := d.view(health(station.HealthOK))
	eventually(t, "the checkpoint is cosigned", func() bool {
		v = d.view(func(v station.View) bool { return true })
		return cosigned(v)
	})
	if w := v.Witnesses[0]; w.Log != "test.example/st-1" || w.Error != "" || w.Name != "witness.example/w1" {
		t.Errorf("%+v", w)
	}
	if code, out := cliRun(t, "doctor", "--config", config); !strings.Contains(out, "ok    witness witness.example/w1") || !strings.Contains(out, "ok    cosigned checkpoints") {
		t.Errorf("doctor, exit %d: %s", code, out)
	}
	files, err := os.ReadDir(anchors)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	kept := filepath.Join(anchors, files[0].Name())
	if code, out := cliRun(t, "audit", "verify", "--store", data, "--checkpoint", kept, "--witness", up.VKey, "--key", key.VKey()); code != exitOK {
		t.Errorf("exit %d: %s", code, out)
	}
	d.end()

	w.end() // the witness is gone: the station says so and goes on
	d = startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	eventually(t, "the witness is missed", func() bool {
		v := d.view(func(v station.View) bool { return true })
		return len(v.Witnesses) == 1 && v.Witnesses[0].Tries > 0 && v.Health == station.HealthOK
	})
	if _, out := cliRun(t, "doctor", "--config", config); !strings.Contains(out, "WARN  witness witness.example/w1") {
		t.Errorf("doctor: %s", out)
	}
	if code := d.end(); code != exitOK {
		t.Errorf("exit %d\n%s", code, d.errs)
	}
	if !strings.Contains(d.errs.String(), "are not cosigned at the moment") {
		t.Error(d.errs.String())
	}
}

// What is wrong with the witnesses of a station file is said before anything starts.
func TestWitnessesOfTheStationFile(t *testing.T) {
	witness, err := audit.NewWitnessKey("witness.example/w1", make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	log, _, err := audit.NewKey("test.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	one := `{url: "https://w.example/", vkey: "` + witness.VKey() + `"}`
	for what, c := range map[string]struct{ list, says string }{
		"a log's key":  {`{keep: /x, list: [{url: "https://w.example/", vkey: "` + log.VKey() + `"}]}`, "no verifier key of a witness"},
		"twice":        {`{keep: /x, list: [` + one + `, ` + one + `]}`, "named twice"},
		"no folder":    {`{list: [` + one + `]}`, "keep"},
		"no URL":       {`{keep: /x, list: [{url: w.example, vkey: "` + witness.VKey() + `"}]}`, "url"},
		"none":         {`{keep: /x, list: []}`, "list"},
		"unknown name": {`{keep: /x, quorum: 2, list: [` + one + `]}`, "quorum"},
	} {
		config, _ := bareStation(t, "}\naudit: {witnesses: "+c.list)
		for _, cmd := range [][]string{{"config", "check", config}, {"serve", "--config", config}} {
			if code, out := cliRun(t, cmd...); code != exitUsage || !strings.Contains(out, c.says) {
				t.Errorf("%s, %v: exit %d: %s", what, cmd, code, out)
			}
		}
	}
}

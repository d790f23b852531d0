package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemoFactory runs a whole line with no network: first the Manufacturing
// Step, after which nothing may ship, then the Configuration Step in the same
// folder. The cards, the eUICCs' maker and the SM-DPf have the last word.
func TestDemoFactory(t *testing.T) {
	dir := t.TempDir()
	recipes := filepath.Join("..", "..", "configs", "recipes")
	demo := func(want int, args ...string) (s summary, text string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		args = append([]string{"demo", "--headless", "--units", "2", "--slots", "2", "--baud", "0", "--json"}, args...)
		if code := run(context.Background(), args, nil, &stdout, &stderr); code != want {
			t.Fatalf("%v: exit %d\n%s%s", args, code, &stdout, &stderr)
		}
		if want == exitOK {
			if err := json.Unmarshal(stdout.Bytes(), &s); err != nil || s.Factory == nil {
				t.Fatalf("%v, %s", err, &stdout)
			}
		}
		return s, stdout.String() + stderr.String()
	}
	s, _ := demo(exitOK, "--mode", "factory", "--dir", dir, "--recipe", filepath.Join(recipes, "factory-manufacturing.yaml"))
	f := s.Factory
	if s.Passed != 2 || f.Installed != 2 || f.Open != 2 || f.MayShip != 0 || f.LPA != 0 || f.KeysLeft == 0 || f.Requests != 0 || !f.Verified {
		t.Errorf("manufacturing: %+v, %+v", s, f)
	}
	s, _ = demo(exitOK, "--mode", "factory", "--dir", dir, "--recipe", filepath.Join(recipes, "factory-configuration.yaml"))
	f = s.Factory
	if s.Passed != 2 || f.Installed != 4 || f.Closed != 2 || f.MayShip != 2 || f.LPA != 2 || f.KeysLeft != 0 || f.Requests != 0 || !f.Verified {
		t.Errorf("configuration: %+v, %+v", s, f)
	}
	batches, err := filepath.Glob(filepath.Join(dir, "sim", "batches", "*.json"))
	if err != nil || len(batches) != 2 {
		t.Fatalf("%v, %v", batches, err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no log: %v", err)
	}
	for _, file := range append(segments, filepath.Join(dir, "loading-report.json")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, batch := range batches {
			for _, secret := range secretsOf(t, batch) {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s has the bytes of a package", file)
				}
			}
		}
	}
	if _, text := demo(exitUsage, "--mode", "factory", "--recipe", filepath.Join(recipes, "consumer.yaml")); !strings.Contains(text, "factory: open") {
		t.Error(text)
	}
	if _, text := demo(exitUsage, "--recipe", filepath.Join(recipes, "factory.yaml")); !strings.Contains(text, "--mode factory") {
		t.Error(text)
	}
}

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a plug that was pulled leaves of a checkpoint that was being written is no
// anchor: the station would not start against half of one.
func TestAnchorsInAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"kept": "one\n", ".w_1.checkpoint.123": "hal", ".kept.99": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "older"), 0o755); err != nil {
		t.Fatal(err)
	}
	notes, err := anchorsIn(dir)
	if err != nil || len(notes) != 1 || string(notes[0]) != "one\n" {
		t.Errorf("%q, %v", notes, err)
	}
}

//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/station/config"
)

// What changes an eUICC is refused on the ports of a running station, by whatever
// name, and allowed again when it has ended.
func TestChangesByHandOnAStationsPort(t *testing.T) {
	b := newVirtualBench(t, "mes: none")
	s := b.serve()
	record := filepath.Join(b.dir, "record")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, filepath.Join(b.dir, "mods/slot2"))
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{b.units[1].PTY, filepath.Join(b.dir, "mods/slot2"), relative} {
		for _, verb := range [][]string{{"enable", "89"}, {"disable", "89"}, {"delete", "89"}, {"nickname", "89", "x"}, {"reset", "--test"}, {"notifications", "remove", "1"}} {
			args := append([]string{"euicc", "--port", port, "--record", record, "--json"}, verb...)
			stdout, stderr := b.linefit(exitRefused, nil, args...)
			if text := stdout + stderr; !strings.Contains(text, "slot 2 of station bench") || strings.Count(stdout, "\n") != 1 {
				t.Errorf("%s %v: %s%s", port, verb, stdout, stderr)
			}
		}
	}
	s.end()
	if c, owned := portOwner(t.Context(), b.units[1].PTY); owned {
		t.Errorf("the station has ended and claims %+v", c)
	}
}

// Claims are told to whoever asks, and end with their owner.
func TestClaims(t *testing.T) {
	const port = "/dev/linefit-test-port"
	if c, owned := portOwner(t.Context(), port); owned {
		t.Fatalf("%+v", c)
	}
	cfg := &config.Config{Slots: []config.Slot{{ID: 7, Port: config.Port{Path: port}}}}
	cfg.Station.Name = "s1"
	ctx, cancel := context.WithCancel(t.Context())
	c, err := claimPorts(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // only the opening hangs on it
	for range 2 {
		if got, owned := portOwner(t.Context(), port); !owned || got.Slot != 7 || got.Station != "s1" {
			t.Errorf("%+v, %v", got, owned)
		}
	}
	if _, owned := portOwner(t.Context(), port+"0"); owned {
		t.Error("another port is owned too")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, owned := portOwner(t.Context(), port); owned {
		t.Error("claimed after the close")
	}
}

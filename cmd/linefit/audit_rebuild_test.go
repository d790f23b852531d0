package main

import (
	"bytes"
	"context"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/plant"
)

// TestRebuildOfShards: a log that has gone on in a second shard is rebuilt
// with its public keys alone.
func TestRebuildOfShards(t *testing.T) {
	key, _, err := audit.NewKey("factory.example/st-9")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{
		Dir: dir, Key: key, Projections: plant.Projections(), Reserve: 1,
		ShardKey: func(_ uint32, origin string) (audit.Key, error) {
			k, _, err := audit.NewKey(origin)
			return k, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	j := plant.Journal{Log: s}
	for i, unit := range []station.Serial{"SN1", "SN2"} {
		at := station.Scope{Slot: 1, Unit: unit, Run: station.RunID("run" + string(unit))}
		if err := j.Gate(t.Context(), at, station.RunStarted{Recipe: "x"}, station.RunVerdict{Verdict: station.Pass}, station.UnitLeft{}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := s.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"audit", "rebuild", "--store", dir}, exitOK, "everything came out the same"},
		{[]string{"audit", "verify", "--store", dir, "--key", key.VKey()}, exitOK, "factory.example/st-9/2"},
		{[]string{"audit", "export", "--store", dir, "--format", "jsonl", "--unit", "SN1"}, exitOK, `"unit":"SN1"`},
		{[]string{"audit", "find", "--store", dir, "--recipe", "x"}, exitOK, "2 runs of 2 units"},
		{[]string{"why", "SN1", "--store", dir}, exitOK, "SN1"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, nil, &out, &errs); code != c.code || !bytes.Contains(out.Bytes(), []byte(c.want)) {
			t.Errorf("%v: exit %d, %s%s", c.args, code, out.String(), errs.String())
		}
	}
}

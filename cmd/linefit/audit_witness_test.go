package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/plant"
)

// grow appends entries to a log and publishes it.
func grow(t *testing.T, dir string, key audit.Key, why string, n int) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Key: key, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	g.Go(func() error { return s.Run(ctx) })
	for range n {
		if err := (plant.Journal{Log: s}).Gate(t.Context(), station.Scope{}, station.StationResumed{Why: why}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A witness sees a log grow, cosigns it, and does not cosign one that was rolled
// back, or has another history; the cosigned checkpoint holds against the store.
func TestWitness(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	key, _, err := audit.NewKey("test.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	grow(t, file("a"), key, "this", 5)
	state := file("witness.json")
	serve := func() (w *background, url, vkey string) {
		w = start(t, "stdout", "sim", "witness", "--log", key.VKey(), "--state", state, "--json")
		var up struct{ URL, VKey string }
		if err := json.Unmarshal([]byte(w.line("url")), &up); err != nil {
			t.Fatal(err)
		}
		return w, up.URL, up.VKey
	}
	w, url, vkey := serve()
	push := func(code int, text, store, out string) {
		t.Helper()
		got, said := cliRun(t, "audit", "witness", "--store", file(store), "--url", url, "--witness", vkey, "--out", file(out))
		if got != code || !strings.Contains(said, text) {
			t.Errorf("exit %d, not %d with %q: %s", got, code, text, said)
		}
	}
	push(exitOK, "with 5 entries; it had seen 0", "a", "cp")
	push(exitOK, "with 5 entries; it had seen 5", "a", "cp") // again
	if err := os.CopyFS(file("old"), os.DirFS(file("a"))); err != nil {
		t.Fatal(err)
	}
	grow(t, file("a"), key, "this", 300)
	push(exitOK, "with 305 entries; it had seen 5", "a", "cp")
	grow(t, file("a"), key, "this", 1)
	push(exitOK, "with 306 entries; it had seen 305", "a", "lost") // without what was kept: the witness says its size
	if code := w.end(); code != exitOK {
		t.Errorf("the witness ended with %d", code)
	}
	push(exitMissing, "", "a", "cp")
	w, url, vkey = serve() // it has not forgotten
	push(exitVerdict, "rolled_back", "old", "none")
	if _, err := os.Stat(file("none")); err == nil {
		t.Error("a checkpoint that nobody cosigned was kept")
	}
	grow(t, file("fork"), key, "that", 306)
	push(exitVerdict, "fork", "fork", "none")
	grow(t, file("fork"), key, "that", 4)
	push(exitVerdict, "fork", "fork", "none")
	other, _, err := audit.NewKey("test.example/st-2")
	if err != nil {
		t.Fatal(err)
	}
	grow(t, file("other"), other, "this", 2)
	push(exitRefused, "does not know", "other", "none")

	verify := func(code int, text string, args ...string) {
		t.Helper()
		got, said := cliRun(t, append([]string{"audit", "verify", "--store", file("a"), "--key", key.VKey()}, args...)...)
		if got != code || !strings.Contains(said, text) {
			t.Errorf("%v: exit %d, not %d with %q: %s", args, got, code, text, said)
		}
	}
	second, err := audit.NewWitnessKey("witness.example/w2", make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	bare := file("bare")
	note, err := os.ReadFile(filepath.Join(file("a"), "checkpoint"))
	if err != nil || os.WriteFile(bare, note, 0o600) != nil {
		t.Fatal(err)
	}
	verify(exitOK, "good", "--checkpoint", file("lost"), "--witness", vkey)
	verify(exitOK, "good", "--checkpoint", file("lost"), "--witness", vkey, "--witness", second.VKey(), "--quorum", "1")
	verify(exitVerdict, "1 of its witnesses have cosigned it", "--checkpoint", file("lost"), "--witness", vkey, "--witness", second.VKey())
	verify(exitVerdict, "0 of its witnesses", "--checkpoint", bare, "--witness", vkey)
	verify(exitUsage, "say --checkpoint", "--witness", vkey)
	verify(exitUsage, "named twice", "--checkpoint", bare, "--witness", vkey, "--witness", vkey)
	verify(exitUsage, "1 witnesses are named", "--checkpoint", bare, "--witness", vkey, "--quorum", "2")
	verify(exitUsage, "no verifier key of a witness", "--checkpoint", bare, "--witness", key.VKey())
	// A cosignature that was altered is none.
	cosigned, err := os.ReadFile(file("lost"))
	if err != nil {
		t.Fatal(err)
	}
	cosigned[len(cosigned)-20] ^= 1
	if err := os.WriteFile(bare, cosigned, 0o600); err != nil {
		t.Fatal(err)
	}
	verify(exitVerdict, "0 of its witnesses", "--checkpoint", bare, "--witness", vkey)
	w.end()
}

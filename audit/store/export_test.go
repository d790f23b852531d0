package store_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

func openLog(t testing.TB, o store.Options) *store.Log {
	t.Helper()
	l, err := store.OpenLog(o.Dir, o.Key.VKey())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExportJSONLAndCSV(t *testing.T) {
	o := fill(t, 300)
	l := openLog(t, o)
	var all bytes.Buffer
	x, err := l.ExportJSONL(t.Context(), &all, audit.Filter{})
	if err != nil || x.Entries != 300 || x.Last != 300 {
		t.Fatalf("%+v, %v", x, err)
	}
	var tree audit.Tree
	lines := bufio.NewScanner(&all)
	for lines.Scan() {
		if _, err := audit.Decode(lines.Bytes()); err != nil {
			t.Fatal(err)
		}
		tree.Append(audit.LeafHash(lines.Bytes()))
	}
	c, err := audit.ParseCheckpoint([]byte(x.Checkpoint))
	if err != nil || tree.Head() != c.Head {
		t.Fatalf("the lines' root is not the checkpoint's: %v", err)
	}
	var some bytes.Buffer
	x, err = l.ExportJSONL(t.Context(), &some, audit.Filter{ID: "SN5", After: 55})
	if err != nil || x.Entries != 5 || strings.Count(some.String(), `"unit":"SN5"`) != 5 {
		t.Fatalf("%+v, %v\n%s", x, err, some.String())
	}
	var table bytes.Buffer
	if _, err = l.ExportCSV(t.Context(), &table, audit.Filter{ID: "SN5"}); err != nil {
		t.Fatal(err)
	}
	if rows, err := csv.NewReader(&table).ReadAll(); err != nil || len(rows) != 11 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
}

func TestNothingIsExportedFromADamagedLog(t *testing.T) {
	o := fill(t, 300)
	files := evidence(t, o.Dir)
	b := readAll(t, files[1])
	b[len(b)/2] ^= 1
	write(t, files[1], b)
	l := openLog(t, o)
	var buf bytes.Buffer
	_, err := l.ExportJSONL(t.Context(), &buf, audit.Filter{})
	var damaged *store.DamagedError
	if !errors.As(err, &damaged) || buf.Len() != 0 || damaged.Report.Findings[0].File != "segments/"+filepath.Base(files[1]) {
		t.Fatalf("%d bytes, %v", buf.Len(), err)
	}
	dir := t.TempDir()
	if _, err := l.ExportTiles(t.Context(), dir); !errors.As(err, &damaged) {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Fatalf("%v, %v", names, err)
	}
	if _, err := l.Bundle(t.Context(), "SN1"); !errors.As(err, &damaged) {
		t.Fatal(err)
	}
}

func TestBundleAndProof(t *testing.T) {
	o := fill(t, 300)
	l := openLog(t, o)
	b, err := l.Bundle(t.Context(), "SN7")
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := audit.ParseBundle(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.ParseVKey(o.Key.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if entries, findings := parsed.Verify(v); len(entries) != 10 || len(findings) != 0 {
		t.Fatalf("%d entries, %v", len(entries), findings)
	}
	if _, err := l.Bundle(t.Context(), "nobody"); !errors.Is(err, store.ErrNoUnit) {
		t.Fatal(err)
	}
	p, err := l.Prove(t.Context(), 123)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := p.Verify(v); err != nil || e.Seq != 123 {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := l.Prove(t.Context(), 301); err == nil {
		t.Fatal("proved an entry that is not there")
	}
}

// foreign builds a program under testdata, a module of its own that shares no
// code with this one, without the network, and returns its path.
func foreign(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is needed to build a foreign verifier")
	}
	bin := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = filepath.Join("..", "testdata", name)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "GOPROXY=off") {
		t.Skipf("run 'go mod download' in audit/testdata/%s first: its modules are not on this machine", name)
	}
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return bin
}

// Tessera's own client and fsck accept the export, and not a tampered one.
func TestTessera(t *testing.T) {
	bin := foreign(t, "tessera")
	o := fill(t, 700)
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := openLog(t, o).ExportTiles(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		out, err := exec.Command(bin, filepath.Join(o.Dir, "station.vkey"), dir).CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	name := filepath.Join(dir, "checkpoint")
	b := readAll(t, name)
	b[len(b)/2] ^= 1
	write(t, name, b)
	if out, err := run(); err == nil {
		t.Fatal(out)
	}
}

// A program that knows only the published formats finds the export good, and
// finds every one of 50 edits.
func TestForeignVerifier(t *testing.T) {
	bin := foreign(t, "verifier")
	o := fill(t, 600)
	early := readAll(t, filepath.Join(o.Dir, "checkpoint"))
	s, stop := start(t, o)
	for i := range 150 {
		if err := s.Queue(t.Context(), draft("step.done/1", 2, "SNX", i)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	dir := filepath.Join(t.TempDir(), "export")
	if x, err := openLog(t, o).ExportTiles(t.Context(), dir); err != nil || x.Entries != 750 {
		t.Fatalf("%+v, %v", x, err)
	}
	old := filepath.Join(t.TempDir(), "old")
	write(t, old, early)
	run := func(dir string) (string, error) {
		out, err := exec.Command(bin, "-old", old, filepath.Join(o.Dir, "station.vkey"), dir).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := run(dir); err != nil || out != "good: 750 entries" {
		t.Fatalf("%s, %v", out, err)
	}
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "station.vkey" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		name := files[i%len(files)]
		good := readAll(t, name)
		bad := bytes.Clone(good)
		at := (i * 7919) % len(bad)
		bad[at] ^= 1 << (i % 7)
		write(t, name, bad)
		if out, err := run(dir); err == nil {
			t.Errorf("%s byte %d: %s", name, at, out)
		}
		write(t, name, good)
	}
	// The old copy of the station does not pass for the new one.
	older := filepath.Join(t.TempDir(), "older")
	if _, err := openLog(t, fill(t, 700)).ExportTiles(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	if out, err := run(older); err == nil {
		t.Errorf("another station's export: %s", out)
	}
}

func TestExportTilesGrows(t *testing.T) {
	o := fill(t, 300)
	dir := filepath.Join(t.TempDir(), "export")
	if _, err := openLog(t, o).ExportTiles(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, o)
	for i := range 300 {
		if err := s.Queue(t.Context(), draft("step.done/1", 2, fmt.Sprint("SY", i/20), i)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if x, err := openLog(t, o).ExportTiles(t.Context(), dir); err != nil || x.Size != 600 {
		t.Fatalf("%+v, %v", x, err)
	}
	bin := foreign(t, "verifier")
	if out, err := exec.Command(bin, filepath.Join(o.Dir, "station.vkey"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if _, err := openLog(t, fill(t, 50)).ExportTiles(t.Context(), o.Dir); err == nil {
		t.Fatal("exported into a store")
	}
}

func TestRebuild(t *testing.T) {
	o := fill(t, 700)
	r, err := store.Rebuild(t.Context(), o)
	if err != nil || !r.Same || r.Entries != 700 || len(r.Parts) != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	remove(t, filepath.Join(o.Dir, "badger"))
	if r, err = store.Rebuild(t.Context(), o); err != nil || r.Same || r.NotCompared == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := store.Rebuild(t.Context(), store.Options{Dir: t.TempDir(), Key: o.Key}); !errors.Is(err, store.ErrNoStore) {
		t.Fatal(err)
	}
	if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
		t.Fatal(r.Findings)
	}
}

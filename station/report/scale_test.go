package report_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/internal/biglog"
	"linefit/station"
	"linefit/station/report"
)

// bigStore is a store with the entries of many units, golden samples among
// them, and what was built in each slot since.
func bigStore(t testing.TB, units int) (s *store.Store, o store.Options, after map[int][]station.Serial) {
	t.Helper()
	dir := t.TempDir()
	if d := os.Getenv("LINEFIT_FIND_DIR"); d != "" { // a disk with room
		dir = filepath.Join(d, "store")
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	key, _, err := audit.NewKey("test.example/big")
	if err != nil {
		t.Fatal(err)
	}
	o = store.Options{Dir: dir, Key: key, Projections: []audit.Projection{report.RunIndex()}, PublishEvery: time.Minute}
	if s, err = store.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	after, err = biglog.Write(t.Context(), s, biglog.Options{Units: units, Slots: 16, Shift: min(max(units/5, 3), 20_000)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Gate(t.Context()); err != nil { // all of it is durable
		t.Fatal(err)
	}
	if _, err := s.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, o, after
}

func unitsOf(f report.Found) (out []station.Serial) { return append(out, f.Units...) }

func asText(t testing.TB, f report.Found) string {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What slot 7 has built since its last good golden sample: the index finds it,
// the evidence gives the same, and so does a program that knows nothing but the
// published formats. LINEFIT_FIND_UNITS sets the number of units.
func TestFindAtScale(t *testing.T) {
	units := 150
	if n, err := strconv.Atoi(os.Getenv("LINEFIT_FIND_UNITS")); err == nil {
		units = n
	}
	begin := time.Now()
	s, o, after := bigStore(t, units)
	t.Logf("%d units, %d entries written in %s", units, s.Last(), time.Since(begin).Round(time.Millisecond))
	q := report.Query{Slots: []int{7}, SinceGolden: true}
	var found report.Found
	begin = time.Now()
	err := s.View(func(v audit.View) (err error) {
		found, _, err = report.FindIndexed(v, q)
		return err
	})
	took := time.Since(begin)
	if err != nil || !slices.Equal(unitsOf(found), after[7]) || len(found.Golden) != 1 {
		t.Fatalf("%d units found, %d were built, golden %v, %v", len(found.Units), len(after[7]), found.Golden, err)
	}
	t.Logf("%d units found by the index in %s", len(found.Units), took.Round(time.Microsecond))
	if units >= 1_000_000 && took > 5*time.Second {
		t.Errorf("the index took %s", took)
	}
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	finder := report.NewFinder(q)
	if _, err := l.Read(t.Context(), func(e audit.Entry, _ []byte) error { finder.See(e); return nil }); err != nil {
		t.Fatal(err)
	}
	if scanned := finder.Result(); asText(t, scanned) != asText(t, found) {
		t.Errorf("the evidence says %d units, the index %d", len(scanned.Units), len(found.Units))
	}
	t.Logf("the same from the evidence in %s", time.Since(begin).Round(time.Millisecond))
	begin = time.Now()
	if got := independently(t, o, l, 7); !slices.Equal(got, after[7]) {
		t.Errorf("an independent program finds %d units, %d were built", len(got), len(after[7]))
	}
	t.Logf("the same by a program that shares no code, from an export, in %s", time.Since(begin).Round(time.Millisecond))
}

// independently verifies an export and answers from it with a program that
// shares no code with this module.
func independently(t *testing.T, o store.Options, l *store.Log, slot int) (units []station.Serial) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "verifier")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = filepath.Join("..", "..", "audit", "testdata", "verifier")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the foreign verifier cannot be built here: %v: %s", err, out)
	}
	dir := o.Dir + ".export"
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if _, err := l.ExportTiles(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "-since-golden", strconv.Itoa(slot), filepath.Join(o.Dir, "station.vkey"), dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "good:") {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if unit, ok := strings.CutPrefix(strings.TrimSpace(line), "unit: "); ok {
			units = append(units, station.Serial(unit))
		}
	}
	return units
}

// The index answers every query as the evidence does.
func TestFindIndexedIsFind(t *testing.T) {
	s, _, _ := bigStore(t, 60)
	var all []audit.Entry
	err := s.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		for _, q := range []report.Query{
			{}, {Slots: []int{3, 9}}, {SinceGolden: true}, {SinceGolden: true, Slots: []int{2}, Firmware: "*07M2G"}, {Batch: "bench"},
			{Until: all[len(all)/2].UTC, SinceGolden: true}, {Since: all[len(all)/2].UTC}, {WorkOrder: "WO-000000", Verdict: "pass"}, {Software: "0.1.0"}, {Slots: []int{99}},
		} {
			f := report.NewFinder(q)
			for _, e := range all {
				f.See(e)
			}
			got, first, err := report.FindIndexed(v, q)
			if want := f.Result(); err != nil || first != 1 || asText(t, got) != asText(t, want) {
				t.Errorf("%+v: %d runs from %d, the evidence has %d, %v", q, len(got.Runs), first, len(want.Runs), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

package report_test

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/internal/biglog"
	"linefit/station/report"
)

// meter is a context that looks at the heap each time it is asked whether it has
// ended, as whoever reads a log does behind each batch.
type meter struct {
	context.Context
	asked, every int
	peak         uint64
}

func (m *meter) Err() error {
	if m.asked++; m.asked%m.every == 0 {
		m.look()
	}
	return m.Context.Err()
}

func (m *meter) look() {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.peak = max(m.peak, s.HeapAlloc)
}

// peakOf is how much the heap grows at most while work reads a log, in bytes.
func peakOf(t *testing.T, work func(ctx context.Context) error) int64 {
	t.Helper()
	m := &meter{Context: t.Context(), every: 1}
	m.look()
	before := m.peak
	m.every = 25
	if err := work(m); err != nil {
		t.Fatal(err)
	}
	if m.asked < 50 {
		t.Fatalf("looked at the heap for %d batches only", m.asked)
	}
	return int64(m.peak) - int64(before)
}

// memoryOf is what each use of a log of so many units takes, and the log's entries.
func memoryOf(t *testing.T, units int) (entries uint64, bytes map[string]int64) {
	t.Helper()
	key, _, err := audit.NewKey("test.example/big")
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{Dir: filepath.Join(t.TempDir(), "store"), Key: key, Reserve: 1}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	_, err = biglog.Write(t.Context(), s, biglog.Options{Units: units, Slots: 16, Shift: units / 3})
	stop()
	if runErr := <-done; err != nil || runErr != nil {
		t.Fatal(err, runErr)
	}
	entries = s.Last()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = nil
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	unit := string(biglog.Serial(units / 2))
	return entries, map[string]int64{
		"verify": peakOf(t, func(ctx context.Context) error {
			_, err := l.Verify(ctx, nil)
			return err
		}),
		"tiles": peakOf(t, func(ctx context.Context) error {
			_, err := l.ExportTiles(ctx, filepath.Join(t.TempDir(), "tiles"))
			return err
		}),
		"jsonl": peakOf(t, func(ctx context.Context) error {
			_, err := l.ExportJSONL(ctx, io.Discard, audit.Filter{})
			return err
		}),
		"csv": peakOf(t, func(ctx context.Context) error {
			_, err := l.ExportCSV(ctx, io.Discard, audit.Filter{})
			return err
		}),
		"bundle": peakOf(t, func(ctx context.Context) error {
			_, err := l.Bundle(ctx, unit)
			return err
		}),
		"prove": peakOf(t, func(ctx context.Context) error {
			_, err := l.Prove(ctx, 7)
			return err
		}),
		"since": peakOf(t, func(ctx context.Context) error {
			_, err := l.Since(ctx, 7)
			return err
		}),
		"find": peakOf(t, func(ctx context.Context) error {
			f := report.NewFinder(report.Query{Slots: []int{7}, SinceGolden: true, Firmware: "no such"})
			_, err := l.Read(ctx, func(e audit.Entry, _ []byte) error { f.See(e); return nil })
			return err
		}),
	}
}

// What reads a log holds neither its entries nor its hashes: of each unit a
// counter, as long as a shard lasts, and of find what it has found.
func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	// Of a unit's 39 entries the hashes alone would be 2,500 bytes, their text 15,000.
	const perUnit = 320
	few, many := 250, 1000
	entries, small := memoryOf(t, few)
	more, large := memoryOf(t, many)
	for what, was := range small {
		t.Logf("%s: %d bytes for %d entries, %d for %d", what, was, entries, large[what], more)
		if grown := large[what] - was; grown > int64(many-few)*perUnit {
			t.Errorf("%s takes %d bytes more for %d units more", what, grown, many-few)
		}
	}
}

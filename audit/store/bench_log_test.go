package store_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// benchLog makes a log like a line's: 40 entries for each unit, of about 450
// bytes. LINEFIT_BENCH_ENTRIES sets its length.
func benchLog(b *testing.B) (store.Options, int) {
	b.Helper()
	n := 20_000
	if s := os.Getenv("LINEFIT_BENCH_ENTRIES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	o := store.Options{Dir: b.TempDir(), Key: newKey(b), Projections: []audit.Projection{counts{}}}
	s, stop := start(b, o)
	pad := strings.Repeat("x", 200)
	for i := range n {
		d := draft("step.done/1", 1+i%16, fmt.Sprintf("SN%07d", i/640*16+i%16), i)
		d.Data = fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, pad)
		if err := s.Queue(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	return o, n
}

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkLog measures what a whole log costs: opening it with and without
// its derived state, verifying and exporting it.
func BenchmarkLog(b *testing.B) {
	o, n := benchLog(b)
	open := func(b *testing.B) {
		s, err := store.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		if h := s.State(); h.State != store.OK {
			b.Fatal(h)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			open(b)
		}
	})
	b.Run("rebuild", func(b *testing.B) {
		for b.Loop() {
			remove(b, filepath.Join(o.Dir, "badger"))
			open(b)
		}
		perEntry(b, n)
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if r := verify(b, o.Dir, store.VerifyOptions{}); !r.OK || r.Entries != uint64(n) {
				b.Fatal(r)
			}
		}
		perEntry(b, n)
	})
	l, err := store.OpenLog(o.Dir, "")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("tiles", func(b *testing.B) {
		for b.Loop() {
			dir := filepath.Join(b.TempDir(), "export")
			if _, err := l.ExportTiles(b.Context(), dir); err != nil {
				b.Fatal(err)
			}
			remove(b, dir)
		}
		perEntry(b, n)
	})
	b.Run("jsonl", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.ExportJSONL(b.Context(), io.Discard, audit.Filter{}); err != nil {
				b.Fatal(err)
			}
		}
		perEntry(b, n)
	})
	b.Run("bundle", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Bundle(b.Context(), "SN0000003"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

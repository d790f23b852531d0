package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store"
)

// slowFS adds a delay to every flush of a segment, so that results carry over
// from one disk to another.
type slowFS struct {
	store.FS
	delay time.Duration
}

type slowFile struct {
	store.File
	delay time.Duration
}

func (s slowFS) OpenFile(name string, flag int, perm fs.FileMode) (store.File, error) {
	f, err := s.FS.OpenFile(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, ".seg") {
		return f, err
	}
	return slowFile{f, s.delay}, nil
}

func (f slowFile) Sync() error {
	if f.delay > 0 {
		time.Sleep(f.delay)
	}
	return f.File.Sync()
}

// appendAll has writers append n times together and returns the median wait.
func appendAll(b *testing.B, writers, n int, one func(writer, i int) error) time.Duration {
	waits := make([][]time.Duration, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < n; i += writers {
				begin := time.Now()
				if err := one(w, i); err != nil {
					b.Error(err)
					return
				}
				waits[w] = append(waits[w], time.Since(begin))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(waits...)
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}

// plainFile is the yardstick: a file with group commit and nothing else.
type plainFile struct {
	f    store.File
	off  int64
	mu   sync.Mutex
	buf  bytes.Buffer
	wait []chan error
	wake chan struct{}
}

func (p *plainFile) run(ctx context.Context) {
	for {
		p.mu.Lock()
		data, wait := bytes.Clone(p.buf.Bytes()), p.wait
		p.buf.Reset()
		p.wait = nil
		p.mu.Unlock()
		if len(wait) == 0 {
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		_, err := p.f.WriteAt(data, p.off)
		if err == nil {
			err = p.f.Sync()
		}
		p.off += int64(len(data))
		for _, w := range wait {
			w <- err
		}
	}
}

func (p *plainFile) append(data []byte) error {
	done := make(chan error, 1)
	p.mu.Lock()
	p.buf.Write(data)
	p.wait = append(p.wait, done)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return <-done
}

// BenchmarkAppend measures one waited append of about 500 bytes, beside a
// plain group-committed file in the same run: p50 of both, their ratio, and
// flushes per entry.
func BenchmarkAppend(b *testing.B) {
	for _, delay := range []time.Duration{0, 2 * time.Millisecond} {
		for _, writers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("flush+%v/writers=%d", delay, writers), func(b *testing.B) {
				disk := slowFS{store.OSFS(), delay}
				s, stop := start(b, store.Options{Dir: b.TempDir(), Key: newKey(b), FS: disk, Projections: []audit.Projection{counts{}}})
				payload := json.RawMessage(fmt.Sprintf(`{"pad":%q}`, strings.Repeat("x", 250)))
				f, err := disk.OpenFile(filepath.Join(b.TempDir(), "plain.seg"), os.O_RDWR|os.O_CREATE, 0o644)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				plain := &plainFile{f: f, wake: make(chan struct{}, 1)}
				var wg sync.WaitGroup
				wg.Go(func() { plain.run(ctx) })
				b.ResetTimer()
				p50 := appendAll(b, writers, b.N, func(w, i int) error {
					_, err := s.Gate(ctx, audit.Draft{Type: "step.done/1", Slot: 1 + w, Unit: fmt.Sprintf("SN%d-%d", w, i/40), Data: payload})
					return err
				})
				b.StopTimer()
				st := s.Stats()
				data := bytes.Repeat([]byte("x"), 500)
				base := appendAll(b, writers, b.N, func(int, int) error { return plain.append(data) })
				b.ReportMetric(float64(p50.Microseconds()), "p50-µs")
				b.ReportMetric(float64(base.Microseconds()), "plain-p50-µs")
				b.ReportMetric(float64(p50)/float64(base), "p50-ratio")
				b.ReportMetric(float64(st.Flushes)/float64(max(st.Entries, 1)), "flushes/entry")
				cancel()
				wg.Wait()
				stop()
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

package stock_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/stock"
)

// journal writes facts to a real log.
type journal struct{ s *store.Store }

func (j journal) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	drafts, err := draftsOf(at, facts)
	if err == nil {
		_, err = j.s.Gate(ctx, drafts...)
	}
	return err
}

func (j journal) Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	drafts, err := draftsOf(at, facts)
	if err == nil {
		err = j.s.Queue(ctx, drafts...)
	}
	return err
}

func draftsOf(at station.Scope, facts []station.Fact) (drafts []audit.Draft, err error) {
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, audit.Draft{Type: name, Slot: at.Slot, Actor: string(at.Actor), Unit: string(at.Unit), Run: string(at.Run), Data: data})
	}
	return drafts, nil
}

// TestWithTheStore runs import and reservations on the real log in a folder
// with its vault beside it, starts anew, rebuilds what is derived, and searches
// the folder for secrets.
func TestWithTheStore(t *testing.T) {
	dir := t.TempDir()
	key, _, err := audit.NewKey("example.org/line-1")
	if err != nil {
		t.Fatal(err)
	}
	reserved := map[string]station.RunID{}
	for start := range 2 {
		s, err := store.Open(ctx, store.Options{Dir: dir, Key: key, Projections: []audit.Projection{stock.Projection{}}})
		if err != nil {
			t.Fatal(err)
		}
		run, stop := context.WithCancel(ctx)
		var g errgroup.Group
		g.Go(func() error { return s.Run(run) })
		vault := openVault(t, filepath.Join(dir, "vault"))
		l := stock.NewLedger(s.View, vault, func(ctx context.Context) error { _, err := s.Gate(ctx); return err })
		if err := l.Recover(ctx, journal{s}); err != nil {
			t.Fatal(err)
		}
		if start == 0 {
			text := "batch,activation_code,cc\n"
			for i := range 100 {
				text += fmt.Sprintf("B,LPA:1$s.example$%s-%d,%s\n", canary, i, canary)
			}
			if out, err := l.Import(ctx, stock.Source{Name: "c.csv", Data: []byte(text)}, station.Scope{}, journal{s}); err != nil || out.Profiles != 100 {
				t.Fatal(out, err)
			}
		}
		reserveMany(t, l, s, reserved)
		stop()
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(reserved) != 80 {
		t.Errorf("%d profiles reserved by 80 runs", len(reserved))
	}
	searchCanaries(t, dir, canary)
}

// reserveMany reserves for 40 new runs from 8 slots at once, and again for 8 of
// the runs of an earlier start.
func reserveMany(t *testing.T, l *stock.Ledger, s *store.Store, reserved map[string]station.RunID) {
	t.Helper()
	first := len(reserved)
	for handle, run := range reserved { // what they had they get again
		item, err := l.Reserve(ctx, stock.Want{Run: run, Unit: "SN-" + station.Serial(run)}, record(s, run))
		if err != nil || item.Handle != handle {
			t.Errorf("%s got %s, had %s: %v", run, item.Handle, handle, err)
		}
		if _, err := l.Code(ctx, handle); err != nil {
			t.Error(err)
		}
	}
	results := make([]station.StockItem, 40)
	var g errgroup.Group
	g.SetLimit(8)
	for i := range results {
		g.Go(func() (err error) {
			run := station.RunID(fmt.Sprint("r", first+i))
			results[i], err = l.Reserve(ctx, stock.Want{Run: run, Unit: "SN-" + station.Serial(run)}, record(s, run))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, item := range results {
		if other, double := reserved[item.Handle]; double {
			t.Errorf("%s went to %s and %s", item.Handle, other, item.Run)
		}
		reserved[item.Handle] = item.Run
	}
}

func record(s *store.Store, run station.RunID) stock.Record {
	return func(ctx context.Context, facts ...station.Fact) error {
		return journal{s}.Gate(ctx, station.Scope{Slot: 1, Unit: "SN-" + station.Serial(run), Run: run}, facts...)
	}
}

// BenchmarkReserve is one reservation from a stock of ten thousand on the real log.
func BenchmarkReserve(b *testing.B) {
	dir := b.TempDir()
	key, _, err := audit.NewKey("example.org/line-1")
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(ctx, store.Options{Dir: dir, Key: key, Projections: []audit.Projection{stock.Projection{}}})
	if err != nil {
		b.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return s.Run(run) })
	vault, err := stock.OpenVault(ctx, filepath.Join(dir, "vault"), testKey)
	if err != nil {
		b.Fatal(err)
	}
	l := stock.NewLedger(s.View, vault, nil)
	stocked := 0
	more := func() {
		text := strings.ReplaceAll(longList(10_000), "$s.example", fmt.Sprintf("$s%d.example", stocked))
		if _, err := l.Import(ctx, stock.Source{Name: "c.csv", Data: []byte(text)}, station.Scope{}, journal{s}); err != nil {
			b.Fatal(err)
		}
		stocked += 10_000
	}
	more()
	n := 0
	for b.Loop() {
		if n == stocked {
			b.StopTimer()
			more()
			b.StartTimer()
		}
		id := station.RunID(fmt.Sprint("r", n))
		if _, err := l.Reserve(ctx, stock.Want{Run: id}, record(s, id)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	stop()
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

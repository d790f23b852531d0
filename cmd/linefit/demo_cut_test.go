package main

import (
	"context"
	"errors"
	"sync"
	"testing"

	"linefit/audit"
	"linefit/station/plant"
	"linefit/station/stock"
)

// TestDemoGoesOnAfterACutImport: the process ends while the codes or packages
// that the line bought are in the vault and the log has none or some of them. The
// next one takes in the rest, and no code twice.
func TestDemoGoesOnAfterACutImport(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		took       int // gates
		total      int // profiles in the end
	}{
		{"codes, nothing", modeOnline, 0, 58}, {"codes, some", modeOnline, 1, 58},
		{"packages, nothing", modeFactory, 0, 120}, {"packages, some", modeFactory, 2, 120},
	} {
		t.Run(c.name, func(t *testing.T) {
			units := 40
			cmd := &demoCmd{Headless: true, Units: &units, Slots: 4, Seed: 1, Faults: "none", Mode: c.mode, Codes: "ledger", Dir: t.TempDir()}
			life := func(cut bool) (total int, err error) {
				d, err := cmd.open(&app{ctx: t.Context()}, cmd.Dir)
				if err != nil {
					t.Fatal(err)
				}
				buy := (*demo).stockUp
				if cut {
					buy, d.plant.Journal.Log = (*demo).buy, &cutLog{Appender: d.plant.Journal.Log, left: c.took}
				}
				ctx, stop := context.WithCancel(t.Context())
				err = d.plant.Run(ctx, func(ctx context.Context) error {
					defer stop()
					plant.AwaitOK(ctx, d.plant.Store)
					err := buy(d, ctx)
					return errors.Join(err, d.plant.Log.View(func(v audit.View) error {
						n, err := stock.Count(v)
						total = n.Total
						return err
					}))
				})
				if err := errors.Join(d.plant.Close(), d.world.Close()); err != nil {
					t.Fatal(err)
				}
				return total, err
			}
			if _, err := life(true); !errors.Is(err, errCut) {
				t.Fatalf("the import was not cut off: %v", err)
			}
			for range 2 {
				if total, err := life(false); err != nil || total != c.total {
					t.Errorf("%d profiles, not %d: %v", total, c.total, err)
				}
			}
		})
	}
}

var errCut = errors.New("the process ends here")

// cutLog takes so many gates.
type cutLog struct {
	plant.Appender
	mu   sync.Mutex
	left int
}

// Gate implements plant.Appender.
func (l *cutLog) Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left < 0 {
		return nil, errCut
	}
	return l.Appender.Gate(ctx, drafts...)
}

package store_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/audit/store"
)

// counts is a projection: entries per type, and the order they came in.
type counts struct{}

func (counts) Name() string { return "counts/1" }

func (counts) Apply(txn audit.Txn, e audit.Entry) error {
	v, _, err := txn.Get([]byte(e.Type))
	if err != nil {
		return err
	}
	n := uint64(0)
	if len(v) == 8 {
		n = binary.BigEndian.Uint64(v)
	}
	return txn.Set([]byte(e.Type), binary.BigEndian.AppendUint64(nil, n+1))
}

func count(t testing.TB, s *store.Store, typ string) uint64 {
	t.Helper()
	var n uint64
	err := s.View(func(v audit.View) error {
		r, err := v.Projection("counts/1")
		if err != nil {
			return err
		}
		value, ok, err := r.Get([]byte(typ))
		if ok {
			n = binary.BigEndian.Uint64(value)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newKey(t testing.TB) audit.Key {
	t.Helper()
	k, _, err := audit.NewKey("test.example/station-1")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// start opens a store, runs it, and returns it with the function that ends it.
func start(t testing.TB, o store.Options) (*store.Store, func()) {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return s, stop
}

func draft(typ string, slot int, unit string, n int) audit.Draft {
	return audit.Draft{Type: typ, Slot: slot, Unit: unit, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func TestGateIsDurableAppliedAndCounted(t *testing.T) {
	o := store.Options{Dir: t.TempDir(), Key: newKey(t), Projections: []audit.Projection{counts{}}}
	s, stop := start(t, o)
	if err := s.Queue(t.Context(), draft("step.done/1", 3, "SN1", 1)); err != nil {
		t.Fatal(err)
	}
	es, err := s.Gate(t.Context(), draft("run.verdict/1", 3, "SN1", 2), draft("ticket.opened/1", 0, "SN1", 3))
	if err != nil {
		t.Fatal(err)
	}
	if len(es) != 2 || es[0].Seq != 2 || es[0].SlotSeq != 2 || es[0].UnitSeq != 2 || es[1].SlotSeq != 1 || es[1].UnitSeq != 3 {
		t.Fatalf("entries %+v", es)
	}
	if n := count(t, s, "step.done/1"); n != 1 {
		t.Fatalf("the queued entry was applied %d times", n)
	}
	size, root := s.Head()
	stop()

	s, stop = start(t, o)
	if h := s.State(); h.State != store.OK {
		t.Fatalf("reopened: %+v", h)
	}
	if size2, root2 := s.Head(); size2 != size || root2 != root || size != 3 {
		t.Fatalf("head %d %v, was %d %v", size2, root2, size, root)
	}
	es, err = s.Gate(t.Context(), draft("run.started/1", 3, "SN1", 4))
	if err != nil {
		t.Fatal(err)
	}
	if es[0].Seq != 4 || es[0].SlotSeq != 3 || es[0].UnitSeq != 4 {
		t.Fatalf("after reopening %+v", es)
	}
	err = s.View(func(v audit.View) error {
		var got []uint64
		for e, err := range v.Unit("SN1") {
			if err != nil {
				return err
			}
			got = append(got, e.Seq)
		}
		if fmt.Sprint(got) != "[1 2 3 4]" {
			return fmt.Errorf("unit's entries %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := s.Gate(t.Context(), draft("run.started/1", 3, "SN1", 5)); !errors.As(err, new(*store.StateError)) {
		t.Fatalf("gate after close: %v", err)
	}
}

func TestSecondOpenNamesTheHolder(t *testing.T) {
	o := store.Options{Dir: t.TempDir(), Key: newKey(t)}
	start(t, o)
	_, err := store.Open(t.Context(), o)
	var locked *store.LockedError
	if !errors.As(err, &locked) || locked.PID == 0 || locked.Program == "" {
		t.Fatalf("got %v", err)
	}
}

func TestStoreInBubble(t *testing.T) {
	dir, key := t.TempDir(), newKey(t)
	synctest.Test(t, func(t *testing.T) {
		s, stop := start(t, store.Options{Dir: dir, Key: key, Sim: true, Projections: []audit.Projection{counts{}}})
		var wg sync.WaitGroup
		for slot := 1; slot <= 8; slot++ {
			wg.Go(func() {
				for n := range 60 {
					time.Sleep(time.Minute)
					if _, err := s.Gate(t.Context(), draft("step.done/1", slot, fmt.Sprint("SN", slot), n)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		followed := 0
		wg.Go(func() {
			for e, err := range s.Follow(ctx, 0) {
				if err != nil {
					return
				}
				if followed++; e.Seq != uint64(followed) {
					t.Errorf("entry %d came as number %d", e.Seq, followed)
				}
				if followed == 480 {
					cancel()
				}
			}
		})
		wg.Wait()
		if n := count(t, s, "step.done/1"); n != 480 || followed != 480 {
			t.Errorf("%d entries, %d followed", n, followed)
		}
		stop()
	})
}

package store_test

import (
	"errors"
	"slices"
	"testing"

	"linefit/audit"
)

// A running store proves from its derived tree what its log proves from the
// evidence, for every size, also while tiles fill up and in the next shard.
func TestStoreSince(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	check := func() {
		t.Helper()
		if _, err := s.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		l := openLog(t, o)
		n, _ := s.Head()
		for _, size := range []uint64{0, 1, 2, n / 3, 255, 256, 257, n - 1, n} {
			if size > n {
				continue
			}
			got, err := s.Since(size)
			want, err2 := l.Since(t.Context(), size)
			if err != nil || err2 != nil || !slices.Equal(got.Path, want.Path) || got.New.Head != want.New.Head || string(got.New.Note) != string(want.New.Note) || got.New.Size != n {
				t.Fatalf("%d of %d: %+v, %v; the evidence says %+v, %v", size, n, got, err, want, err2)
			}
		}
		var f *audit.FindingError
		if _, err := s.Since(n + 1); !errors.As(err, &f) || f.Code != audit.FindRollback {
			t.Errorf("%v", err)
		}
	}
	gateN(t, s, "SN1", 255)
	check()
	gateN(t, s, "SN2", 1)
	check()
	gateN(t, s, "SN2", 300)
	check()
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	gateN(t, s, "SN3", 20)
	check()
	stop()
	if _, err := s.Since(1); err == nil {
		t.Error("a closed store proves")
	}
}

package report

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBucketsAreInOrderAndNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "ms")
		i := bucketOf(ms)
		if low, next := lowest(i), lowest(i+1); ms < low || ms >= next || ms >= exact && next-low > low/64 {
			t.Fatalf("%d is in bucket %d from %d to %d", ms, i, low, next)
		}
		if bucketOf(ms+1) < i || i > 64*60 {
			t.Fatalf("bucket %d of %d, %d of the next", i, ms, bucketOf(ms+1))
		}
	})
}

// TestQuantiles holds the histogram against sorting.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 10_000_000), 1, 300).Draw(t, "values")
		var h histogram
		for _, v := range values {
			h.add(v)
		}
		slices.Sort(values)
		for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
			want := values[int(math.Ceil(q*float64(len(values))))-1]
			if got := h.quantile(q); math.Abs(float64(got-want)) > float64(want)/50+0.5 {
				t.Fatalf("quantile %v is %d, want %d of %v", q, got, want, values)
			}
		}
		if x := h.times(); x.Min != values[0] || x.Max != values[len(values)-1] || x.Count != uint64(len(values)) {
			t.Fatalf("%+v of %v", x, values)
		}
	})
}

// TestWilson holds the interval against published values (Newcombe 1998).
func TestWilson(t *testing.T) {
	for _, c := range []struct{ part, all, low, high int }{
		{81, 263, 255, 367}, {15, 148, 62, 161}, {0, 20, 0, 162}, {1, 29, 6, 172}, {0, 0, 0, 1000}, {5, 5, 565, 1000},
	} {
		if low, high := wilson(c.part, c.all); low != c.low || high != c.high {
			t.Errorf("%d of %d: %d to %d, want %d to %d", c.part, c.all, low, high, c.low, c.high)
		}
	}
}

func TestTrendFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fine, total := map[int64]*Bar{}, 0
		for _, k := range rapid.SliceOfN(rapid.Int64Range(-1_000_000, 100_000_000), 0, 40).Draw(t, "keys") {
			if fine[k] == nil {
				fine[k] = &Bar{}
			}
			fine[k].Pass++
			total++
		}
		bars, step := trend(fine)
		for i, b := range bars {
			total -= b.Pass
			if i > 0 && b.At.Sub(bars[i-1].At).Seconds() != float64(step) {
				t.Fatalf("bars %v and %v, step %d", bars[i-1].At, b.At, step)
			}
		}
		if total != 0 || len(bars) > shownBars {
			t.Fatalf("%d bars, %d runs lost", len(bars), total)
		}
	})
}

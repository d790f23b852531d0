package report

import "math/bits"

// histogram counts times in milliseconds: exact below 128, above in buckets of
// 1/64 of their value, so that it has at most some thousand buckets whatever it
// is fed. The zero value is empty.
type histogram struct {
	buckets  []uint32
	n        uint64
	sum      int64
	min, max int64
}

const (
	subBits = 6            // 64 buckets for each power of two
	exact   = 2 << subBits // below this every value has its own bucket
)

func (h *histogram) add(ms int64) {
	ms = max(ms, 0)
	i := bucketOf(ms)
	for len(h.buckets) <= i {
		h.buckets = append(h.buckets, make([]uint32, i+1-len(h.buckets))...)
	}
	h.buckets[i]++
	if h.n == 0 || ms < h.min {
		h.min = ms
	}
	h.max = max(h.max, ms)
	h.n++
	h.sum += ms
}

func bucketOf(ms int64) int {
	if ms < exact {
		return int(ms)
	}
	shift := bits.Len64(uint64(ms)) - subBits - 1
	return exact + (shift-1)<<subBits + int(ms>>shift) - 1<<subBits
}

// lowest is the smallest value of a bucket.
func lowest(bucket int) int64 {
	if bucket < exact {
		return int64(bucket)
	}
	b := bucket - exact
	return int64(b&(1<<subBits-1)+1<<subBits) << (b>>subBits + 1)
}

// quantile is the smallest value that at least q of the values do not exceed,
// within the width of its bucket; 0 of nothing.
func (h *histogram) quantile(q float64) int64 {
	if h.n == 0 {
		return 0
	}
	rank, seen := uint64(q*float64(h.n)+0.999999), uint64(0)
	rank = max(rank, 1)
	for i, c := range h.buckets {
		if seen += uint64(c); seen >= rank {
			mid := (lowest(i) + lowest(i+1) - 1) / 2
			return min(max(mid, h.min), h.max)
		}
	}
	return h.max
}

// Times are the times of something, in milliseconds.
type Times struct {
	Count uint64 `json:"count"`
	Min   int64  `json:"min_ms"`
	P50   int64  `json:"p50_ms"`
	P90   int64  `json:"p90_ms"`
	P95   int64  `json:"p95_ms"`
	P99   int64  `json:"p99_ms"`
	Max   int64  `json:"max_ms"`
	Mean  int64  `json:"mean_ms"`
}

func (h *histogram) times() Times {
	if h == nil || h.n == 0 {
		return Times{}
	}
	return Times{
		Count: h.n, Min: h.min, P50: h.quantile(0.50), P90: h.quantile(0.90), P95: h.quantile(0.95), P99: h.quantile(0.99),
		Max: h.max, Mean: h.sum / int64(h.n),
	}
}

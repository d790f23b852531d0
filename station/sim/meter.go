package sim

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// interval is a span of time in which a virtual part made the station wait.
type interval struct{ start, due time.Time }

// Meter measures a slot's wire efficiency: the time in which some virtual part
// charged for itself, divided by the time from power-on to release. It is a
// modemsim.Meter; the SM-DP+ charges it too. It is safe for concurrent use.
type Meter struct {
	mu      sync.Mutex
	open    time.Time // begin of the present window; zero: none
	pending []interval
	charged time.Duration
	windows time.Duration
}

// Charge implements modemsim.Meter.
func (m *Meter) Charge(start, due time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.open.IsZero() && due.After(start) {
		m.pending = append(m.pending, interval{start, due})
	}
}

// begin opens the window at the first power-on of a run.
func (m *Meter) begin(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.IsZero() {
		m.open = at
	}
}

// end closes it at the release.
func (m *Meter) end(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.IsZero() {
		return
	}
	m.windows += at.Sub(m.open)
	m.charged += union(m.pending, m.open, at)
	m.open, m.pending = time.Time{}, m.pending[:0]
}

// sums are the time charged and the length of all windows.
func (m *Meter) sums() (charged, windows time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.charged, m.windows
}

// union is the length of the union of intervals between from and to.
func union(spans []interval, from, to time.Time) time.Duration {
	slices.SortFunc(spans, func(a, b interval) int {
		return cmp.Or(a.start.Compare(b.start), a.due.Compare(b.due))
	})
	var sum time.Duration
	reached := from
	for _, s := range spans {
		start, due := s.start, s.due
		if start.Before(reached) {
			start = reached
		}
		if due.After(to) {
			due = to
		}
		if due.After(start) {
			sum += due.Sub(start)
			reached = due
		}
	}
	return sum
}

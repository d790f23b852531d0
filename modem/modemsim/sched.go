package modemsim

import (
	"container/heap"
	"time"
)

// event is something that happens to the module at a moment of its own time
// line. Events of equal time happen in the order they were scheduled.
type event struct {
	at     time.Time
	seq    uint64
	epoch  uint64 // the power period it belongs to
	sticky bool   // survives a power cut: it belongs to the outside world
	run    func(at time.Time)
}

type eventHeap []*event

func (h eventHeap) Len() int      { return len(h) }
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h *eventHeap) Push(x any) { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}

// timeline is the module's future. An event runs with the time it was due at,
// not with the time somebody got round to it, so that lateness of the host
// process never adds up.
type timeline struct {
	events eventHeap
	seq    uint64
	epoch  uint64
}

func (t *timeline) at(at time.Time, run func(at time.Time)) { t.add(at, false, run) }

func (t *timeline) add(at time.Time, sticky bool, run func(at time.Time)) {
	t.seq++
	heap.Push(&t.events, &event{at: at, seq: t.seq, epoch: t.epoch, sticky: sticky, run: run})
}

// cut forgets every event of the power period that ends.
func (t *timeline) cut() { t.epoch++ }

// run lets everything happen that is due at now.
func (t *timeline) run(now time.Time) {
	for len(t.events) > 0 && !t.events[0].at.After(now) {
		e := heap.Pop(&t.events).(*event)
		if e.sticky || e.epoch == t.epoch {
			e.run(e.at)
		}
	}
}

// next is when the next event is due.
func (t *timeline) next() (time.Time, bool) {
	for len(t.events) > 0 {
		if e := t.events[0]; e.sticky || e.epoch == t.epoch {
			return e.at, true
		}
		heap.Pop(&t.events)
	}
	return time.Time{}, false
}

// lineRate is one direction of a serial line: ten bits a character (8N1). It
// carries the remainder of the division, so that any number of characters
// takes exactly characters x 10 / baud, whatever pieces they come in.
type lineRate struct {
	baud int // bits per second; 0: characters take no time
	rest int64
	free time.Time // when the last character scheduled is through
}

// take schedules n characters not before at and returns when the first one
// starts and the last one is through.
func (l *lineRate) take(at time.Time, n int) (start, due time.Time) {
	if at.Before(l.free) {
		at = l.free
	}
	l.free = at.Add(l.span(n))
	return at, l.free
}

func (l *lineRate) span(n int) time.Duration {
	if l.baud <= 0 {
		return 0
	}
	bits := int64(n)*10*int64(time.Second) + l.rest
	l.rest = bits % int64(l.baud)
	return time.Duration(bits / int64(l.baud))
}

// char is about one character's time.
func (l *lineRate) char() time.Duration {
	if l.baud <= 0 {
		return 0
	}
	return 10 * time.Second / time.Duration(l.baud)
}

package store

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"linefit/audit"
)

// Bounds of the queue between writers and the appender.
const (
	maxCall    = 64   // drafts in one Gate or Queue
	queueUnits = 4096 // one unit is a draft's first KB, one more each further KB
)

// A request is the drafts of one Gate or Queue, appended in one batch.
type request struct {
	drafts []stamped
	units  int64
	gate   bool
	own    bool // the log's own

	done    chan struct{} // closed when entries or err is set; gates only
	entries []audit.Entry
	err     error
}

// stamped is a draft with the time of its acceptance.
type stamped struct {
	audit.Draft
	utc   time.Time
	mono  int64
	clock string
}

// queue is the bounded queue in front of the appender. Order of acceptance is
// order of entries, and time stamps are taken under the same lock, so that
// mono never decreases along seq.
type queue struct {
	room *semaphore.Weighted
	wake chan struct{} // one token when something is waiting
	now  func() (time.Time, int64, string)

	mu      sync.Mutex
	waiting []*request
	shut    *StateError // set while nothing is accepted
}

func newQueue(now func() (time.Time, int64, string)) *queue {
	return &queue{
		room: semaphore.NewWeighted(queueUnits),
		wake: make(chan struct{}, 1),
		now:  now,
	}
}

// put waits for room and accepts the drafts, or says why not.
func (q *queue) put(ctx context.Context, drafts []audit.Draft, gate bool) (*request, error) {
	r := &request{drafts: make([]stamped, len(drafts)), gate: gate}
	for i, d := range drafts {
		r.drafts[i].Draft = d
		r.units += 1 + int64(len(d.Data)>>10)
	}
	if gate {
		r.done = make(chan struct{})
	}
	if err := q.refused(); err != nil {
		return nil, err
	}
	if err := q.room.Acquire(ctx, r.units); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shut != nil {
		q.room.Release(r.units)
		return nil, q.shut
	}
	for i := range r.drafts {
		d := &r.drafts[i]
		d.utc, d.mono, d.clock = q.now()
	}
	q.waiting = append(q.waiting, r)
	if len(q.waiting) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return r, nil
}

// stamp gives an entry of the log's own the time of its acceptance. What is
// waiting comes after it, so it cannot be later than that.
func (q *queue) stamp(d audit.Draft) stamped {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := stamped{}
	t.utc, t.mono, t.clock = q.now()
	for _, r := range q.waiting {
		if len(r.drafts) > 0 {
			t = r.drafts[0]
			break
		}
	}
	t.Draft = d
	return t
}

func (q *queue) refused() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shut != nil {
		return q.shut
	}
	return nil
}

// take removes what the next batch holds: whole requests in order, as many as
// fit.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	entries, bytes, n := 0, 0, 0
	for _, r := range q.waiting {
		size := 0
		for _, d := range r.drafts {
			size += len(d.Data) + 512
		}
		// A clock step may add an entry before each draft.
		if n > 0 && (entries+2*len(r.drafts) > maxBatchEntries || bytes+size > maxBatch) {
			break
		}
		entries, bytes, n = entries+len(r.drafts), bytes+size, n+1
	}
	taken := q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	return taken
}

// len returns how many requests wait.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// close refuses everything from now on; nil opens the queue again.
func (q *queue) close(why *StateError) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = why
}

// answer ends a request; entries is nil when err is not.
func (q *queue) answer(r *request, entries []audit.Entry, err error) {
	q.room.Release(r.units)
	r.entries, r.err = entries, err
	if r.done != nil {
		close(r.done)
	}
}

package plant

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"linefit/audit/store"
	"linefit/station/engine"
	"linefit/station/mes"
)

// Log is the station's log as its parts need it.
type Log interface {
	engine.Log
	mes.Log
	State() store.Health
	Seal(what string, sum [sha256.Size]byte) ([]byte, error)
}

// Waiter is a log that stops and goes on.
type Waiter interface {
	State() store.Health
	Resume(ctx context.Context) error
	Changed() <-chan struct{}
}

// resumeEvery is the time between two tries to append again after the log stopped.
const resumeEvery = time.Second

// Await blocks until the log can be appended to again, and makes it so where it
// can. A log that is not what it must be waits for people. It returns an error
// when ctx is done or the log is lost for this process.
func Await(ctx context.Context, w Waiter) error {
	for {
		changed := w.Changed()
		switch h := w.State(); {
		case h.State == store.OK:
			return nil
		case h.Cause == store.CauseAlarm:
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case h.State != store.Stopped:
			return fmt.Errorf("the log is %s: %s", h.State, h.Reason)
		}
		if err := w.Resume(ctx); err == nil {
			continue
		}
		t := time.NewTimer(resumeEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// awaitable is the store with a way to wait until it can be written again.
type awaitable struct{ *store.Store }

// Await implements engine.Log.
func (a awaitable) Await(ctx context.Context) error { return Await(ctx, a.Store) }

// AwaitStop implements engine.Log.
func (a awaitable) AwaitStop(ctx context.Context) { AwaitStop(ctx, a.Store) }

// AwaitStop blocks until the log takes nothing more, or ctx is done.
func AwaitStop(ctx context.Context, w Waiter) { awaitState(ctx, w, false) }

// AwaitOK blocks until the log takes facts, or ctx is done. Beside a running
// engine nobody else makes it go on ([engine.Log]), so this only waits.
func AwaitOK(ctx context.Context, w Waiter) { awaitState(ctx, w, true) }

func awaitState(ctx context.Context, w Waiter, ok bool) {
	for {
		changed := w.Changed()
		if (w.State().State == store.OK) == ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

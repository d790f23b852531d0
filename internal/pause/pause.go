// Package pause waits out a time that hardware, a module or a server needs, and no
// longer than its context lives.
package pause

import (
	"context"
	"time"
)

// For returns nil after d, or the context's error when that ends first. A d of
// zero or less is no wait.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

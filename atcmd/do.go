package atcmd

import (
	"context"
	"fmt"
	"time"
)

// Do sends a command and waits for its final result.
//
// The error is nil for OK. A final result that says no is a *CMEError,
// *CMSError or *ResultError; the response then still has what came before.
// When nobody can know whether the command took effect (deadline, context
// ended, device gone, answer too long), the error matches [ErrUnknown] and the
// port is poisoned: every later Do fails with [ErrPoisoned] until
// [Port.Resync] or [Port.Reset], so a late answer never answers another
// command. A context that ends before the first byte was written leaves the
// port as it was.
func (p *Port) Do(ctx context.Context, cmd Command) (Response, error) {
	if err := cmd.check(); err != nil {
		return Response{}, err
	}
	if err := p.acquire(ctx); err != nil {
		return Response{}, fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	defer p.release()
	if err := p.ready(ctx); err != nil {
		return Response{}, fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	t := newTransaction(cmd)
	if err := p.transact(ctx, t); err != nil {
		return t.resp, fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	return t.resp, nil
}

// acquire takes the right to send.
func (p *Port) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return ErrClosed
	}
}

func (p *Port) release() { <-p.slot }

// ready refuses, or waits for the gap between two commands.
func (p *Port) ready(ctx context.Context) error {
	p.mu.Lock()
	err, wait := p.refusal(), time.Duration(0)
	if p.opt.Gap > 0 && !p.lastDone.IsZero() {
		wait = time.Until(p.lastDone.Add(p.opt.Gap))
	}
	p.mu.Unlock()
	if err != nil || wait <= 0 {
		return err
	}
	return p.sleep(ctx, wait)
}

// sleep waits out a gap that the line needs.
func (p *Port) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return ErrClosed
	case <-p.ended:
		return p.Err()
	}
}

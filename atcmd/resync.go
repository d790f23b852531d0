package atcmd

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Query is a command whose answer cannot be mistaken for another command's,
// such as AT+CGSN answered by the module's known IMEI.
type Query struct {
	Command

	// Valid returns nil for the answer that only this query has. nil accepts
	// OK alone, which proves that something answers but not what it answered:
	// enough after a power-up, not after a timeout.
	Valid func(Response) error

	// Tries is how often the query is sent; 3 when 0.
	Tries int

	// Settle is how long to wait for the answers to earlier tries once one
	// has arrived; the command's timeout when 0.
	Settle time.Duration
}

// Resync makes a poisoned port usable again, or fails and leaves it poisoned.
//
// It drains the line, sends the query and takes only the query's own valid
// answer; any other line and final result on the way belongs to the past and
// is dropped. When the query had to be sent k times, k answers are waited for,
// or silence for Settle: none of them may answer the next command. Resync
// itself sends nothing that the module could take for a command again.
//
// The error matches [ErrNoSync], [ErrGone], [ErrClosed] or the context's.
func (p *Port) Resync(ctx context.Context, q Query) (Response, error) {
	if err := q.check(); err != nil {
		return Response{}, err
	}
	if err := p.acquire(ctx); err != nil {
		return Response{}, fmt.Errorf("resync: %w", err)
	}
	defer p.release()
	if err := p.suspend("resync under way"); err != nil {
		return Response{}, fmt.Errorf("resync: %w", err)
	}
	if err := p.drain(ctx); err != nil {
		return Response{}, fmt.Errorf("resync: %w", err)
	}
	if err := p.leavePrompt(ctx); err != nil {
		return Response{}, fmt.Errorf("resync: %w", err)
	}
	resp, err := p.query(ctx, q)
	if err != nil {
		return Response{}, fmt.Errorf("resync: %w", err)
	}
	p.resume()
	return resp, nil
}

// Reset forgets the past of the line. It is right only when no answer can come
// any more: the module lost power or was reset after the last command. It
// waits for boot noise to end, bounded by [Options.DrainLimit]; on error the
// port is as it was.
func (p *Port) Reset(ctx context.Context) error {
	if err := p.acquire(ctx); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	defer p.release()
	p.mu.Lock()
	err := p.refusal()
	p.mu.Unlock()
	if err != nil && !errors.Is(err, ErrPoisoned) {
		return fmt.Errorf("reset: %w", err)
	}
	if err := p.drain(ctx); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	p.resume()
	return nil
}

// suspend poisons the port for the time of a resync.
func (p *Port) suspend(why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refusal(); err != nil && !errors.Is(err, ErrPoisoned) {
		return err
	}
	if p.poison == nil {
		p.poison = errors.New(why)
	}
	return nil
}

func (p *Port) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.poison, p.prompted, p.partial = nil, false, false
	p.m.failed, p.m.secret = "", false
	p.m.lex.dropTail()
	p.note("line is clean")
}

// drain waits until nothing was received for Quiet. Silence that has already
// passed counts.
func (p *Port) drain(ctx context.Context) error {
	start := time.Now()
	for {
		p.mu.Lock()
		wait := p.opt.Quiet
		if !p.lastByte.IsZero() {
			wait -= time.Since(p.lastByte)
		} else {
			wait = 0
		}
		limit := p.opt.DrainLimit
		p.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		if time.Since(start)+wait > limit {
			return fmt.Errorf("%w: no silence within %v", ErrNoSync, limit)
		}
		if err := p.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// leavePrompt frees a module that waits for text, or holds half a command. Both
// are only sent where they are known to be needed: a needless byte may abort
// the command that the card is still working on (V.250 section 5.6.1).
func (p *Port) leavePrompt(ctx context.Context) error {
	p.mu.Lock()
	var out []byte
	if p.prompted {
		out = append(out, 0x1b) // ESC ends text input (TS 27.005 section 3.5.1)
	}
	if p.partial {
		out = append(out, p.opt.Terminator...)
	}
	timeout, quiet := p.opt.Timeout, p.opt.Quiet
	p.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := p.writeRaw(limited, out); err != nil {
		return err
	}
	return p.sleep(ctx, quiet) // the module's word about it, if any
}

// writeRaw sends what is no command.
func (p *Port) writeRaw(ctx context.Context, out []byte) error {
	w := write{ctx, out, 0, make(chan writeResult, 1)}
	select {
	case p.writes <- w:
	case <-ctx.Done():
		return fmt.Errorf("%w: the line takes no characters: %w", ErrNoSync, ctx.Err())
	case <-p.ended:
		return p.Err()
	case <-p.closed:
		return ErrClosed
	}
	select {
	case r := <-w.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("%w: the line takes no characters: %w", ErrNoSync, ctx.Err())
	case <-p.ended:
		return p.Err()
	}
}

// query sends q until its own answer came, and makes sure that no further
// answer is under way.
func (p *Port) query(ctx context.Context, q Query) (Response, error) {
	tries := q.Tries
	if tries == 0 {
		tries = 3
	}
	var why error
	for try := 1; try <= tries; try++ {
		t := q.transaction(&why)
		err := p.transact(ctx, t)
		if err == nil {
			return t.resp, p.settle(ctx, q, try-1)
		}
		if ctx.Err() != nil || errors.Is(err, ErrGone) || errors.Is(err, ErrClosed) {
			return Response{}, err
		}
		if why == nil {
			why = err
		}
	}
	return Response{}, fmt.Errorf("%w: %s, %d tries: %w", ErrNoSync, q.Name(), tries, why)
}

// transaction accepts only the query's own answer; why keeps what came instead.
func (q Query) transaction(why *error) *transaction {
	t := newTransaction(q.Command)
	t.accept = func(r Response, err error) bool {
		if err == nil && q.Valid != nil {
			err = q.Valid(r)
		}
		if err != nil {
			*why = err
		}
		return err == nil
	}
	return t
}

// settle waits for the answers to n earlier tries, or for silence.
func (p *Port) settle(ctx context.Context, q Query, n int) error {
	if q.Settle != 0 {
		q.Timeout = q.Settle
	}
	for ; n > 0; n-- {
		var why error
		err := p.listen(ctx, q.transaction(&why))
		if ctx.Err() != nil || errors.Is(err, ErrGone) || errors.Is(err, ErrClosed) {
			return err
		}
		if err != nil { // silence: the earlier tries were lost
			return nil
		}
	}
	return nil
}

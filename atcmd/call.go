package atcmd

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// call is one transaction from the sender's side.
type call struct {
	p     *Port
	t     *transaction
	w     *inFlight
	start time.Time

	caller context.Context
	ctx    context.Context  // caller's, cut at the deadline
	wrote  chan writeResult // of the write under way, or nil
	sent   bool             // a write was begun
	due    bool             // the prompt came before the write's end was seen
	cut    bool             // a write ended in the middle
	final  bool             // the final result has come: t.err holds
}

// transact sends t's command and waits. Its caller holds the slot and has
// checked that the port may send.
func (p *Port) transact(ctx context.Context, t *transaction) error {
	c := p.begin(ctx, t)
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(ctx, t.cmd.Timeout)
	defer cancel()
	p.mu.Lock()
	p.stats.Commands++
	line := append(append(make([]byte, 0, len(t.cmd.Text)+2), t.cmd.Text...), p.opt.Terminator...)
	if p.opt.Trace != nil {
		p.opt.Trace(Sent, []byte(traced(t.cmd)))
	}
	p.mu.Unlock()
	if err := c.send(line); err != nil {
		return err
	}
	return c.wait()
}

// listen waits for what t accepts without sending anything.
func (p *Port) listen(ctx context.Context, t *transaction) error {
	c := p.begin(ctx, t)
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithTimeout(ctx, t.cmd.Timeout)
	defer cancel()
	return c.wait()
}

func (p *Port) begin(ctx context.Context, t *transaction) *call {
	c := &call{p: p, t: t, caller: ctx, start: time.Now()}
	c.w = &inFlight{done: make(chan *transaction, 1), prompt: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.cmd.Timeout == 0 {
		t.cmd.Timeout = p.opt.Timeout
	}
	p.waiter = c.w
	p.m.begin(t)
	return c
}

// send hands data to the writer goroutine.
func (c *call) send(data []byte) error {
	p := c.p
	p.mu.Lock()
	gap := p.opt.ByteGap
	p.mu.Unlock()
	wrote := make(chan writeResult, 1)
	select {
	case p.writes <- write{c.ctx, data, gap, wrote}:
		c.wrote, c.sent = wrote, true
		return nil
	case <-c.ctx.Done():
		return c.giveUp()
	case <-p.ended:
		return c.gone()
	case <-p.closed:
		return c.gone()
	}
}

// wait returns after the final result and the end of every write, or gives up.
func (c *call) wait() error {
	tail := newTailWatch(c.p)
	defer tail.timer.Stop()
	for !c.final || c.wrote != nil {
		var err error
		select {
		case <-c.w.done:
			c.final = true
		case r := <-c.wrote:
			err = c.written(r)
		case <-c.w.prompt:
			err = c.payload()
		case <-tail.timer.C:
			tail.check()
		case <-c.ctx.Done():
			return c.giveUp()
		case <-c.p.ended:
			return c.gone()
		}
		if err != nil {
			return err
		}
	}
	return c.t.err
}

func (c *call) written(r writeResult) error {
	c.wrote = nil
	switch {
	case r.err == nil && c.due:
		c.due = false
		return c.payload()
	case r.err == nil:
		return nil
	}
	c.cut = r.n > 0
	switch {
	case c.ctx.Err() != nil:
		return c.giveUp()
	case c.p.isClosed():
		return c.gone()
	}
	err := fmt.Errorf("%w: write: %w", ErrGone, r.err)
	if r.n > 0 || c.t.cmd.Payload != nil {
		err = unknown(err)
	}
	c.drop(err, c.cut)
	if c.finished() {
		return c.t.err
	}
	return err
}

// payload answers the prompt.
func (c *call) payload() error {
	if c.wrote != nil {
		c.due = true
		return nil
	}
	p, cmd := c.p, c.t.cmd
	p.mu.Lock()
	if p.opt.Trace != nil {
		shown := cmd.Payload
		if cmd.Secret {
			shown = []byte(Redacted)
		}
		p.opt.Trace(Sent, shown)
	}
	p.mu.Unlock()
	const ctrlZ = 0x1a
	return c.send(append(append(make([]byte, 0, len(cmd.Payload)+1), cmd.Payload...), ctrlZ))
}

// finished looks for a final result that came at the same time as the reason to
// stop waiting for it.
func (c *call) finished() bool {
	select {
	case <-c.w.done:
		c.final = true
	default:
	}
	return c.final
}

// giveUp ends the call at its deadline or with its context. A final result
// that came first wins, if nothing is left to be written.
func (c *call) giveUp() error {
	if c.finished() && c.wrote != nil {
		select {
		case r := <-c.wrote:
			if r.err == nil {
				c.wrote = nil
			}
		default:
		}
	}
	if c.final && c.wrote == nil {
		return c.t.err
	}
	cause := c.caller.Err()
	if cause == nil {
		cause = context.DeadlineExceeded
	}
	if !c.sent && c.t.accept == nil {
		c.drop(cause, false)
		return cause
	}
	err := &TimeoutError{After: time.Since(c.start), Cause: cause}
	c.drop(err, c.cut || c.wrote != nil)
	return err
}

// gone ends the call with the port. A final result that came first wins.
func (c *call) gone() error {
	if c.finished() {
		return c.t.err
	}
	err := c.p.lost()
	if !c.sent {
		err = errors.Unwrap(err)
	}
	c.drop(err, false)
	return err
}

// drop makes the port forget the call. If anything was sent it is poisoned:
// an answer may still come.
func (c *call) drop(err error, partial bool) {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiter == c.w {
		p.waiter = nil
		p.m.abandon()
	}
	if !c.sent {
		return
	}
	p.poison = err
	p.partial = p.partial || partial
	p.prompted = p.prompted || p.m.lex.tail() == ">"
	p.stats.Timeouts++
	p.note("%s: %v", c.t.cmd.Name(), err)
}

// tailWatch finds a final result whose line end never comes.
type tailWatch struct {
	p     *Port
	quiet time.Duration
	timer *time.Timer
}

func newTailWatch(p *Port) *tailWatch {
	p.mu.Lock()
	quiet := p.opt.TailQuiet
	p.mu.Unlock()
	t := &tailWatch{p: p, quiet: quiet, timer: time.NewTimer(max(quiet, 0))}
	if quiet < 0 {
		t.timer.Stop()
	}
	return t
}

// check takes an unterminated OK or ERROR as a line when the sender has been
// silent for long enough; then it looks again later.
func (t *tailWatch) check() {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	t.timer.Reset(t.quiet)
	tail := p.m.lex.tail()
	if tail != "OK" && tail != "ERROR" {
		return
	}
	if wait := t.quiet - time.Since(p.lastByte); wait > 0 {
		t.timer.Reset(wait)
		return
	}
	p.m.lex.dropTail()
	p.m.line(tail)
}

package atcmdtest

import (
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Playback is the module's side of a script, seen from the host: an
// io.ReadWriteCloser. It fails the test on a write that the script does not
// expect next, and on anything left over at Close.
type Playback struct {
	tb    testing.TB
	mode  Mode
	chunk func(available int) int

	mu      sync.Mutex
	wake    *sync.Cond
	steps   []step
	partial string // what was written of the next expectation
	out     []byte // what Read has to give
	waiting *time.Timer
	hungUp  bool
	closed  bool
	failed  bool
}

// Mode is how a Playback deals with what the script leaves open.
type Mode struct {
	// Echo sends every expected command back before its answer (ATE1).
	Echo bool

	// Chunk is the most bytes that one Read returns; 0 gives all there are.
	Chunk int

	// Seed, if not 0, makes every Read return a random number of the bytes
	// that are there.
	Seed uint64
}

// Play starts a script. It must be closed (the Port does it), and is checked
// for leftovers then. A script that cannot be read ends the test.
func Play(tb testing.TB, script string, mode Mode) *Playback {
	tb.Helper()
	steps, err := parse(script)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Playback{tb: tb, mode: mode, steps: steps}
	p.wake = sync.NewCond(&p.mu)
	p.chunk = func(n int) int { return n }
	switch {
	case mode.Seed != 0:
		r := rand.New(rand.NewPCG(mode.Seed, 1))
		p.chunk = func(n int) int { return 1 + r.IntN(n) }
	case mode.Chunk > 0:
		p.chunk = func(n int) int { return min(n, mode.Chunk) }
	}
	p.mu.Lock()
	p.advance()
	p.mu.Unlock()
	return p
}

// advance runs the script up to the next expectation or delay.
func (p *Playback) advance() {
	for len(p.steps) > 0 && p.waiting == nil && !p.steps[0].expects() {
		s := p.steps[0]
		p.steps = p.steps[1:]
		switch {
		case s.sends():
			p.out = append(p.out, s.data...)
		case s.kind == '~':
			p.waiting = time.AfterFunc(s.delay, p.resume)
		default:
			p.hungUp = true
		}
	}
	p.wake.Broadcast()
}

func (p *Playback) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = nil
	p.advance()
	p.match("")
}

// Read returns what the script sent, and blocks while there is nothing.
func (p *Playback) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) == 0 && !p.closed && !p.hungUp && !p.failed {
		p.wake.Wait()
	}
	if p.closed {
		return 0, io.ErrClosedPipe
	}
	if len(p.out) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.out[:p.chunk(len(p.out))])
	p.out = p.out[n:]
	return n, nil
}

// Write compares with the script.
func (p *Playback) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.hungUp || p.failed {
		return 0, io.ErrClosedPipe
	}
	p.match(string(b))
	return len(b), nil
}

// match adds written bytes and lets the script go on as far as they match. While
// the script waits, writes collect.
func (p *Playback) match(b string) {
	p.partial += b
	for p.partial != "" && p.waiting == nil {
		if len(p.steps) == 0 {
			p.fail("the script has ended, and got %q", p.partial)
			return
		}
		want := p.steps[0]
		n := min(len(p.partial), len(want.data))
		if p.partial[:n] != want.data[:n] {
			p.fail("script line %d expects %q, got %q", want.line, want.data, p.partial)
			return
		}
		if n < len(want.data) {
			return
		}
		p.steps, p.partial = p.steps[1:], p.partial[n:]
		if p.mode.Echo {
			p.out = append(p.out, want.data...)
		}
		p.advance()
	}
}

func (p *Playback) fail(format string, args ...any) {
	p.tb.Errorf("playback: "+format, args...)
	p.failed = true
	p.wake.Broadcast()
}

// Close ends reads and checks that the script was played to its end.
func (p *Playback) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.waiting != nil {
		p.waiting.Stop()
	}
	if len(p.steps) > 0 && !p.failed {
		p.tb.Errorf("playback: closed before script line %d", p.steps[0].line)
	}
	p.wake.Broadcast()
	return nil
}

package atcmd

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Port is the one owner of a byte pipe to a module. At most one command is in
// flight; callers queue. All methods may be called from any goroutine.
//
// A Port has two goroutines. The reader owns rwc.Read and ends when Read fails.
// The writer owns rwc.Write and ends when the port closes or the reader ended.
// [Port.Close] closes rwc and returns when both are gone, so rwc.Close must
// make a blocked Read and Write return.
type Port struct {
	rwc    io.ReadWriteCloser
	slot   chan struct{} // held by whoever may send
	writes chan write
	ended  chan struct{} // closed when the reader has ended
	closed chan struct{} // closed by Close
	wg     sync.WaitGroup
	once   sync.Once

	closeErr error // set in once

	mu       sync.Mutex // guards what follows
	opt      Options
	m        machine
	poison   error     // why commands are refused
	prompted bool      // the module waits at a prompt that nobody serves
	partial  bool      // a command line was written in part
	cause    error     // why the reader ended
	waiter   *inFlight // who waits for m.cur
	lastDone time.Time // of the last final result
	lastByte time.Time // of the last byte received
	urcs     urcQueue
	stats    Stats
}

// Stats counts since Open.
type Stats struct {
	Sent        uint64 // characters written, terminators included
	Received    uint64 // bytes read
	Commands    uint64 // commands begun
	Timeouts    uint64 // commands without a final result
	URCs        uint64 // lines handed to the URC queue
	URCsDropped uint64 // of them dropped because nobody read them
	Redacted    uint64 // lines after an unfinished secret command, not queued
	Noise       uint64 // bytes that are no text
}

// inFlight is how the reader tells the waiting caller.
type inFlight struct {
	done   chan *transaction // capacity 1
	prompt chan struct{}     // capacity 1
}

// Open takes over rwc.
func Open(rwc io.ReadWriteCloser, opt Options) *Port {
	p := &Port{
		rwc:    rwc,
		slot:   make(chan struct{}, 1),
		writes: make(chan write),
		ended:  make(chan struct{}),
		closed: make(chan struct{}),
	}
	p.configure(opt)
	p.urcs.ch = make(chan URC, p.opt.URCQueue)
	p.m.sink = (*portSink)(p)
	p.wg.Go(p.read)
	p.wg.Go(p.write)
	return p
}

// Configure replaces the options for the commands that follow. The capacity of
// the URC queue stays.
func (p *Port) Configure(opt Options) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.configure(opt)
}

// Options returns the options in force, defaults filled in.
func (p *Port) Options() Options {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opt
}

func (p *Port) configure(opt Options) {
	p.opt = opt.withDefaults()
	p.m.lex.max, p.m.maxAnswer = p.opt.MaxAnswer, p.opt.MaxAnswer
	p.m.numeric, p.m.urcs, p.m.restarts = p.opt.Numeric, p.opt.URCs, p.opt.Restarts
}

// URCs delivers every line that no command asked for to exactly one reader, in
// order. It never holds up the engine: when nobody reads, the oldest lines are
// dropped and counted. It is closed when the port ends.
func (p *Port) URCs() <-chan URC { return p.urcs.ch }

// Done is closed when the device below the port ended, or the port was closed.
func (p *Port) Done() <-chan struct{} { return p.ended }

// Err says why commands are refused: an error matching [ErrPoisoned],
// [ErrGone] or [ErrClosed], or nil.
func (p *Port) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refusal()
}

// Stats returns the counters.
func (p *Port) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.URCsDropped, s.Noise = p.urcs.dropped, p.m.lex.noise
	return s
}

// Close closes the device and returns when the port's goroutines are gone. A
// command in flight ends with [ErrClosed].
func (p *Port) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.closeErr = p.rwc.Close()
		p.wg.Wait()
	})
	return p.closeErr
}

func (p *Port) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// refusal is why no command can be sent now.
func (p *Port) refusal() error {
	switch {
	case p.isClosed():
		return ErrClosed
	case p.cause != nil:
		return fmt.Errorf("%w: %w", ErrGone, p.cause)
	case p.poison != nil:
		return fmt.Errorf("%w (%w)", ErrPoisoned, p.poison)
	}
	return nil
}

// lost is why the command in flight ended with the port.
func (p *Port) lost() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return unknown(ErrClosed)
	}
	return unknown(fmt.Errorf("%w: %w", ErrGone, p.cause))
}

// read is the reader goroutine.
func (p *Port) read() {
	defer close(p.ended)
	defer close(p.urcs.ch)
	buf := make([]byte, 4096)
	for idle := 0; ; {
		n, err := p.rwc.Read(buf)
		if n > 0 {
			idle = 0
			p.received(buf[:n])
		}
		if err != nil {
			p.mu.Lock()
			p.cause = err
			p.mu.Unlock()
			return
		}
		// A Read of (0, nil) is a read timeout below; one that returns at once
		// must not eat the processor.
		if n == 0 {
			if idle++; idle > 100 {
				p.pause(time.Millisecond)
			}
		}
	}
}

func (p *Port) received(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Received += uint64(len(b))
	p.lastByte = time.Now()
	p.m.feed(b)
}

// pause waits for d, or less when the port closes.
func (p *Port) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.closed:
	}
}

// portSink receives the machine's events; p.mu is held.
type portSink Port

func (s *portSink) urc(u URC) {
	if u.redacted {
		s.stats.Redacted++
		return
	}
	s.stats.URCs++
	s.urcs.put(u)
}

func (s *portSink) prompt() {
	if s.waiter != nil {
		s.waiter.prompt <- struct{}{}
	}
}

func (s *portSink) done(t *transaction) {
	s.lastDone = time.Now()
	if t.broken {
		s.poison = t.err
		if s.poison == nil {
			s.poison = errors.New("line in data mode")
		}
	}
	if s.waiter != nil {
		s.waiter.done <- t
		s.waiter = nil
	}
}

func (s *portSink) trace(line string, redact bool) {
	if s.opt.Trace == nil {
		return
	}
	if redact {
		line = Redacted
	}
	s.opt.Trace(Received, []byte(line))
}

func (p *Port) note(format string, args ...any) {
	if p.opt.Trace != nil {
		p.opt.Trace(Note, fmt.Appendf(nil, format, args...))
	}
}

package modemsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

var (
	// ErrServing is the error of a second Serve at the same time.
	ErrServing = errors.New("the module's port is being served already")
	// ErrPortGone is Serve's error when the port vanished: the module lost
	// power or restarts behind an enumerating port, or a fault took it. WaitPort
	// waits for its return.
	ErrPortGone = errors.New("the module's port is gone")
)

const (
	readSize = 4096
	// inFlight bounds the characters on their way in before reading pauses.
	inFlight = 8192
	// outQueue bounds what the module has sent and nobody has read; more is lost.
	outQueue = 1 << 16
	// maxCredit bounds how much lateness of the host process is given back.
	maxCredit = 100 * time.Millisecond
)

// chunk is what one read brought.
type chunk struct {
	data []byte
	at   time.Time // by port.now
	rate int       // the host's, 0 where the line does not know it
	err  error
}

// port is one time that the module's port is open. The serving goroutine owns
// it; closed, late and queue are under mu.
type port struct {
	rw   io.ReadWriteCloser
	in   chan chunk
	kick chan struct{} // the module's future changed
	room chan struct{} // the queue has something
	done chan struct{} // the port is over

	mu     sync.Mutex
	once   sync.Once
	queue  []outgoing
	queued int
	late   time.Duration // of the last write
	isGone bool
}

type outgoing struct {
	data []byte
	due  time.Time
}

// Serve lets the module talk over rw, the far end of its serial line, until
// ctx ends (nil), the other side closes the line (an error that wraps io.EOF or
// the read's own error) or the port vanishes ([ErrPortGone]). It owns rw and
// closes it before it returns; its goroutines end with it. Up to 4096 characters
// that the module sends while nobody serves wait for the next Serve.
func (m *Module) Serve(ctx context.Context, rw io.ReadWriteCloser) error {
	p := &port{
		rw: rw, in: make(chan chunk), kick: make(chan struct{}, 1),
		room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := m.attach(p); err != nil {
		return errors.Join(err, rw.Close())
	}
	var wg sync.WaitGroup
	wg.Go(p.read)
	wg.Go(p.write)
	err := m.loop(ctx, p)
	m.mu.Lock()
	m.port = nil
	m.mu.Unlock()
	p.end()
	closed := rw.Close()
	wg.Wait()
	if err == nil && closed != nil {
		return fmt.Errorf("close the line: %w", closed)
	}
	return err
}

func (m *Module) attach(p *port) error {
	m.lock()
	defer m.unlock()
	switch {
	case m.port != nil:
		return ErrServing
	case !m.portUp:
		return ErrPortGone
	}
	m.port = p
	if len(m.held) > 0 {
		p.send(m.held, time.Now())
		m.held = nil
	}
	return nil
}

// WaitPort waits until the module's port can be opened.
func (m *Module) WaitPort(ctx context.Context) error {
	return m.wait(ctx, func() bool { return m.portUp })
}

// WaitReady waits until the module has booted and read its card, or found none.
func (m *Module) WaitReady(ctx context.Context) error {
	return m.wait(ctx, m.ready)
}

// wait waits for a state of the module, which goes on meanwhile.
func (m *Module) wait(ctx context.Context, reached func() bool) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m.lock()
		ok, changed := reached(), m.changed
		next, any := m.line.next()
		m.mu.Unlock() // not unlock: it would wake this very loop
		if ok {
			return nil
		}
		if any {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer.C:
		}
	}
}

// loop is the module's life while its port is open.
func (m *Module) loop(ctx context.Context, p *port) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		in := p.in
		m.mu.Lock()
		now := time.Now()
		m.line.run(now)
		next, any := m.line.next()
		if m.rxBytes > inFlight || now.Before(m.stalled) {
			in = nil
		}
		if stall := m.stalled; now.Before(stall) && (!any || stall.Before(next)) {
			next, any = stall, true
		}
		m.mu.Unlock()
		if any {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.done:
			if p.vanished() {
				return ErrPortGone
			}
			return fmt.Errorf("the line was closed: %w", io.EOF)
		case c := <-in:
			if c.err != nil {
				return fmt.Errorf("the line was closed: %w", c.err)
			}
			m.mu.Lock()
			m.receive(m.heard(c.data, c.rate), c.at)
			m.mu.Unlock()
		case <-timer.C:
		case <-p.kick:
		}
	}
}

func (p *port) read() {
	buf := make([]byte, readSize)
	for {
		n, err := p.rw.Read(buf)
		c := chunk{at: p.now(), rate: p.speed(), err: err}
		if n > 0 {
			c.data, c.err = append([]byte(nil), buf[:n]...), nil
			if !p.pass(c) {
				return
			}
		}
		if err != nil {
			p.pass(chunk{err: err})
			return
		}
	}
}

func (p *port) pass(c chunk) bool {
	select {
	case p.in <- c:
		return true
	case <-p.done:
		return false
	}
}

// write puts out what is due. It is late by what the host process was late,
// and remembers by how much.
func (p *port) write() {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue, p.queued = nil, 0
		if n := len(queue); n > 0 {
			p.late = min(max(time.Since(queue[n-1].due), 0), maxCredit)
		}
		p.mu.Unlock()
		if len(queue) == 0 {
			select {
			case <-p.room:
				continue
			case <-p.done:
				return
			}
		}
		for _, o := range queue {
			if _, err := p.rw.Write(o.data); err != nil {
				p.end()
				return
			}
		}
	}
}

// send queues characters; false when the queue is full and they are lost.
func (p *port) send(data []byte, due time.Time) bool {
	p.mu.Lock()
	full := p.queued+len(data) > outQueue
	if !full {
		p.queue = append(p.queue, outgoing{data, due})
		p.queued += len(data)
	}
	p.mu.Unlock()
	select {
	case p.room <- struct{}{}:
	default:
	}
	return !full
}

// now is the time by the clock of a host process that is never late: what the
// last write was late by has delayed the answer to it as much.
func (p *port) now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(-p.late)
}

// speed is the host's rate, 0 where the line does not know it.
func (p *port) speed() int {
	if s, ok := p.rw.(speeder); ok {
		return s.Speed()
	}
	return 0
}

func (p *port) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

func (p *port) end() { p.once.Do(func() { close(p.done) }) }

// gone ends the port because the device vanished.
func (p *port) gone() {
	p.mu.Lock()
	p.isGone = true
	p.mu.Unlock()
	p.end()
}

func (p *port) vanished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isGone
}

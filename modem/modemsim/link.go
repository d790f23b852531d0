package modemsim

import (
	"context"
	"errors"
	"io"
	"sync"
)

var (
	// ErrPortBusy is the error of opening a port that is open.
	ErrPortBusy = errors.New("the port is open already")
	// ErrPortClosed is the error of a port that its host closed.
	ErrPortClosed = errors.New("the port is closed")
)

// ttyBuffer is how many characters a port keeps for a host that does not read,
// as a terminal device does; then the sender waits.
const ttyBuffer = 4096

// Link is the in-memory serial port of a module: hosts open and close it, it
// vanishes and returns with the module's port, and text that came while nobody
// had it open waits, up to 4096 characters. It works in a testing/synctest
// bubble.
type Link struct {
	m *Module

	mu   sync.Mutex
	more sync.Cond // something below changed
	wire *linkWire // nil while the port is gone
	host *linkHost // nil while no host has it open
}

// NewLink makes the port of a module. It can be opened once Run serves it.
func NewLink(m *Module) *Link {
	l := &Link{m: m}
	l.more.L = &l.mu
	return l
}

// Run serves the module until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	for {
		if err := l.m.WaitPort(ctx); err != nil {
			return nil // only ctx ends it
		}
		w := &linkWire{l: l}
		l.mu.Lock()
		l.wire = w
		l.mu.Unlock()
		err := l.m.Serve(ctx, w)
		if err != nil && !errors.Is(err, ErrPortGone) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Open opens the port: [ErrPortGone] while there is none, [ErrPortBusy] while
// another host has it.
func (l *Link) Open() (io.ReadWriteCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.wire == nil:
		return nil, ErrPortGone
	case l.host != nil:
		return nil, ErrPortBusy
	}
	l.host = &linkHost{l: l, wire: l.wire}
	return l.host, nil
}

// linkWire is the module's end. Its buffers are under Link.mu.
type linkWire struct {
	l        *Link
	up, down []byte // to the module, to the host
	closed   bool
}

func (w *linkWire) Read(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	for len(w.up) == 0 && !w.closed {
		w.l.more.Wait()
	}
	if w.closed {
		return 0, io.EOF
	}
	n := copy(b, w.up)
	w.up = w.up[n:]
	w.l.more.Broadcast()
	return n, nil
}

func (w *linkWire) Write(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	return push(w.l, w, &w.down, b, func() error {
		if w.closed {
			return io.ErrClosedPipe
		}
		return nil
	})
}

func (w *linkWire) Close() error {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	w.closed = true
	if w.l.wire == w {
		w.l.wire = nil
	}
	w.l.more.Broadcast()
	return nil
}

// push appends to a bounded buffer and waits for room.
func push(l *Link, w *linkWire, to *[]byte, b []byte, ended func() error) (n int, err error) {
	for {
		if err := ended(); err != nil {
			return n, err
		}
		k := min(len(b), ttyBuffer-len(*to))
		if k > 0 {
			*to = append(*to, b[:k]...)
			n, b = n+k, b[k:]
			l.more.Broadcast()
		}
		if len(b) == 0 {
			return n, nil
		}
		l.more.Wait()
	}
}

// linkHost is a host's end.
type linkHost struct {
	l      *Link
	wire   *linkWire
	closed bool
}

func (h *linkHost) ended() error {
	switch {
	case h.closed:
		return ErrPortClosed
	case h.wire.closed:
		return ErrPortGone
	}
	return nil
}

func (h *linkHost) Read(b []byte) (int, error) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	for len(h.wire.down) == 0 || h.closed {
		if err := h.ended(); err != nil {
			return 0, err
		}
		h.l.more.Wait()
	}
	n := copy(b, h.wire.down)
	h.wire.down = h.wire.down[n:]
	h.l.more.Broadcast()
	return n, nil
}

func (h *linkHost) Write(b []byte) (int, error) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	return push(h.l, h.wire, &h.wire.up, b, h.ended)
}

func (h *linkHost) Close() error {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if h.closed {
		return ErrPortClosed
	}
	h.closed = true
	if h.l.host == h {
		h.l.host = nil
	}
	h.l.more.Broadcast()
	return nil
}

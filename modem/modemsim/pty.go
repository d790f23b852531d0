package modemsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// PTYOptions place a module on a pseudo terminal.
type PTYOptions struct {
	// Link is the path of a symbolic link to the terminal, for a port name
	// that stays when the port vanishes and returns; "" for none.
	Link string
	// Baud is the speed that the terminal is preset to; 0 takes the module's
	// rate, or 115200. Some clients never set one.
	Baud int
	// CheckSpeed makes characters garbage while the host's speed is not the
	// module's rate, as on a real line. Speed 0 (B0) counts as not set.
	CheckSpeed bool
	// Opened hears of every terminal after the first one: the port vanished
	// and returned. It runs on the serving goroutine.
	Opened func(path string)
}

// PTY is the port of a module on a pseudo terminal. The terminal is raw before
// the module says its first word, and stays open here, so that boot text
// survives until a client opens it. When the module's port vanishes the
// terminal is closed; when it returns there is a new one, as a rule under
// another name, and the symbolic link shows there. Both file descriptors lie
// above 1023, out of the way of clients in this process that select().
type PTY struct {
	m    *Module
	opt  PTYOptions
	mu   sync.Mutex
	path string
	pair *ptyPair      // opened and not yet served
	came chan struct{} // closed and replaced when the terminal opens
}

// NewPTY opens the terminal, if the module's port is there, and makes the
// link. Run serves it and closes it.
func NewPTY(m *Module, opt PTYOptions) (*PTY, error) {
	if opt.Baud == 0 {
		opt.Baud = m.opt.Baud
	}
	if opt.Baud == 0 {
		opt.Baud = 115200
	}
	p := &PTY{m: m, opt: opt, came: make(chan struct{})}
	m.lock()
	up := m.portUp
	m.unlock()
	if !up {
		return p, nil
	}
	return p, p.open()
}

// Path is the terminal's device file now; "" while the port is gone.
func (p *PTY) Path() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.path
}

func (p *PTY) open() error {
	pair, err := openPTY(p.opt.Baud)
	if err != nil {
		return fmt.Errorf("open a pseudo terminal: %w", err)
	}
	if p.opt.Link != "" {
		if err := relink(pair.path, p.opt.Link); err != nil {
			return errors.Join(err, pair.Close())
		}
	}
	p.mu.Lock()
	p.path, p.pair = pair.path, pair
	close(p.came)
	p.came = make(chan struct{})
	p.mu.Unlock()
	return nil
}

// Wait waits until there is a terminal and returns its device file.
func (p *PTY) Wait(ctx context.Context) (string, error) {
	for {
		p.mu.Lock()
		path, came := p.path, p.came
		p.mu.Unlock()
		if path != "" {
			return path, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-came:
		}
	}
}

// Run serves the module on its terminal until ctx ends, then removes the link.
func (p *PTY) Run(ctx context.Context) error {
	for {
		p.mu.Lock()
		pair := p.pair
		p.pair = nil
		p.mu.Unlock()
		if pair == nil {
			if err := p.m.WaitPort(ctx); err != nil {
				return nil // only ctx ends it
			}
			if err := p.open(); err != nil {
				return err
			}
			if p.opt.Opened != nil {
				p.opt.Opened(p.Path())
			}
			continue
		}
		err := p.m.Serve(ctx, p.conn(pair))
		if err != nil && !errors.Is(err, ErrPortGone) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// conn is the module's end of the line.
func (p *PTY) conn(pair *ptyPair) io.ReadWriteCloser {
	if p.opt.CheckSpeed {
		return rated{goneFirst{pair, p}}
	}
	return goneFirst{pair, p}
}

// rated is a terminal that tells its host's speed.
type rated struct{ goneFirst }

// Speed is what the host has set.
func (r rated) Speed() int { return r.speed() }

// goneFirst takes the name away before the terminal hangs up, so that who
// sees the hang-up never finds the old name.
type goneFirst struct {
	*ptyPair
	p *PTY
}

func (g goneFirst) Close() error {
	g.p.gone()
	return g.ptyPair.Close()
}

func (p *PTY) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path = ""
	if p.opt.Link != "" {
		_ = os.Remove(p.opt.Link) // it may be gone already
	}
}

// relink makes or replaces a symbolic link in one step. Anything else of that
// name is left alone.
func relink(target, link string) error {
	if fi, err := os.Lstat(link); err == nil && fi.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("%s is there and is no symbolic link", link)
	}
	tmp := filepath.Join(filepath.Dir(link), "."+filepath.Base(link)+".new")
	_ = os.Remove(tmp) // left over from an interrupted run
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

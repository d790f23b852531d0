//go:build !linux

package modem

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"go.bug.st/serial"
)

// SerialPort is an open serial port for this process alone. Stations run on
// Linux; elsewhere this is enough for development: go.bug.st/serial with its
// writes guarded against use after Close. Writes have no deadline of their own.
type SerialPort struct {
	path string
	opt  SerialOptions
	port serial.Port

	mu     sync.Mutex // held by Write, so that no write begins after Close
	closed bool
	close  sync.Once
	err    error
}

// OpenSerial opens a port by its path.
func OpenSerial(path string, opt SerialOptions) (*SerialPort, error) {
	opt = opt.withDefaults()
	port, err := serial.Open(path, opt.mode())
	if err != nil {
		return nil, openError(path, err)
	}
	return &SerialPort{path: path, opt: opt, port: port}, nil
}

// Path is the path that was given to OpenSerial.
func (p *SerialPort) Path() string { return p.path }

// Read returns at least one byte or an error.
func (p *SerialPort) Read(b []byte) (int, error) {
	n, err := p.port.Read(b)
	return n, ioError(p.path, "read", err)
}

// Write writes all of b.
func (p *SerialPort) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, ioError(p.path, "write", os.ErrClosed)
	}
	n, err := p.port.Write(b)
	return n, ioError(p.path, "write", err)
}

// SetBaud changes the speed.
func (p *SerialPort) SetBaud(baud int) error {
	opt := p.opt
	opt.Baud = baud
	return ioError(p.path, "set speed of", p.port.SetMode(opt.mode()))
}

// SetDTR drives the DTR output.
func (p *SerialPort) SetDTR(on bool) error { return ioError(p.path, "set DTR of", p.port.SetDTR(on)) }

// Close releases the port.
func (p *SerialPort) Close() error {
	p.close.Do(func() {
		_ = p.port.ResetOutputBuffer()
		done := make(chan error, 1)
		go func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closed = true
			done <- p.port.Close()
		}()
		timer := time.NewTimer(p.opt.CloseTimeout)
		defer timer.Stop()
		select {
		case p.err = <-done:
		case <-timer.C:
			p.err = &PortError{p.path, "close", context.DeadlineExceeded}
		}
	})
	return p.err
}

func isBusy(error) bool { return false }

func isGone(err error) bool {
	var port *serial.PortError
	return errors.As(err, &port) && port.Code() == serial.PortClosed
}

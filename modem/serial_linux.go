package modem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// SerialPort is an open serial port or pty, in raw mode, for this process alone.
//
// go.bug.st/serial opens and configures the line; the bytes then flow through
// the Go runtime's poller on a descriptor of our own. That removes the traps
// that the library's Read and Write have on Linux: a blocked Read holds no
// thread and no processor, descriptors of 1024 and above work, Write has a
// deadline, a Write after Close cannot reach another port that reused the
// descriptor (os.File counts users), and no child process inherits the port.
//
// The port is locked with flock(2), which root respects too, and, unless it is
// a pty, with TIOCEXCL against programs that know no locks. On ptys TIOCEXCL
// is left away: it would outlive a killed station for as long as the other side
// keeps the pty open.
//
// One goroutine may read while another writes. Close may be called at any time
// and more than once.
type SerialPort struct {
	path string
	opt  SerialOptions
	file *os.File
	pty  bool

	close sync.Once
	err   error // of Close
}

// OpenSerial opens a port by its path; symbolic links, such as those in
// /dev/serial/by-path, are followed. DTR and RTS rise for a moment when a real
// port is opened, and nothing can prevent that; HUPCL is cleared, so that DTR
// does not fall when it is closed.
//
// The error is a *PortError matching [ErrMissing], [ErrBusy], [ErrPermission] or
// [ErrNotSerial] where one of them is the cause.
func OpenSerial(path string, opt SerialOptions) (*SerialPort, error) {
	opt = opt.withDefaults()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, openError(path, err)
	}
	if st, err := os.Stat(real); err == nil && st.Mode()&os.ModeCharDevice == 0 {
		return nil, openError(path, ErrNotSerial) // opening a FIFO or tape has effects
	}
	fd, err := unix.Open(real, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	pty, err := prepare(fd, opt)
	if err != nil {
		_ = unix.Close(fd)
		return nil, openError(path, err)
	}
	// The descriptor is non-blocking, so os.File hands it to the poller.
	return &SerialPort{path: path, opt: opt, file: os.NewFile(uintptr(fd), real), pty: pty}, nil
}

// prepare locks, configures and checks a descriptor that was just opened.
func prepare(fd int, opt SerialOptions) (pty bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return false, errors.Join(ErrNotSerial, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, err
	}
	if err := configure(fd, opt); err != nil {
		return false, err
	}
	const ptyMajor, ptyMajorLast = 136, 143 // Documentation/admin-guide/devices.txt
	major := unix.Major(st.Rdev)
	pty = ptyMajor <= major && major <= ptyMajorLast
	if pty {
		return pty, unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
	}
	return pty, unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
}

// configure sets raw mode and speed by way of go.bug.st/serial, on the same
// device: through the descriptor, not the path, which may mean another device
// by now. The library's descriptor lacks O_CLOEXEC, so no child may be forked
// while it exists.
func configure(fd int, opt SerialOptions) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	port, err := serial.Open(fmt.Sprintf("/proc/self/fd/%d", fd), opt.mode())
	if err != nil {
		return err
	}
	if err := port.Close(); err != nil {
		return err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	if t.Lflag&(unix.ICANON|unix.ECHO) != 0 || t.Oflag&unix.OPOST != 0 {
		return errors.New("raw mode did not hold")
	}
	t.Cflag &^= unix.HUPCL
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// Path is the path that was given to OpenSerial.
func (p *SerialPort) Path() string { return p.path }

// Read returns at least one byte, or an error: io.EOF or a *PortError matching
// [ErrMissing] when the device is gone, one matching os.ErrClosed after Close.
func (p *SerialPort) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	if err == io.EOF {
		return n, &PortError{p.path, "read", errors.Join(ErrMissing, err)}
	}
	return n, ioError(p.path, "read", err)
}

// Write writes all of b, or fails after the write timeout with an error matching
// os.ErrDeadlineExceeded and the number of bytes that went out.
func (p *SerialPort) Write(b []byte) (int, error) {
	if err := p.file.SetWriteDeadline(time.Now().Add(p.opt.WriteTimeout)); err != nil {
		return 0, ioError(p.path, "write", errors.Join(os.ErrClosed, err)) // the only cause, and os does not name it
	}
	n, err := p.file.Write(b)
	return n, ioError(p.path, "write", err)
}

// SetBaud changes the speed, after the module was told to change its own.
func (p *SerialPort) SetBaud(baud int) error {
	opt := p.opt
	opt.Baud = baud
	return p.control("set speed of", func(fd int) error {
		if !p.pty { // or our own second open would be refused
			if err := unix.IoctlSetInt(fd, unix.TIOCNXCL, 0); err != nil {
				return err
			}
		}
		err := configure(fd, opt)
		if !p.pty {
			err = errors.Join(err, unix.IoctlSetInt(fd, unix.TIOCEXCL, 0))
		}
		return err
	})
}

// SetDTR drives the DTR output. A pty has none; the error then matches
// [ErrNotSerial].
func (p *SerialPort) SetDTR(on bool) error {
	return p.control("set DTR of", func(fd int) error {
		request := uint(unix.TIOCMBIC)
		if on {
			request = unix.TIOCMBIS
		}
		err := unix.IoctlSetPointerInt(fd, request, unix.TIOCM_DTR)
		if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) {
			return errors.Join(ErrNotSerial, err)
		}
		return err
	})
}

// control runs f with the descriptor, which stays open meanwhile.
func (p *SerialPort) control(op string, f func(fd int) error) error {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return ioError(p.path, op, err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return ioError(p.path, op, errors.Join(os.ErrClosed, err))
	}
	return ioError(p.path, op, inner)
}

// Close makes a blocked Read and Write return and releases the port. Output
// that the module did not take is thrown away. When the driver takes longer
// than the close timeout, Close returns an error matching
// context.DeadlineExceeded and the port stays busy until the driver is done.
func (p *SerialPort) Close() error {
	p.close.Do(func() {
		_ = p.control("flush", func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) })
		if !p.pty {
			_ = p.control("release", func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCNXCL, 0) })
		}
		done := make(chan error, 1)
		go func() { done <- p.file.Close() }()
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

func isBusy(err error) bool {
	return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EWOULDBLOCK)
}

func isGone(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV)
}

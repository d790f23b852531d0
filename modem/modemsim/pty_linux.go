package modemsim

import (
	"errors"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// lowFDs are the descriptors left to clients that use select(), which cannot
// go beyond.
const lowFDs = 1024

// ptyPair is both ends of a pseudo terminal; the module talks on the master.
type ptyPair struct {
	master, slave *os.File
	path          string
}

func openPTY(baud int) (*ptyPair, error) {
	m, s, err := pty.Open()
	if err != nil {
		return nil, err
	}
	p := &ptyPair{path: s.Name()}
	if err := onFD(s, func(fd int) error { return makeRaw(fd, baud) }); err != nil {
		return nil, errors.Join(err, m.Close(), s.Close())
	}
	if p.master, err = moveUp(m, true); err != nil {
		return nil, errors.Join(err, m.Close(), s.Close())
	}
	if p.slave, err = moveUp(s, false); err != nil {
		return nil, errors.Join(err, p.master.Close(), s.Close())
	}
	return p, nil
}

func onFD(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// moveUp replaces f by a duplicate above the low descriptors and closes f. Where
// the limit on open files leaves no room there, the duplicate is wherever there is
// some: f itself blocks, and a read of it would outlive the port's end.
func moveUp(f *os.File, poll bool) (*os.File, error) {
	var high int
	err := onFD(f, func(fd int) (err error) {
		high, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, lowFDs)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMFILE) {
			high, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if poll {
		if err := unix.SetNonblock(high, true); err != nil {
			return nil, errors.Join(err, unix.Close(high))
		}
	}
	name := f.Name()
	if err := f.Close(); err != nil {
		return nil, errors.Join(err, unix.Close(high))
	}
	return os.NewFile(uintptr(high), name), nil
}

var speeds = map[int]uint32{
	300: unix.B300, 600: unix.B600, 1200: unix.B1200, 2400: unix.B2400, 4800: unix.B4800,
	9600: unix.B9600, 19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600,
	115200: unix.B115200, 230400: unix.B230400, 460800: unix.B460800, 921600: unix.B921600,
	1000000: unix.B1000000, 2000000: unix.B2000000, 3000000: unix.B3000000, 4000000: unix.B4000000,
}

// makeRaw switches the line discipline's own ideas off (echo above all) and
// presets the speed: eight bits, no parity.
func makeRaw(fd, baud int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB | unix.CBAUD
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	if code, ok := speeds[baud]; ok {
		t.Cflag |= code
	} else {
		t.Cflag |= unix.BOTHER
	}
	t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
}

func (p *ptyPair) Read(b []byte) (int, error)  { return p.master.Read(b) }
func (p *ptyPair) Write(b []byte) (int, error) { return p.master.Write(b) }

// Close closes the master first: that frees whoever is blocked in a write.
func (p *ptyPair) Close() error { return errors.Join(p.master.Close(), p.slave.Close()) }

// speed is the speed that the host has set; the master shows the slave's
// settings. 0 where it cannot be had.
func (p *ptyPair) speed() int {
	speed := 0
	_ = onFD(p.master, func(fd int) error { // a closed terminal has no speed
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil && t.Cflag&unix.CBAUD != unix.B0 {
			speed = int(t.Ospeed)
		}
		return err
	})
	return speed
}

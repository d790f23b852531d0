package modem_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"linefit/atcmd"
	"linefit/modem"
)

// openPty returns the module's side and the path of the host's side. The slave
// is kept open, as a simulator does, so that the pty outlives the host.
func openPty(t testing.TB) (master, slave *os.File) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pty on this system: %v", err)
	}
	t.Cleanup(func() { _, _ = master.Close(), slave.Close() })
	return master, slave
}

func openSerial(t testing.TB, path string, opt modem.SerialOptions) *modem.SerialPort {
	t.Helper()
	p, err := modem.OpenSerial(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestSerialIsRawBothWays(t *testing.T) {
	master, slave := openPty(t)
	p := openSerial(t, slave.Name(), modem.SerialOptions{})
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, dir := range []struct {
		from io.Writer
		to   io.Reader
	}{{p, master}, {master, p}} {
		if _, err := dir.from.Write(all); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(all))
		if _, err := io.ReadFull(dir.to, got); err != nil || !bytes.Equal(got, all) {
			t.Fatalf("%x, %v", got, err)
		}
	}
}

func TestSerialIsForOneOnly(t *testing.T) {
	_, slave := openPty(t)
	link := filepath.Join(t.TempDir(), "by-path")
	if err := os.Symlink(slave.Name(), link); err != nil {
		t.Fatal(err)
	}
	p := openSerial(t, slave.Name(), modem.SerialOptions{})
	if _, err := modem.OpenSerial(link, modem.SerialOptions{}); !errors.Is(err, modem.ErrBusy) {
		t.Fatalf("second open: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = openSerial(t, link, modem.SerialOptions{})
	if p.Path() != link {
		t.Errorf("path %s", p.Path())
	}
}

func TestSerialOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"/dev/no-such-port": modem.ErrMissing, file: modem.ErrNotSerial, "/dev/null": modem.ErrNotSerial, t.TempDir(): modem.ErrNotSerial,
	} {
		_, err := modem.OpenSerial(path, modem.SerialOptions{})
		var port *modem.PortError
		if !errors.As(err, &port) || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

// A write after Close must not reach the port that got the descriptor next.
func TestSerialWriteAfterClose(t *testing.T) {
	_, slaveA := openPty(t)
	masterB, slaveB := openPty(t)
	a := openSerial(t, slaveA.Name(), modem.SerialOptions{})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := openSerial(t, slaveB.Name(), modem.SerialOptions{})
	if _, err := a.Write([]byte("AT+CFUN=0\r")); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("write after close: %v", err)
	}
	if _, err := b.Write([]byte("B")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 16)
	if n, err := masterB.Read(got); err != nil || string(got[:n]) != "B" {
		t.Fatalf("%q, %v", got[:n], err)
	}
	if _, err := a.Read(got); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("read after close: %v", err)
	}
}

// A module that takes nothing (stuck CTS): Write ends at its deadline, Close at once.
func TestSerialBlockedWrite(t *testing.T) {
	_, slave := openPty(t)
	p := openSerial(t, slave.Name(), modem.SerialOptions{WriteTimeout: 50 * time.Millisecond})
	big := make([]byte, 1<<20)
	n, err := p.Write(big)
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == len(big) {
		t.Fatalf("%d, %v", n, err)
	}
	_, other := openPty(t)
	q := openSerial(t, other.Name(), modem.SerialOptions{WriteTimeout: time.Hour})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := q.Write(big); !errors.Is(err, os.ErrClosed) {
			t.Errorf("blocked write: %v", err)
		}
	})
	wg.Go(func() {
		if _, err := q.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("blocked read: %v", err)
		}
	})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestSerialUnplugged(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pty on this system: %v", err)
	}
	p := openSerial(t, slave.Name(), modem.SerialOptions{})
	_, _ = slave.Close(), master.Close()
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, modem.ErrMissing) {
		t.Errorf("read: %v", err)
	}
	if _, err := p.Write([]byte("AT\r")); !errors.Is(err, modem.ErrMissing) {
		t.Errorf("write: %v", err)
	}
}

// Children must not hold the modem: the port would never really close.
func TestSerialIsNotInherited(t *testing.T) {
	_, slave := openPty(t)
	openSerial(t, slave.Name(), modem.SerialOptions{})
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		t.Skipf("ls of /proc/self/fd: %v", err)
	}
	if strings.Contains(string(out), slave.Name()) {
		t.Errorf("a child inherits the port:\n%s", out)
	}
}

// select(2) ends at descriptor 1023; a station with many stores and sockets
// goes beyond.
func TestSerialHighDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 1100 {
		t.Skipf("only %d descriptors allowed", limit.Cur)
	}
	master, slave := openPty(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	for {
		fd, err := unix.FcntlInt(null.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(fd) }()
		if fd > 1030 {
			break
		}
	}
	p := openSerial(t, slave.Name(), modem.SerialOptions{})
	if _, err := master.WriteString("RDY"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(p, b); err != nil || string(b) != "RDY" {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestSerialBaudAndDTR(t *testing.T) {
	_, slave := openPty(t)
	p := openSerial(t, slave.Name(), modem.SerialOptions{Baud: 9600})
	for _, baud := range []int{115200, 921600} {
		if err := p.SetBaud(baud); err != nil {
			t.Fatal(err)
		}
		tio, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS2)
		if err != nil || tio.Ospeed != uint32(baud) || tio.Cflag&unix.HUPCL != 0 {
			t.Errorf("%+v, %v, want %d", tio, err, baud)
		}
	}
	if err := p.SetDTR(true); !errors.Is(err, modem.ErrNotSerial) {
		t.Errorf("DTR of a pty: %v", err)
	}
}

// echoModule answers every line with OK until the pty ends.
func echoModule(master *os.File) {
	b := make([]byte, 4096)
	for {
		n, err := master.Read(b)
		if err != nil {
			return
		}
		for range bytes.Count(b[:n], []byte("\r")) {
			if _, err := master.WriteString("\r\nOK\r\n"); err != nil {
				return
			}
		}
	}
}

func TestPortOverPty(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		master, slave := openPty(t)
		go echoModule(master)
		port := atcmd.Open(openSerial(t, slave.Name(), modem.SerialOptions{}), atcmd.Options{})
		wg.Go(func() {
			defer func() { _ = port.Close() }()
			for range 50 {
				if _, err := port.Do(t.Context(), atcmd.Command{Text: "AT"}); err != nil {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkPty is one AT command and its answer through a pty.
func BenchmarkPty(b *testing.B) {
	master, slave := openPty(b)
	go echoModule(master)
	port := atcmd.Open(openSerial(b, slave.Name(), modem.SerialOptions{}), atcmd.Options{})
	defer func() { _ = port.Close() }()
	for b.Loop() {
		if _, err := port.Do(b.Context(), atcmd.Command{Text: "AT"}); err != nil {
			b.Fatal(err)
		}
	}
}

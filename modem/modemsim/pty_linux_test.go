package modemsim_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"linefit/modem/modemsim"
)

// client is a program that opens the terminal as lpac does: it changes nothing
// of its settings.
type client struct {
	f *os.File
	r *bufio.Reader
}

func openTTY(t testing.TB, path string) *client {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	return &client{f, bufio.NewReader(f)}
}

// ask returns the lines of an answer up to its result code.
func (c *client) ask(line string) (lines []string, err error) {
	if err := c.f.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return nil, err
	}
	if _, err := c.f.WriteString(line + "\r\n"); err != nil {
		return nil, err
	}
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			return lines, err
		}
		if l = strings.TrimSpace(l); l != "" && l != line {
			lines = append(lines, l)
		}
		if l == "OK" || l == "ERROR" || strings.HasPrefix(l, "+CME ERROR") {
			return lines, nil
		}
	}
}

func (c *client) must(t testing.TB, line string) string {
	t.Helper()
	lines, err := c.ask(line)
	if err != nil {
		t.Fatalf("%s: %q, %v", line, lines, err)
	}
	return strings.Join(lines, "|")
}

// servePTY runs n modules on terminals with links in dir.
func servePTY(t testing.TB, n int, dir string, o func(i int) modemsim.Options) (ms []*modemsim.Module, ptys []*modemsim.PTY) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for i := range n {
		m, err := modemsim.New(o(i))
		if err != nil {
			t.Fatal(err)
		}
		p, err := modemsim.NewPTY(m, modemsim.PTYOptions{Link: filepath.Join(dir, fmt.Sprintf("slot%d", i+1))})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Errorf("module %d: %v", i, err)
			}
		})
		ms, ptys = append(ms, m), append(ptys, p)
	}
	return ms, ptys
}

// TestPTY: boot text is there for a client that opens late, raw and not echoed
// back into the module; the speed is preset; the port vanishes and returns
// behind the same link; 64 modules at once.
func TestPTY(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("all", func(t *testing.T) {
		dir := t.TempDir()
		p := persona(t, "demo-eg25").WithBoot(time.Millisecond)
		ms, ptys := servePTY(t, 64, dir, func(i int) modemsim.Options {
			o := modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI, Serial: fmt.Sprint(i), Baud: 921600}
			if i == 0 {
				o.Faults = once("+CSQ", 0, modemsim.Fault{Kind: modemsim.FaultVanish, Delay: 5 * time.Millisecond})
			}
			return o
		})
		for _, m := range ms {
			m.PowerOn()
		}
		var wg sync.WaitGroup
		for i := range ms {
			wg.Go(func() { talk(t, filepath.Join(dir, fmt.Sprintf("slot%d", i+1)), i) })
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		vanish(t, filepath.Join(dir, "slot1"), ptys[0])
	})
}

// Where the limit on open files leaves no room above the low descriptors, a port
// ends all the same.
func TestPTYWithFewDescriptors(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = min(old.Cur, 1024)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}()
	var host *os.File
	t.Run("all", func(t *testing.T) {
		dir := t.TempDir()
		p := persona(t, "demo-eg25").WithBoot(time.Millisecond)
		ms, _ := servePTY(t, 1, dir, func(int) modemsim.Options {
			return modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI, Serial: "0", Baud: 921600}
		})
		ms[0].PowerOn()
		talk(t, filepath.Join(dir, "slot1"), 0)
		c := openTTY(t, filepath.Join(dir, "slot1"))
		host = c.f // still open when the port ends
	})
	if err := host.Close(); err != nil {
		t.Error(err)
	}
}

func talk(t *testing.T, path string, i int) {
	c := openTTY(t, path)
	defer c.f.Close()
	raw, err := c.f.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	var tio *unix.Termios
	var inner error
	err = raw.Control(func(fd uintptr) { tio, inner = unix.IoctlGetTermios(int(fd), unix.TCGETS2) })
	if err != nil || inner != nil || tio.Ospeed != 921600 || tio.Lflag&unix.ECHO != 0 {
		t.Errorf("terminal: %+v, %v, %v", tio, err, inner)
	}
	if err := c.f.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"RDY", "+CFUN: 1"} {
		_, _ = c.r.ReadString('\n') // the empty line
		if l, err := c.r.ReadString('\n'); strings.TrimSpace(l) != want {
			t.Errorf("module %d: boot text %q, %v", i, l, err)
			return
		}
	}
	lines, err := c.ask("AT+CGSN=0")
	if err != nil || !strings.HasSuffix(strings.Join(lines, "|"), fmt.Sprintf("%d|OK", i)) {
		t.Errorf("module %d: %q, %v", i, lines, err)
	}
}

func vanish(t *testing.T, path string, p *modemsim.PTY) {
	c := openTTY(t, path)
	defer c.f.Close()
	if lines, err := c.ask("AT+CSQ"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the port did not vanish: %q, %v", lines, err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := openTTY(t, path)
	defer again.f.Close()
	if got := again.must(t, "AT+CGMM"); got != "EG25|OK" {
		t.Errorf("after its return: %q", got)
	}
}

// setSpeed sets the terminal's speed as a host does.
func (c *client) setSpeed(t *testing.T, code, speed uint32) {
	t.Helper()
	raw, err := c.f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		tio, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2)
		if err != nil {
			inner = err
			return
		}
		tio.Cflag = tio.Cflag&^unix.CBAUD | code
		tio.Ispeed, tio.Ospeed = speed, speed
		inner = unix.IoctlSetTermios(int(fd), unix.TCSETS2, tio)
	})
	if err != nil || inner != nil {
		t.Fatal(err, inner)
	}
}

// TestPTYSpeed: the terminal tells its host's speed; B0 counts as not set;
// after AT+IPR both sides go on at the new rate; an automatic rate follows.
func TestPTYSpeed(t *testing.T) {
	p := persona(t, "demo-eg25").WithBoot(time.Millisecond)
	p.Boot.URCs = nil
	m, err := modemsim.New(modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI, Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	pt, err := modemsim.NewPTY(m, modemsim.PTYOptions{CheckSpeed: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- pt.Run(ctx) }()
	m.PowerOn()
	if err := m.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	c := openTTY(t, pt.Path())
	defer c.f.Close()
	if got := c.must(t, "ATE0"); got != "OK" {
		t.Errorf("preset speed: %q", got)
	}
	c.setSpeed(t, unix.B0, 0)
	if got := c.must(t, "AT"); got != "OK" {
		t.Errorf("B0: %q", got)
	}
	if got := c.must(t, "AT+IPR=921600"); got != "OK" {
		t.Errorf("OK comes at the old rate: %q", got)
	}
	c.setSpeed(t, unix.B921600, 921600)
	if got := c.must(t, "AT+IPR?"); got != "+IPR: 921600|OK" {
		t.Errorf("new rate: %q", got)
	}
	c.must(t, "AT+IPR=0")
	c.setSpeed(t, unix.B57600, 57600)
	if got := c.must(t, "AT"); got != "OK" {
		t.Errorf("automatic rate: %q", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestPTYLink: a link is replaced, anything else is not.
func TestPTYLink(t *testing.T) {
	m, err := modemsim.New(modemsim.Options{Persona: persona(t, "demo-eg25")})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "slot1")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := modemsim.NewPTY(m, modemsim.PTYOptions{Link: file}); err == nil {
		t.Error("a file was replaced by a link")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

// BenchmarkAT is one AT transaction of 16 bytes of APDU over a pseudo terminal.
func BenchmarkAT(b *testing.B) {
	dir := b.TempDir()
	p := persona(b, "demo-eg25").WithBoot(time.Millisecond)
	p.AT.Delay, p.Boot.URCs = nil, nil
	ms, _ := servePTY(b, 1, dir, func(int) modemsim.Options {
		return modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI}
	})
	ms[0].PowerOn()
	if err := ms[0].WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := openTTY(b, filepath.Join(dir, "slot1"))
	defer c.f.Close()
	c.must(b, "ATE0")
	c.must(b, `AT+CCHO="`+isdrAID+`"`)
	b.ReportAllocs()
	for b.Loop() {
		if got := c.must(b, `AT+CGLA=1,22,"81E2910006`+getEID+`"`); !strings.HasSuffix(got, "|OK") {
			b.Fatal(got)
		}
	}
}

// BenchmarkPaced is 117 transactions of a profile download's size on each of n
// terminals at once, paced at 115200 bit/s. Efficiency is what the meter was
// told of, divided by the time it took.
func BenchmarkPaced(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := persona(b, "demo-eg25").WithBoot(time.Millisecond)
			p.AT.Delay, p.Boot.URCs = nil, nil
			meters := make([]meter, n)
			dir := b.TempDir()
			ms, _ := servePTY(b, n, dir, func(i int) modemsim.Options {
				return modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI, Baud: 115200, Meter: &meters[i]}
			})
			clients := make([]*client, n)
			for i, m := range ms {
				m.PowerOn()
				if err := m.WaitReady(b.Context()); err != nil {
					b.Fatal(err)
				}
				clients[i] = openTTY(b, filepath.Join(dir, fmt.Sprintf("slot%d", i+1)))
				defer clients[i].f.Close()
				clients[i].must(b, "ATE0")
				clients[i].must(b, `AT+CCHO="`+isdrAID+`"`)
			}
			line := `AT+CGLA=1,320,"81E291009B` + strings.Repeat("00", 155) + `"` // answered by 6A80
			var charged, took time.Duration
			for b.Loop() {
				var wg sync.WaitGroup
				var mu sync.Mutex
				for i, c := range clients {
					wg.Go(func() {
						from := time.Now()
						for range 117 {
							if _, err := c.ask(line); err != nil {
								b.Error(err)
								return
							}
						}
						mu.Lock()
						charged += meters[i].since(from)
						took += time.Since(from)
						mu.Unlock()
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(charged)/float64(took), "efficiency")
		})
	}
}

package modemsim_test

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/ident"
	"linefit/modem/modemsim"
)

const testIMEI ident.IMEI = "867886041234569"

func personas(t testing.TB) modemsim.Personas {
	t.Helper()
	ps, err := modemsim.LoadPersonas(os.DirFS("../../configs"), "personas")
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func persona(t testing.TB, name string) modemsim.Persona {
	t.Helper()
	p, err := personas(t).Get(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// host is the other end of the line: it collects what the module sends. It
// lives in a synctest bubble, where waiting costs nothing.
type host struct {
	t    testing.TB
	m    *modemsim.Module
	conn net.Conn
	wrap func(net.Conn) net.Conn // the module's end; nil: as it is
	mu   sync.Mutex
	buf  []byte
	err  chan error
	stop context.CancelFunc
}

// start serves a module and, with power, lets it boot.
func start(t testing.TB, o modemsim.Options) *host {
	t.Helper()
	if o.IMEI == "" {
		o.IMEI = testIMEI
	}
	if o.Serial == "" {
		o.Serial = "SN0001"
	}
	m, err := modemsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, m: m}
	h.serve()
	return h
}

func (h *host) serve() {
	near, far := net.Pipe()
	if h.wrap != nil {
		far = h.wrap(far)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.conn, h.stop, h.err = near, stop, make(chan error, 1)
	go func() { h.err <- h.m.Serve(ctx, far) }()
	go func() {
		b := make([]byte, 512)
		for {
			n, err := near.Read(b)
			h.mu.Lock()
			h.buf = append(h.buf, b[:n]...)
			h.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// end stops serving, which must be no error.
func (h *host) end() {
	h.t.Helper()
	if err := h.shut(); err != nil {
		h.t.Errorf("Serve: %v", err)
	}
}

// shut stops serving and returns Serve's error.
func (h *host) shut() error {
	h.stop()
	err := <-h.err
	_ = h.conn.Close()
	synctest.Wait()
	return err
}

// after lets time pass and takes what came meanwhile.
func (h *host) after(d time.Duration) string {
	time.Sleep(d)
	synctest.Wait()
	return h.take()
}

func (h *host) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := string(h.buf)
	h.buf = nil
	return out
}

func (h *host) send(s string) {
	h.t.Helper()
	if _, err := h.conn.Write([]byte(s)); err != nil {
		h.t.Fatalf("send %q: %v", s, err)
	}
}

// ask sends a line and takes all that came within a second.
func (h *host) ask(line string) string {
	h.t.Helper()
	h.send(line + "\r")
	return h.after(time.Second)
}

// boot powers the module and waits until all is quiet.
func (h *host) boot() string {
	synctest.Wait() // the port is open
	h.m.PowerOn()
	return h.after(30 * time.Second)
}

// want asks and compares without CR LF and echo.
func (h *host) want(line string, lines ...string) {
	h.t.Helper()
	if got := plain(h.ask(line), line); got != strings.Join(lines, "|") {
		h.t.Errorf("%s: %q, want %q", line, got, strings.Join(lines, "|"))
	}
}

// plain is an answer as its lines joined by "|", without the echo.
func plain(answer, command string) string {
	answer = strings.TrimPrefix(answer, command+"\r")
	return strings.Join(strings.FieldsFunc(answer, func(r rune) bool { return r == '\r' || r == '\n' }), "|")
}

func inBubble(t *testing.T, o modemsim.Options, test func(t *testing.T, h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, o)
		defer h.end()
		test(t, h)
	})
}

func contextIn(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

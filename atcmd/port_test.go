package atcmd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func play(t *testing.T, script string, mode atcmdtest.Mode, opt atcmd.Options) *atcmd.Port {
	t.Helper()
	p := atcmd.Open(atcmdtest.Play(t, script, mode), opt)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

var modes = map[string]atcmdtest.Mode{
	"whole": {}, "echo": {Echo: true}, "bytewise": {Chunk: 1}, "echo, bytewise": {Chunk: 1, Echo: true},
	"random": {Seed: 1, Echo: true}, "random 2": {Seed: 2},
}

func isIMEI(line string) bool { return len(line) == 15 && strings.Trim(line, "0123456789") == "" }

var cgsn = atcmd.Command{Text: "AT+CGSN", Bare: isIMEI, Require: true, Timeout: 3 * time.Second}

func TestDo(t *testing.T) {
	const script = `
		! "\x00\x00\xff"
		> AT
		< OK
		> AT+CGSN
		< RING
		< 359072061234567
		< OK
		> AT+CPIN?
		< +CME ERROR: 14
		> AT+CPIN?
		< +CPIN: READY
		< +CREG: 2
		< OK
		> AT+NOPE
		< ERROR
		> AT+CMGS=3
		! "\r\n> "
		? "text\x1a"
		< +CMGS: 4
		< OK
		> AT+BIG
		! "\r\n+BIG: `
	big := strings.Repeat("AB", 32<<10)
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			p := play(t, script+big+`\r\n\r\nOK\r\n"`, mode, atcmd.Options{URCs: []string{"RING", "+CREG"}})
			ctx := t.Context()
			must := func(cmd atcmd.Command, want string) {
				t.Helper()
				if r, err := p.Do(ctx, cmd); err != nil || r.Value() != want {
					t.Fatalf("%s: %.60q, %v, want %.60q", cmd.Text, r.Value(), err, want)
				}
			}
			must(atcmd.Command{Text: "AT"}, "")
			must(cgsn, "359072061234567")
			_, err := p.Do(ctx, atcmd.Command{Text: "AT+CPIN?", Prefix: "+CPIN"})
			var cme *atcmd.CMEError
			if !errors.As(err, &cme) || cme.Code != atcmd.CMESIMBusy || errors.Is(err, atcmd.ErrUnknown) {
				t.Fatalf("CPIN: %v", err)
			}
			must(atcmd.Command{Text: "AT+CPIN?", Prefix: "+CPIN"}, "READY")
			if _, err = p.Do(ctx, atcmd.Command{Text: "AT+NOPE"}); !errors.Is(err, atcmd.ErrError) {
				t.Fatalf("NOPE: %v", err)
			}
			must(atcmd.Command{Text: "AT+CMGS=3", Prefix: "+CMGS", Payload: []byte("text")}, "4")
			must(atcmd.Command{Text: "AT+BIG", Prefix: "+BIG"}, big)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			var urcs []string
			for u := range p.URCs() {
				urcs = append(urcs, u.Line)
			}
			if strings.Join(urcs, ",") != "RING,+CREG: 2" {
				t.Errorf("URCs %q", urcs)
			}
		})
	}
}

func TestCancelledCommandPoisons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT+CFUN=1\n~ 10s\n< OK\n", atcmdtest.Mode{}, atcmd.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Do(ctx, atcmd.Command{Text: "AT+CFUN=1", Timeout: time.Minute})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		_, err = p.Do(ctx, atcmd.Command{Text: "AT"})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, atcmd.ErrUnknown) {
			t.Fatalf("nothing was sent, and got %v", err)
		}
		if _, err = p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrPoisoned) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if u := <-p.URCs(); u.Line != "OK" || u.Known {
			t.Fatalf("the late line is lost: %+v", u)
		}
	})
}

func TestContextBeforeSendingDoesNotPoison(t *testing.T) {
	p := play(t, "> AT\n< OK\n", atcmdtest.Mode{}, atcmd.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Do(ctx, atcmd.Command{Text: "AT"}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); err != nil {
		t.Fatal(err)
	}
}

func TestGapAndPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT\n< OK\n> ATI\n< X\n< OK\n", atcmdtest.Mode{}, atcmd.Options{Gap: 100 * time.Millisecond, ByteGap: 10 * time.Millisecond})
		start := time.Now()
		for _, text := range []string{"AT", "ATI"} {
			if _, err := p.Do(t.Context(), atcmd.Command{Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != (20+100+30)*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if s := p.Stats(); s.Sent != 7 || s.Commands != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFinalWithoutLineEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT\n! \"\\r\\nOK\"\n> AT\n! \"\\r\\nERROR\"\n", atcmdtest.Mode{}, atcmd.Options{})
		start := time.Now()
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); err != nil || time.Since(start) != time.Second {
			t.Fatal(err, time.Since(start))
		}
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrError) {
			t.Fatal(err)
		}
	})
}

func TestHangupAndClose(t *testing.T) {
	p := play(t, "> AT\n* hangup\n", atcmdtest.Mode{}, atcmd.Options{})
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrGone) || !errors.Is(err, atcmd.ErrUnknown) {
		t.Fatal(err)
	}
	<-p.Done()
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrGone) || errors.Is(err, atcmd.ErrUnknown) {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrClosed) {
		t.Fatal(err)
	}
}

// A module that takes no characters (stuck CTS) costs the deadline, not the slot.
func TestBlockedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, module := net.Pipe()
		p := atcmd.Open(host, atcmd.Options{Timeout: time.Second})
		defer func() { _ = module.Close() }()
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		if _, err := p.Resync(t.Context(), atcmd.Query{Command: atcmd.Command{Text: "AT"}}); !errors.Is(err, atcmd.ErrNoSync) {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseDuringCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT\n", atcmdtest.Mode{}, atcmd.Options{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); !errors.Is(err, atcmd.ErrClosed) || !errors.Is(err, atcmd.ErrUnknown) {
				t.Errorf("%v", err)
			}
		})
		synctest.Wait()
		_ = p.Close()
		wg.Wait()
	})
}

// idleReads returns (0, nil) between bytes, as a serial port with a read timeout.
type idleReads struct {
	io.ReadWriteCloser
	n int
}

func (r *idleReads) Read(b []byte) (int, error) {
	if r.n++; r.n%50 != 0 {
		return 0, nil
	}
	return r.ReadWriteCloser.Read(b[:1])
}

func TestIdleReads(t *testing.T) {
	p := atcmd.Open(&idleReads{ReadWriteCloser: atcmdtest.Play(t, "> AT\n< OK\n> AT\n< OK\n", atcmdtest.Mode{})}, atcmd.Options{})
	defer func() { _ = p.Close() }()
	for range 2 {
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestURCOverflowIsCounted(t *testing.T) {
	p := play(t, "> AT\n"+strings.Repeat("< +CREG: 1\n", 20)+"< +CREG: 5\n< OK\n", atcmdtest.Mode{}, atcmd.Options{URCs: []string{"+CREG"}, URCQueue: 4})
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT"}); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.URCs != 21 || s.URCsDropped != 17 {
		t.Errorf("%+v", s)
	}
	_ = p.Close()
	last := ""
	for u := range p.URCs() {
		last = u.Line
	}
	if last != "+CREG: 5" {
		t.Errorf("the newest URC was dropped, kept %q", last)
	}
}

func TestBadCommand(t *testing.T) {
	p := play(t, "", atcmdtest.Mode{}, atcmd.Options{})
	for _, text := range []string{"", "AT\r", "AT\nAT", "AT\x1a", " AT", "AT+X=" + strings.Repeat("0", 1<<18)} {
		if _, err := p.Do(t.Context(), atcmd.Command{Text: text}); !errors.Is(err, atcmd.ErrBadCommand) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
}

func TestTooLongAnswer(t *testing.T) {
	p := play(t, "> ATI\n"+strings.Repeat("< 0123456789\n", 20)+"< OK\n", atcmdtest.Mode{}, atcmd.Options{MaxAnswer: 100})
	if _, err := p.Do(t.Context(), atcmd.Command{Text: "ATI"}); !errors.Is(err, atcmd.ErrTooLong) || !errors.Is(err, atcmd.ErrUnknown) {
		t.Fatal(err)
	}
	if !errors.Is(p.Err(), atcmd.ErrPoisoned) {
		t.Fatal(p.Err())
	}
}

package atcmd_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
)

// sloppyModule answers one command at a time, each with the number it was asked
// with, but late, not at all, with ERROR, in portions and between URCs. Input
// during a command is kept or lost.
type sloppyModule struct {
	conn  net.Conn
	r     *rand.Rand
	keeps bool

	mu     sync.Mutex
	failed map[string]bool // commands answered by ERROR
}

const sloppyIMEI = "359072061234567"

func (m *sloppyModule) run(t *testing.T) {
	lines := make(chan string, 100)
	busy := make(chan struct{}, 1)
	go func() {
		defer close(lines)
		var line strings.Builder
		b := make([]byte, 64)
		for {
			n, err := m.conn.Read(b)
			for _, c := range b[:n] {
				if c != '\r' {
					line.WriteByte(c)
					continue
				}
				if m.keeps || len(busy) == 0 {
					lines <- line.String()
				}
				line.Reset()
			}
			if err != nil {
				return
			}
		}
	}()
	for line := range lines {
		busy <- struct{}{}
		m.answer(t, line)
		<-busy
	}
}

func (m *sloppyModule) answer(t *testing.T, line string) {
	name, n, _ := strings.Cut(line, "=")
	if m.r.IntN(12) == 0 {
		m.say("\r\n+CREG: 1\r\n")
	}
	switch m.r.IntN(10) {
	case 0: // lost
		return
	case 1, 2, 3:
		time.Sleep(time.Duration(m.r.IntN(3000)) * time.Millisecond)
	}
	text := "\r\nERROR\r\n"
	switch {
	case line == "AT+CGSN":
		text = "\r\n" + sloppyIMEI + "\r\n\r\nOK\r\n"
	case m.r.IntN(8) == 0:
		m.mu.Lock()
		m.failed[n] = true
		m.mu.Unlock()
	case strings.HasPrefix(name, "AT+"):
		text = fmt.Sprintf("\r\n%s: %s\r\n\r\nOK\r\n", name[2:], n)
	default:
		t.Errorf("the module got %q", line)
	}
	for len(text) > 0 {
		k := 1 + m.r.IntN(len(text))
		m.say(text[:k])
		text = text[k:]
		if m.r.IntN(4) == 0 {
			time.Sleep(time.Duration(m.r.IntN(90)) * time.Millisecond)
		}
	}
}

func (m *sloppyModule) say(text string) { _, _ = io.WriteString(m.conn, text) }

// Whatever a module does with its time, no command ever gets an answer that was
// meant for another.
func TestNoAnswerGoesToAnotherCommand(t *testing.T) {
	const runs = 300
	answered := 0
	for seed := range uint64(runs) {
		synctest.Test(t, func(t *testing.T) { answered += sloppyRun(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if answered < 10*runs {
		t.Errorf("%d of %d commands were answered: nothing was shown", answered, 40*runs)
	}
}

// sloppyRun returns how many of 40 commands were answered. A run ends early when
// all tries of a resync were lost.
func sloppyRun(t *testing.T, seed uint64) (answered int) {
	host, module := net.Pipe()
	m := &sloppyModule{conn: module, r: rand.New(rand.NewPCG(seed, 7)), keeps: seed%2 == 0, failed: map[string]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { m.run(t) })
	p := atcmd.Open(host, atcmd.Options{URCs: []string{"+CREG"}, Timeout: time.Second, TailQuiet: -1})
	for i := range 40 {
		if p.Err() != nil {
			q := atcmd.Query{Command: cgsn, Tries: 5, Valid: func(r atcmd.Response) error {
				if r.Value() != sloppyIMEI {
					return errors.New("another IMEI")
				}
				return nil
			}}
			if _, err := p.Resync(t.Context(), q); err != nil {
				break
			}
		}
		name, n := []string{"+A", "+B"}[i%2], fmt.Sprint(i)
		r, err := p.Do(t.Context(), atcmd.Command{Text: "AT" + name + "=" + n, Prefix: name, Require: true})
		m.mu.Lock()
		switch {
		case err == nil:
			answered++
			if r.Value() != n {
				t.Errorf("command %s was answered by %q", n, r.Lines)
			}
		case errors.Is(err, atcmd.ErrError) && !m.failed[n]:
			t.Errorf("command %s got another one's ERROR", n)
		case !errors.Is(err, atcmd.ErrError) && !errors.Is(err, atcmd.ErrUnknown):
			t.Errorf("command %s: %v", n, err)
		}
		m.mu.Unlock()
	}
	_ = p.Close()
	_ = module.Close()
	wg.Wait()
	return answered
}

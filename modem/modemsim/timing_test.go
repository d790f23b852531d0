package modemsim_test

import (
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"linefit/modem/modemsim"
)

// meter keeps every charged interval.
type meter struct {
	mu   sync.Mutex
	span [][2]time.Time
}

func (m *meter) Charge(start, due time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.span = append(m.span, [2]time.Time{start, due})
}

// sum is the length of all intervals since from; they must not overlap.
func (m *meter) sum(t *testing.T, from time.Time) (total time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := from
	for _, s := range m.span {
		if s[0].Before(from) {
			continue
		}
		if s[0].Before(last) {
			t.Errorf("charged twice: %v to %v, again from %v", s[0], last, s[0])
		}
		total += s[1].Sub(s[0])
		last = s[1]
	}
	return total
}

// noDelay is a persona whose module needs no time of its own.
func noDelay(p modemsim.Persona) modemsim.Persona {
	p.AT.Delay = nil
	p.AT.Echo = false
	return p.WithBoot(time.Second)
}

// TestPacing: n characters take exactly n x 10 / baud in each direction, and
// the meter hears of exactly that.
func TestPacing(t *testing.T) {
	for _, baud := range []int{9600, 115200, 921600, 57601} {
		synctest.Test(t, func(t *testing.T) {
			var charged meter
			h := start(t, modemsim.Options{Persona: noDelay(persona(t, "generic-3gpp")), Card: newFakeCard(), Baud: baud, Meter: &charged})
			defer h.end()
			h.m.PowerOn()
			h.after(1500 * time.Millisecond)
			before, from := h.m.Counters(), time.Now()
			rng := rand.New(rand.NewPCG(1, uint64(baud)))
			for range 40 {
				line := "AT+CGMM"
				if rng.IntN(2) == 0 {
					line = "AT" + strings.Repeat(" ", rng.IntN(300))
				}
				h.ask(line)
			}
			c := h.m.Counters()
			chars := c.CharsIn - before.CharsIn + c.CharsOut - before.CharsOut
			got := charged.sum(t, from)
			ideal := time.Duration(chars * 10 * int64(time.Second) / int64(baud))
			if d := ideal - got; d < 0 || d > 1 { // two directions, each with its remainder
				t.Errorf("%d baud: %d characters are charged %v, want %v", baud, chars, got, ideal)
			}
		})
	}
}

// TestAnswerTime: command and answer each take their time on the line, the
// module and the card take theirs in between.
func TestAnswerTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := noDelay(persona(t, "demo-eg25"))
		p.AT.Delay = map[string]time.Duration{"+CGLA": 7 * time.Millisecond}
		card := newFakeCard()
		h := start(t, modemsim.Options{Persona: p, Card: card, Baud: 10000})
		defer h.end()
		h.m.PowerOn()
		h.after(5 * time.Second)
		handle := h.open()
		card.busy = 20 * time.Millisecond
		line := `AT+CGLA=` + handle + `,22,"81E2910006` + getEID + `"` + "\r"
		answer := "\r\n+CGLA: 46,\"" + eidTLV + "9000\"\r\n\r\nOK\r\n"
		want := time.Duration(len(line)+len(answer))*time.Millisecond + 27*time.Millisecond
		h.send(line)
		h.after(want - time.Microsecond)
		h.mu.Lock()
		early := len(h.buf)
		h.mu.Unlock()
		if got := h.after(time.Microsecond); got != answer || early != 0 {
			t.Errorf("%d characters early; answer %q", early, got)
		}
	})
}

// TestGap: characters that come too near behind a result are lost, one by one.
func TestGap(t *testing.T) {
	for _, c := range []struct {
		baud int
		wait time.Duration
		want string
	}{
		{0, 19 * time.Millisecond, ""},
		{0, 20 * time.Millisecond, "\r\nOK\r\n"},
		{10000, 0, ""}, // the line is shorter than the gap
		{10000, 17 * time.Millisecond, ""},
		{10000, 19 * time.Millisecond, "\r\nOK\r\n"}, // the first character is through at 20 ms
	} {
		synctest.Test(t, func(t *testing.T) {
			h := start(t, modemsim.Options{Persona: noDelay(persona(t, "ublox-sara-r5")), Card: newFakeCard(), Baud: c.baud})
			defer h.end()
			h.m.PowerOn()
			h.after(5 * time.Second)
			h.send("AT\r")
			answered := time.Duration(3+6) * time.Millisecond
			if c.baud == 0 {
				answered = 0
			}
			if got := h.after(answered); got != "\r\nOK\r\n" {
				t.Fatalf("first answer %q", got)
			}
			time.Sleep(c.wait)
			h.send("AT\r")
			if got := h.after(100 * time.Millisecond); got != c.want {
				t.Errorf("%d baud, %v later: %q, want %q", c.baud, c.wait, got, c.want)
			}
		})
	}
}

// TestSplitting: answers do not depend on the pieces that the input comes in.
func TestSplitting(t *testing.T) {
	lines := []string{
		"AT", "at+cgmi", "AT+CGMM;+CGMR", "ATE1", "ATE0", "ATI", "ATS3?", "AT+CPIN?", "AT+CIMI", "A/",
		"garbage", "AT+NOSUCH=\"a;b\"", "AT+CMEE=1;+CCHC=7", "ATV0", "ATV1", "AT+CSQ\b\bSQ", `AT+CGLA=1,8,"80F20000"`,
	}
	p := persona(t, "demo-eg25")
	run := func(input string, cuts []int) (out string) {
		synctest.Test(t, func(t *testing.T) {
			h := start(t, modemsim.Options{Persona: p, Card: newFakeCard()})
			defer h.end()
			h.m.PowerOn()
			h.after(time.Second)
			for len(input) > 0 {
				n := 1 + cuts[0]%len(input)
				cuts = append(cuts[1:], cuts[0])
				h.send(input[:n])
				input = input[n:]
			}
			out = h.after(time.Second)
		})
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfN(rapid.SampledFrom(lines), 1, 6).Draw(t, "lines")
		input := strings.Join(picked, "\r") + "\r"
		cuts := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 12).Draw(t, "cuts")
		whole := run(input, []int{len(input) - 1})
		if got := run(input, cuts); got != whole {
			t.Fatalf("in pieces %q, whole %q", got, whole)
		}
	})
}

// since is the length of all intervals that began after from.
func (m *meter) since(from time.Time) (total time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.span {
		if s[0].After(from) {
			total += s[1].Sub(s[0])
		}
	}
	return total
}

// ratedPipe is a line that knows its host's speed.
type ratedPipe struct {
	net.Conn
	speed *atomic.Int64
}

func (r ratedPipe) Speed() int { return int(r.speed.Load()) }

// TestRate: at a wrong rate there is garbage in both directions and no line,
// and pacing follows AT+IPR.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := noDelay(persona(t, "generic-3gpp"))
		p.Boot.URCs = []modemsim.TimedURC{{At: time.Second, Text: "RDY"}}
		m, err := modemsim.New(modemsim.Options{Persona: p, Card: newFakeCard(), Baud: 10000})
		if err != nil {
			t.Fatal(err)
		}
		h := &host{t: t, m: m}
		speed := new(atomic.Int64)
		h.wrap = func(c net.Conn) net.Conn { return ratedPipe{c, speed} }
		speed.Store(9600)
		h.serve()
		defer h.end()
		if got := h.boot(); len(got) != 7 || strings.ContainsAny(got, "\r\n") {
			t.Errorf("boot text at a wrong rate: %q", got)
		}
		if got := h.ask("AT"); got != "" || m.Counters().CharsIn != 3 {
			t.Errorf("a line at a wrong rate: %q", got)
		}
		speed.Store(10000)
		h.want("AT", "OK")
		h.want("AT+IPR=1000", "OK")
		speed.Store(1000)
		h.send("AT\r")
		if got := h.after(89 * time.Millisecond); got != "" {
			t.Errorf("too fast: %q", got)
		}
		if got := h.after(time.Millisecond); got != "\r\nOK\r\n" {
			t.Errorf("at the new rate: %q", got)
		}
		m.PowerOff()
		h.boot()
		h.want("AT+IPR?", "+IPR: 1000", "OK")
	})
}

package modemsim_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

// once strikes at the n-th passing of a point.
func once(point string, n int, f modemsim.Fault) modemsim.Faults {
	return modemsim.FaultFunc(func(p string, i int) (modemsim.Fault, bool) { return f, p == point && i == n })
}

// TestFaults shows each fault by what the host sees in the seconds after its
// command, whether the card did what was asked, and that the module can be
// talked to again.
func TestFaults(t *testing.T) {
	cgla := `AT+CGLA=1,12,"81E291000103"`
	answer := "\r\n+CGLA: 6,\"819000\"\r\n"
	ok := "\r\nOK\r\n"
	for _, c := range []struct {
		name  string
		point string
		fault modemsim.Fault
		at0   string // what comes at once
		later string // what comes within ten seconds
		done  bool   // the card did it
	}{
		{"none", "-", modemsim.Fault{}, answer + ok, "", true},
		{"ignore", "+CGLA", modemsim.Fault{Kind: modemsim.FaultIgnore}, "", "", false},
		{"cme", "+CGLA", modemsim.Fault{Kind: modemsim.FaultCME, Code: 14}, "\r\n+CME ERROR: 14\r\n", "", false},
		{"error before", "+CGLA", modemsim.Fault{Kind: modemsim.FaultError}, "\r\nERROR\r\n", "", false},
		{"error though done", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultError}, "\r\nERROR\r\n", "", true},
		{"silent", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultSilent}, "", "", true},
		{"late", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultLate, Delay: 5 * time.Second}, "", answer + ok, true},
		{"slow", "+CGLA", modemsim.Fault{Kind: modemsim.FaultSlow, Delay: 5 * time.Second}, "", answer + ok, true},
		{"urc before the result", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultURC, Text: "+CREG: 2"}, answer + "\r\n+CREG: 2\r\n" + ok, "", true},
		{"urc in the line", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultURC, N: 8, Text: "RING"}, "\r\n+CGLA:\r\nRING\r\n 6,\"819000\"\r\n" + ok, "", true},
		{"urc behind the answer", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultURC, Delay: time.Second, Text: "RING"}, answer + ok, "\r\nRING\r\n", true},
		{"numeric", "+CGLA", modemsim.Fault{Kind: modemsim.FaultNumeric}, "+CGLA: 6,\"819000\"\r\n0\r", "", true},
		{"truncate", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultTruncate, N: 15}, "\r\n+CGLA: 6,\"819\r\n" + ok, "", true},
		{"length", "+CGLA", modemsim.Fault{Kind: modemsim.FaultLength, N: 2}, "\r\n+CGLA: 8,\"819000\"\r\n" + ok, "", true},
		{"status word", "+CGLA", modemsim.Fault{Kind: modemsim.FaultSW, Code: 0x6985}, "\r\n+CGLA: 4,\"6985\"\r\n" + ok, "", false},
		{"dribble", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultDribble, Delay: 100 * time.Millisecond}, "\r", (answer + ok)[1:], true},
		{"echo", "+CGLA", modemsim.Fault{Kind: modemsim.FaultEcho}, answer + ok, "", true},
		{"reboot", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultReboot}, "", "\r\nRDY\r\n*", true},
		{"reboot before", "+CGLA", modemsim.Fault{Kind: modemsim.FaultReboot}, "", "\r\nRDY\r\n*", false},
		{"cut", "+CGLA.done", modemsim.Fault{Kind: modemsim.FaultCut, Delay: time.Second}, "", "\r\nRDY\r\n*", true},
		{"cut before", "+CGLA", modemsim.Fault{Kind: modemsim.FaultCut, Delay: time.Second}, "", "\r\nRDY\r\n*", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := noDelay(persona(t, "demo-eg25"))
			card := newFakeCard()
			inBubble(t, modemsim.Options{Persona: p, Card: card, Faults: once(c.point, 0, c.fault)}, func(t *testing.T, h *host) {
				h.boot()
				h.open()
				h.send(cgla + "\r")
				synctest.Wait()
				got, later := h.take(), h.after(10*time.Second)
				if got != c.at0 {
					t.Errorf("at once %q, want %q", got, c.at0)
				}
				want, open := strings.CutSuffix(c.later, "*")
				if later != want && !(open && strings.HasPrefix(later, want)) {
					t.Errorf("later %q, want %q", later, c.later)
				}
				if done := card.log[len(card.log)-1] == "81e291000103" || strings.Contains(strings.Join(card.log, " "), "81e291000103"); done != c.done {
					t.Errorf("the card did it: %v", done)
				}
				h.ask("ATE0V1")
				h.want("AT+CGMM", "EG25", "OK")
			})
		})
	}
}

func TestBootFaults(t *testing.T) {
	p := persona(t, "demo-eg25")
	for _, c := range []struct {
		name  string
		fault modemsim.Fault
		boot  string
		alive bool
	}{
		{"noise", modemsim.Fault{Kind: modemsim.FaultNoise, Text: "\x00\xff"}, "\x00\xff\r\nRDY\r\n", true},
		{"dead", modemsim.Fault{Kind: modemsim.FaultDead}, "", false},
		{"late", modemsim.Fault{Kind: modemsim.FaultDelay, Delay: 20 * time.Second}, "\r\nRDY\r\n", true},
		{"power fails again", modemsim.Fault{Kind: modemsim.FaultCut, Delay: 2 * time.Second}, "\r\nRDY\r\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Faults: once("boot", 0, c.fault)}, func(t *testing.T, h *host) {
				if got := h.boot(); !strings.HasPrefix(got, c.boot) || c.boot == "" && got != "" {
					t.Errorf("boot %q", got)
				}
				if h.m.Alive() != c.alive {
					t.Errorf("alive: %v", h.m.Alive())
				}
				if got := h.ask("AT"); (got != "") != c.alive {
					t.Errorf("AT: %q", got)
				}
			})
		})
	}
}

func TestRefreshFaults(t *testing.T) {
	p := persona(t, "demo-eg25")
	for _, c := range []struct {
		fault modemsim.Fault
		soon  bool
		late  bool
	}{
		{modemsim.Fault{}, true, true},
		{modemsim.Fault{Kind: modemsim.FaultLost}, false, false},
		{modemsim.Fault{Kind: modemsim.FaultDelay, Delay: 5 * time.Second}, false, true},
	} {
		inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Faults: once("refresh", 0, c.fault)}, func(t *testing.T, h *host) {
			h.online(p)
			h.open()
			if got := h.ask(`AT+CGLA=1,12,"81E291000102"`); strings.Contains(got, "+QUSIM: 1") != c.soon {
				t.Errorf("%s: %q", c.fault.Kind, got)
			}
			if got := h.after(10 * time.Second); strings.Contains(got, "+QUSIM: 1") != (c.late && !c.soon) {
				t.Errorf("%s, later: %q", c.fault.Kind, got)
			}
		})
	}
}

// TestLeak: CCHC says OK, and the card's channel stays open.
func TestLeak(t *testing.T) {
	p := persona(t, "demo-eg25")
	leak := modemsim.FaultFunc(func(point string, n int) (modemsim.Fault, bool) {
		return modemsim.Fault{Kind: modemsim.FaultLeak}, point == "+CCHC"
	})
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Faults: leak}, func(t *testing.T, h *host) {
		h.online(p)
		for range 3 {
			h.want("AT+CCHC="+h.open(), "OK")
		}
		h.want(`AT+CCHO="`+isdrAID+`"`, "ERROR")
	})
}

// TestVanish: the port goes in the middle of a command and comes back; the
// module itself never stopped.
func TestVanish(t *testing.T) {
	p := persona(t, "demo-eg25")
	synctest.Test(t, func(t *testing.T) {
		card := newFakeCard()
		h := start(t, modemsim.Options{Persona: p, Card: card,
			Faults: once("+CGLA.done", 0, modemsim.Fault{Kind: modemsim.FaultVanish, Delay: 2 * time.Second})})
		h.online(p)
		handle := h.open()
		h.send(`AT+CGLA=` + handle + `,12,"81E291000103"` + "\r")
		if err := <-h.err; !errors.Is(err, modemsim.ErrPortGone) {
			t.Errorf("Serve: %v", err)
		}
		if _, err := h.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the host's end: %v", err)
		}
		gone := time.Now()
		if err := h.m.WaitPort(t.Context()); err != nil || time.Since(gone) != 2*time.Second {
			t.Errorf("back after %v, %v", time.Since(gone), err)
		}
		h.serve()
		defer h.end()
		if got := h.store(handle, "03"); got != `+CGLA: 6,"819000"|OK` {
			t.Errorf("the session after the port came back: %q", got)
		}
	})
}

// TestStall: a module that takes no characters blocks the host's write.
func TestStall(t *testing.T) {
	p := noDelay(persona(t, "demo-eg25"))
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(),
		Faults: once("+CSQ", 0, modemsim.Fault{Kind: modemsim.FaultStall, Delay: 3 * time.Second})}, func(t *testing.T, h *host) {
		h.boot()
		h.ask("ATE0")
		h.ask("AT+CSQ")
		began := time.Now()
		h.send("AT\r") // one read is already waiting
		h.send("AT\r")
		if d := time.Since(began); d != 2*time.Second { // one second was spent in ask
			t.Errorf("blocked for %v", d)
		}
	})
}

// TestDeadline: a module that waits for its card only so long answers ERROR;
// the card has done what it was asked all the same, and the next command waits.
func TestDeadline(t *testing.T) {
	p := noDelay(persona(t, "demo-eg25"))
	p.APDU.Deadline, p.APDU.DeadlineResult = 300*time.Millisecond, "error"
	card := newFakeCard()
	inBubble(t, modemsim.Options{Persona: p, Card: card}, func(t *testing.T, h *host) {
		h.boot()
		h.open()
		card.busy = 2 * time.Second
		h.send(`AT+CGLA=1,12,"81E291000103"` + "\r")
		if got := h.after(299 * time.Millisecond); got != "" {
			t.Errorf("too early: %q", got)
		}
		if got := plain(h.after(time.Millisecond), ""); got != "ERROR" {
			t.Errorf("%q", got)
		}
		if card.log[len(card.log)-1] != "81e291000103" {
			t.Error("the card did not do it")
		}
		card.busy = 0
		h.send(`AT+CGLA=1,12,"81E291000103"` + "\r")
		if got := plain(h.after(300*time.Millisecond), ""); got != "ERROR" {
			t.Errorf("while the card is busy: %q", got)
		}
		h.after(2 * time.Second)
		if got := h.store("1", "03"); got != `+CGLA: 6,"819000"|OK` {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// TestBusyInput is the three ways a module takes characters during a command.
func TestBusyInput(t *testing.T) {
	for _, c := range []struct{ busy, want string }{
		{"buffer", "\r\n+COPS: 0\r\n\r\nOK\r\n\r\nEG25\r\n\r\nOK\r\n"},
		{"drop", "\r\n+COPS: 0\r\n\r\nOK\r\n"},
		{"abort", "\r\nERROR\r\n\r\nEG25\r\n\r\nOK\r\n"},
	} {
		p := noDelay(persona(t, "demo-eg25"))
		p.AT.Busy, p.AT.Delay, p.Boot.URCs = c.busy, map[string]time.Duration{"+COPS": time.Second}, nil
		inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
			h.m.PowerOn()
			h.after(1200 * time.Millisecond)
			h.take()
			h.send("AT+COPS?\r")
			h.after(500 * time.Millisecond)
			h.send("AT+CGMM\r")
			time.Sleep(2 * time.Second)
			if got := h.after(0); got != c.want {
				t.Errorf("%s: %q, want %q", c.busy, got, c.want)
			}
		})
	}
}

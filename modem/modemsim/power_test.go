package modemsim_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

// memory is non-volatile memory.
type memory struct {
	mu   sync.Mutex
	kept map[string]string
	fail error
}

func (m *memory) Load() (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.kept), m.fail
}

func (m *memory) Save(all map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = maps.Clone(all)
	return m.fail
}

// TestPowerCutMidAnswer: what went through the line before the cut is there,
// and nothing after it, wherever the cut falls.
func TestPowerCutMidAnswer(t *testing.T) {
	p := noDelay(persona(t, "generic-3gpp"))
	whole := "\r\n3GPP-MT\r\n\r\nOK\r\n"
	line := "AT+CGMM\r"
	for cut := 0; cut <= len(line)+len(whole); cut++ {
		synctest.Test(t, func(t *testing.T) {
			card := newFakeCard()
			h := start(t, modemsim.Options{Persona: p, Card: card, Baud: 10000})
			defer h.end()
			h.m.PowerOn()
			h.after(5 * time.Second)
			h.send(line)
			time.Sleep(time.Duration(cut)*time.Millisecond + 500*time.Microsecond)
			h.m.PowerOff()
			got := h.after(time.Second)
			if want := whole[:max(cut-len(line), 0)]; got != want {
				t.Errorf("cut after %d ms: %q, want %q", cut, got, want)
			}
			if card.powered {
				t.Error("the card still has power")
			}
			h.m.PowerOn() // and nothing of the past comes back
			if got := h.boot(); got != "" {
				t.Errorf("after the cut: %q", got)
			}
			h.want("AT+CGMM", "3GPP-MT", "OK")
		})
	}
}

// TestPowerOffIsFinal: when PowerOff has returned, the card hears nothing more.
func TestPowerOffIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newFakeCard()
		h := start(t, modemsim.Options{Persona: persona(t, "quectel-eg25"), Card: card, Network: true})
		defer h.end()
		for ms := range 80 {
			h.m.PowerOn()
			h.m.PowerOn() // without effect
			time.Sleep(time.Duration(ms) * 100 * time.Millisecond)
			h.m.PowerOff()
			h.m.PowerOff()
			n := len(card.log)
			h.m.ResetPin() // without supply
			h.after(10 * time.Second)
			if len(card.log) != n || h.m.Alive() || h.m.Powered() {
				t.Fatalf("cut at %d00 ms: the module lives on", ms)
			}
		}
	})
}

// TestPowerOffDuringFailure: the fixture's PowerOff is final also while a power
// failure that nobody ordered lasts, and PowerOn boots once.
func TestPowerOffDuringFailure(t *testing.T) {
	p := persona(t, "demo-eg25")
	fault := once("+CSQ", 0, modemsim.Fault{Kind: modemsim.FaultCut, Delay: 2 * time.Second})
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Faults: fault}, func(t *testing.T, h *host) {
		h.boot()
		h.ask("AT+CSQ")
		h.m.PowerOff()
		if got := h.after(10 * time.Second); got != "" || h.m.Powered() {
			t.Errorf("the supply came back: %q", got)
		}
		h.boot()
		h.send("AT+CSQ\r")
		h.after(time.Second)
		h.m.PowerOn()
		h.after(10 * time.Second)
		if c := h.m.Counters(); c.Boots != 3 {
			t.Errorf("%d boots", c.Boots)
		}
	})
}

// TestNVSave: each family keeps a setting over a power cut only when it was
// saved the way that family saves.
func TestNVSave(t *testing.T) {
	for _, c := range []struct {
		persona, set, read, was, is string
		save                        string // what saves it
	}{
		{"quectel-eg25", "AT+QSIMDET=1,1", "AT+QSIMDET?", "+QSIMDET: 0,0", "+QSIMDET: 1,1", ""},
		{"quectel-eg25", `AT+CGDCONT=1,"IPV4V6","m2m"`, "AT+CGDCONT?", "", `+CGDCONT: 1,"IPV4V6","m2m"`, ""},
		{"nrf91", "AT%XSYSTEMMODE=0,1,0,0", "AT%XSYSTEMMODE?", "%XSYSTEMMODE: 1,0,1,0", "%XSYSTEMMODE: 0,1,0,0", "AT+CFUN=0"},
		{"telit-le910", "AT#QSS=1", "AT#QSS?", "#QSS: 0", "#QSS: 1", "AT&W"},
		{"ublox-sara-r5", "AT+UMNOPROF=100", "AT+UMNOPROF?", "+UMNOPROF: 100,0,0", "+UMNOPROF: 100", "AT+CPWROFF"},
		{"ublox-sara-r5", "AT+UMNOPROF=100", "AT+UMNOPROF?", "+UMNOPROF: 100,0,0", "+UMNOPROF: 100", "AT+CFUN=16"},
	} {
		for _, saved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s saved=%v", c.persona, c.set, saved), func(t *testing.T) {
				p := persona(t, c.persona)
				nv := &memory{}
				inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), NV: nv}, func(t *testing.T, h *host) {
					h.m.PowerOn()
					h.after(p.Boot.Alive + time.Second)
					h.ask("AT+CFUN=4")
					h.ask("ATE0")
					h.after(10 * time.Second)
					h.want(c.set, "OK")
					h.want(c.read, c.is, "OK")
					if saved && c.save != "" {
						h.ask(c.save)
						h.after(30 * time.Second)
					}
					h.m.PowerOff()
					h.boot()
					h.ask("ATE0")
					want := c.was
					if saved || c.save == "" {
						want = c.is
					}
					if want != "" {
						want += "|"
					}
					if got := plain(h.ask(c.read), ""); got != want+"OK" {
						t.Errorf("after the power cut %q, want %q", got, want)
					}
				})
				synctest.Test(t, func(t *testing.T) { // another process, the same memory
					h := start(t, modemsim.Options{Persona: p, Card: newFakeCard(), NV: nv})
					defer h.end()
					h.boot()
					h.ask("ATE0")
					if got := h.ask(c.read); strings.Contains(got, c.is+"\r") != (saved || c.save == "") {
						t.Errorf("in the next process: %q", got)
					}
				})
			})
		}
	}
}

func TestNVErrors(t *testing.T) {
	nv := &memory{fail: errors.New("worn out")}
	if _, err := modemsim.New(modemsim.Options{Persona: persona(t, "generic-3gpp"), NV: nv}); !errors.Is(err, nv.fail) {
		t.Errorf("New: %v", err)
	}
	if _, err := modemsim.New(modemsim.Options{}); !errors.Is(err, modemsim.ErrOptions) {
		t.Errorf("no persona: %v", err)
	}
}

// TestDown: an orderly power-down says so, ends everything and needs the supply
// to come back.
func TestDown(t *testing.T) {
	p := persona(t, "quectel-eg25")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		if got := plain(h.ask("AT+QPOWD=1"), ""); got != "OK|POWERED DOWN" {
			t.Errorf("answer %q", got)
		}
		if got := h.ask("AT"); got != "" {
			t.Errorf("after power-down: %q", got)
		}
		h.m.PowerOn()
		if got := h.after(10 * time.Second); got != "" {
			t.Errorf("PowerOn without PowerOff: %q", got)
		}
		h.m.PowerOff()
		if got := h.boot(); !strings.HasPrefix(got, "\r\nRDY\r\n") {
			t.Errorf("boot: %q", got)
		}
	})
}

// TestReset: by command, by pin; volatile settings are gone, the radio log is
// not.
func TestReset(t *testing.T) {
	p := persona(t, "ublox-sara-r5")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		for i, reset := range []func(){
			func() { h.want("AT+CFUN=16", "OK") },
			func() { h.want("AT+CFUN=1,1", "OK") },
			h.m.ResetPin,
		} {
			reset()
			h.after(p.Boot.Alive + time.Second)
			if got := h.ask("AT"); got != "AT\r\r\nOK\r\n" {
				t.Errorf("reset %d: %q", i, got)
			}
			h.ask("ATE0")
			h.want("AT+CFUN?", "+CFUN: 1", "OK")
			h.want("AT+CMEE?", "+CMEE: 2", "OK")
		}
		if c := h.m.Counters(); c.Boots != 4 {
			t.Errorf("%d boots", c.Boots)
		}
	})
}

// TestRadio: with CFUN 1 after boot the module attaches by itself; quiet in
// time, repeated after a reset, it never goes on the air.
func TestRadio(t *testing.T) {
	p := persona(t, "quectel-eg25")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Network: true}, func(t *testing.T, h *host) {
		h.boot()
		if n := h.m.Attempts(); n != 1 {
			t.Errorf("%d attempts after a boot that nobody watched", n)
		}
		h.ask("ATE0")
		h.want("AT+CREG?", "+CREG: 0,1", "OK")
		h.want("AT+COPS?", `+COPS: 0,0,"Test PLMN 1-1",7`, "OK")
		h.want("AT+COPS=3,2", "OK")
		h.want("AT+COPS?", `+COPS: 0,2,"00101",7`, "OK")
		if got := h.ask("AT+COPS=3,3"); !strings.Contains(got, "ERROR") {
			t.Errorf("an unknown format: %q", got)
		}
		h.want("AT+CSQ", "+CSQ: 20,99", "OK")
		h.want("AT+CEREG=2", "OK")
		h.want("AT+CEREG?", `+CEREG: 2,1,"0001","00000001",7`, "OK")
		h.want("AT+CEREG=0", "OK")
		h.want("AT+CREG=1", "OK")
		if got := plain(h.ask("AT+CFUN=4"), ""); got != "+CREG: 0|OK" {
			t.Errorf("detach: %q", got)
		}
	})
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard(), Network: true}, func(t *testing.T, h *host) {
		h.online(p)
		h.want("AT+CFUN=1,1", "OK")
		h.after(p.Boot.Alive)
		h.ask("AT+CFUN=4")
		h.after(time.Minute)
		if n := h.m.Attempts(); n != 0 {
			t.Errorf("%d attempts: %v", n, h.m.RadioLog())
		}
		h.ask("AT+COPS=2")
		h.ask("AT+CFUN=1")
		h.after(time.Minute)
		if n := h.m.Attempts(); n != 0 {
			t.Errorf("%d attempts with COPS=2", n)
		}
		var kinds []string
		for _, e := range h.m.RadioLog() {
			kinds = append(kinds, fmt.Sprintf("%s %d %s", e.Kind, e.CFUN, e.Detail))
		}
		want := "cfun 1 boot,cfun 4 command,cfun 1 command,cfun 1 boot,cfun 4 command,cfun 1 command"
		if got := strings.Join(kinds, ","); got != want {
			t.Errorf("radio log %s, want %s", got, want)
		}
	})
}

// TestEnumeratingPort: a USB port goes with power and comes with the boot.
func TestEnumeratingPort(t *testing.T) {
	p := persona(t, "quectel-eg25")
	p.Port.Enumerates, p.Boot.Port = true, 3*time.Second
	synctest.Test(t, func(t *testing.T) {
		m, err := modemsim.New(modemsim.Options{Persona: p, Card: newFakeCard(), IMEI: testIMEI})
		if err != nil {
			t.Fatal(err)
		}
		l := modemsim.NewLink(m)
		done := make(chan error, 1)
		ctx, stop := contextIn(t)
		go func() { done <- l.Run(ctx) }()
		open := func(want error) {
			t.Helper()
			c, err := l.Open()
			if !errors.Is(err, want) {
				t.Errorf("Open: %v, want %v", err, want)
			}
			if c != nil {
				if _, err := l.Open(); !errors.Is(err, modemsim.ErrPortBusy) {
					t.Errorf("second Open: %v", err)
				}
				_ = c.Close()
			}
		}
		synctest.Wait()
		open(modemsim.ErrPortGone)
		m.PowerOn()
		time.Sleep(3*time.Second - 1)
		synctest.Wait()
		open(modemsim.ErrPortGone)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		open(nil)
		c, err := l.Open()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		b := make([]byte, 7)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "\r\nRDY\r\n" {
			t.Errorf("boot text waits for the reader: %q, %v", b[:n], err)
		}
		m.PowerOff()
		synctest.Wait()
		for {
			if _, err = c.Read(b); err != nil {
				break
			}
		}
		if !errors.Is(err, modemsim.ErrPortGone) {
			t.Errorf("read from a port that vanished: %v", err)
		}
		if _, err := c.Write(b); !errors.Is(err, modemsim.ErrPortGone) {
			t.Errorf("write to a port that vanished: %v", err)
		}
		_ = c.Close()
		open(modemsim.ErrPortGone)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

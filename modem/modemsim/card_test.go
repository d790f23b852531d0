package modemsim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

// TestBlankCard is the module's view of an eUICC without an enabled profile.
func TestBlankCard(t *testing.T) {
	for _, c := range []struct{ persona, ask, want string }{
		{"generic-3gpp", "AT+CPIN?", "+CME ERROR: 13"},
		{"fibocom-fm350", "AT+CPIN?", "+CPIN: EMPTY_EUICC|OK"},
		{"nrf91", `AT+CSIM=10,"0070000001"`, "+CME ERROR: 13"},
		{"telit-le910", `AT+CSIM=10,"0070000001"`, `+CSIM: 6,"019000"|OK`},
		{"quectel-eg25", "AT+QCCID", "+CME ERROR: 13"},
		{"quectel-eg25", "AT+CIMI", "+CME ERROR: 13"},
		{"fibocom-fm350", "AT+EID", "+EID: " + fakeEID + "|OK"},
	} {
		t.Run(c.persona+" "+c.ask, func(t *testing.T) {
			card := newFakeCard()
			card.iccid = ""
			p := persona(t, c.persona)
			inBubble(t, modemsim.Options{Persona: p, Card: card}, func(t *testing.T, h *host) {
				h.online(p)
				if got := plain(h.ask(c.ask), ""); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				h.open()
			})
		})
	}
}

func TestEmptySlot(t *testing.T) {
	inBubble(t, modemsim.Options{Persona: persona(t, "generic-3gpp")}, func(t *testing.T, h *host) {
		h.boot()
		h.want("AT+CMEE=1", "OK")
		h.want("AT+CPIN?", "+CME ERROR: 10")
		h.want(`AT+CCHO="`+isdrAID+`"`, "+CME ERROR: 10")
		if n := h.m.Attempts(); n != 0 {
			t.Errorf("%d attempts without a card", n)
		}
	})
}

// TestRefresh: a REFRESH ends all sessions, resets the card, shows as the
// family's line, and the new ICCID is there afterwards and not before.
func TestRefresh(t *testing.T) {
	for _, c := range []struct{ persona, enable, iccid, shown, urc string }{
		{"quectel-eg25", "", "AT+QCCID", "+QCCID: ", "+QUSIM: 1"},
		{"ublox-sara-r5", "AT+USIMSTAT=7", "AT+CCID", "+CCID: ", "+UUSIMSTAT: 9"},
		{"ublox-sara-r5", "", "AT+CCID", "+CCID: ", ""},
		{"telit-le910", "AT#QSS=1", "AT#CCID", "#CCID: ", "#QSS: 0|#QSS: 1"},
		{"nrf91", "AT%XSIM=1", "AT%XICCID", "%XICCID: ", "%XSIM: 0|%XSIM: 1"},
	} {
		t.Run(c.persona+c.enable, func(t *testing.T) {
			card := newFakeCard()
			p := persona(t, c.persona)
			inBubble(t, modemsim.Options{Persona: p, Card: card}, func(t *testing.T, h *host) {
				h.online(p)
				if c.enable != "" {
					h.want(c.enable, "OK")
				}
				handle := h.open()
				card.next = "8988211000000123458"
				h.send(fmt.Sprintf(`AT+CGLA=%s,12,"81E291000102"`+"\r", handle))
				got := plain(h.after(p.AT.Delay["+CGLA"]+p.SIM.Refresh.Delay/2+p.AT.Delay["default"]), "")
				if got != `+CGLA: 4,"910B"|OK` {
					t.Errorf("answer %q", got)
				}
				h.after(p.AT.Gap + p.SIM.Refresh.Delay)
				if got := plain(h.ask(c.iccid), ""); p.SIM.Refresh.Down > time.Second && got != "+CME ERROR: 14" {
					t.Errorf("during the refresh: %q", got)
				}
				got = plain(h.after(5*time.Second), "")
				if p.SIM.Refresh.Down > time.Second && got != c.urc {
					t.Errorf("lines %q, want %q", got, c.urc)
				}
				if got := plain(h.ask(c.iccid), ""); !strings.HasPrefix(got, c.shown+"8988211000000123458") {
					t.Errorf("ICCID: %q", got)
				}
				if got := h.store(handle, getEID); !strings.HasPrefix(got, "+CME ERROR") {
					t.Errorf("the session outlived the reset: %q", got)
				}
				if card.resets != 2 {
					t.Errorf("%d resets", card.resets)
				}
			})
		})
	}
}

// TestPortClosesAtCFUN0: the port goes before OK, the level is set, and what
// was sent in the same breath still counts.
func TestPortClosesAtCFUN0(t *testing.T) {
	p := persona(t, "quectel-eg916q")
	synctest.Test(t, func(t *testing.T) {
		card := newFakeCard()
		h := start(t, modemsim.Options{Persona: p, Card: card})
		h.online(p)
		h.send("AT+CFUN=0\rAT+CFUN=1\r")
		if err := <-h.err; !errors.Is(err, modemsim.ErrPortGone) {
			t.Errorf("Serve: %v", err)
		}
		if err := h.m.WaitPort(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.serve()
		defer h.end()
		h.want("AT+CFUN?", "+CFUN: 1", "OK")
		h.want("AT+CRSM=176,12258,0,0,10", "+CME ERROR: 3")
		h.want("AT+QCCID", "+QCCID: 8949449999999990049F", "OK")
		if card.resets != 2 || card.cuts != 1 {
			t.Errorf("%d resets, %d power cuts of the card", card.resets, card.cuts)
		}
	})
}

// TestOwnLPAAtColdStart: the module's LPA takes the profile state back when the
// power comes, and not at a warm reset.
func TestOwnLPAAtColdStart(t *testing.T) {
	for name, request := range map[string]string{
		"demo-eg25":      "",
		"demo-fallback":  "bf3211a00c5a0a989444999999990940f9810100",
		"demo-forgetful": "bf340482020780",
	} {
		card := newFakeCard()
		inBubble(t, modemsim.Options{Persona: persona(t, name), Card: card}, func(t *testing.T, h *host) {
			for i, boot := range []func(){h.m.PowerOn, h.m.ResetPin, h.m.PowerOff, h.m.PowerOn} {
				card.log = nil
				boot()
				h.after(5 * time.Second)
				all := strings.Join(card.log, " ")
				if did := request != "" && strings.Contains(all, request); did != (request != "" && (i == 0 || i == 3)) {
					t.Errorf("%s, boot %d: %s", name, i, all)
				}
				if i != 2 && !strings.Contains(all, "00b000000a") {
					t.Errorf("%s, boot %d: ICCID not read: %s", name, i, all)
				}
			}
		})
	}
}

// TestSettle: OK to CFUN=1 comes before the card is ready.
func TestSettle(t *testing.T) {
	p := persona(t, "sierra-em75")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		h.want("AT+CFUN=0", "OK")
		h.want("AT+CPIN?", "+CME ERROR: 3")
		h.want("AT+CFUN=1", "OK")
		h.want("AT+CPIN?", "+CME ERROR: 14")
		h.after(5 * time.Second)
		h.want("AT+CPIN?", "+CPIN: READY", "OK")
	})
}

// TestProactive: other proactive commands are answered, and a file change is
// read without a reset.
func TestProactive(t *testing.T) {
	p := persona(t, "demo-eg25")
	card := newFakeCard()
	inBubble(t, modemsim.Options{Persona: p, Card: card}, func(t *testing.T, h *host) {
		h.online(p)
		handle := h.open()
		for _, c := range []struct {
			command      []byte
			answer, sent string
			resets       int
		}{
			{[]byte{1, 0x26, 0x00}, "", "801400000c810301260082028281830100", 1},          // PROVIDE LOCAL INFORMATION
			{[]byte{1, 0x01, 0x01}, "+QUSIM: 1", "801400000c810301010182028281830100", 1}, // REFRESH, file change
			{[]byte{1, 0x01, 0x04}, "+QUSIM: 1", "", 2},                                   // REFRESH, UICC reset
		} {
			card.log, card.announce, card.iccid = nil, c.command, "8988211000000123458"
			if got := h.store(handle, "02"); !strings.HasPrefix(got, "+CGLA: 4,\"910B\"|OK") || strings.Contains(got, "+QUSIM") != (c.answer != "") {
				t.Errorf("% X: %q", c.command, got)
			}
			all := strings.Join(card.log, " ")
			if !strings.Contains(all, "8012000000") || strings.Contains(all, "8014") != (c.sent != "") || !strings.Contains(all, c.sent) || card.resets != c.resets {
				t.Errorf("% X: %d resets, %s", c.command, card.resets, all)
			}
		}
		h.want("AT+QCCID", "+QCCID: 8988211000000123458F", "OK")
	})
}

// A module that holds commands while a REFRESH resets the card answers them when
// it is back, and takes the close of a session that went with the reset; one that
// does not says SIM busy.
func TestHoldDuringRefresh(t *testing.T) {
	for _, name := range []string{"quectel-eg25", "demo-eg25", "telit-le910"} {
		t.Run(name, func(t *testing.T) {
			p := persona(t, name)
			inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
				h.online(p)
				h.want("AT+CMEE=1", "OK")
				handle := h.open()
				h.send(fmt.Sprintf(`AT+CGLA=%s,12,"81E291000102"`+"\r", handle))
				h.after(p.AT.Delay["+CGLA"] + p.SIM.Refresh.Delay + p.AT.Delay["default"] + p.AT.Gap)
				h.send("AT+CCHC=" + handle + "\r")
				early := plain(h.after(p.SIM.Refresh.Down/2), "")
				late := plain(h.after(p.SIM.Refresh.Down+time.Second), "")
				if !p.SIM.Refresh.Hold {
					if early != "+CME ERROR: 14" {
						t.Errorf("%q, then %q", early, late)
					}
					return
				}
				if early != "" || !strings.HasSuffix(late, "OK") {
					t.Errorf("%q, then %q", early, late)
				}
				h.want("AT+CCHC="+handle, "+CME ERROR: 21")
				if h.open() == "" {
					t.Error("no session behind the reset")
				}
			})
		})
	}
}

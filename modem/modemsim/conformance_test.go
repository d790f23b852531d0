package modemsim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

const (
	isdrAID = "A0000005591010FFFFFFFF8900000100"
	getEID  = "BF3E035C015A"
	eidTLV  = "BF3E125A10" + fakeEID
)

// online brings a module to where its card can be used without the radio.
func (h *host) online(p modemsim.Persona) {
	h.t.Helper()
	level := 4
	if len(p.SIM.OnIn) > 0 {
		level = p.SIM.OnIn[0]
	}
	h.m.PowerOn()
	h.after(p.Boot.Alive + p.AT.Gap)
	if got := plain(h.ask(fmt.Sprintf("AT+CFUN=%d", level)), ""); !strings.Contains(got, "OK") {
		h.t.Fatalf("CFUN: %q", got) // boot text may be in it
	}
	h.after(30 * time.Second)
	h.ask("ATE0")
	h.want("AT+CMEE=1", "OK")
}

// open opens the ISD-R and returns the session's handle.
func (h *host) open() string {
	h.t.Helper()
	got := plain(h.ask(`AT+CCHO="`+isdrAID+`"`), "")
	handle, ok := strings.CutSuffix(strings.Trim(strings.TrimPrefix(got, "+CCHO: "), `"`), "|OK")
	if !ok || handle == "" {
		h.t.Fatalf("CCHO: %q", got)
	}
	return handle
}

// store sends one STORE DATA block without Le on a session.
func (h *host) store(handle, data string) string {
	h.t.Helper()
	apdu := fmt.Sprintf("81E29100%02X%s", len(data)/2, data)
	return plain(h.ask(fmt.Sprintf(`AT+CGLA=%s,%d,"%s"`, handle, len(apdu), apdu)), "")
}

// TestConformance asks of every persona what a station may rely on.
func TestConformance(t *testing.T) {
	all := personas(t)
	for _, name := range all.Names() {
		p := all[name]
		t.Run(name, func(t *testing.T) {
			card := newFakeCard()
			inBubble(t, modemsim.Options{Persona: p, Card: card}, func(t *testing.T, h *host) {
				h.online(p)
				h.want("AT+CGMI", p.Identity.Manufacturer, "OK")
				h.want("AT+CGMM", p.Identity.Model, "OK")
				h.want("AT+CGMR", p.Identity.Firmware, "OK")
				h.want("AT+CGSN", string(testIMEI), "OK")
				h.want("AT+CPIN?", "+CPIN: READY", "OK")
				if p.Commands["+CRSM"].Action == "" {
					h.want("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"989444999999990940F9"`, "OK")
				}
				if got := h.ask("AT+CGLA=9,10,\"80F2000000\""); !strings.Contains(got, "ERROR") {
					t.Errorf("CGLA on a session that is not open: %q", got)
				}
				h.conformChannels(p)
				h.conformCSIM(p)
				if n := h.m.Attempts(); n != 0 {
					t.Errorf("%d registration attempts with the radio off from the start: %v", n, h.m.RadioLog())
				}
			})
		})
	}
}

func (h *host) conformChannels(p modemsim.Persona) {
	h.t.Helper()
	if p.APDU.LPA.Setting != "" {
		return // TestOwnLPA
	}
	first := h.open()
	second := h.open()
	if first == second {
		h.t.Errorf("two sessions are %q", first)
	}
	for _, handle := range []string{first, second} {
		if got := h.store(handle, getEID); !strings.Contains(strings.ToUpper(got), eidTLV+"9000") {
			h.t.Errorf("GetEID on %s: %q", handle, got)
		}
	}
	h.want("AT+CCHC="+first, "OK")
	if got := h.store(first, getEID); !strings.HasPrefix(got, "+CME ERROR:") {
		h.t.Errorf("CGLA on a closed session: %q", got)
	}
	if got := h.store(second, getEID); !strings.HasSuffix(got, "|OK") {
		h.t.Errorf("CGLA on the other session: %q", got)
	}
	h.want("AT+CCHC="+second, "OK")
	for range 5 { // channels come back
		h.want("AT+CCHC="+h.open(), "OK")
	}
}

func (h *host) conformCSIM(p modemsim.Persona) {
	h.t.Helper()
	cs := p.APDU.CSIM
	got := h.ask(`AT+CSIM=10,"0070000001"`)
	if !cs.Supported || !cs.Open {
		if !strings.Contains(got, "ERROR") {
			h.t.Errorf("CSIM MANAGE CHANNEL: %q", got)
		}
		return
	}
	if p.APDU.LPA.Setting != "" {
		return
	}
	if got = plain(got, ""); got != `+CSIM: 6,"019000"|OK` {
		h.t.Fatalf("CSIM MANAGE CHANNEL: %q", got)
	}
	h.want(`AT+CSIM=42,"01A4040010`+isdrAID+`"`, `+CSIM: 8,"62009000"`, "OK")
	h.want(`AT+CSIM=22,"81E2910006`+getEID+`"`, `+CSIM: 46,"`+eidTLV+`9000"`, "OK")
	if got := h.ask(`AT+CSIM=10,"81F2000000"`); strings.Contains(got, "ERROR") != (len(cs.Except) > 0) {
		h.t.Errorf("CSIM STATUS on a channel: %q", got)
	}
	h.want(`AT+CSIM=10,"0070800100"`, `+CSIM: 4,"9000"`, "OK")
}

// TestBootTimes holds the demo personas to the promise that they boot in 300 ms.
func TestBootTimes(t *testing.T) {
	all := personas(t)
	for _, name := range all.Names() {
		p := all[name]
		want := p.Boot.Alive
		if strings.HasPrefix(name, "demo-") {
			want = 300 * time.Millisecond
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
				h.m.PowerOn()
				time.Sleep(want - time.Nanosecond)
				if h.m.Alive() {
					t.Error("alive too early")
				}
				time.Sleep(time.Nanosecond)
				if !h.m.Alive() {
					t.Error("not alive")
				}
				if h.m.Ready() != (len(p.SIM.OnIn) > 0) { // those boot with the card off
					t.Error("card readiness")
				}
			})
		})
	}
}

// TestChannelBits is what lpac needs: it puts an index of its own into CLA, and
// the module puts the session's channel there.
func TestChannelBits(t *testing.T) {
	p := persona(t, "quectel-eg25")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		h.open()
		second := h.open()
		h.want(`AT+CGLA=`+second+`,12,"81e291000103"`, `+CGLA: 6,"829000"`, "OK")
	})
	p.APDU.Channel.PatchCLA = false
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		h.open()
		second := h.open()
		h.want(`AT+CGLA=`+second+`,12,"81e291000103"`, `+CGLA: 6,"819000"`, "OK")
	})
}

// TestLeakedChannels fills the card's channels as a client does that is killed
// again and again; only a card reset brings them back.
func TestLeakedChannels(t *testing.T) {
	p := persona(t, "demo-eg25")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		for range 3 {
			h.open()
		}
		h.want(`AT+CCHO="`+isdrAID+`"`, "ERROR")
		h.want("AT+CFUN=0", "OK")
		h.want("AT+CFUN=4", "OK")
		h.want("AT+CCHC="+h.open(), "OK")
	})
}

// TestOwnLPA: the ISD-R is free only after the setting and one reset.
func TestOwnLPA(t *testing.T) {
	p := persona(t, "quectel-rg650")
	inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
		h.online(p)
		h.want(`AT+CCHO="`+isdrAID+`"`, "+CME ERROR: 3")
		h.want(`AT+CSIM=42,"00A4040010`+isdrAID+`"`, `+CSIM: 4,"6985"`, "OK")
		h.want(`AT+QESIM="lpa_enable",0`, "OK")
		h.want(`AT+QESIM="lpa_enable"`, `+QESIM: "lpa_enable",0`, "OK")
		h.want(`AT+CCHO="`+isdrAID+`"`, "+CME ERROR: 3")
		h.send("AT+CFUN=1,1\r")
		h.after(30 * time.Second)
		h.ask("ATE0")
		h.want(`AT+CCHO=`+isdrAID, "+CME ERROR: 50") // wants quotes
		h.open()
	})
}

// TestSecondServe: a port has one owner.
func TestSecondServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := start(t, modemsim.Options{Persona: persona(t, "demo-eg25")})
		synctest.Wait()
		other := modemsim.NewLink(h.m)
		if err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "served already") {
			t.Errorf("second Serve: %v", err)
		}
		if err := h.shut(); err != nil {
			t.Errorf("Serve after its context: %v", err)
		}
	})
}

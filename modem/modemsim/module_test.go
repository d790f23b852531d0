package modemsim_test

import (
	"testing"

	"linefit/modem/modemsim"
)

func TestGeneric(t *testing.T) {
	inBubble(t, modemsim.Options{Persona: persona(t, "generic-3gpp"), Card: newFakeCard()}, func(t *testing.T, h *host) {
		if got := h.boot(); got != "" {
			t.Errorf("boot: %q", got)
		}
		if got := h.ask("AT"); got != "AT\r\r\nOK\r\n" {
			t.Errorf("echo: %q", got)
		}
		h.want("ATE0", "OK")
		if got := h.ask("at+cgmi"); got != "\r\nGeneric\r\n\r\nOK\r\n" {
			t.Errorf("CGMI: %q", got)
		}
		h.want("AT+CGSN", string(testIMEI), "OK")
		h.want("AT+CPIN?", "+CPIN: READY", "OK")
		h.want("AT+CIMI", "001012345678901", "OK")
		h.want("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"989444999999990940F9"`, "OK")
		h.want(`AT+CCHO="A0000005591010FFFFFFFF8900000100"`, "1", "OK")
		h.want(`AT+CGLA=1,22,"81E2910006BF3E035C015A00"`, "ERROR")
		h.want(`AT+CGLA=1,24,"81E2910006BF3E035C015A00"`, `+CGLA: 46,"BF3E125A10`+fakeEID+`9000"`, "OK")
		h.want(`AT+CCHC=1`, "OK")
		h.want(`AT+CCHC=1`, "ERROR")
		h.want(`AT+CMEE=1;+CCHC=1`, "+CME ERROR: 21")
	})
}

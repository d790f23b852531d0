package modemsim_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

// FuzzLine: whatever comes down the line, the module does not panic, keeps
// within its bounds and answers AT afterwards.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"AT\r", "A/\r", "at+cgla=1,22,\"81E2910006BF3E035C015A\"\r", "AT+CSIM=10,0070000001\r", "AT+CCHO=\"\r", "AT+CCHO=A0\rAT+CCHC=1\r",
		"AT+CRSM=176,12258,0,0,10,,\"3F00\"\r", "AT+CRSM=192,99999999999\r", "ATS3=10\rAT\n", "ATS3=200\r", "ATS999?\r", "ATE1V0Q1&C1&D0\r",
		"AT+CFUN=1,1\r", "AT+CFUN=0\r", "AT+CGDCONT=1,\"IP\",\";\"\r", "AT+QCFG=\"usbnet\",\r", "AT+IPR=\r", "ATD*99#;\r", "AT&\r", "AT+=\r", "AT;;;\r",
		"AT+CMEE=2;+CMEE?;+NOSUCH\r", "AT\bAT\r", "\x00\xff\x1a\x1bAT\r", strings.Repeat("A", 5000) + "\r",
	} {
		f.Add([]byte(s))
	}
	p := noDelay(persona(f, "demo-eg25"))
	p.AT.Echo = true
	f.Fuzz(func(t *testing.T, input []byte) {
		input = input[:min(len(input), 1<<15)]
		synctest.Test(t, func(t *testing.T) {
			h := start(t, modemsim.Options{Persona: p, Card: newFakeCard()})
			defer h.end()
			h.boot()
			h.send(string(input))
			h.after(10 * time.Second)
			h.m.PowerOff()
			h.boot() // a register may have moved CR
			h.ask("ATE0")
			h.want("AT", "OK")
		})
	})
}

// FuzzParse: the parser of a command line ends, and takes something each time.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"E0V1", "+CGLA=1,2,\"a;b\";+X?", "S3=13S4?", "D123;", "&F\\Q0", "+A=?;;", "\x80", "+CFUN=1 ; +CFUN?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) { modemsim.ParseAll(t, line) })
}

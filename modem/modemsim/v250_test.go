package modemsim_test

import (
	"strings"
	"testing"
	"time"

	"linefit/modem/modemsim"
)

// TestV250 is the command interpreter's own behaviour, each line against a
// module fresh from power-on: what is sent and what comes, byte for byte.
func TestV250(t *testing.T) {
	for _, c := range []struct{ name, send, want string }{
		{"empty line", "AT\r", "\r\nOK\r\n"},
		{"lower case", "at+cgmm\r", "\r\n3GPP-MT\r\n\r\nOK\r\n"},
		{"mixed case is none", "aT\r", "\r\nOK\r\n"},
		{"line feeds between lines", "AT\r\nAT\r\n", "\r\nOK\r\n\r\nOK\r\n"},
		{"rubbish before AT", "\x00\xffxyzAT\r", "\r\nOK\r\n"},
		{"no AT", "hello\r", ""},
		{"repeat", "AT+CSQ\rA/", "\r\n+CSQ: 99,99\r\n\r\nOK\r\n\r\n+CSQ: 99,99\r\n\r\nOK\r\n"},
		{"backspace", "AT+CSX\bQ\r", "\r\n+CSQ: 99,99\r\n\r\nOK\r\n"},
		{"basic commands in a row", "ATE0V1Q0X4&C1&D2S0=0\r", "\r\nOK\r\n"},
		{"basic and extended", "ATE0+CSQ;+CMEE?\r", "\r\n+CSQ: 99,99\r\n\r\n+CMEE: 0\r\n\r\nOK\r\n"},
		{"the first failure ends the line", "AT+CSQ;+NOSUCH;+CSQ\r", "\r\n+CSQ: 99,99\r\n\r\nERROR\r\n"},
		{"semicolon in quotes", "AT+CGDCONT=1,\"IP\",\"a;b\";+CGDCONT?\r", "\r\n+CGDCONT: 1,\"IP\",\"a;b\"\r\n\r\nOK\r\n"},
		{"numeric", "ATV0\rAT+CSQ\rAT+NO\r", "0\r+CSQ: 99,99\r\n0\r4\r"},
		{"quiet", "ATQ1\rAT\rAT+CSQ\r", "\r\n+CSQ: 99,99\r\n"},
		{"other CR, already in its own result", "ATS3=33\rAT!ATS3?!", "!\nOK!\n!\nOK!\n!\n033!\n!\nOK!\n"},
		{"other LF", "ATS4=35\rAT\r", "\r#OK\r#\r#OK\r#"},
		{"register that is none", "ATS99?\r", "\r\nERROR\r\n"},
		{"register out of range", "ATS3=300\r", "\r\nERROR\r\n"},
		{"unknown basic", "ATN9\r", "\r\nERROR\r\n"},
		{"bad flag", "ATE7\r", "\r\nERROR\r\n"},
		{"too long", "AT+CGMM" + strings.Repeat("x", 3000) + "\r", "\r\nERROR\r\n"},
		{"dial", "ATD*99#\rATH\r", "\r\nNO CARRIER\r\n\r\nOK\r\n"},
		{"quotes left open", "AT+CCHO=\"A0\r", "\r\nERROR\r\n"},
		{"odd hexadecimal", "AT+CMEE=1;+CSIM=9,\"80F200000\"\r", "\r\n+CME ERROR: 50\r\n"},
		{"wrong length", "AT+CMEE=1;+CSIM=8,\"80F2000000\"\r", "\r\n+CME ERROR: 50\r\n"},
		{"too short for an APDU", "AT+CMEE=1;+CSIM=6,\"80F200\"\r", "\r\n+CME ERROR: 50\r\n"},
		{"unquoted APDU", "AT+CSIM=10,80f2000000\r", "\r\n+CSIM: 4,\"9000\"\r\n\r\nOK\r\n"},
		{"error texts", "AT+CMEE=2;+CPIN=1\r", "\r\n+CME ERROR: operation not allowed\r\n"},
		{"factory defaults", "AT+CMEE=2\rAT&F+CMEE?\r", "\r\nOK\r\n\r\n+CMEE: 0\r\n\r\nOK\r\n"},
		{"stored profile", "AT+CMEE=1;&W+CMEE=2\rATZ+CMEE?\r", "\r\nOK\r\n\r\n+CMEE: 1\r\n\r\nOK\r\n"},
		{"character sets", "AT+CSCS=?\rAT+CSCS?\r", "\r\n+CSCS: (\"GSM\",\"IRA\",\"UCS2\")\r\n\r\nOK\r\n\r\n+CSCS: \"GSM\"\r\n\r\nOK\r\n"},
		{"a setting is read back until ATZ", "AT+CNMI=2,0;+CNMI?\rATZ\rAT+CNMI?\r", "\r\n+CNMI: 2,0\r\n\r\nOK\r\n\r\nOK\r\n\r\n+CNMI: 2,1,0,0,0\r\n\r\nOK\r\n"},
		{"setting out of bounds", "AT+CSCS=\"" + strings.Repeat("x", 99) + "\"\r", "\r\nERROR\r\n"},
		{"message service", "AT+CSMS=1\rAT+CSMS?\r", "\r\n+CSMS: 0,0,0\r\n\r\nOK\r\n\r\n+CSMS: 0,0,0,0\r\n\r\nOK\r\n"},
		{"own number", "AT+CNUM\r", "\r\nOK\r\n"},
		{"registration modes", "AT+CEREG=7;+CEREG?\r", "\r\nERROR\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := noDelay(persona(t, "generic-3gpp"))
			inBubble(t, modemsim.Options{Persona: p, Card: newFakeCard()}, func(t *testing.T, h *host) {
				h.m.PowerOn()
				h.after(10 * time.Second)
				h.send(c.send)
				if got := h.after(10 * time.Second); got != c.want {
					t.Errorf("%q\n got %q\nwant %q", c.send, got, c.want)
				}
			})
		})
	}
}

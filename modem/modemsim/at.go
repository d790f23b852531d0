package modemsim

import (
	"fmt"
	"strconv"
	"strings"
)

// atState is the state of the command interpreter (ITU-T V.250 sections 5 and
// 6.2). It is lost with power and with every restart.
type atState struct {
	echoOn  bool // ATE
	numeric bool // ATV0
	quiet   bool // ATQ1
	cmee    int
	creg    map[string]int // reporting mode by command
	s       map[int]int    // S registers
	bits    map[string]int // &C, &D, X and the like: kept, without effect
	plain   map[string]string
	cops    int // format of +COPS: 0 long name, 1 short name, 2 number

	phase linePhase
	buf   []byte
	over  bool   // the line was longer than the module takes
	last  string // for A/
	echo  []byte // not sent yet
}

type linePhase byte

const (
	phaseIdle linePhase = iota
	phaseA
	phaseLine
)

// tooLong is a line that no parser takes: the interpreter's own mark.
const tooLong = "\x00"

func (m *Module) resetAT() {
	m.at = atState{}
	m.defaults()
}

// defaults are the interpreter's settings after boot, ATZ and AT&F.
func (m *Module) defaults() {
	a := &m.at
	a.echoOn, a.numeric, a.quiet, a.cmee = m.persona.AT.Echo, false, false, m.persona.AT.CMEE
	a.creg, a.plain, a.cops = map[string]int{}, map[string]string{}, 0
	a.s = map[int]int{0: 0, 3: '\r', 4: '\n', 5: '\b', 6: 2, 7: 50, 8: 2, 10: 10}
	a.bits = map[string]int{"X": 4, "&C": 1, "&D": 2, "&K": 3, "&S": 0}
	for name := range a.bits {
		if v, ok := m.settings.stored(profileKey + name); ok {
			a.bits[name], _ = strconv.Atoi(v)
		}
	}
	if v, ok := m.settings.stored(profileKey + "E"); ok {
		a.echoOn = v != "0"
	}
	if v, ok := m.settings.stored(profileKey + "CMEE"); ok {
		a.cmee, _ = strconv.Atoi(v)
	}
}

func (a *atState) cr() byte { return a.register(3, '\r') }

func (a *atState) register(n int, def byte) byte {
	if v, ok := a.s[n]; ok {
		return byte(v)
	}
	return def
}

// char takes one character. run says that a command line is complete.
func (a *atState) char(b byte, maxLine int, repeat bool) (line string, run bool) {
	if a.echoOn && (a.phase != phaseIdle || b != '\n') {
		a.echo = append(a.echo, b)
	}
	switch a.phase {
	case phaseLine:
		return a.lineChar(b, maxLine)
	case phaseA:
		switch {
		case b|0x20 == 't':
			a.phase, a.buf, a.over = phaseLine, a.buf[:0], false
		case b == '/' && repeat:
			a.phase = phaseIdle
			return a.last, true
		case b|0x20 != 'a':
			a.phase = phaseIdle
		}
	default:
		if b|0x20 == 'a' {
			a.phase = phaseA
		}
	}
	return "", false
}

func (a *atState) lineChar(b byte, maxLine int) (string, bool) {
	switch {
	case b == a.cr():
		a.phase = phaseIdle
		a.last = string(a.buf)
		if a.over {
			a.last = tooLong
		}
		return a.last, true
	case b == a.register(5, '\b'):
		if len(a.buf) > 0 {
			a.buf = a.buf[:len(a.buf)-1]
		}
	case b < ' ':
	case len(a.buf) >= maxLine:
		a.over = true
	default:
		a.buf = append(a.buf, b)
	}
	return "", false
}

// frame is a line of text as the terminal gets it (V.250 section 5.7.1).
func (a *atState) frame(text string, tight bool) []byte {
	cr, lf := a.register(3, '\r'), a.register(4, '\n')
	var b []byte
	if !a.numeric && !tight {
		b = append(b, cr, lf)
	}
	return append(append(b, text...), cr, lf)
}

// result is how a command ends.
type result struct {
	kind resultKind
	cme  int
}

type resultKind byte

const (
	kindOK resultKind = iota
	kindError
	kindCME
	kindSilent
	kindNoCarrier
)

var (
	resOK     = result{}
	resError  = result{kind: kindError}
	resSilent = result{kind: kindSilent}
)

func cme(n int) result { return result{kindCME, n} }

// resultOf reads a result of a persona: "error", "silent" or a CME number.
func resultOf(s string) result {
	switch s {
	case "error", "":
		return resError
	case "silent":
		return resSilent
	}
	n, _ := strconv.Atoi(s) // checked when the persona was loaded
	return cme(n)
}

// final is a result code as the terminal gets it.
func (m *Module) final(r result) []byte {
	a := &m.at
	if a.quiet || r.kind == kindSilent {
		return nil
	}
	text, number := "OK", "0"
	switch r.kind {
	case kindError:
		text, number = "ERROR", "4"
	case kindNoCarrier:
		text, number = "NO CARRIER", "3"
	case kindCME:
		if text = m.cmeText(r.cme); text != "ERROR" {
			return a.frame(text, m.persona.AT.Framing == "tight")
		}
		number = "4"
	}
	if a.numeric {
		return append([]byte(number), a.register(3, '\r'))
	}
	return a.frame(text, m.persona.AT.Framing == "tight")
}

// cmeText is an error under the present +CMEE (3GPP TS 27.007 section 9.1).
func (m *Module) cmeText(n int) string {
	switch m.at.cmee {
	case 1:
		return fmt.Sprintf("+CME ERROR: %d", n)
	case 2:
		text, ok := m.persona.AT.CMEText[n]
		if !ok {
			text, ok = cmeWords[n]
		}
		if !ok {
			text = "unknown"
		}
		return "+CME ERROR: " + text
	}
	return "ERROR"
}

// CME errors used here (3GPP TS 27.007 section 9.2).
const (
	cmeNotAllowed   = 3
	cmeNotSupported = 4
	cmeIndex        = 21
	cmeParameters   = 50
	cmeUnknown      = 100
)

var cmeWords = map[int]string{
	0: "phone failure", 1: "no connection to phone", 3: "operation not allowed",
	4: "operation not supported", 5: "PH-SIM PIN required", 10: "SIM not inserted",
	11: "SIM PIN required", 12: "SIM PUK required", 13: "SIM failure", 14: "SIM busy",
	15: "SIM wrong", 16: "incorrect password", 17: "SIM PIN2 required", 18: "SIM PUK2 required",
	20: "memory full", 21: "invalid index", 22: "not found", 23: "memory failure",
	24: "text string too long", 25: "invalid characters in text string", 26: "dial string too long",
	30: "no network service", 31: "network timeout", 32: "network not allowed - emergency calls only",
	50: "Incorrect parameters", 100: "unknown",
}

// body is the information text of an answer.
func (m *Module) body(lines []string) []byte {
	if len(lines) == 0 {
		return nil
	}
	cr, lf := m.at.register(3, '\r'), m.at.register(4, '\n')
	sep := string([]byte{cr, lf})
	return m.at.frame(strings.Join(lines, sep), m.persona.AT.Framing == "tight")
}

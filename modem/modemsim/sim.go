package modemsim

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/modem/wire"
)

// simCommand runs the commands that show the card (3GPP TS 27.007 sections
// 5.6, 8.3, 8.18).
func (m *Module) simCommand(c command, at time.Time) (reply, bool) {
	switch c.name {
	case "+CPIN":
		return m.cpin(c), true
	case "+CIMI":
		return m.cimi(c), true
	case "+CCID":
		if c.form == formTest {
			return m.testReply(), true
		}
		if r, ok := m.needProfile(); !ok {
			return r, true
		}
		return done(m.fill([]string{"+CCID: {iccid_f}"})...), true
	case "+CRSM":
		return m.crsm(c), true
	case "+CLCK": // no facility lock is set on a virtual card
		if c.form == formTest {
			return m.testReply(`+CLCK: ("SC")`), true
		}
		return done("+CLCK: 0"), true
	}
	return reply{}, false
}

// needProfile is what a command about the profile answers without one.
func (m *Module) needProfile() (reply, bool) {
	if r := m.simResult(); r.kind != kindOK {
		return refused(r), false
	}
	if !m.sim.hasProfile() {
		return refused(resultOf(m.persona.SIM.NoProfile.ICCID)), false
	}
	return reply{}, true
}

func (m *Module) cpin(c command) reply {
	switch c.form {
	case formTest:
		return m.testReply()
	case formSet: // no PIN is set
		return refused(cme(cmeNotAllowed))
	case formExec:
		return refused(resError)
	}
	if r := m.simResult(); r.kind != kindOK {
		return refused(r)
	}
	if m.sim.hasProfile() {
		return done("+CPIN: READY")
	}
	text := m.persona.SIM.NoProfile.CPIN
	if text == "error" || text == "silent" || digits(text) == len(text) {
		return refused(resultOf(text))
	}
	return done("+CPIN: " + text)
}

func (m *Module) cimi(c command) reply {
	if c.form == formTest {
		return m.testReply()
	}
	if r, ok := m.needProfile(); !ok {
		return r
	}
	if m.sim.imsi == "" {
		return refused(resultOf(m.persona.SIM.NoProfile.ICCID))
	}
	return done(m.sim.imsi)
}

// Commands of +CRSM (3GPP TS 27.007 section 8.18).
const (
	crsmReadBinary  = 176
	crsmReadRecord  = 178
	crsmGetResponse = 192
	crsmStatus      = 242
)

// crsm is +CRSM=<command>[,<fileid>[,<P1>,<P2>,<P3>[,<data>[,<pathid>]]]].
func (m *Module) crsm(c command) reply {
	if c.form == formTest {
		return m.testReply()
	}
	if c.form != formSet {
		return refused(resError)
	}
	if r := m.simResult(); r.kind != kindOK {
		return refused(r)
	}
	if !m.sim.hasProfile() && m.persona.SIM.NoProfile.CSIM != "" {
		return refused(resultOf(m.persona.SIM.NoProfile.CSIM))
	}
	ps, err := params(c.arg)
	if err != nil || len(ps) == 0 || len(ps) > 7 {
		return refused(cme(cmeParameters))
	}
	n := [5]int{}
	for i := range min(len(ps), 5) {
		v, ok := ps[i].number()
		if !ok && ps[i].text != "" {
			return refused(cme(cmeParameters))
		}
		n[i] = v
	}
	if !slices.Contains([]int{crsmReadBinary, crsmReadRecord, crsmGetResponse, crsmStatus}, n[0]) {
		return refused(cme(cmeNotAllowed))
	}
	if n[1] > 0xFFFF || n[2] > 255 || n[3] > 255 || n[4] > 255 {
		return refused(cme(cmeParameters))
	}
	path, ok := crsmPath(n[1], ps)
	if !ok {
		return refused(cme(cmeParameters))
	}
	data, sw, busy := m.restricted(n, path)
	text := fmt.Sprintf("+CRSM: %d,%d", sw>>8, sw&0xFF)
	if len(data) > 0 {
		text += `,"` + m.hex(data) + `"`
	}
	return reply{lines: []string{text}, busy: busy}
}

func (m *Module) restricted(n [5]int, path []byte) (data []byte, sw wire.SW, busy time.Duration) {
	if n[0] == crsmStatus {
		return m.exchange(wire.Command{CLA: 0x80, INS: wire.InsStatus, Ne: 256})
	}
	fcp, sw, busy := m.selectPath(path)
	if !sw.OK() || n[0] == crsmGetResponse {
		return fcp, sw, busy
	}
	ne := n[4]
	if ne == 0 {
		ne = 256
	}
	data, sw, took := m.exchange(wire.Command{INS: byte(n[0]), P1: byte(n[2]), P2: byte(n[3]), Ne: ne})
	return data, sw, busy + took
}

// crsmPath is a file's path from the MF: the one given, or where 3GPP TS
// 31.102 has files of that number.
func crsmPath(file int, ps []param) ([]byte, bool) {
	id := []byte{byte(file >> 8), byte(file)}
	if len(ps) == 7 && ps[6].text != "" {
		dir, err := hex.DecodeString(ps[6].text)
		if err != nil || len(dir)%2 != 0 || len(dir) > 12 {
			return nil, false
		}
		if len(dir) >= 2 && dir[0] == 0x3F && dir[1] == 0x00 {
			dir = dir[2:]
		}
		return append(dir, id...), true
	}
	if id[0] == 0x6F {
		return append([]byte{0x7F, 0xFF}, id...), true
	}
	return id, true
}

// hex is the persona's spelling of bytes.
func (m *Module) hex(b []byte) string {
	if m.persona.APDU.Channel.Lower {
		return hex.EncodeToString(b)
	}
	return hexUpper(b)
}

func hexUpper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

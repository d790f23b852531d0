package modemsim

import (
	"slices"
	"time"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// simState is what the module knows of its card and what it has open there.
type simState struct {
	phase     simPhase
	since     time.Time   // reading began, or was asked for
	iccid     ident.ICCID // of the enabled profile; empty without one
	imsi      string
	eid       string
	busyUntil time.Time // the card still works on a command that the module gave up
	sessions  []session
	opened    int
	pending   bool // a proactive command waits to be fetched

	refreshing bool     // the reading follows a REFRESH
	gone       []string // handles of the sessions that the REFRESH ended
}

type simPhase byte

const (
	simOff simPhase = iota
	simAbsent
	simReading
	simReady
)

func (s *simState) hasProfile() bool { return s.phase == simReady && s.iccid != "" }

// simSettled reports whether the card was read, is absent or has no power.
func (m *Module) simSettled() bool {
	switch m.sim.phase {
	case simReady, simAbsent:
		return true
	case simOff:
		return !m.simPowered()
	}
	return false
}

// simPowered reports whether the present CFUN level powers the card.
func (m *Module) simPowered() bool { return !slices.Contains(m.persona.SIM.OffIn, m.cfun) }

// simResult is resOK when the card can be used, else why not.
func (m *Module) simResult() result {
	switch m.sim.phase {
	case simReady:
		return resOK
	case simReading:
		return resultOf(m.persona.SIM.Busy)
	case simAbsent:
		return resultOf(m.persona.SIM.Absent)
	}
	if m.opt.Card == nil {
		return resultOf(m.persona.SIM.Absent)
	}
	if m.power == powerOn && m.simPowered() { // powered, and not yet read
		return resultOf(m.persona.SIM.Busy)
	}
	return resultOf(m.persona.SIM.Off)
}

// exchange is one command of the module itself on a card that answers with
// 61xx and 6Cxx as T=0 cards do (ISO/IEC 7816-3 section 12.2.1, ETSI TS 102
// 221 section 7.3.1.1).
func (m *Module) exchange(c wire.Command) (data []byte, sw wire.SW, busy time.Duration) {
	raw, err := c.Append(nil)
	if err != nil {
		return nil, wire.SWTechnicalProblem, 0
	}
	for range 64 {
		r, took := m.transmit(raw)
		m.counters.Internal++
		busy += took
		data, sw = append(data, r.Data...), r.SW
		if n, ok := sw.WrongLe(); ok && c.Ne != n {
			c.Ne, data = n, nil
			raw, _ = c.Append(nil)
			continue
		}
		n, ok := sw.More()
		if !ok {
			break
		}
		c = wire.Command{CLA: getResponseClass(c.CLA), INS: wire.InsGetResponse, Ne: n}
		raw, _ = c.Append(nil)
	}
	if sw>>8 == 0x91 {
		m.sim.pending = true
	}
	return data, sw, busy
}

// getResponseClass is the class of GET RESPONSE for a command's class: the
// interindustry class on the same logical channel.
func getResponseClass(cla byte) byte {
	c, err := wire.ClassChannel(0, wire.ChannelOf(cla))
	if err != nil {
		return 0
	}
	return c
}

// transmit gives one APDU to the card. A response that is none reads as 6F00.
func (m *Module) transmit(apdu []byte) (wire.Response, time.Duration) {
	raw, busy := m.opt.Card.Transmit(apdu)
	r, err := wire.ParseResponse(raw)
	if err != nil {
		m.log.Error().Err(err).Msg("the card's response")
		return wire.Response{SW: wire.SWTechnicalProblem}, busy
	}
	return r, busy
}

// startSIM powers or resets the card and reads it, as a terminal does after
// the answer to reset (ETSI TS 102 221 section 14.5).
func (m *Module) startSIM(at time.Time, cold bool) {
	if m.opt.Card == nil {
		m.sim.phase = simAbsent
		return
	}
	since := m.sim.since
	if since.IsZero() {
		since = at
	}
	m.sim = simState{phase: simReading, opened: m.sim.opened, refreshing: m.sim.refreshing, gone: m.sim.gone}
	if len(m.opt.Card.Reset()) == 0 {
		m.sim.phase = simAbsent
		return
	}
	busy := m.profileDownload()
	if cold {
		busy += m.coldStart()
	}
	iccid, imsi, took := m.readCard()
	busy += took
	m.line.at(at.Add(busy), func(at time.Time) {
		m.sim.phase, m.sim.iccid, m.sim.imsi, m.sim.refreshing = simReady, iccid, imsi, false
		m.charge(since, at)
		m.serveProactive(at)
		m.radioTry(at)
	})
}

// profileDownload tells the card what the terminal can do: TERMINAL CAPABILITY
// with an LPA in the device (SGP.22 section 3.4.2 by way of ETSI TS 102 221
// section 11.1.19) and TERMINAL PROFILE (ETSI TS 102 223 section 5.2).
func (m *Module) profileDownload() time.Duration {
	_, _, a := m.exchange(wire.Command{INS: wire.InsSelect, P2: 0x04, Data: []byte{0x3F, 0x00}, Ne: 256})
	_, _, b := m.exchange(wire.Command{CLA: 0x80, INS: wire.InsTerminalCapability,
		Data: wire.TLV(0xA9, wire.TLV(0x81, nil), wire.TLV(0x83, []byte{0x07}))})
	_, _, c := m.exchange(wire.Command{CLA: 0x80, INS: insTerminalProfile, Data: terminalProfile})
	return a + b + c
}

// Toolkit instructions (ETSI TS 102 221 section 10.1.2).
const (
	insTerminalProfile  = 0x10
	insFetch            = 0x12
	insTerminalResponse = 0x14
)

// terminalProfile is what a data module serves (ETSI TS 102 223 section 5.2):
// byte 1 profile download and SMS-PP, byte 3 REFRESH, MORE TIME, POLL INTERVAL
// and POLLING OFF, byte 4 PROVIDE LOCAL INFORMATION, byte 5 SET UP EVENT LIST.
var terminalProfile = []byte{0x03, 0x00, 0xE8, 0x40, 0x01, 0x00, 0x00, 0x00}

// readCard reads ICCID and IMSI of the enabled profile.
func (m *Module) readCard() (ident.ICCID, string, time.Duration) {
	data, sw, busy := m.readBinary([]byte{0x2F, 0xE2}, 10)
	if !sw.OK() {
		return "", "", busy
	}
	iccid, err := ident.ICCIDFromBytes(data)
	if err != nil {
		m.log.Debug().Err(err).Msg("EF_ICCID")
		return "", "", busy
	}
	data, sw, took := m.readBinary([]byte{0x7F, 0xFF, 0x6F, 0x07}, 9)
	imsi := ""
	if sw.OK() {
		imsi = imsiOf(data)
	}
	return iccid, imsi, busy + took
}

// imsiOf reads EF_IMSI: length, then parity and digits, nibble-swapped (3GPP
// TS 31.102 section 4.2.2).
func imsiOf(b []byte) string {
	if len(b) < 2 || int(b[0]) > len(b)-1 || b[0] == 0 {
		return ""
	}
	digits := []byte{}
	for i, c := range b[1 : 1+int(b[0])] {
		if i > 0 {
			digits = append(digits, c&0x0F)
		}
		digits = append(digits, c>>4)
	}
	out := ""
	for _, d := range digits {
		if d > 9 {
			break
		}
		out += string('0' + rune(d))
	}
	return out
}

// aidUSIM is the start of every USIM's identifier (ETSI TS 101 220 annex E).
var aidUSIM = []byte{0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02}

// selectPath selects a file by its path from the MF. A file of the USIM needs
// the application to be selected before.
func (m *Module) selectPath(path []byte) (fcp []byte, sw wire.SW, busy time.Duration) {
	if len(path) > 2 && path[0] == 0x7F && path[1] == 0xFF {
		_, _, busy = m.exchange(wire.Command{INS: wire.InsSelect, P1: 0x04, P2: 0x04, Data: aidUSIM, Ne: 256})
	}
	fcp, sw, took := m.exchange(wire.Command{INS: wire.InsSelect, P1: 0x08, P2: 0x04, Data: path, Ne: 256})
	return fcp, sw, busy + took
}

func (m *Module) readBinary(path []byte, n int) ([]byte, wire.SW, time.Duration) {
	_, sw, busy := m.selectPath(path)
	if !sw.OK() {
		return nil, sw, busy
	}
	data, sw, took := m.exchange(wire.Command{INS: wire.InsReadBinary, Ne: n})
	return data, sw, busy + took
}

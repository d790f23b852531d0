package modemsim

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"linefit/modem/wire"
)

// session is a logical channel that a host opened by +CCHO.
type session struct {
	handle  string
	channel int
}

// apduCommand runs the commands that carry APDUs (3GPP TS 27.007 sections 8.17
// and 8.43 to 8.46).
func (m *Module) apduCommand(c command, f Fault, at time.Time) (reply, bool) {
	ch := m.persona.APDU.Channel
	switch c.name {
	case "+CCHO":
		return m.guard(c, ch.Supported, func() reply { return m.ccho(c) }), true
	case "+CGLA":
		return m.guard(c, ch.Supported, func() reply { return m.cgla(c, f, at) }), true
	case "+CCHC":
		return m.guard(c, ch.Supported && ch.Close, func() reply { return m.cchc(c, f) }), true
	case "+CSIM":
		return m.guard(c, m.persona.APDU.CSIM.Supported, func() reply { return m.csim(c, f, at) }), true
	}
	return reply{}, false
}

// holdStep is how often a module looks whether the card is back.
const holdStep = 10 * time.Millisecond

// awaitsCard reports whether a command has to wait for a card that a REFRESH resets.
func (m *Module) awaitsCard(c command) bool {
	if !m.persona.SIM.Refresh.Hold || !m.sim.refreshing || m.sim.phase != simReading {
		return false
	}
	return slices.Contains([]string{"+CCHO", "+CGLA", "+CCHC", "+CSIM"}, c.name) && c.form == formSet
}

// guard is what these commands have in common.
func (m *Module) guard(c command, supported bool, run func() reply) reply {
	switch {
	case !supported:
		return refused(resultOf(m.persona.AT.Unknown))
	case c.form == formTest:
		return m.testReply()
	case c.form != formSet:
		return refused(resError)
	}
	if r := m.simResult(); r.kind != kindOK {
		return refused(r)
	}
	return run()
}

// lpaHolds reports whether the module's own LPA keeps the ISD-R to itself: its
// setting counts as it was at the last restart.
func (m *Module) lpaHolds() bool {
	key := m.persona.APDU.LPA.Setting
	return key != "" && m.settings.boot[key] != "0"
}

// ccho opens a logical channel and selects an application on it.
func (m *Module) ccho(c command) reply {
	ch := m.persona.APDU.Channel
	ps, err := params(c.arg)
	if err != nil || len(ps) != 1 || ch.Quotes == "required" && !ps[0].quoted {
		return refused(cme(cmeParameters))
	}
	aid, err := hex.DecodeString(ps[0].text)
	if err != nil || len(aid) < 1 || len(aid) > 16 {
		return refused(cme(cmeParameters))
	}
	if no := m.persona.SIM.NoProfile.CCHO; no != "" && !m.sim.hasProfile() {
		return refused(resultOf(no))
	}
	if m.lpaHolds() && bytes.Equal(aid, wire.AIDISDR) {
		return refused(resultOf(m.persona.APDU.LPA.Result))
	}
	if len(m.sim.sessions) >= ch.Sessions {
		return refused(resultOf(ch.OpenError))
	}
	channel, busy, ok := m.open(aid)
	if !ok {
		return reply{res: resultOf(ch.OpenError), busy: busy}
	}
	m.sim.opened++
	s := session{m.handle(channel), channel}
	m.sim.sessions = append(m.sim.sessions, s)
	m.sim.gone = slices.DeleteFunc(m.sim.gone, func(handle string) bool { return strings.EqualFold(handle, s.handle) })
	text := map[string]string{"bare": s.handle, "quoted": `+CCHO: "` + s.handle + `"`}[ch.Open]
	if text == "" {
		text = "+CCHO: " + s.handle
	}
	return reply{lines: []string{text}, busy: busy}
}

// open opens a channel on the card and selects aid; a channel whose
// application does not answer is closed again.
func (m *Module) open(aid []byte) (channel int, busy time.Duration, ok bool) {
	data, sw, busy := m.exchange(wire.Command{INS: wire.InsManageChannel, Ne: 1})
	if !sw.OK() || len(data) != 1 {
		return 0, busy, false
	}
	channel = int(data[0])
	cla, err := wire.ClassChannel(0, channel)
	if err != nil {
		return 0, busy, false
	}
	_, sw, took := m.exchange(wire.Command{CLA: cla, INS: wire.InsSelect, P1: 0x04, Data: aid, Ne: 256})
	busy += took
	if sw.OK() || sw>>8 == 0x62 || sw>>8 == 0x63 {
		return channel, busy, true
	}
	_, took = m.closeChannel(channel)
	return 0, busy + took, false
}

func (m *Module) closeChannel(channel int) (wire.SW, time.Duration) {
	_, sw, busy := m.exchange(wire.Command{INS: wire.InsManageChannel, P1: 0x80, P2: byte(channel)})
	return sw, busy
}

func (m *Module) handle(channel int) string {
	switch m.persona.APDU.Channel.Handle {
	case "counter":
		return strconv.Itoa(m.sim.opened)
	case "hex":
		return fmt.Sprintf("%016x", 0x038AA32E+uint32(m.sim.opened)*0x1F3)
	}
	return strconv.Itoa(channel)
}

// find is the session of a handle; -1 for none.
func (m *Module) find(handle string) int {
	for i, s := range m.sim.sessions {
		if strings.EqualFold(s.handle, handle) {
			return i
		}
	}
	return -1
}

// cchc closes a session.
func (m *Module) cchc(c command, f Fault) reply {
	ps, err := params(c.arg)
	if err != nil || len(ps) != 1 {
		return refused(cme(cmeParameters))
	}
	i := m.find(ps[0].text)
	if i < 0 {
		left := len(m.sim.gone)
		m.sim.gone = slices.DeleteFunc(m.sim.gone, func(handle string) bool { return strings.EqualFold(handle, ps[0].text) })
		if len(m.sim.gone) < left {
			return reply{}
		}
		return refused(cme(cmeIndex))
	}
	if f.Kind == FaultLeak {
		return reply{}
	}
	s := m.sim.sessions[i]
	m.sim.sessions = append(m.sim.sessions[:i:i], m.sim.sessions[i+1:]...)
	_, busy := m.closeChannel(s.channel)
	return reply{busy: busy}
}

// cgla carries an APDU on a session. The length counts hexadecimal digits.
func (m *Module) cgla(c command, f Fault, at time.Time) reply {
	ch := m.persona.APDU.Channel
	ps, err := params(c.arg)
	if err != nil || len(ps) != 3 || ch.Quotes == "required" && !ps[2].quoted {
		return refused(cme(cmeParameters))
	}
	i := m.find(ps[0].text)
	if i < 0 {
		return refused(cme(cmeIndex))
	}
	apdu, ok := hexAPDU(ps[1], ps[2], ch.Max)
	if !ok {
		return refused(cme(cmeParameters))
	}
	if ch.PatchCLA {
		cla, err := wire.ClassChannel(apdu[0], m.sim.sessions[i].channel)
		if err != nil {
			return refused(cme(cmeParameters))
		}
		apdu[0] = cla
	}
	return m.carry("+CGLA", apdu, ch.Fetch, ch.QuoteOut, f, at)
}

// csim carries an APDU as it is.
func (m *Module) csim(c command, f Fault, at time.Time) reply {
	cs := m.persona.APDU.CSIM
	ps, err := params(c.arg)
	if err != nil || len(ps) != 2 {
		return refused(cme(cmeParameters))
	}
	apdu, ok := hexAPDU(ps[0], ps[1], cs.Max)
	if !ok {
		return refused(cme(cmeParameters))
	}
	if no := m.persona.SIM.NoProfile.CSIM; no != "" && !m.sim.hasProfile() {
		return refused(resultOf(no))
	}
	onChannel := wire.ChannelOf(apdu[0]) != 0
	if onChannel && (!cs.Channels || slices.Contains(cs.Except, int(apdu[1]))) || !cs.Open && apdu[1] == wire.InsManageChannel {
		return refused(resultOf(cs.Refused))
	}
	if m.lpaHolds() && apdu[1] == wire.InsSelect && bytes.Contains(apdu, wire.AIDISDR) {
		return m.show("+CSIM", wire.SWConditionsNotSatisfied.Append(nil), cs.QuoteOut, f)
	}
	return m.carry("+CSIM", apdu, false, cs.QuoteOut, f, at)
}

// hexAPDU reads <length>,<command>; max is in bytes.
func hexAPDU(length, text param, max int) ([]byte, bool) {
	n, ok := length.number()
	if !ok || n != len(text.text) || n > 2*max {
		return nil, false
	}
	apdu, err := hex.DecodeString(text.text)
	return apdu, err == nil && len(apdu) >= 4
}

// carry gives a host's APDU to the card and shows the response.
func (m *Module) carry(name string, apdu []byte, fetch, quote bool, f Fault, at time.Time) reply {
	if f.Kind == FaultSW {
		return m.show(name, wire.SW(f.Code).Append(nil), quote, f)
	}
	m.counters.APDUs++
	var wait time.Duration
	if m.sim.busyUntil.After(at) { // it still works on what the module gave up
		wait = m.sim.busyUntil.Sub(at)
	}
	data, sw, busy := m.hostExchange(apdu, fetch)
	busy += wait
	if sw>>8 == 0x91 {
		m.sim.pending = true
		if m.persona.SIM.Refresh.SW == "9000" {
			sw = wire.SWOK
		}
	}
	if limit := m.persona.APDU.Deadline; limit > 0 && busy > limit {
		m.sim.busyUntil = at.Add(busy)
		m.afterCard(at.Add(busy))
		return reply{res: resultOf(m.persona.APDU.DeadlineResult), busy: limit}
	}
	r := m.show(name, sw.Append(data), quote, f)
	r.busy = busy
	r.after = func(at time.Time) { m.afterCard(at) }
	return r
}

// afterCard serves a proactive command behind the answer that announced it.
func (m *Module) afterCard(at time.Time) {
	if m.sim.pending {
		m.line.at(at, m.serveProactive)
	}
}

func (m *Module) hostExchange(apdu []byte, fetch bool) (data []byte, sw wire.SW, busy time.Duration) {
	r, busy := m.transmit(apdu)
	data, sw = append(data, r.Data...), r.SW
	for n, ok := sw.More(); fetch && ok && len(data) < 1<<15; n, ok = sw.More() {
		raw, err := wire.Command{CLA: getResponseClass(apdu[0]), INS: wire.InsGetResponse, Ne: n}.Append(nil)
		if err != nil {
			break
		}
		r, took := m.transmit(raw)
		m.counters.Internal++
		data, sw, busy = append(data, r.Data...), r.SW, busy+took
	}
	return data, sw, busy
}

// show is a response as information text.
func (m *Module) show(name string, response []byte, quote bool, f Fault) reply {
	text := m.hex(response)
	n := len(text)
	if f.Kind == FaultLength {
		n += f.N
	}
	if quote {
		text = `"` + text + `"`
	}
	return donef("%s: %d,%s", name, n, text)
}

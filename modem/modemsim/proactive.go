package modemsim

import (
	"time"

	"linefit/modem/wire"
)

// maxFetches bounds a run of proactive commands, should a card never end.
const maxFetches = 16

// serveProactive fetches what the card announced by 91xx and serves it (ETSI TS
// 102 223 sections 6.1 and 6.4).
func (m *Module) serveProactive(at time.Time) {
	if m.persona.SIM.Refresh.Ignore {
		m.sim.pending = false
		return
	}
	for range maxFetches {
		if !m.sim.pending || m.sim.phase != simReady {
			return
		}
		m.sim.pending = false
		data, sw, _ := m.exchange(wire.Command{CLA: 0x80, INS: insFetch, Ne: 256})
		number, kind, qualifier, ok := proactive(data)
		if !sw.OK() || !ok {
			return
		}
		if kind == 0x01 && m.refresh(qualifier, at) {
			return
		}
		m.exchange(wire.Command{CLA: 0x80, INS: insTerminalResponse, Data: append(append(
			wire.TLV(0x81, []byte{number, kind, qualifier}), wire.TLV(0x82, []byte{0x82, 0x81})...),
			wire.TLV(0x83, []byte{0x00})...)})
	}
}

// proactive reads a proactive command's details (ETSI TS 102 223 section 8.6).
func proactive(b []byte) (number, kind, qualifier byte, ok bool) {
	n, err := wire.ParseTag(b, 0xD0)
	if err != nil {
		return 0, 0, 0, false
	}
	details, found := n.Find(0x81)
	if !found {
		details, found = n.Find(0x01)
	}
	if !found || len(details.Value) != 3 {
		return 0, 0, 0, false
	}
	return details.Value[0], details.Value[1], details.Value[2], true
}

// Qualifiers of REFRESH (ETSI TS 102 223 section 8.6).
const (
	refreshFileChange = 0x01
	refreshUICCReset  = 0x04
)

// refresh reacts to REFRESH and reports whether the command is over with it: a
// UICC reset ends the proactive session without TERMINAL RESPONSE.
func (m *Module) refresh(qualifier byte, at time.Time) bool {
	r := m.persona.SIM.Refresh
	at = at.Add(r.Delay)
	switch f := m.draw("refresh"); f.Kind {
	case FaultLost:
		return false
	case FaultDelay:
		at = at.Add(f.Delay)
	}
	if qualifier == refreshFileChange {
		m.line.at(at, func(at time.Time) { m.reread(at) })
		return false
	}
	asked := at
	m.line.at(at, func(at time.Time) {
		if r.Reset {
			m.restart(at, true)
			return
		}
		m.resetCard(at, asked)
	})
	return qualifier == refreshUICCReset
}

// resetCard resets the card; it answers again after Refresh.Down.
func (m *Module) resetCard(at, asked time.Time) {
	r := m.persona.SIM.Refresh
	m.radioLost(at)
	next := simState{phase: simReading, since: asked, opened: m.sim.opened, refreshing: true}
	if r.Hold {
		for _, s := range m.sim.sessions {
			next.gone = append(next.gone, s.handle)
		}
	}
	m.sim = next
	m.line.at(at.Add(r.Down), func(at time.Time) {
		m.startSIM(at, false)
		m.refreshURCs(at)
	})
}

func (m *Module) refreshURCs(at time.Time) {
	if r := m.persona.SIM.Refresh; m.wants(r.Need) {
		for _, u := range r.URCs {
			m.urc(at, u)
		}
	}
}

// reread reads the profile's files again without a reset.
func (m *Module) reread(at time.Time) {
	if m.sim.phase != simReady {
		return
	}
	iccid, imsi, _ := m.readCard()
	m.sim.iccid, m.sim.imsi = iccid, imsi
	m.refreshURCs(at)
	m.radioTry(at)
}

// isdr opens the ISD-R as the module's own LPA does, and closes it again.
func (m *Module) isdr(use func(send func(request []byte) ([]byte, bool))) (busy time.Duration, ok bool) {
	data, sw, took := m.exchange(wire.Command{INS: wire.InsManageChannel, Ne: 1})
	busy = took
	if !sw.OK() || len(data) != 1 {
		return busy, false
	}
	channel := int(data[0])
	cla, err := wire.ClassChannel(0, channel)
	if err != nil {
		return busy, false
	}
	_, sw, took = m.exchange(wire.Command{CLA: cla, INS: wire.InsSelect, P1: 0x04, Data: wire.AIDISDR, Ne: 256})
	busy += took
	if ok = sw.OK(); ok {
		use(func(request []byte) ([]byte, bool) {
			data, sw, took := m.exchange(wire.Command{CLA: cla | 0x80, INS: wire.InsStoreData, P1: 0x91, Data: request, Ne: 256})
			busy += took
			return data, sw.OK()
		})
	}
	_, _, took = m.exchange(wire.Command{INS: wire.InsManageChannel, P1: 0x80, P2: byte(channel)})
	return busy + took, ok
}

// readEID asks the ISD-R for the EID (SGP.22 section 5.7.20).
func (m *Module) readEID() (eid string, busy time.Duration, ok bool) {
	if m.simResult().kind != kindOK {
		return "", 0, false
	}
	busy, open := m.isdr(func(send func([]byte) ([]byte, bool)) {
		data, sent := send(wire.TLV(0xBF3E, wire.TLV(0x5C, []byte{0x5A})))
		n, err := wire.ParseTag(data, 0xBF3E)
		if !sent || err != nil {
			return
		}
		if v, found := n.Find(0x5A); found && len(v.Value) == 16 {
			eid, ok = hexUpper(v.Value), true
		}
	})
	return eid, busy, ok && open
}

// coldStart is what a module with an LPA of its own does to the card after
// power-on: nothing, or it takes back the profile state.
func (m *Module) coldStart() (busy time.Duration) {
	switch m.persona.SIM.ColdStart {
	case "disable":
		busy, _ = m.isdr(func(send func([]byte) ([]byte, bool)) {
			data, _ := send(wire.TLV(0xBF2D, wire.TLV(0x5C, []byte{0x5A, 0x9F, 0x70})))
			n, err := wire.ParseTag(data, 0xBF2D)
			if err != nil {
				return
			}
			for _, iccid := range enabledProfiles(n) {
				send(wire.TLV(0xBF32, wire.TLV(0xA0, wire.TLV(0x5A, iccid)), wire.TLV(0x81, []byte{0})))
			}
		})
	case "reset":
		busy, _ = m.isdr(func(send func([]byte) ([]byte, bool)) {
			send(wire.TLV(0xBF34, wire.BitString(0x82, 0)))
		})
	}
	return busy
}

// enabledProfiles are the ICCIDs with state enabled in a ProfileInfoList.
func enabledProfiles(n wire.Node) (iccids [][]byte) {
	list, ok := n.Find(0xA0)
	if !ok {
		return nil
	}
	infos, err := list.Children()
	if err != nil {
		return nil
	}
	for _, info := range infos {
		state, a := info.Find(0x9F70)
		iccid, b := info.Find(0x5A)
		if a && b && len(state.Value) == 1 && state.Value[0] == 1 {
			iccids = append(iccids, iccid.Value)
		}
	}
	return iccids
}

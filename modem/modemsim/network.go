package modemsim

import (
	"fmt"
	"strconv"
	"time"
)

// regStat is <stat> of +CREG (3GPP TS 27.007 section 7.2).
func (m *Module) regStat() int {
	switch {
	case m.radio.registered:
		return 1
	case m.radioOn() && !m.radio.manual && m.sim.hasProfile():
		return 2
	}
	return 0
}

func (m *Module) regURC(at time.Time) {
	for _, name := range []string{"+CREG", "+CGREG", "+CEREG"} {
		if m.at.creg[name] > 0 {
			m.urc(at, fmt.Sprintf("%s: %d%s", name, m.regStat(), m.cell(name)))
		}
	}
}

// cell is where the module is registered, as far as the reporting mode asks for
// it: area, cell and E-UTRAN.
func (m *Module) cell(name string) string {
	if m.at.creg[name] < 2 || !m.radio.registered {
		return ""
	}
	return `,"0001","00000001",7`
}

func (m *Module) creg(c command) reply {
	switch c.form {
	case formRead:
		return donef("%s: %d,%d%s", c.name, m.at.creg[c.name], m.regStat(), m.cell(c.name))
	case formTest:
		return m.testReply(c.name + ": (0-2)")
	case formSet:
		n, err := strconv.Atoi(c.arg)
		if err != nil || n < 0 || n > 5 {
			return refused(cme(cmeParameters))
		}
		m.at.creg[c.name] = n
		return reply{}
	}
	m.at.creg[c.name] = 0
	return reply{}
}

// network is the test network's name in the formats of +COPS.
var network = [3]string{"Test PLMN 1-1", "Test", "00101"}

// cops is +COPS=<mode>[,<format>]: 0 automatic, 2 deregister, 3 format only.
func (m *Module) cops(c command, at time.Time) reply {
	switch c.form {
	case formRead:
		mode := map[bool]int{true: 2}[m.radio.manual]
		if m.radio.registered {
			return donef(`+COPS: %d,%d,"%s",7`, mode, m.at.cops, network[m.at.cops])
		}
		return donef("+COPS: %d", mode)
	case formTest:
		return m.testReply(`+COPS: (2,"Test PLMN 1-1","Test","00101",7),,(0,1,2,3,4),(0,1,2)`)
	case formExec:
		return refused(resError)
	}
	ps, err := params(c.arg)
	if err != nil || len(ps) == 0 {
		return refused(cme(cmeParameters))
	}
	format := m.at.cops
	if len(ps) > 1 && ps[1].text != "" {
		n, ok := ps[1].number()
		if !ok || n < 0 || n >= len(network) {
			return refused(cme(cmeParameters))
		}
		format = n
	}
	switch ps[0].text {
	case "0", "1", "4":
		m.radio.manual = false
		m.radioTry(at)
	case "2":
		m.radioLost(at)
		m.radio.manual = true
	case "3":
	default:
		return refused(cme(cmeParameters))
	}
	m.at.cops = format
	return reply{}
}

// cgdcont is +CGDCONT: contexts are stored settings, 1 to 8.
func (m *Module) cgdcont(c command) reply {
	switch c.form {
	case formRead:
		var lines []string
		for cid := 1; cid <= 8; cid++ {
			if v, ok := m.settings.get("+CGDCONT/" + strconv.Itoa(cid)); ok && v != "" {
				lines = append(lines, "+CGDCONT: "+v)
			}
		}
		return done(lines...)
	case formTest:
		return m.testReply(`+CGDCONT: (1-8),"IP",,,(0-2),(0-4)`)
	case formExec:
		return refused(resError)
	}
	ps, err := params(c.arg)
	if err != nil || len(ps) == 0 || len(c.arg) > 200 {
		return refused(cme(cmeParameters))
	}
	cid, ok := ps[0].number()
	if !ok || cid < 1 || cid > 8 {
		return refused(cme(cmeParameters))
	}
	value := c.arg
	if len(ps) == 1 { // undefines the context
		value = ""
	}
	m.settings.set("+CGDCONT/"+strconv.Itoa(cid), value, m.persona.NV.Save)
	return reply{}
}

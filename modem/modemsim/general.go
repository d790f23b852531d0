package modemsim

import (
	"strconv"
	"time"
)

// general runs the identification and control commands (3GPP TS 27.007
// sections 5 and 9.1, ITU-T V.250 section 6.1).
func (m *Module) general(c command, at time.Time) (reply, bool) {
	id := m.persona.Identity
	switch c.name {
	case "+CGMI", "+GMI":
		return m.identity(c, id.Manufacturer), true
	case "+CGMM", "+GMM":
		return m.identity(c, id.Model), true
	case "+CGMR", "+GMR":
		return m.identity(c, id.Firmware), true
	case "+CGSN":
		return m.cgsn(c), true
	case "+GSN":
		return m.identity(c, string(m.opt.IMEI)), true
	case "+CMEE":
		return m.cmeeCommand(c), true
	case "+GCAP":
		return m.identity(c, "+GCAP: +CGSM"), true
	case "+CSCS", "+CMGF", "+CNMI", "+CTZR", "+CTZU", "+CGEREP", "+CSMS":
		return m.ignored(c), true
	}
	return reply{}, false
}

func (m *Module) identity(c command, value string) reply {
	switch c.form {
	case formTest:
		return reply{}
	case formExec:
		if m.persona.Identity.Prefixed && c.name != "+GCAP" {
			value = c.name + ": " + value
		}
		return done(value)
	}
	return refused(resError)
}

// cgsn is +CGSN[=<snt>] (3GPP TS 27.007 section 5.4): 0 serial number, 1 IMEI,
// 2 IMEISV.
func (m *Module) cgsn(c command) reply {
	if c.form != formSet {
		return m.identity(c, string(m.opt.IMEI))
	}
	switch c.arg {
	case "0":
		return done(m.opt.Serial)
	case "1":
		return donef(`+CGSN: "%s"`, m.opt.IMEI)
	case "2":
		imei := string(m.opt.IMEI)
		return donef(`+CGSN: "%s01"`, imei[:max(len(imei)-1, 0)])
	}
	return refused(cme(cmeParameters))
}

func (m *Module) cmeeCommand(c command) reply {
	switch c.form {
	case formRead:
		return donef("+CMEE: %d", m.at.cmee)
	case formTest:
		return m.testReply("+CMEE: (0,1,2)")
	case formSet:
		n, err := strconv.Atoi(c.arg)
		if err != nil || n < 0 || n > 2 {
			return refused(resError)
		}
		if !m.persona.AT.CMEEFixed {
			m.at.cmee = n
		}
		return reply{}
	}
	if !m.persona.AT.CMEEFixed {
		m.at.cmee = 0
	}
	return reply{}
}

// ignored accepts what has no effect on a factory line.
func (m *Module) ignored(c command) reply {
	if c.form == formTest {
		return m.testReply()
	}
	return reply{}
}

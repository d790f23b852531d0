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
	case "+CNUM": // the profile's EF_MSISDN is not read
		if r := m.simResult(); r.kind != kindOK {
			return refused(r), true
		}
		return m.testable(c), true
	case "+CSMS":
		return m.csms(c), true
	}
	if d, ok := plainSettings[c.name]; ok {
		return m.plainSetting(c, d), true
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

// testable is a command without an effect.
func (m *Module) testable(c command) reply {
	if c.form == formTest {
		return m.testReply()
	}
	return reply{}
}

// plain is a setting without an effect on a factory line: its value is kept and
// read back.
type plain struct{ value, list string }

// plainSettings are such settings with their first value and the list that the
// test command gives (3GPP TS 27.005 section 3, TS 27.007 sections 5.5, 8.40,
// 8.41 and 10.1.19). It is written once, here, and never changed.
var plainSettings = map[string]plain{
	"+CSCS":   {`"GSM"`, `("GSM","IRA","UCS2")`},
	"+CMGF":   {"0", "(0,1)"},
	"+CNMI":   {"2,1,0,0,0", "(0-2),(0-3),(0,2),(0-2),(0,1)"},
	"+CTZR":   {"0", "(0,1)"},
	"+CTZU":   {"0", "(0,1)"},
	"+CGEREP": {"0,0", "(0-2),(0,1)"},
}

func (m *Module) plainSetting(c command, d plain) reply {
	switch c.form {
	case formTest:
		return m.testReply(c.name + ": " + d.list)
	case formRead:
		now, ok := m.at.plain[c.name]
		if !ok {
			now = d.value
		}
		return done(c.name + ": " + now)
	case formSet:
		if _, err := params(c.arg); err != nil || len(c.arg) > 64 {
			return refused(cme(cmeParameters))
		}
		m.at.plain[c.name] = c.arg
		return reply{}
	}
	delete(m.at.plain, c.name)
	return reply{}
}

// csms is +CSMS (3GPP TS 27.005 section 3.2.1): no messages of any kind.
func (m *Module) csms(c command) reply {
	switch c.form {
	case formTest:
		return m.testReply("+CSMS: (0,1)")
	case formRead:
		return done("+CSMS: 0,0,0,0")
	case formSet:
		return done("+CSMS: 0,0,0")
	}
	return refused(resError)
}

package modemsim

import (
	"strconv"
	"strings"
	"time"
)

// basic runs the commands of ITU-T V.250.
func (m *Module) basic(c command, at time.Time) (reply, bool) {
	switch c.name {
	case "E":
		return m.flag(c.arg, &m.at.echoOn, false), true
	case "V":
		return m.flag(c.arg, &m.at.numeric, true), true
	case "Q":
		return m.flag(c.arg, &m.at.quiet, false), true
	case "Z", "&F":
		m.defaults()
		return reply{}, true
	case "&W":
		m.storeProfile()
		return reply{}, true
	case "X", "&C", "&D", "&K", "&S":
		n, err := strconv.Atoi("0" + c.arg)
		if err != nil || n > 9 {
			return refused(resError), true
		}
		m.at.bits[c.name] = n
		return reply{}, true
	case "I":
		return done(m.fill(m.persona.Identity.ATI)...), true
	case "A", "D":
		return refused(result{kind: kindNoCarrier}), true
	case "H", "L", "M", "T", "P":
		return reply{}, true
	case "+IPR":
		return m.ipr(c), true
	}
	if strings.HasPrefix(c.name, "S") && len(c.name) > 1 {
		return m.register(c), true
	}
	return reply{}, false
}

// flag sets a switch: no number means 0. inverted is for V, whose 0 means
// numeric.
func (m *Module) flag(arg string, to *bool, inverted bool) reply {
	switch arg {
	case "", "0":
		*to = inverted
	case "1":
		*to = !inverted
	default:
		return refused(resError)
	}
	return reply{}
}

func (m *Module) register(c command) reply {
	n, err := strconv.Atoi(c.name[1:])
	if err != nil {
		return refused(resError)
	}
	switch c.form {
	case formRead:
		v, ok := m.at.s[n]
		if !ok {
			return refused(resError)
		}
		return donef("%03d", v)
	case formSet:
		v, err := strconv.Atoi(c.arg)
		if err != nil || v > 127 {
			return refused(resError)
		}
		if _, ok := m.at.s[n]; !ok {
			return refused(resError)
		}
		m.at.s[n] = v
	}
	return reply{}
}

// ipr is AT+IPR: the rate is a stored setting; 0 means automatic.
func (m *Module) ipr(c command) reply {
	switch c.form {
	case formRead:
		return donef("+IPR: %d", m.rateSetting())
	case formTest:
		return m.testReply("+IPR: (0,9600,19200,38400,57600,115200,230400,460800,921600)")
	case formSet:
		n, err := strconv.Atoi(c.arg)
		if err != nil || (n != 0 && (n < 300 || n > 4000000)) {
			return refused(cme(cmeParameters))
		}
		m.settings.set("+IPR", c.arg, m.persona.NV.Save)
		return reply{after: func(time.Time) { m.setRate(n) }} // OK comes at the old rate
	}
	return refused(resError)
}

const profileKey = "profile/"

// storeProfile is AT&W.
func (m *Module) storeProfile() {
	echo := "0"
	if m.at.echoOn {
		echo = "1"
	}
	m.settings.set(profileKey+"E", echo, "write")
	m.settings.set(profileKey+"CMEE", strconv.Itoa(m.at.cmee), "write")
	for name, v := range m.at.bits {
		m.settings.set(profileKey+name, strconv.Itoa(v), "write")
	}
	m.settings.save("store")
}

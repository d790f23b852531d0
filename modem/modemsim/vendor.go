package modemsim

import (
	"slices"
	"strings"
	"time"
)

// vendor runs a command that the persona describes.
func (m *Module) vendor(c command, v Command, at time.Time) reply {
	if c.form == formTest && v.Action != "none" {
		return m.vendorTest(c, v)
	}
	switch v.Action {
	case "text":
		return m.vendorText(c, v)
	case "setting":
		return m.vendorSetting(c, v)
	case "keyed":
		return m.vendorKeyed(c, v)
	case "down":
		return reply{after: func(at time.Time) { m.leave(at, v, m.shutDown) }}
	case "reset":
		return reply{after: func(at time.Time) {
			m.leave(at, v, func(at time.Time) { m.restart(at, true) })
		}}
	}
	if v.Refused != "" {
		return refused(resultOf(v.Refused))
	}
	return refused(resultOf(m.persona.AT.Unknown))
}

// leave is the time between OK and the end of a power-down or restart: the
// module deregisters, saves, says so and goes.
func (m *Module) leave(at time.Time, v Command, end func(at time.Time)) {
	for _, u := range v.URCs {
		m.urc(at.Add(v.Wait), u)
	}
	asked := at
	m.line.at(at.Add(v.Wait), func(at time.Time) {
		m.charge(asked, at)
		if last := m.tx.free; last.After(at) {
			m.line.at(last, end)
			return
		}
		end(at)
	})
}

func (m *Module) vendorTest(c command, v Command) reply {
	switch v.Test {
	case "":
		return m.testReply()
	case "ok":
		return reply{}
	case "error":
		return refused(resError)
	case "silent":
		return refused(resSilent)
	}
	return done(v.Test)
}

func (m *Module) vendorText(c command, v Command) reply {
	forms := v.Forms
	if len(forms) == 0 {
		forms = []string{"exec", "read"}
	}
	if !slices.Contains(forms, map[form]string{formExec: "exec", formRead: "read", formSet: "set"}[c.form]) {
		return refused(resError)
	}
	needs := strings.Join(v.Lines, " ")
	if strings.Contains(needs, "{iccid") || strings.Contains(needs, "{imsi") {
		if r := m.simResult(); r.kind != kindOK {
			return refused(r)
		}
		if !m.sim.hasProfile() {
			return refused(resultOf(m.persona.SIM.NoProfile.ICCID))
		}
	}
	busy := time.Duration(0)
	if strings.Contains(needs, "{eid") {
		eid, took, ok := m.readEID()
		if !ok {
			return reply{res: cme(13), busy: took}
		}
		m.sim.eid, busy = eid, took
	}
	return reply{lines: m.fill(v.Lines), urcs: v.URCs, busy: busy}
}

// allowed checks where a setting may be written.
func (m *Module) allowed(v Command) (result, bool) {
	if len(v.CFUN) == 0 || slices.Contains(v.CFUN, m.cfun) {
		return resOK, true
	}
	if v.Refused != "" {
		return resultOf(v.Refused), false
	}
	return cme(cmeNotAllowed), false
}

func (m *Module) policy(v Command) string {
	if v.Save != "" {
		return v.Save
	}
	return m.persona.NV.Save
}

func (m *Module) vendorSetting(c command, v Command) reply {
	switch c.form {
	case formRead, formExec:
		now, _ := m.settings.get(c.name)
		return reply{lines: []string{c.name + ": " + now}}
	case formSet:
		if res, ok := m.allowed(v); !ok {
			return refused(res)
		}
		m.settings.set(c.name, c.arg, m.policy(v))
		return reply{urcs: v.URCs}
	}
	return refused(resError)
}

// vendorKeyed is +NAME="key" to read and +NAME="key",value to write.
func (m *Module) vendorKeyed(c command, v Command) reply {
	if c.form != formSet {
		return refused(resError)
	}
	ps, err := params(c.arg)
	if err != nil || len(ps) == 0 {
		return refused(cme(cmeParameters))
	}
	key := c.name + "/" + ps[0].text
	now, known := m.settings.get(key)
	if !known {
		return refused(cme(cmeParameters))
	}
	if len(ps) == 1 {
		return reply{lines: []string{c.name + `: "` + ps[0].text + `",` + now}}
	}
	if res, ok := m.allowed(v); !ok {
		return refused(res)
	}
	_, value, _ := strings.Cut(c.arg, ",")
	m.settings.set(key, strings.TrimSpace(value), m.policy(v))
	return reply{urcs: v.URCs}
}

// fill puts the module's data into templates.
func (m *Module) fill(lines []string) []string {
	iccid := string(m.sim.iccid)
	padded := iccid
	for len(padded) > 0 && len(padded) < 20 {
		padded += "F"
	}
	r := strings.NewReplacer(
		"{imei}", string(m.opt.IMEI), "{serial}", m.opt.Serial,
		"{manufacturer}", m.persona.Identity.Manufacturer, "{model}", m.persona.Identity.Model,
		"{firmware}", m.persona.Identity.Firmware,
		"{iccid}", iccid, "{iccid_f}", padded, "{imsi}", m.sim.imsi, "{eid}", m.sim.eid)
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = r.Replace(l)
	}
	return out
}

package modemsim

import (
	"encoding/hex"
	"time"
)

// PowerOn gives the module its supply. Without effect on a powered module;
// one that was shut down by command boots again only after PowerOff.
func (m *Module) PowerOn() {
	m.lock()
	defer m.unlock()
	if m.power == powerOff {
		m.cold = true
		clear(m.drawn)
		m.boot(time.Now())
	}
}

// PowerOff takes the supply away at this very instant: what was on the line is
// cut off in the middle of a character, the card loses power, and settings
// that were not saved are lost. When it returns nothing more happens.
func (m *Module) PowerOff() {
	m.lock()
	defer m.unlock()
	m.cut(time.Now())
}

// ResetPin pulses the reset input: an abrupt restart that also takes the
// card's power away for a moment. Without supply nothing happens.
func (m *Module) ResetPin() {
	m.lock()
	defer m.unlock()
	if m.power == powerOff {
		return
	}
	now := time.Now()
	m.cut(now)
	m.cold = false
	m.boot(now)
}

// Powered reports whether the supply is on.
func (m *Module) Powered() bool {
	m.lock()
	defer m.unlock()
	return m.power != powerOff
}

// cut ends the power period at an instant.
func (m *Module) cut(at time.Time) {
	if m.power == powerOff {
		m.line.cut() // a supply that failed by itself does not come back either
		return
	}
	if m.power == powerBoot {
		m.charge(m.since, at)
	}
	m.truncate(at)
	m.halt(at)
	if m.opt.Card != nil {
		m.opt.Card.PowerCut()
	}
	m.settings.lose()
	m.power, m.since, m.dead = powerOff, at, false
	if m.persona.Port.Enumerates {
		m.setPort(at, false)
	}
	m.log.Debug().Msg("power off")
}

// halt forgets everything that lives in the module's volatile memory.
func (m *Module) halt(at time.Time) {
	m.line.cut()
	m.job, m.pending, m.rxBytes, m.out = nil, nil, 0, nil
	m.stalled = time.Time{}
	m.rx.free, m.tx.free = at, at
	m.sim = simState{}
	m.radioOff(at)
}

// restart is an orderly restart: by command, by REFRESH, or by itself.
func (m *Module) restart(at time.Time, orderly bool) {
	m.truncate(at)
	m.halt(at)
	if orderly {
		m.settings.save("down")
	} else {
		m.settings.lose()
	}
	if m.persona.Port.Enumerates {
		m.setPort(at, false)
	}
	m.cold = false
	m.boot(at)
}

// shutDown is an orderly power-down by command. The supply stays on.
func (m *Module) shutDown(at time.Time) {
	m.truncate(at)
	m.halt(at)
	m.settings.save("down")
	if m.opt.Card != nil {
		m.opt.Card.PowerCut()
	}
	m.power, m.since = powerDown, at
	if m.persona.Port.Enumerates {
		m.setPort(at, false)
	}
}

// boot starts at an instant, with the module's volatile memory empty.
func (m *Module) boot(at time.Time) {
	m.power, m.since = powerBoot, at
	m.counters.Boots++
	b := m.persona.Boot
	fault := m.draw("boot")
	switch f := fault; f.Kind {
	case FaultDead:
		m.dead = true
		return
	case FaultDelay:
		at = at.Add(f.Delay)
	case FaultCut:
		cut := at.Add(f.Delay)
		m.line.at(cut, func(at time.Time) { m.glitch(at, f.Delay) })
	}
	m.settings.restart()
	m.resetAT()
	m.setRate(m.rateSetting())
	m.cfun = m.bootCFUN()
	if fault.Kind == FaultNoise {
		m.emit(at, []byte(fault.Text))
	}
	if noise, err := hex.DecodeString(b.Noise); err == nil && len(noise) > 0 {
		m.emit(at, noise)
	}
	if m.persona.Port.Enumerates {
		m.line.at(at.Add(b.Port), func(at time.Time) { m.setPort(at, true) })
	}
	m.line.at(at.Add(b.Alive), m.alive)
	for _, u := range b.URCs {
		m.line.at(at.Add(u.At), func(at time.Time) {
			if (u.When == "" || (u.When == "sim") == m.sim.hasProfile()) && m.wants(u.Need) {
				m.urc(at, u.Text)
			}
		})
	}
	if m.simPowered() {
		m.sim.since = m.since
		m.line.at(at.Add(b.SIM), func(at time.Time) { m.startSIM(at, m.cold) })
	} else {
		m.sim.phase = simOff
	}
	m.radioCFUN(at, "boot")
}

// alive is the moment from which AT commands are answered.
func (m *Module) alive(at time.Time) {
	m.charge(m.since, at)
	m.power, m.since, m.accept = powerOn, at, at
}

// glitch is a power failure that the fixture did not order: the supply comes
// back by itself.
func (m *Module) glitch(at time.Time, away time.Duration) {
	m.cut(at)
	m.line.at(at.Add(away), func(at time.Time) {
		if m.power == powerOff {
			m.cold = true
			m.boot(at)
		}
	})
}

// setPort makes an enumerating port appear or disappear.
func (m *Module) setPort(at time.Time, up bool) {
	if m.portUp == up {
		return
	}
	m.portUp, m.held = up, nil
	m.signal()
	if !up && m.port != nil {
		m.port.gone()
	}
}

// vanish takes the port away for a while, as a USB port that lost its link;
// the module itself goes on.
func (m *Module) vanish(at time.Time, away time.Duration) {
	m.setPort(at, false)
	m.line.add(at.Add(away), true, func(at time.Time) {
		if !m.persona.Port.Enumerates || m.power == powerOn {
			m.setPort(at, true)
		}
	})
}

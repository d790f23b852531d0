package modemsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RadioEvent is something that the module did on the air, or was told.
type RadioEvent struct {
	At     time.Time
	Kind   RadioKind
	CFUN   int    // level in force
	Detail string // what caused it: "boot", "command", "refresh"
}

// RadioKind is the kind of a [RadioEvent].
type RadioKind string

// Kinds of radio event. An attempt needs the radio on, automatic network
// selection and a profile.
const (
	RadioCFUN       RadioKind = "cfun"       // the level changed
	RadioAttempt    RadioKind = "attempt"    // a registration attempt went on the air
	RadioRegistered RadioKind = "registered" // the network accepted it
	RadioDetached   RadioKind = "detached"
)

// maxAttempts is after how many refusals a module gives up until something
// changes.
const maxAttempts = 1000

// radioLogLimit bounds the log: a module left on for days.
const radioLogLimit = 4096

type radioState struct {
	log        []RadioEvent
	dropped    int
	manual     bool // COPS=2
	registered bool
	trying     uint64 // number of the attempt chain in force
}

// RadioLog is the module's history on the air since New: every CFUN change,
// every registration attempt with its time. It outlives power.
func (m *Module) RadioLog() []RadioEvent {
	m.lock()
	defer m.unlock()
	return append([]RadioEvent(nil), m.radio.log...)
}

// Attempts is how many registration attempts went on the air since New.
func (m *Module) Attempts() int {
	m.lock()
	defer m.unlock()
	n := m.radio.dropped
	for _, e := range m.radio.log {
		if e.Kind == RadioAttempt {
			n++
		}
	}
	return n
}

func (m *Module) radioNote(at time.Time, kind RadioKind, detail string) {
	if len(m.radio.log) == radioLogLimit {
		if m.radio.log[0].Kind == RadioAttempt {
			m.radio.dropped++
		}
		m.radio.log = m.radio.log[1:]
	}
	m.radio.log = append(m.radio.log, RadioEvent{at, kind, m.cfun, detail})
}

func (m *Module) bootCFUN() int {
	if m.persona.NV.CFUN {
		if v, ok := m.settings.get("+CFUN"); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return m.persona.Radio.BootCFUN
}

func (m *Module) radioOn() bool { return m.cfun == 1 }

func (m *Module) radioCFUN(at time.Time, detail string) {
	m.radioNote(at, RadioCFUN, detail)
	if !m.radioOn() {
		m.radioLost(at)
	}
}

// radioOff is the end of everything on the air, without a farewell.
func (m *Module) radioOff(time.Time) {
	m.radio.trying++
	m.radio.registered, m.radio.manual = false, false
}

// radioLost ends registration and any attempt.
func (m *Module) radioLost(at time.Time) {
	m.radio.trying++
	if m.radio.registered {
		m.radio.registered = false
		m.radioNote(at, RadioDetached, "")
		m.regURC(at)
	}
}

// radioTry starts to register where everything is there for it.
func (m *Module) radioTry(at time.Time) {
	if !m.radioOn() || m.radio.manual || m.radio.registered || !m.sim.hasProfile() {
		return
	}
	m.radio.trying++
	chain, tries := m.radio.trying, 0
	var attempt func(at time.Time)
	attempt = func(at time.Time) {
		if m.radio.trying != chain || tries == maxAttempts {
			return
		}
		tries++
		m.radioNote(at, RadioAttempt, string(m.sim.iccid))
		if m.opt.Network {
			m.radio.registered = true
			m.radioNote(at, RadioRegistered, "")
			m.regURC(at)
			return
		}
		m.line.at(at.Add(m.persona.Radio.Retry), attempt)
	}
	m.line.at(at.Add(m.persona.Radio.Attach), attempt)
}

// radioCommand runs the commands about power and network (3GPP TS 27.007
// sections 7.2, 7.3, 8.2, 10.1).
func (m *Module) radioCommand(c command, at time.Time) (reply, bool) {
	switch c.name {
	case "+CFUN":
		return m.cfunCommand(c, at), true
	case "+CREG", "+CGREG", "+CEREG":
		return m.creg(c), true
	case "+COPS":
		return m.cops(c, at), true
	case "+CGATT":
		attached := map[bool]int{true: 1}[m.radio.registered]
		return m.readOnly(c, fmt.Sprintf("+CGATT: %d", attached)), true
	case "+CSQ":
		if c.form == formTest {
			return m.testReply("+CSQ: (0-31,99),(0-7,99)"), true
		}
		return donef("+CSQ: %d,99", map[bool]int{false: 99, true: 20}[m.radio.registered]), true
	case "+CGDCONT":
		return m.cgdcont(c), true
	}
	return reply{}, false
}

func (m *Module) readOnly(c command, text string) reply {
	switch c.form {
	case formRead:
		return done(text)
	case formTest:
		return m.testReply()
	}
	return refused(cme(cmeNotAllowed))
}

// cfunCommand is +CFUN=<fun>[,<rst>].
func (m *Module) cfunCommand(c command, at time.Time) reply {
	switch c.form {
	case formRead:
		return donef("+CFUN: %d", m.cfun)
	case formTest:
		levels := make([]string, 0, len(m.persona.Radio.CFUN))
		for _, n := range append(append([]int{}, m.persona.Radio.CFUN...), m.persona.Radio.Resets...) {
			levels = append(levels, strconv.Itoa(n))
		}
		return m.testReply("+CFUN: (" + strings.Join(levels, ",") + "),(0,1)")
	case formExec:
		return refused(resError)
	}
	ps, err := params(c.arg)
	if err != nil || len(ps) == 0 || len(ps) > 2 {
		return refused(cme(cmeParameters))
	}
	level, ok := ps[0].number()
	if !ok {
		return refused(cme(cmeParameters))
	}
	reset := slices.Contains(m.persona.Radio.Resets, level)
	if len(ps) == 2 && ps[1].text == "1" {
		reset = true
	}
	if !slices.Contains(m.persona.Radio.CFUN, level) && !slices.Contains(m.persona.Radio.Resets, level) {
		return refused(cme(cmeParameters))
	}
	if slices.Contains(m.persona.Radio.Resets, level) {
		return reply{after: func(at time.Time) { m.restart(at, true) }}
	}
	if slices.Contains(m.persona.Radio.ClosesAt, level) { // the port goes before OK
		m.setCFUN(level, at)
		m.vanish(at, m.persona.Boot.Alive)
		return refused(resSilent)
	}
	m.setCFUN(level, at)
	if reset {
		return reply{after: func(at time.Time) { m.restart(at, true) }}
	}
	return reply{}
}

// setCFUN changes the functionality level and what depends on it.
func (m *Module) setCFUN(level int, at time.Time) {
	before := m.simPowered()
	changed := m.cfun != level
	m.cfun = level
	if m.persona.NV.CFUN {
		m.settings.set("+CFUN", strconv.Itoa(level), m.persona.NV.Save)
	}
	if level == 0 {
		m.settings.save("cfun0")
	}
	if !changed {
		return
	}
	m.radioCFUN(at, "command")
	switch {
	case before && !m.simPowered():
		m.sim = simState{opened: m.sim.opened}
		if m.opt.Card != nil {
			m.opt.Card.PowerCut()
		}
	case !before && m.simPowered():
		m.sim.phase, m.sim.since = simReading, at
		m.line.at(at.Add(m.persona.Radio.Settle), func(at time.Time) { m.startSIM(at, false) })
	default:
		m.radioTry(at)
	}
}

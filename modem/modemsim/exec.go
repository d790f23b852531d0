package modemsim

import (
	"fmt"
	"strings"
	"time"
)

// job is the command line that is being worked on. At most one at a time.
type job struct {
	rest  string    // commands still to come
	since time.Time // the other side waits since
	over  bool      // aborted or forgotten
}

// reply is what a command does: information text, a result, the time that
// module and card need for it, and what follows when the answer is out.
type reply struct {
	lines []string
	res   result
	busy  time.Duration
	after func(at time.Time)
	urcs  []string
}

func done(lines ...string) reply     { return reply{lines: lines} }
func refused(r result) reply         { return reply{res: r} }
func donef(f string, a ...any) reply { return done(fmt.Sprintf(f, a...)) }

// startLine begins a command line without its "AT".
func (m *Module) startLine(line string, at time.Time) {
	m.counters.Commands++
	m.job = &job{rest: line, since: at}
	if strings.Trim(line, " ;") == "" {
		m.finish(m.job, reply{}, Fault{}, at)
		return
	}
	m.next(m.job, at)
}

// next runs the next command of the line: V.250 section 5.4.4 stops a line at
// its first failure.
func (m *Module) next(j *job, at time.Time) {
	c, rest, err := nextCommand(j.rest)
	if err != nil {
		m.finish(j, refused(resError), Fault{}, at)
		return
	}
	j.rest = rest
	if rest != "" && !m.persona.AT.Chain && strings.HasPrefix(c.name, "+") {
		m.finish(j, refused(resError), Fault{}, at)
		return
	}
	f := m.draw(c.name)
	if m.before(j, f, at) {
		return
	}
	if f.Kind == FaultSlow {
		m.line.at(at.Add(f.Delay), func(at time.Time) { m.run(j, c, f, at) })
		return
	}
	m.run(j, c, f, at)
}

// before applies a fault that comes before the command has done anything, and
// reports whether the line ends with it.
func (m *Module) before(j *job, f Fault, at time.Time) bool {
	switch f.Kind {
	case FaultIgnore:
		m.drop(j, at)
	case FaultCME:
		m.finish(j, refused(cme(f.Code)), Fault{}, at)
	case FaultError:
		m.finish(j, refused(resError), Fault{}, at)
	case FaultVanish:
		m.drop(j, at)
		m.vanish(at, f.Delay)
	case FaultCut:
		m.glitch(at, f.Delay)
	case FaultReboot:
		m.restart(at, false)
	case FaultEcho:
		m.at.echoOn = !m.at.echoOn
		return false
	case FaultNumeric:
		m.at.numeric = !m.at.numeric
		return false
	case FaultStall:
		m.stalled = at.Add(f.Delay)
		return false
	default:
		return false
	}
	return true
}

// run lets a command take effect and sends or continues.
func (m *Module) run(j *job, c command, f Fault, at time.Time) {
	if j.over || m.job != j {
		return
	}
	if m.awaitsCard(c) {
		m.line.at(at.Add(holdStep), func(at time.Time) { m.run(j, c, f, at) })
		return
	}
	r := m.execute(c, f, at)
	if m.job != j { // the command took the module down at once
		return
	}
	r.busy += m.delay(c.name)
	g := m.draw(c.name + ".done")
	switch g.Kind {
	case FaultSilent:
		m.line.at(at.Add(r.busy), func(at time.Time) { m.drop(j, at) })
		return
	case FaultVanish:
		m.line.at(at.Add(r.busy), func(at time.Time) { m.drop(j, at); m.vanish(at, g.Delay) })
		return
	case FaultCut:
		m.glitch(at, g.Delay)
		return
	case FaultReboot:
		m.restart(at, false)
		return
	case FaultError:
		r.lines, r.res = nil, resError
	case FaultLate:
		r.busy += g.Delay
	case FaultURC:
		if g.Delay > 0 { // it may collide with the next command
			then, late := r.after, g
			r.after = func(at time.Time) {
				if then != nil {
					then(at)
				}
				m.line.at(at.Add(late.Delay), func(at time.Time) { m.urc(at, late.Text) })
			}
			g = Fault{}
		}
	}
	if r.res.kind == kindOK && j.rest != "" {
		m.part(j, r, at)
		return
	}
	m.finish(j, r, g, at)
}

// part sends the information text of a command that others follow.
func (m *Module) part(j *job, r reply, at time.Time) {
	m.emitFor(j, at, at.Add(r.busy), m.body(r.lines), func(at time.Time) {
		if j.over || m.job != j {
			return
		}
		m.next(j, at)
	})
}

// finish sends the end of a line's answer.
func (m *Module) finish(j *job, r reply, f Fault, at time.Time) {
	end := func(at time.Time) { m.finished(j, r, at) }
	start := at.Add(r.busy)
	if r.res.kind == kindSilent {
		m.line.at(start, func(at time.Time) { m.drop(j, at) })
		return
	}
	out := m.disturb(m.body(r.lines), m.final(r.res), f)
	if f.Kind != FaultDribble {
		m.emitFor(j, at, start, out, end)
		return
	}
	for i := range out {
		then := end
		if i < len(out)-1 {
			then = nil
		}
		m.emitFor(j, at, start.Add(time.Duration(i)*f.Delay), out[i:i+1:i+1], then)
	}
}

// disturb is the answer's text with a fault in it.
func (m *Module) disturb(body, final []byte, f Fault) []byte {
	switch f.Kind {
	case FaultURC:
		urc := m.at.frame(f.Text, m.persona.AT.Framing == "tight")
		if f.N <= 0 || f.N > len(body) {
			body = append(body, urc...)
		} else {
			body = append(append(append([]byte(nil), body[:f.N]...), urc...), body[f.N:]...)
		}
	case FaultTruncate:
		if f.N < len(body) {
			body = append(body[:max(f.N, 0):max(f.N, 0)], m.at.register(3, '\r'), m.at.register(4, '\n'))
		}
	}
	return append(body, final...)
}

// finished is the moment when the answer's last character is out.
func (m *Module) finished(j *job, r reply, at time.Time) {
	if j.over || m.job != j {
		return
	}
	m.job = nil
	m.accept = at.Add(m.persona.AT.Gap)
	m.charge(at, m.accept) // whoever writes sooner is not heard
	for _, u := range r.urcs {
		m.urc(at, u)
	}
	if r.after != nil {
		r.after(at)
	}
	m.resume(at)
}

// drop ends a line without an answer.
func (m *Module) drop(j *job, at time.Time) {
	if m.job == j {
		j.over, m.job = true, nil
		m.line.at(at, m.resume)
	}
}

// abort ends a running command because characters came (V.250 section 5.6.1).
// It reports whether it did: an answer that has begun goes on.
func (m *Module) abort(at time.Time) bool {
	for _, p := range m.out {
		if p.job == m.job && !p.start.After(at) {
			return false
		}
	}
	for _, p := range m.out {
		if p.job == m.job {
			p.data, p.then, p.waited = nil, nil, time.Time{}
		}
	}
	m.tx.free = at
	m.job.over, m.job = true, nil
	m.emit(at, m.final(resError))
	return true
}

// resume works on input that came during the command.
func (m *Module) resume(at time.Time) {
	if m.job != nil || len(m.pending) == 0 || m.power != powerOn {
		return
	}
	data := m.pending
	m.pending = nil
	if m.persona.AT.Gap > 0 && at.Before(m.accept) { // it was sent too near behind the result
		m.counters.Dropped += int64(len(data))
		return
	}
	m.feed(data, at, at)
}

func (m *Module) delay(name string) time.Duration {
	if d, ok := m.persona.AT.Delay[name]; ok {
		return d
	}
	return m.persona.AT.Delay["default"]
}

// execute finds the command: the persona's own first, then the built-in ones.
func (m *Module) execute(c command, f Fault, at time.Time) reply {
	if v, ok := m.persona.Commands[c.name]; ok {
		return m.vendor(c, v, at)
	}
	if r, ok := m.basic(c, at); ok {
		return r
	}
	if r, ok := m.general(c, at); ok {
		return r
	}
	if r, ok := m.simCommand(c, at); ok {
		return r
	}
	if r, ok := m.apduCommand(c, f, at); ok {
		return r
	}
	if r, ok := m.radioCommand(c, at); ok {
		return r
	}
	return refused(resultOf(m.persona.AT.Unknown))
}

// testReply is the answer to =? of a command that has no list of its own.
func (m *Module) testReply(lines ...string) reply {
	switch m.persona.AT.Test {
	case "error":
		return refused(resError)
	case "silent":
		return refused(resSilent)
	}
	return done(lines...)
}

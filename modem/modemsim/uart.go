package modemsim

import (
	"bytes"
	"time"
)

// slice bounds how many characters are handed over at once on a paced line, so
// that a long answer arrives little by little.
const slice = 1024

// piece is a run of characters on its way out.
type piece struct {
	data       []byte
	job        *job      // whose answer it is
	waited     time.Time // since when the other side waits for it; zero where nobody does
	start, due time.Time
	then       func(at time.Time)
}

// receive takes characters off the line. The last one of the chunk was there
// at at, by the clock of a host process that is never late.
func (m *Module) receive(data []byte, at time.Time) {
	for len(data) > 0 {
		n := bytes.IndexByte(data, m.at.cr()) + 1
		if n == 0 {
			n = len(data)
		}
		part := data[:n]
		data = data[n:]
		start, due := m.rx.take(at, n)
		m.rxBytes += n
		m.line.at(due, func(due time.Time) {
			m.rxBytes -= len(part)
			m.charge(start, due)
			m.input(part, start, due)
		})
	}
}

// input is the arrival of characters, the first one started at start.
func (m *Module) input(data []byte, start, at time.Time) {
	m.counters.CharsIn += int64(len(data))
	if m.power != powerOn || m.dead {
		m.counters.Dropped += int64(len(data))
		return
	}
	if m.job != nil {
		m.inputBusy(data, at)
		return
	}
	if near := m.tooNear(len(data), start, at); near > 0 {
		m.counters.Dropped += int64(near)
		data = data[near:]
	}
	m.feed(data, start, at)
}

// tooNear is how many of n characters came before the module listens again.
func (m *Module) tooNear(n int, start, at time.Time) int {
	if m.persona.AT.Gap == 0 {
		return 0
	}
	if at.Before(m.accept) {
		return n
	}
	early := m.accept.Sub(start)
	if m.rx.baud == 0 || early <= 0 {
		return 0
	}
	each := max(at.Sub(start)/time.Duration(n), 1) // the i-th one is through at start + i x each
	return min(n, int((early-1)/each))
}

// inputBusy is input during a command.
func (m *Module) inputBusy(data []byte, at time.Time) {
	switch m.persona.AT.Busy {
	case "abort":
		if m.abort(at) {
			m.feed(data, at, at)
			return
		}
		m.hold(data)
	case "drop":
		m.counters.Dropped += int64(len(data))
	default:
		m.hold(data)
	}
}

// hold keeps input until the running command is over.
func (m *Module) hold(data []byte) {
	room := max(m.persona.AT.MaxLine-len(m.pending), 0)
	if len(data) > room {
		m.counters.Dropped += int64(len(data) - room)
		data = data[:room]
	}
	m.pending = append(m.pending, data...)
}

// feed gives characters to the command interpreter until a command starts; the
// rest waits for its end.
func (m *Module) feed(data []byte, start, at time.Time) {
	used := 0
	for used < len(data) && m.job == nil {
		line, run := m.at.char(data[used], m.persona.AT.MaxLine, m.persona.AT.Repeat)
		used++
		if !run {
			continue
		}
		m.echo(start)
		data, used = data[used:], 0
		m.startLine(line, at)
	}
	m.echo(start)
	if used < len(data) {
		m.inputBusy(data[used:], at)
	}
}

// echo repeats characters as they come in, one character behind.
func (m *Module) echo(start time.Time) {
	if out := m.at.echo; len(out) > 0 {
		m.at.echo = nil
		m.emit(start.Add(m.rx.char()), out)
	}
}

// emit puts characters on the line, not before at.
func (m *Module) emit(at time.Time, data []byte) {
	m.emitFor(nil, time.Time{}, at, data, nil)
}

// emitFor is emit for an answer that the other side waits for since waited,
// with something to do when the last character is through.
func (m *Module) emitFor(j *job, waited, at time.Time, data []byte, then func(at time.Time)) {
	for {
		n := len(data)
		if m.tx.baud > 0 {
			n = min(n, slice)
		}
		p := &piece{data: data[:n:n], job: j, waited: waited}
		p.start, p.due = m.tx.take(at, n)
		data, waited = data[n:], time.Time{}
		if len(data) == 0 {
			p.then = then
		}
		m.out = append(m.out, p)
		m.line.at(p.due, func(at time.Time) { m.deliver(p, at) })
		if len(data) == 0 {
			return
		}
	}
}

// deliver hands a piece over to the line. Pieces are due in order.
func (m *Module) deliver(p *piece, at time.Time) {
	if len(m.out) > 0 && m.out[0] == p {
		m.out = m.out[1:]
	}
	m.put(p.data, at)
	from := p.start
	if !p.waited.IsZero() {
		from = p.waited
	}
	m.charge(from, at)
	if p.then != nil {
		p.then(at)
	}
}

func (m *Module) put(data []byte, at time.Time) {
	if len(data) == 0 {
		return
	}
	m.counters.CharsOut += int64(len(data))
	switch {
	case m.port != nil:
		m.port.send(crossed(data, m.rate, m.port.speed()), at)
	case m.portUp && len(m.held)+len(data) <= ttyBuffer:
		m.held = append(m.held, data...)
	}
}

// truncate cuts the line off in the middle of what it is sending.
func (m *Module) truncate(at time.Time) {
	for _, p := range m.out {
		from := p.start
		if !p.waited.IsZero() {
			from = p.waited
		}
		m.charge(from, at)
		if !p.start.Before(at) {
			break
		}
		sent := int(int64(len(p.data)) * int64(at.Sub(p.start)) / int64(max(p.due.Sub(p.start), 1)))
		m.put(p.data[:min(sent, len(p.data))], at)
	}
	m.out = nil
}

// urc sends an unsolicited line.
func (m *Module) urc(at time.Time, text string) {
	m.emit(at, m.at.frame(text, m.persona.AT.Framing == "tight"))
}

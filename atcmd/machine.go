package atcmd

import (
	"fmt"
	"slices"
	"strings"
)

// machine is the transaction state machine: bytes in, events out, no I/O, no
// clock, no goroutine. Its owner serialises all calls.
type machine struct {
	lex       lexer
	maxAnswer int
	numeric   bool     // the module is kept in V0
	urcs      []string // names of known URCs
	restarts  []string // URCs that mean the module booted
	sink      sink

	cur    *transaction
	failed string // own prefix of the last command, if that ended with an error
	secret bool   // lines may belong to a secret command
}

// sink receives what the machine found.
type sink interface {
	urc(u URC)
	prompt()
	done(t *transaction)
	trace(line string, redact bool)
}

// transaction is the command in flight.
type transaction struct {
	cmd    Command
	echoes []string // what the module may echo, in order
	resp   Response
	size   int
	err    error
	broken bool // the port must be poisoned whatever err says
	stale  int  // finals that accept turned down

	// accept, if set, decides whether a final result ends the transaction. When
	// not, the collected lines are dropped and it goes on: the synchronising
	// query waits for its own answer this way.
	accept func(Response, error) bool
}

func newTransaction(cmd Command) *transaction {
	t := &transaction{cmd: cmd, echoes: []string{cmd.Text}}
	t.resp.prefix = cmd.Prefix
	if cmd.Payload != nil {
		for _, line := range strings.FieldsFunc(string(cmd.Payload), func(r rune) bool { return r == '\r' || r == '\n' }) {
			t.echoes = append(t.echoes, strings.TrimSpace(line))
		}
	}
	return t
}

// begin makes t the command in flight.
func (m *machine) begin(t *transaction) {
	m.cur = t
	m.secret = t.cmd.Secret
	m.lex.prompt = ""
	if t.cmd.Payload != nil {
		if m.lex.prompt = t.cmd.Prompt; m.lex.prompt == "" {
			m.lex.prompt = ">"
		}
	}
}

// abandon ends the command in flight without an answer.
func (m *machine) abandon() {
	m.cur, m.lex.prompt = nil, ""
}

func (m *machine) feed(b []byte) {
	m.lex.feed(b, func(k kind, text []byte) {
		switch k {
		case lineToken:
			m.line(string(text))
		case promptToken:
			m.lex.prompt = ""
			m.sink.trace(">", false)
			m.sink.prompt()
		case overflowToken:
			m.overflow()
		}
	})
}

func (m *machine) overflow() {
	if m.cur != nil {
		m.cur.broken = true
		m.finish(unknown(fmt.Errorf("%w: a line exceeds %d bytes", ErrTooLong, m.lex.max)))
	}
}

// line classifies one line: echo, final, own, known URC, bare, else unknown.
func (m *machine) line(line string) {
	known := m.isKnown(line)
	t := m.cur
	if t == nil {
		m.sink.trace(line, m.secret && !known)
		m.sink.urc(URC{Line: line, Known: known, redacted: m.secret && !known})
		return
	}
	final, isFinal := ParseFinal(line, (m.numeric || t.cmd.Numeric) && !(t.cmd.Bare != nil && t.cmd.Bare(line) && len(t.resp.Lines) == 0))
	m.sink.trace(line, t.cmd.Secret && !isFinal && !known)
	switch {
	case m.isEcho(line):
	case isFinal && !known:
		m.final(final)
	case hasOwn(line, t.cmd.Prefix):
		m.keep(line)
	case known:
		m.known(line)
	case t.cmd.Bare != nil && t.cmd.Bare(line) || !t.cmd.hasShape():
		m.keep(line)
	default:
		m.extra(line)
	}
}

func (m *machine) isKnown(line string) bool {
	return matches(m.urcs, line) || matches(m.restarts, line)
}

func matches(names []string, line string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return hasName(line, name) })
}

func (m *machine) isEcho(line string) bool {
	t := m.cur
	if len(t.echoes) == 0 || !strings.EqualFold(line, t.echoes[0]) {
		return false
	}
	t.echoes = t.echoes[1:]
	return true
}

func (m *machine) final(f Final) {
	t := m.cur
	t.resp.Final, t.resp.Worded = f.Text, f.worded
	err := f.Err
	if err == nil && t.cmd.Require && len(t.resp.Lines) == 0 {
		err = unknown(ErrNoAnswer)
	}
	if t.accept != nil && !t.accept(t.resp, err) {
		t.resp, t.size = Response{prefix: t.cmd.Prefix}, 0
		t.stale++
		return
	}
	t.broken = t.broken || f.Err == nil && err != nil || f.Text == "CONNECT"
	m.finish(err)
}

func (m *machine) known(line string) {
	m.sink.urc(URC{Line: line, Known: true})
	if m.cur.accept == nil && matches(m.restarts, line) {
		m.cur.broken = true
		m.finish(unknown(ErrRestarted))
	}
}

func (m *machine) keep(line string) {
	m.cur.resp.Lines = append(m.cur.resp.Lines, line)
	m.grow(line)
}

func (m *machine) extra(line string) {
	t := m.cur
	t.resp.Extra = append(t.resp.Extra, line)
	if t.accept == nil && m.failed != t.cmd.Prefix && hasOwn(line, m.failed) {
		t.broken = true
		m.finish(unknown(fmt.Errorf("%w: %s", ErrStale, m.failed)))
		return
	}
	m.grow(line)
}

func (m *machine) grow(line string) {
	t := m.cur
	if t.size += len(line); t.size > m.maxAnswer {
		t.broken = true
		m.finish(unknown(fmt.Errorf("%w: more than %d bytes", ErrTooLong, m.maxAnswer)))
	}
}

func (m *machine) finish(err error) {
	t := m.cur
	t.err = err
	m.failed = ""
	if err != nil {
		m.failed = t.cmd.Prefix
	}
	if !t.broken {
		m.secret = false
	}
	m.cur, m.lex.prompt = nil, ""
	m.sink.done(t)
}

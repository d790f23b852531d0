package ui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
)

// askFor bounds a question to the station that changes nothing.
const askFor = 10 * time.Second

// tasks are the commands under way: Bubble Tea does not wait for them when the
// program ends, so the screen does.
type tasks struct {
	ctx context.Context

	mu     sync.Mutex // guards what follows
	wg     sync.WaitGroup
	closed bool
}

func newTasks(ctx context.Context) *tasks { return &tasks{ctx: ctx} }

// cmd makes a command that ends with the screen.
func (t *tasks) cmd(fn func(ctx context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return nil
		}
		t.wg.Add(1)
		t.mu.Unlock()
		defer t.wg.Done()
		return fn(t.ctx)
	}
}

// wait starts no more commands and returns when the last one has ended; their
// context must be done.
func (t *tasks) wait() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// send asks the station for something.
func (m *Model) send(cmd station.Command) tea.Cmd {
	cmd.Operator = m.operator
	m.busy++
	return m.tasks.cmd(func(ctx context.Context) tea.Msg {
		reply, err := m.opt.Source.Do(ctx, cmd)
		return doneMsg{cmd, reply, err}
	})
}

// signedMsg is the station's answer to a name or badge.
type signedMsg struct {
	operator station.Actor
	err      error
	silent   bool
}

// signOn gives the station a name or badge and keeps the pseudonym for it.
func (m *Model) signOn(entered string, silent bool) tea.Cmd {
	m.busy++
	return m.tasks.cmd(func(ctx context.Context) tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, askFor)
		defer cancel()
		operator, err := m.opt.Source.SignOn(ctx, entered)
		return signedMsg{operator, err, silent}
	})
}

func (m *Model) loadTickets() tea.Cmd {
	m.ticketAt = m.now
	return m.tasks.cmd(func(ctx context.Context) tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, askFor)
		defer cancel()
		list, err := m.opt.Source.Tickets(ctx, rework.Filter{})
		return ticketsMsg{list, err}
	})
}

// loadUnit loads the log of the unit in the chosen slot, or of the one that was
// there last.
func (m *Model) loadUnit() tea.Cmd {
	s, ok := m.slot()
	if !ok {
		return nil
	}
	serial := s.Unit
	if serial == "" && s.Last != nil {
		serial = s.Last.Unit
	}
	if serial != m.logOf {
		m.entries, m.logErr, m.scroll = nil, "", 0
	}
	m.logOf, m.logAt = serial, m.now
	if serial == "" {
		return nil
	}
	m.logBusy = true
	return m.tasks.cmd(func(ctx context.Context) tea.Msg {
		ctx, cancel := context.WithTimeout(ctx, askFor)
		defer cancel()
		u, err := m.opt.Source.Unit(ctx, "sn:"+string(serial))
		return unitMsg{serial, u, err}
	})
}

func (m *Model) gotTickets(msg ticketsMsg) {
	if msg.err == nil { // else the list stays; the connection says what is wrong
		m.tickets = msg.list
		m.picked = min(m.picked, max(len(m.tickets)-1, 0))
	}
}

func (m *Model) gotUnit(msg unitMsg) {
	m.logBusy = false
	if msg.serial != m.logOf {
		return
	}
	if msg.err != nil {
		m.logErr = msg.err.Error()
		return
	}
	atEnd := m.scroll >= m.maxScroll()
	m.entries, m.logErr = msg.unit.Entries, ""
	if atEnd {
		m.scroll = m.maxScroll()
	}
}

// setLang changes the language of everything, at once.
func (m *Model) setLang(l text.Lang) {
	m.words = text.For(l)
	m.say(toneInfo, m.words.T("ui.language"), "")
}

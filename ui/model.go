package ui

import (
	"context"
	"errors"
	"time"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
	"linefit/ui/client"
)

// Source is where the screen's snapshots come from and its commands go;
// *client.Client is one.
type Source interface {
	Address() string
	// Watch calls fn with snapshots until ctx is done.
	Watch(ctx context.Context, fn func(client.Snapshot))
	Do(ctx context.Context, cmd station.Command) (client.Reply, error)
	Unit(ctx context.Context, id string) (client.Unit, error)
	Tickets(ctx context.Context, f rework.Filter) ([]station.Ticket, error)
	// SignOn gives the pseudonym of who was entered: a name or a badge.
	SignOn(ctx context.Context, entered string) (station.Actor, error)
}

// Options are a screen's parts.
type Options struct {
	Source   Source
	Lang     text.Lang
	Operator string // name or badge of who works here, until another one is scanned
	// ASCII draws with ASCII signs only.
	ASCII bool
	// FirstKey is called once, when somebody touches the keyboard: the demo
	// then hands its scan field over. It may block.
	FirstKey func()
}

// view is what the middle of the screen shows.
type view string

const (
	viewSlots  view = "slots"
	viewRework view = "rework"
	viewLog    view = "log"
	viewHelp   view = "help"
)

// Model is the screen's state. It is changed by Update only.
type Model struct {
	opt   Options
	tasks *tasks
	words *text.Catalogue
	signs glyphs
	now   time.Time // of the newest message that had a time

	width, height int
	field         textinput.Model
	view          view
	touched       bool

	connected bool
	lost      *client.Error // why there is no connection
	lostAt    time.Time
	station   station.View
	at        time.Time // when the snapshot came
	chosen    int       // index of the slot that the keys mean
	newest    int       // id of the slot that was decided last, 0: none yet
	// operator is who works here: what was entered until the station gave a
	// pseudonym for it.
	operator station.Actor
	signedOn bool // with opt.Operator

	message message
	busy    int    // commands under way
	armed   string // key that is to be pressed again
	armedAt time.Time

	tickets  []station.Ticket
	picked   int // index of the chosen one
	ticketAt time.Time
	logOf    station.Serial
	entries  []client.Entry
	logBusy  bool
	logAt    time.Time
	logErr   string
	scroll   int
}

// tone is how a message is meant.
type tone int

const (
	toneInfo tone = iota
	toneGood
	toneBad
)

// message is what the station, or the screen, said last.
type message struct {
	tone   tone
	title  string
	advice string
	at     time.Time
}

// messageFor is how long a message stands before the chosen slot's own words
// come back.
const messageFor = 20 * time.Second

// maxScan bounds the scan field: no barcode that means anything is longer.
const maxScan = 512

// New makes a screen. ctx bounds everything that it asks of its source.
func New(ctx context.Context, opt Options) *Model {
	m := &Model{
		opt: opt, tasks: newTasks(ctx), words: text.For(opt.Lang), signs: unicodeGlyphs, view: viewSlots,
		width: 80, height: 24, operator: station.Actor(opt.Operator), field: textinput.New(),
	}
	if opt.ASCII {
		m.signs = asciiGlyphs
	}
	m.field.Prompt, m.field.CharLimit = "", maxScan
	m.field.SetVirtualCursor(false)
	m.field.KeyMap.Paste = key.NewBinding(key.WithDisabled()) // the screen's own clipboard is not the scanner
	m.field.KeyMap.NextSuggestion, m.field.KeyMap.PrevSuggestion, m.field.KeyMap.AcceptSuggestion = key.NewBinding(key.WithDisabled()), key.NewBinding(key.WithDisabled()), key.NewBinding(key.WithDisabled())
	m.field.Focus() // what it returns makes a virtual cursor blink; there is none
	return m
}

// Messages of the screen.
type (
	snapshotMsg client.Snapshot
	tickMsg     time.Time
	doneMsg     struct {
		cmd   station.Command
		reply client.Reply
		err   error
	}
	ticketsMsg struct {
		list []station.Ticket
		err  error
	}
	unitMsg struct {
		serial station.Serial
		unit   client.Unit
		err    error
	}
)

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return m.tick() }

// tick makes the clock of the screen. tea.Tick would outlive the screen by up
// to a second.
func (m *Model) tick() tea.Cmd {
	return m.tasks.cmd(func(ctx context.Context) tea.Msg {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case now := <-timer.C:
			return tickMsg(now)
		case <-ctx.Done():
			return nil
		}
	})
}

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.update(msg)
	m.fitField()
	return m, cmd
}

func (m *Model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tickMsg:
		m.now = time.Time(msg)
		return tea.Batch(m.tick(), m.refresh())
	case snapshotMsg:
		return m.snapshot(client.Snapshot(msg))
	case doneMsg:
		return m.done(msg)
	case signedMsg:
		m.signed(msg)
	case ticketsMsg:
		m.gotTickets(msg)
	case unitMsg:
		m.gotUnit(msg)
	case tea.KeyPressMsg:
		return tea.Batch(m.touch(), m.press(msg))
	case tea.PasteMsg:
		return tea.Batch(m.touch(), m.paste(msg.Content))
	}
	return nil
}

// touch tells once that somebody is there.
func (m *Model) touch() tea.Cmd {
	if m.touched || m.opt.FirstKey == nil {
		return nil
	}
	m.touched = true
	return m.tasks.cmd(func(context.Context) tea.Msg {
		m.opt.FirstKey()
		return nil
	})
}

// snapshot takes what is known of the station.
func (m *Model) snapshot(s client.Snapshot) tea.Cmd {
	m.now = s.At
	if s.Err != nil {
		if m.lost == nil {
			m.lostAt = s.At
		}
		m.lost = asError(s.Err)
		return nil
	}
	was := m.station
	m.lost, m.connected, m.station, m.at = nil, true, s.View, s.At
	m.chosen = min(m.chosen, max(len(m.station.Slots)-1, 0))
	m.newest = newest(was, m.station, m.newest)
	if m.opt.Operator != "" && !m.signedOn {
		m.signedOn = true
		return tea.Batch(m.signOn(m.opt.Operator, true), m.refresh())
	}
	return m.refresh()
}

func asError(err error) *client.Error {
	var e *client.Error
	if errors.As(err, &e) {
		return e
	}
	return &client.Error{Kind: client.Unreachable, Detail: err.Error()}
}

// newest finds the slot that was decided last: its lamp has come on for another
// run than before. At the first snapshot it is the one that started last.
func newest(was, is station.View, known int) int {
	before := map[int]station.RunID{}
	for _, s := range was.Slots {
		if decided(s) {
			before[s.ID] = s.Run
		}
	}
	started := ""
	for _, s := range is.Slots {
		if !decided(s) || before[s.ID] == s.Run {
			continue
		}
		if s.StartedAt >= started {
			known, started = s.ID, s.StartedAt
		}
	}
	return known
}

// decided reports whether the station itself shows a result for the unit in
// the slot. Before the MES has answered, and while the log is stopped, no lamp
// is on.
func decided(s station.SlotView) bool {
	return s.State == station.SlotDone && (s.Lamp == station.LampPass || s.Lamp == station.LampFail || s.Lamp == station.LampHold)
}

// slot is the chosen one; false before the first snapshot.
func (m *Model) slot() (station.SlotView, bool) {
	if m.chosen < 0 || m.chosen >= len(m.station.Slots) {
		return station.SlotView{}, false
	}
	return m.station.Slots[m.chosen], true
}

// choose selects a slot by its number.
func (m *Model) choose(id int) {
	for i, s := range m.station.Slots {
		if s.ID == id {
			m.chosen = i
		}
	}
}

// say shows a message.
func (m *Model) say(t tone, title, advice string) {
	m.message = message{tone: t, title: title, advice: advice, at: m.now}
}

// refresh loads what the present view shows and is no longer true.
func (m *Model) refresh() tea.Cmd {
	switch {
	case m.lost != nil || !m.connected:
		return nil
	case m.view == viewRework && m.now.Sub(m.ticketAt) >= 2*time.Second:
		return m.loadTickets()
	case m.view == viewLog && !m.logBusy && m.now.Sub(m.logAt) >= time.Second:
		return m.loadUnit()
	}
	return nil
}

// page is the page of slots that has the chosen one.
func (m *Model) page(l layout) int { return m.chosen / max(l.perPage(), 1) }

package ui

import (
	"errors"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"linefit/station"
	"linefit/station/text"
	"linefit/ui/client"
)

// againWithin is how soon a key must be pressed again to confirm.
const againWithin = 5 * time.Second

// maxLines bounds the scans in one paste.
const maxLines = 20

// press handles a key: the function keys are the screen's, everything else
// belongs to the scan field.
func (m *Model) press(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	if name != m.armed {
		m.armed = ""
	}
	if cmd, handled := m.functionKey(name); handled {
		return cmd
	}
	empty := m.field.Value() == ""
	switch name {
	case "ctrl+c":
		return tea.Quit
	case "enter", "ctrl+j", "ctrl+m", "kpenter":
		return m.enter()
	case "tab":
		if empty {
			m.chooseWaiting()
			return m.changed()
		}
		return m.enter() // a scanner that ends its codes with a tab
	case "esc":
		m.field.Reset()
		m.message, m.scroll = message{}, 0
		return m.show(viewSlots)
	case "up", "down", "pgup", "pgdown":
		return m.move(name)
	case "left", "right", "home", "end":
		if empty {
			return m.move(name)
		}
	}
	var cmd tea.Cmd
	m.field, cmd = m.field.Update(msg)
	return cmd
}

// functionKey handles the keys that do something to the station or the screen.
func (m *Model) functionKey(name string) (tea.Cmd, bool) {
	switch name {
	case "f1":
		return m.show(viewHelp), true
	case "f2":
		return m.show(viewSlots), true
	case "f3":
		return m.show(viewRework), true
	case "f4":
		return m.show(viewLog), true
	case "f5":
		return m.onSlot(station.CmdAck), true
	case "f6":
		return m.confirm(name, station.CmdAbort), true
	case "f7":
		return m.onSlot(station.CmdClear), true
	case "f8":
		langs := text.Langs()
		i := slices.Index(langs, m.words.Lang())
		m.setLang(langs[(i+1)%len(langs)])
		return nil, true
	case "f9":
		return m.send(station.Command{Kind: station.CmdHalt, Why: "key"}), true // no second thought in an emergency
	}
	return nil, false
}

// onSlot sends a command for the chosen slot.
func (m *Model) onSlot(kind station.CommandKind) tea.Cmd {
	s, ok := m.slot()
	if !ok {
		m.say(toneBad, m.words.T("ui.no_unit"), "")
		return nil
	}
	return m.send(station.Command{Kind: kind, Slot: s.ID, Why: "key"})
}

// confirm asks for the key once more.
func (m *Model) confirm(key string, kind station.CommandKind) tea.Cmd {
	s, ok := m.slot()
	if !ok {
		m.say(toneBad, m.words.T("ui.no_unit"), "")
		return nil
	}
	if m.armed == key && m.now.Sub(m.armedAt) < againWithin {
		m.armed = ""
		return m.onSlot(kind)
	}
	m.armed, m.armedAt = key, m.now
	m.say(toneInfo, m.words.T("ui.again", "command", m.words.Word("command", string(kind)), "slot", s.ID), "")
	return nil
}

// enter sends what is in the scan field.
func (m *Model) enter() tea.Cmd {
	scanned := strings.TrimSpace(m.field.Value())
	m.field.Reset()
	if scanned == "" {
		return nil
	}
	return m.scan(scanned)
}

// paste takes pasted text as if it had been scanned: every full line is sent,
// the rest stands in the field.
func (m *Model) paste(content string) tea.Cmd {
	content = strings.ReplaceAll(strings.ReplaceAll(content, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(content, "\n")
	var cmds []tea.Cmd
	for i, line := range lines {
		if len(line) > maxScan*4 {
			line = line[:maxScan*4]
		}
		m.field, _ = m.field.Update(tea.PasteMsg{Content: line}) // it only inserts
		if i < len(lines)-1 && i < maxLines {
			cmds = append(cmds, m.enter())
		}
	}
	return tea.Sequence(cmds...)
}

// scan carries out whatever was scanned. What belongs to the screen stays
// here, the rest is the station's to understand, and to log where it does not.
func (m *Model) scan(scanned string) tea.Cmd {
	code, err := station.ParseBarcode(scanned)
	if err == nil {
		switch code.Verb {
		case station.VerbLanguage:
			m.scanLanguage(code.Arg)
			return nil
		case station.VerbView:
			return m.scanView(code.Arg)
		case station.VerbOperator:
			return m.signOn(code.Arg, false)
		case station.VerbSlot:
			m.choose(code.Slot)
		case station.VerbAck, station.VerbAbort, station.VerbClear, station.VerbEnable, station.VerbDisable:
			if s, ok := m.slot(); ok && code.Slot == 0 {
				return m.send(station.Command{Kind: station.CmdScan, Text: scanned, Slot: s.ID})
			}
		}
	}
	return m.send(station.Command{Kind: station.CmdScan, Text: scanned})
}

func (m *Model) scanLanguage(arg string) {
	l, ok := text.ParseLang(arg)
	if !ok {
		var names []string
		for _, l := range text.Langs() {
			names = append(names, string(l))
		}
		m.say(toneBad, m.words.T("ui.unknown_language", "languages", strings.Join(names, ", ")), "")
		return
	}
	m.setLang(l)
}

func (m *Model) scanView(arg string) tea.Cmd {
	v := view(strings.ToLower(arg))
	all := []string{string(viewSlots), string(viewRework), string(viewLog), string(viewHelp)}
	if !slices.Contains(all, string(v)) {
		m.say(toneBad, m.words.T("ui.unknown_view", "views", strings.Join(all, ", ")), "")
		return nil
	}
	return m.show(v)
}

// done shows what the station said to a command.
func (m *Model) done(msg doneMsg) tea.Cmd {
	m.busy--
	if msg.err != nil {
		m.failed(msg.err)
		return m.changed()
	}
	if msg.reply.Slot != 0 {
		m.choose(msg.reply.Slot)
	}
	m.say(toneGood, m.replyText(msg), "")
	return m.changed()
}

// signed takes the pseudonym of who signed on.
func (m *Model) signed(msg signedMsg) {
	m.busy--
	if msg.err != nil {
		m.failed(msg.err)
		return
	}
	m.operator = msg.operator
	if !msg.silent {
		m.say(toneGood, m.words.T("ui.operator_on", "operator", m.operator), "")
	}
}

// failed says why something was not done.
func (m *Model) failed(err error) {
	var refusal *station.Refusal
	var failure *client.Error
	switch {
	case errors.As(err, &refusal):
		m.say(toneBad, m.reason(refusal.Reason), m.words.Advice(refusal.Reason.Code))
	case errors.As(err, &failure) && failure.Kind == client.Denied:
		m.say(toneBad, m.words.T("ui.error", "error", failure.Detail), m.words.T("ui.lost_denied"))
	case errors.As(err, &failure) && failure.Kind == client.Unreachable:
		m.say(toneBad, m.words.T("ui.error", "error", failure.Detail), m.words.T("ui.lost_advice"))
	default:
		m.say(toneBad, m.words.T("ui.error", "error", err.Error()), "")
	}
}

// replyText says the station's answer in the screen's own language.
func (m *Model) replyText(msg doneMsg) string {
	id := msg.reply.Text
	if !m.words.Has(id) {
		id = "scan.done"
	}
	slot := msg.reply.Slot
	if slot == 0 {
		slot = msg.cmd.Slot
	}
	return m.words.T(id, "slot", slot)
}

// show changes the view.
func (m *Model) show(v view) tea.Cmd {
	if m.view == v {
		return nil
	}
	m.view, m.scroll = v, 0
	switch v {
	case viewRework:
		return m.loadTickets()
	case viewLog:
		m.entries, m.logErr, m.logOf = nil, "", ""
		return m.loadUnit()
	}
	return nil
}

// changed loads another unit's log when another slot is chosen.
func (m *Model) changed() tea.Cmd {
	if m.view == viewLog && !m.logBusy {
		return m.loadUnit()
	}
	return nil
}

// move chooses another slot, or scrolls a list.
func (m *Model) move(name string) tea.Cmd {
	if m.view == viewSlots {
		m.moveSlot(name)
		return nil
	}
	to := &m.scroll
	last := m.maxScroll()
	if m.view == viewRework {
		m.message = message{}
		to, last = &m.picked, max(len(m.tickets)-1, 0)
	}
	switch name {
	case "up":
		*to--
	case "down":
		*to++
	case "pgup":
		*to -= m.listRows() - 1
	case "pgdown":
		*to += m.listRows() - 1
	case "home":
		*to = 0
	case "end":
		*to = last
	}
	*to = min(max(*to, 0), last)
	return nil
}

func (m *Model) moveSlot(name string) {
	l := arrange(m.width, m.height, len(m.station.Slots))
	step := map[string]int{
		"up": -1, "down": 1, "left": -l.rows, "right": l.rows, "pgup": -l.perPage(), "pgdown": l.perPage(),
		"home": -len(m.station.Slots), "end": len(m.station.Slots),
	}[name]
	m.chosen = min(max(m.chosen+step, 0), max(len(m.station.Slots)-1, 0))
	m.message = message{}
}

// chooseWaiting goes to the next slot that needs a person.
func (m *Model) chooseWaiting() {
	n := len(m.station.Slots)
	for i := 1; i <= n; i++ {
		s := m.station.Slots[(m.chosen+i)%n]
		if s.Waiting == station.WaitBin || s.Waiting == station.WaitRemoval || s.Waiting == station.WaitPresence || s.State == station.SlotFault {
			m.chosen = (m.chosen + i) % n
			m.message = message{}
			return
		}
	}
}

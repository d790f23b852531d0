package ui

import (
	"strconv"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"linefit/station"
	"linefit/ui/client"
)

// View implements tea.Model.
func (m *Model) View() tea.View {
	var v tea.View
	v.AltScreen = true
	v.WindowTitle = "linefit " + m.station.Station
	if m.width < minWidth || m.height < minHeight {
		v.SetContent(cut(m.words.T("ui.small", "width", m.width, "height", m.height), m.width, m.signs.more))
		return v
	}
	content := strings.Join(m.frame(), "\n")
	if m.opt.ASCII {
		content = asciiWords.Replace(content)
	}
	v.SetContent(content)
	if c := m.field.Cursor(); c != nil {
		c.X += columns(m.prompt())
		c.Y = m.height - 2
		v.Cursor = c
	}
	return v
}

// asciiWords replaces the signs in texts by others of the same width.
var asciiWords = strings.NewReplacer("↑", "^", "↓", "v", "中文", "zh  ", "✓", "+", "✗", "x")

// frame is the whole screen: exactly height lines of exactly width columns.
func (m *Model) frame() []string {
	l := arrange(m.width, m.height, len(m.station.Slots))
	lines := []string{m.header(), m.counters()}
	switch m.view {
	case viewRework:
		lines = append(lines, m.reworkBody(l)...)
	case viewLog:
		lines = append(lines, m.logBody(l)...)
	case viewHelp:
		lines = append(lines, m.helpBody(l)...)
	default:
		lines = append(lines, m.bannerBody(l)...)
		lines = append(lines, m.slotsBody(l)...)
	}
	lines = append(lines, m.messageBody()...)
	lines = append(lines, m.scanLine(l), m.keysLine())
	return pad(lines, m.width, m.height)
}

// trouble says what stands above everything else, if anything does.
func (m *Model) trouble() (words, advice string, bad bool) {
	switch {
	case m.lost != nil && m.connected:
		seconds := int(m.now.Sub(m.at).Seconds())
		words, advice = m.words.T("ui.lost", "seconds", seconds), m.words.T("ui.lost_advice")
	case m.lost != nil:
		words, advice = m.words.T("ui.connecting", "address", m.opt.Source.Address()), m.words.T("ui.lost_advice")
	case !m.connected:
		return m.words.T("ui.connecting", "address", m.opt.Source.Address()), "", true
	case m.station.Health != station.HealthOK:
		return m.words.Word("health", string(m.station.Health)), m.words.Word("health_advice", string(m.station.Health)), true
	default:
		return m.words.Word("health", string(m.station.Health)), "", false
	}
	if m.lost.Kind == client.Denied {
		advice = m.words.T("ui.lost_denied")
	}
	return words, advice, true
}

// header names the station and says how it is.
func (m *Model) header() string {
	words, _, bad := m.trouble()
	left := " " + m.words.T("ui.title")
	if m.station.Station != "" {
		left += "  " + m.station.Station
	}
	if m.station.Recipe != "" {
		left += "  " + m.station.Recipe
	}
	if m.operator != "" {
		left += "  " + m.words.T("ui.operator", "operator", m.operator)
	}
	sim := ""
	if m.station.Simulated {
		sim = " " + m.words.T("ui.simulated") + " "
	}
	health := " " + cut(words, m.width/2+10, m.signs.more) + " "
	room := m.width - columns(sim) - columns(health)
	style := title
	if bad {
		style = alarm
	}
	return title.Render(fit(left, room, m.signs.more)) + warning.Render(sim) + style.Render(health)
}

// bannerBody is the newest decided slot, big; or the trouble that stands above
// it: then nothing is shown as decided.
func (m *Model) bannerBody(l layout) []string {
	if words, advice, bad := m.trouble(); bad {
		return m.troubleBanner(l, words, advice)
	}
	var s station.SlotView
	for _, one := range m.station.Slots {
		if one.ID == m.newest {
			s = one
		}
	}
	last := s.Last
	lamp := m.lastLamp(s)
	if last == nil || lamp == station.LampOff {
		return pad([]string{"", "  " + faint.Render(cut(m.words.T("ui.no_result"), m.width-2, m.signs.more))}, m.width, l.banner)
	}
	r := m.signs.result(lamp)
	about := m.about(s, lamp)
	if l.banner < smallHeight {
		return []string{r.block.Render(fit(" "+r.sign+" "+r.word+"  "+strings.Join(about, "  "), m.width, m.signs.more))}
	}
	word := m.signs.big(r.word, l.banner)
	side := m.width - columns(word[0]) - 6
	var lines []string
	for i, part := range about {
		n := 1
		if i == len(about)-1 {
			n = l.banner - len(lines)
		}
		lines = append(lines, wrap(part, side, max(n, 1), m.signs.more)...)
	}
	out := make([]string, l.banner)
	for i := range out {
		line := ""
		if i < len(lines) {
			line = lines[i]
		}
		out[i] = r.block.Render("  "+word[i]+"  ") + plain.Render("  "+fit(line, side, m.signs.more))
	}
	return out
}

// about says of a slot's last result where it was, and if it is not good, why; and
// while its unit stands there what to do with it.
func (m *Model) about(s station.SlotView, lamp station.Lamp) []string {
	last := s.Last
	lines := []string{m.words.T("ui.slot_unit", "slot", s.ID, "unit", last.Unit)}
	what := m.words.Word("result", string(lamp))
	if last.Disposition != "" && last.Disposition != station.Release && last.Disposition != station.Hold {
		what = m.words.T("ui.result_to", "result", what, "disposition", m.words.Word("disposition", string(last.Disposition)))
	}
	lines = append(lines, what+"  "+m.words.T("ui.duration", "seconds", last.Millis/1000))
	if lamp != station.LampPass && last.Reason != nil {
		lines = append(lines, m.words.Reason(last.Reason.Code))
	}
	if s.State != station.SlotDone || s.Run != last.Run {
		return lines
	}
	return append(lines, m.words.Word("todo", string(last.Disposition)))
}

func (m *Model) troubleBanner(l layout, words, advice string) []string {
	lines := []string{words}
	if lot := m.station.Lot; m.lost == nil && lot != nil {
		units := make([]string, len(lot.Units))
		for i, u := range lot.Units {
			units[i] = string(u)
		}
		lines = append(lines, m.words.T("ui.lot", "reason", m.words.Reason(lot.Cause), "units", strings.Join(units, ", ")))
	} else if m.lost == nil && m.station.Detail != "" {
		lines = append(lines, m.station.Detail)
	} else if m.lost != nil {
		lines = append(lines, m.lost.Detail)
	}
	if advice != "" {
		lines = append(lines, wrap(advice, m.width-4, 3, m.signs.more)...)
	}
	out := make([]string, l.banner)
	for i := range out {
		line := ""
		if i < len(lines) {
			line = lines[i]
		}
		out[i] = alarm.Render(fit("  "+line, m.width, m.signs.more))
	}
	return out
}

// messageBody is what was said last, else what the chosen slot has to say.
func (m *Model) messageBody() []string {
	msg := m.message
	if msg.title == "" || m.now.Sub(msg.at) > messageFor {
		msg = m.slotMessage()
	}
	ink, sign := plain, " "
	switch msg.tone {
	case toneGood:
		ink, sign = goodNews, m.signs.pass
	case toneBad:
		ink, sign = badNews, m.signs.fail
	}
	lines := []string{ink.Render(fit(" "+sign+" "+msg.title, m.width, m.signs.more))}
	for _, line := range wrap(msg.advice, m.width-4, 2, m.signs.more) {
		lines = append(lines, "   "+line)
	}
	return pad(lines, m.width, 3)
}

// slotMessage says what a person wants to know of the chosen ticket or slot, or
// of the newest decided one where the chosen one has no trouble.
func (m *Model) slotMessage() message {
	if m.view == viewRework && m.picked < len(m.tickets) {
		return m.ticketMessage(m.tickets[m.picked])
	}
	s, ok := m.slot()
	if !ok || m.lost != nil {
		return message{title: m.words.T("ui.ready")}
	}
	if msg, bad := m.troubleOf(s); bad {
		return msg
	}
	for _, other := range m.station.Slots {
		if msg, bad := m.troubleOf(other); bad && other.ID == m.newest {
			return msg
		}
	}
	for _, slot := range append([]station.SlotView{s}, m.station.Slots...) {
		if unwatched(slot) {
			return message{title: m.titleOf(slot), advice: m.words.T("ui.unwatched_more", "unit", slot.Unit)}
		}
	}
	if s.Unit == "" {
		return message{title: m.words.T("ui.ready")}
	}
	return message{title: m.titleOf(s), advice: identities(s)}
}

func (m *Model) titleOf(s station.SlotView) string {
	return m.words.T("ui.slot_unit", "slot", s.ID, "unit", s.Unit) + "  " + m.doing(s)
}

// troubleOf says what is wrong with a slot or its unit, and what to do now.
func (m *Model) troubleOf(s station.SlotView) (message, bool) {
	reason := s.Fault
	if reason == nil && decided(s) && s.Lamp != station.LampPass {
		reason = s.Reason
	}
	if reason == nil {
		return message{}, false
	}
	advice := m.words.Advice(reason.Code)
	if s.Fault == nil && s.Disposal != "" { // where it goes is the policy's choice, not the reason's
		advice = m.words.Word("todo", string(s.Disposal)) + " " + advice
	}
	if unwatched(s) {
		advice = m.words.T("ui.unwatched_more", "unit", s.Unit) + " " + advice
	}
	return message{title: m.words.T("ui.slot_unit", "slot", s.ID, "unit", s.Unit) + "  " + m.reason(reason), advice: advice}, true
}

// reason is a reason's title with its detail for engineers.
func (m *Model) reason(r *station.Reason) string {
	if r == nil {
		return ""
	}
	if r.Detail == "" {
		return m.words.Reason(r.Code)
	}
	return m.words.Reason(r.Code) + " (" + r.Detail + ")"
}

func (m *Model) ticketMessage(t station.Ticket) message {
	msg := message{title: m.words.T("ui.rework.picked", "ticket", t.ID, "unit", t.Unit, "reason", m.reason(t.Reason))}
	if t.Reason != nil {
		msg.advice = m.words.Advice(t.Reason.Code)
	}
	return msg
}

func identities(s station.SlotView) string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"IMEI", string(s.IMEI)}, {"EID", string(s.EID)}, {"ICCID", string(s.ICCID)}} {
		if p.value != "" {
			parts = append(parts, p.name+":"+p.value)
		}
	}
	return strings.Join(parts, "  ")
}

func (m *Model) prompt() string { return " " + m.words.T("ui.scan") + " > " }

// scanLine is the scan field, with what is under way and the page at its right.
func (m *Model) scanLine(l layout) string {
	var notes []string
	if m.busy > 0 {
		notes = append(notes, m.words.T("ui.busy"))
	}
	if m.view == viewSlots && l.pages > 1 {
		notes = append(notes, m.words.T("ui.page", "page", m.page(l)+1, "pages", l.pages))
	}
	shown := m.field
	if strings.ContainsRune(shown.Value(), '$') { // an activation code: what stands behind is a secret
		shown.EchoMode = textinput.EchoPassword
	}
	field := shown.View()
	note := cut(strings.Join(notes, "  "), noteWidth, m.signs.more)
	room := m.width - columns(m.prompt()) - columns(field) - columns(note) - 1
	return bold.Render(m.prompt()) + field + strings.Repeat(" ", max(room, 0)) + careful.Render(note)
}

// noteWidth is kept free at the right of the scan field.
const noteWidth = 28

// fitField gives the scan field its width; the text in it scrolls.
func (m *Model) fitField() {
	m.field.SetWidth(max(m.width-columns(m.prompt())-noteWidth-3, 8))
	m.field.SetCursor(m.field.Position()) // makes it scroll to where the cursor is
}

func (m *Model) keysLine() string {
	id := "ui.keys.list"
	if m.view == viewSlots {
		id = "ui.keys.slots"
	}
	return title.Render(fit(" "+m.words.T(id), m.width, m.signs.more))
}

// slotNumber is a slot's number in two columns.
func slotNumber(id int) string {
	n := strconv.Itoa(id)
	return strings.Repeat(" ", max(2-len(n), 0)) + n
}

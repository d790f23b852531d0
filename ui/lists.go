package ui

import (
	"strings"

	"linefit/station"
)

// listRows is how many rows of a list are on the screen: its title takes one.
func (m *Model) listRows() int { return max(m.height-fixedRows-1, 1) }

// maxScroll is how far the present list can be scrolled.
func (m *Model) maxScroll() int {
	n := 0
	switch m.view {
	case viewLog:
		n = len(m.logLines())
	case viewHelp:
		n = len(strings.Split(m.words.T("help.body"), "\n"))
	}
	return max(n-m.listRows(), 0)
}

// list is a title over the part of some lines that the screen has room for.
func (m *Model) list(l layout, head string, lines []string) []string {
	from := min(m.scroll, max(len(lines)-m.listRows(), 0))
	to := min(from+m.listRows(), len(lines))
	where := ""
	if len(lines) > m.listRows() {
		where = m.words.T("ui.range", "from", from+1, "to", to, "of", len(lines)) + " "
	}
	title := bold.Render(fit(" "+head, m.width-columns(where), m.signs.more) + where)
	return pad(append([]string{title}, lines[from:to]...), m.width, l.body())
}

// Widths of the columns of the rework list, without the last one.
const (
	widthTicketUnit = 18
	widthState      = 9
	widthWanted     = 10
	widthQueue      = 10
)

// reworkBody lists the open tickets; the chosen one is on the screen.
func (m *Model) reworkBody(l layout) []string {
	more := m.signs.more
	head := m.words.T("ui.rework.title", "open", len(m.tickets))
	if len(m.tickets) == 0 {
		return m.list(l, head, []string{"", " " + m.words.T("ui.rework.none")})
	}
	columns := faint.Render(" " + fit(m.words.T("ui.rework.col.unit"), widthTicketUnit+1, more) + fit(m.words.T("ui.rework.col.state"), widthState+1, more) +
		fit(m.words.T("ui.rework.col.wanted"), widthWanted+1, more) + fit(m.words.T("ui.rework.col.queue"), widthQueue+1, more) + m.words.T("ui.rework.col.reason"))
	rows := max(m.listRows()-1, 1)
	from := max(min(m.picked-rows/2, len(m.tickets)-rows), 0)
	lines := []string{columns}
	for i, t := range m.tickets[from:min(from+rows, len(m.tickets))] {
		lines = append(lines, m.ticketRow(t, from+i == m.picked))
	}
	return m.list(l, head, lines)
}

func (m *Model) ticketRow(t station.Ticket, picked bool) string {
	more := m.signs.more
	what := ""
	if t.Reason != nil {
		what = m.words.Reason(t.Reason.Code)
	}
	if t.State == station.TicketTaken && t.Actor != "" {
		what = m.words.T("ui.rework.by", "actor", t.Actor) + "  " + what
	}
	if t.Failures > 1 {
		what += "  " + m.words.T("ui.rework.failures", "failures", t.Failures)
	}
	return m.mark(picked) + fit(tail(string(t.Unit), widthTicketUnit, more)+" "+fit(m.words.Word("ticket", string(t.State)), widthState, more)+" "+
		fit(m.words.Word("disposition", string(t.Wanted)), widthWanted, more)+" "+fit(t.Queue, widthQueue, more)+" "+what, m.width-1, more)
}

// logLines are the entries, each in as many lines as it needs, up to four.
func (m *Model) logLines() []string {
	const indent = 10
	var lines []string
	for _, e := range m.entries {
		for i, part := range wrap(m.words.Entry(e.Type, e.Data), m.width-indent-1, 4, m.signs.more) {
			head := strings.Repeat(" ", indent)
			if i == 0 {
				head = fit(" "+e.UTC.UTC().Format("15:04:05"), indent, m.signs.more)
			}
			lines = append(lines, head+part)
		}
	}
	return lines
}

// logBody is what the log says of the unit in the chosen slot.
func (m *Model) logBody(l layout) []string {
	head := m.words.T("ui.log.title", "unit", m.logOf)
	switch {
	case m.logOf == "":
		return m.list(l, m.words.T("ui.no_unit"), nil)
	case m.logErr != "":
		return m.list(l, head, []string{"", " " + badNews.Render(cut(m.words.T("ui.error", "error", m.logErr), m.width-2, m.signs.more))})
	case len(m.entries) == 0 && m.logBusy:
		return m.list(l, head, []string{"", " " + m.words.T("ui.log.loading")})
	case len(m.entries) == 0:
		return m.list(l, head, []string{"", " " + m.words.T("ui.log.none")})
	}
	return m.list(l, head, m.logLines())
}

func (m *Model) helpBody(l layout) []string {
	var lines []string
	for line := range strings.SplitSeq(m.words.T("help.body"), "\n") {
		lines = append(lines, fit(" "+line, m.width, m.signs.more))
	}
	return m.list(l, m.words.T("ui.help.title"), lines)
}

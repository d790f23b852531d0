package ui

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// counters are units, tickets, profiles, MES and log, as far as they fit.
func (m *Model) counters() string {
	s := m.station
	type part struct {
		text  string
		ink   lipgloss.Style
		short string // where text does not fit
	}
	stock, mes := plain, plain
	if s.Stock.Total > 0 && s.Stock.Available <= len(s.Slots) {
		stock = careful
	}
	if s.MES != "ok" && s.MES != "none" {
		mes = badNews
	}
	parts := []part{
		{m.words.T("ui.counts", "passed", s.Counts.Passed, "failed", s.Counts.Failed, "held", s.Counts.Held, "scrapped", s.Counts.Scrapped), plain, ""},
		{m.words.T("ui.stock", "available", s.Stock.Available, "total", s.Stock.Total), stock, ""},
		{m.words.T("ui.mes", "mes", m.words.Word("mes", s.MES)), mes, ""},
	}
	if s.Stock.Alarms > 0 {
		parts = append(parts[:1:1], append([]part{{m.words.T("ui.stock_alarms", "alarms", s.Stock.Alarms), badNews, ""}}, parts[1:]...)...)
	}
	if s.Stock.Low > 0 {
		parts = append(parts, part{m.words.T("ui.stock_low"), careful, ""})
	}
	if r, stuck := s.Notifications.Stuck(); stuck {
		long := m.words.T("ui.notify_stuck", "pending", s.Notifications.Pending, "address", r.Address)
		parts = append(parts, part{long, badNews, m.words.T("ui.notify_stuck_short", "pending", s.Notifications.Pending)})
	} else if s.Notifications.Pending > 0 {
		parts = append(parts, part{m.words.T("ui.notify", "pending", s.Notifications.Pending), careful, ""})
	}
	if forked, tries := s.Witnessed(); forked {
		parts = append(parts[:1:1], append([]part{{m.words.T("ui.witness_fork"), badNews, ""}}, parts[1:]...)...)
	} else if tries > 0 {
		parts = append(parts, part{m.words.T("ui.witness"), careful, ""})
	}
	if s.Pending > 0 {
		parts = append(parts, part{m.words.T("ui.pending", "pending", s.Pending), careful, ""})
	}
	if s.Counts.Tickets > 0 {
		parts = append(parts, part{m.words.T("ui.tickets", "tickets", s.Counts.Tickets), careful, ""})
	}
	parts = append(parts, part{m.words.T("ui.head", "head", s.Head), faint, ""})
	var b strings.Builder
	used := 0
	for _, p := range parts {
		words := cut(p.text, m.width, m.signs.more)
		if used+columns(words)+3 > m.width && p.short != "" {
			words = p.short
		}
		if n := columns(words) + 3; used+n <= m.width {
			b.WriteString(" " + p.ink.Render(words) + "  ")
			used += n
		}
	}
	return b.String()
}

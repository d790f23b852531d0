package ui

import (
	"fmt"
	"strconv"
	"time"

	"charm.land/lipgloss/v2"

	"linefit/station"
)

// slotsBody draws the slots: one full row each, or cells in columns.
func (m *Model) slotsBody(l layout) []string {
	rows := l.body() - l.banner
	var lines []string
	if l.detail {
		lines = append(lines, m.detailHeading())
		for i, s := range m.station.Slots {
			lines = append(lines, m.detailRow(s, i == m.chosen))
		}
		return pad(lines, m.width, rows)
	}
	first := m.page(l) * l.perPage()
	for row := range l.rows {
		line := ""
		for column := range l.columns {
			i := first + column*l.rows + row
			if i < len(m.station.Slots) {
				line += m.cell(m.station.Slots[i], l.cell, i == m.chosen)
			}
		}
		lines = append(lines, line)
	}
	return pad(lines, m.width, rows)
}

// Widths of the columns of a full row, without the last one.
const (
	widthUnit = 18
	widthStep = 20
	widthBar  = 10
)

func (m *Model) detailHeading() string {
	more := m.signs.more
	s := " " + fit(m.words.T("ui.col.slot"), 3, more) + fit(m.words.T("ui.col.unit"), widthUnit+1, more) + fit(m.words.T("ui.col.step"), widthStep+1, more) +
		fit(m.words.T("ui.col.progress"), widthBar+5, more) + " " + right(m.words.T("ui.col.time"), 6, more) + "  " + m.words.T("ui.col.last")
	return faint.Render(fit(s, m.width, more))
}

// detailRow is one slot in one full row.
func (m *Model) detailRow(s station.SlotView, chosen bool) string {
	more := m.signs.more
	unit := string(s.Unit)
	if unit == "" {
		unit = "-"
	}
	ink := m.ink(s)
	row := m.mark(chosen) + slotNumber(s.ID) + " " + tail(unit, widthUnit, more) + " " + ink.Render(fit(m.doing(s), widthStep, more)) + " "
	if busy(s) {
		row += working.Render(m.signs.bar(s.Progress, widthBar)) + right(strconv.Itoa(s.Progress)+"%", 5, more)
	} else {
		row += fit("", widthBar+5, more)
	}
	row += " " + right(m.elapsed(s), 6, more) + "  "
	room := m.width - columns(row)
	return row + m.last(s, room)
}

// cell is one slot in a few columns: number, end of the serial, what it does,
// and how its last unit came out.
func (m *Model) cell(s station.SlotView, w int, chosen bool) string {
	const status = 5
	more := m.signs.more
	head := m.mark(chosen) + slotNumber(s.ID) + " "
	room := w - columns(head) - status - 2
	unit, short, ink := string(s.Unit), "", m.ink(s)
	switch {
	case busy(s):
		short = right(strconv.Itoa(s.Progress)+"%", status, more)
	case s.State == station.SlotFault || s.State == station.SlotDisabled || s.State == station.SlotEmpty || s.State == station.SlotHand:
		short = m.words.Word("cell", string(s.State))
	}
	if r := m.signs.result(m.lastLamp(s)); r.word != "" && (decided(s) || s.State == station.SlotEmpty) {
		short = r.sign + r.word
		if ink = r.ink; s.State == station.SlotEmpty {
			ink = faint
		}
	}
	if unit == "" && s.Last != nil && s.State == station.SlotEmpty {
		unit = string(s.Last.Unit)
	}
	if room < 26 {
		line := head + unitInk(s).Render(tail(unit, room, more)) + " " + ink.Render(fit(short, status, more)) + " "
		return fitStyled(line, w)
	}
	doing := room / 2
	return fitStyled(head+unitInk(s).Render(tail(unit, room-doing-1, more))+" "+m.ink(s).Render(fit(m.doing(s), doing, more))+" "+ink.Render(fit(short, status, more))+" ", w)
}

// unitInk makes a unit that has left paler than one that is there.
func unitInk(s station.SlotView) lipgloss.Style {
	if s.Unit == "" {
		return faint
	}
	return plain
}

// fitStyled pads a styled line.
func fitStyled(s string, w int) string { return pad([]string{s}, w, 1)[0] }

func (m *Model) mark(chosen bool) string {
	if chosen {
		return bold.Render(m.signs.sel)
	}
	return " "
}

func busy(s station.SlotView) bool {
	return s.State == station.SlotRunning || s.State == station.SlotArmed
}

// unwatched reports whether a person is to take a unit out of the slot that may
// be another one than the station speaks of.
func unwatched(s station.SlotView) bool {
	return s.Unwatched && (s.Waiting == station.WaitBin || s.Waiting == station.WaitRemoval)
}

// doing says what a slot does, or what it needs.
func (m *Model) doing(s station.SlotView) string {
	switch {
	case s.State == station.SlotFault && s.Fault != nil:
		return m.words.Reason(s.Fault.Code)
	case unwatched(s):
		return m.words.T("ui.unwatched")
	case s.Waiting != station.WaitNothing:
		return m.words.Word("waiting", string(s.Waiting))
	case s.State == station.SlotRunning && s.Kind != "":
		doing := m.words.Word("kind", s.Kind)
		if s.Attempt > 1 {
			doing += " #" + strconv.Itoa(s.Attempt)
		}
		return doing
	}
	return m.words.Word("slot", string(s.State))
}

// ink is how a slot's doing is drawn.
func (m *Model) ink(s station.SlotView) lipgloss.Style {
	switch {
	case m.lost != nil:
		return faint
	case s.State == station.SlotFault || s.Waiting == station.WaitLog:
		return badNews
	case s.Waiting == station.WaitBin || s.Waiting == station.WaitRemoval || s.Waiting == station.WaitPresence:
		return careful
	case s.State == station.SlotDisabled || s.State == station.SlotEmpty:
		return faint
	}
	return plain
}

// elapsed is a running slot's time: what the station said, and what has passed
// since then.
func (m *Model) elapsed(s station.SlotView) string {
	if s.Unit == "" {
		return ""
	}
	d := time.Duration(s.ElapsedMS) * time.Millisecond
	if busy(s) && m.lost == nil {
		d += max(m.now.Sub(m.at), 0)
	}
	seconds := int(d.Seconds())
	if seconds >= 6000 {
		return fmt.Sprintf("%d:%02dh", seconds/3600, seconds/60%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// lastLamp is the lamp of a slot's last result. It is off where the station
// does not show it (yet): the result of the unit in the slot counts only while
// its lamp is on, and nothing of it while nobody knows how the station is.
func (m *Model) lastLamp(s station.SlotView) station.Lamp {
	switch {
	case s.Last == nil || m.lost != nil && s.Last.Run == s.Run:
		return station.LampOff
	case s.Last.Run == s.Run && s.Run != "" && !decided(s):
		return station.LampOff
	case s.Last.Run == s.Run && decided(s):
		return s.Lamp
	}
	return station.LampOf(s.Last.Verdict, s.Last.Disposition)
}

// last is how a slot's last unit came out.
func (m *Model) last(s station.SlotView, w int) string {
	r := m.signs.result(m.lastLamp(s))
	if r.word == "" {
		return fit("", w, m.signs.more)
	}
	words := r.sign + " " + r.word
	if m.lastLamp(s) != station.LampPass && s.Last.Step != "" {
		words += " " + s.Last.Step
	}
	return r.ink.Render(fit(words, w, m.signs.more))
}

package ui

import (
	"image/color"

	"charm.land/lipgloss/v2"

	"linefit/station"
)

// glyphs are the signs of the screen.
type glyphs struct {
	pass, fail, hold string // one column each
	full, empty      string // of a progress bar
	sel              string // marks the chosen slot
	more             string // ends what was cut off
	pixel            string // of the big letters
	upper, lower     string // half pixels
}

var unicodeGlyphs = glyphs{pass: "✓", fail: "✗", hold: "!", full: "█", empty: "░", sel: "▸", more: "…", pixel: "█", upper: "▀", lower: "▄"}

// asciiGlyphs are for terminals without UTF-8, and for those that draw the
// signs above two columns wide.
var asciiGlyphs = glyphs{pass: "+", fail: "x", hold: "!", full: "#", empty: ".", sel: ">", more: "~", pixel: "#", upper: "\"", lower: "_"}

var (
	plain    = lipgloss.NewStyle()
	bold     = lipgloss.NewStyle().Bold(true)
	faint    = lipgloss.NewStyle().Faint(true)
	title    = lipgloss.NewStyle().Bold(true).Reverse(true)
	alarm    = onColor(lipgloss.White, lipgloss.Red)
	warning  = onColor(lipgloss.Black, lipgloss.Yellow)
	goodNews = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Green)
	badNews  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)
	careful  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow)
	working  = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
)

func onColor(fg, bg color.Color) lipgloss.Style {
	return lipgloss.NewStyle().Bold(true).Foreground(fg).Background(bg)
}

// result is how a decided slot is shown: always all of it.
type result struct {
	word  string // big: the same in every language
	sign  string
	ink   lipgloss.Style // on the terminal's own background
	block lipgloss.Style // of the banner
}

func (g glyphs) result(l station.Lamp) result {
	switch l {
	case station.LampPass:
		return result{"PASS", g.pass, goodNews, onColor(lipgloss.Black, lipgloss.Green)}
	case station.LampFail:
		return result{"FAIL", g.fail, badNews, onColor(lipgloss.White, lipgloss.Red)}
	case station.LampHold:
		return result{"HOLD", g.hold, careful, onColor(lipgloss.Black, lipgloss.Yellow)}
	}
	return result{"", " ", plain, plain}
}

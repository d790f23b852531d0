package ui

import (
	"strings"

	"charm.land/lipgloss/v2"

	"linefit/station/text"
)

// columns is how many columns a text takes.
func columns(s string) int { return lipgloss.Width(s) }

// cut shortens a text to at most w columns; a wide character is never halved.
func cut(s string, w int, more string) string {
	s = text.Printable(s)
	if columns(s) <= w {
		return s
	}
	if w <= 0 {
		return ""
	}
	var b strings.Builder
	left := w - columns(more)
	for _, r := range s {
		n := columns(string(r))
		if n > left {
			break
		}
		left -= n
		b.WriteRune(r)
	}
	if w < columns(more) {
		return b.String()
	}
	return b.String() + more
}

// fit makes a text exactly w columns wide.
func fit(s string, w int, more string) string {
	s = cut(s, w, more)
	return s + strings.Repeat(" ", max(w-columns(s), 0))
}

// tail keeps the end of a text: that is where serial numbers differ.
func tail(s string, w int, more string) string {
	s = text.Printable(s)
	if columns(s) <= w {
		return s + strings.Repeat(" ", w-columns(s))
	}
	runes := []rune(s)
	for i := range runes {
		rest := string(runes[i:])
		if columns(rest)+columns(more) <= w {
			return fit(more+rest, w, more)
		}
	}
	return strings.Repeat(" ", max(w, 0))
}

// right puts a text at the right end of w columns.
func right(s string, w int, more string) string {
	s = cut(s, w, more)
	return strings.Repeat(" ", max(w-columns(s), 0)) + s
}

// wrap breaks a text into at most n lines of w columns, at spaces and between
// wide characters; what does not fit is cut off visibly.
func wrap(s string, w, n int, more string) []string {
	var lines []string
	rest := strings.TrimSpace(text.Printable(s))
	for rest != "" && len(lines) < n {
		if len(lines) == n-1 || columns(rest) <= w {
			lines = append(lines, cut(rest, w, more))
			break
		}
		at := breakAt(rest, w)
		lines = append(lines, strings.TrimRight(rest[:at], " "))
		rest = strings.TrimLeft(rest[at:], " ")
	}
	return lines
}

// breakAt finds the byte at which a text that is wider than w columns breaks.
func breakAt(s string, w int) int {
	width, last, prev := 0, 0, ' '
	for i, r := range s {
		n := columns(string(r))
		if i > 0 && (r == ' ' || prev == ' ' || (n == 2 || columns(string(prev)) == 2) && !closes(r)) {
			last = i
		}
		if width+n > w {
			if last == 0 {
				return max(i, 1)
			}
			return last
		}
		width += n
		prev = r
	}
	return len(s)
}

// closes reports whether a character must not begin a line.
func closes(r rune) bool { return strings.ContainsRune("，。：；、！？）》」』.,;:!?)", r) }

// pad makes a block exactly h lines of w columns; lines are plain or styled.
func pad(lines []string, w, h int) []string {
	out := make([]string, h)
	for i := range out {
		if i < len(lines) {
			out[i] = lines[i]
		}
		if n := columns(out[i]); n < w {
			out[i] += strings.Repeat(" ", w-n)
		}
	}
	return out
}

// bar draws a progress bar of w columns.
func (g glyphs) bar(percent, w int) string {
	n := min(max(percent, 0), 100) * w / 100
	return strings.Repeat(g.full, n) + strings.Repeat(g.empty, w-n)
}

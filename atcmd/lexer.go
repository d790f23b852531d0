package atcmd

import "strings"

// kind says what a token of the receive stream is.
type kind int

const (
	lineToken     kind = iota // a whole line, without its terminator
	promptToken               // the expected prompt at the start of a line
	overflowToken             // a line longer than the limit; its rest is skipped
)

// lexer cuts the receive stream into lines and prompts. It looks at one byte
// at a time and never at a clock, so the same bytes give the same tokens
// however reads split them.
//
// CR and LF each end a line, and empty lines are dropped: that makes missing,
// doubled and half terminators alike. Boot and line noise is removed: C0
// controls except TAB, DEL and 0xFF everywhere, and at the start of a line
// every byte that is not printable ASCII.
type lexer struct {
	max    int    // longest line in bytes
	prompt string // recognised at the start of a line when not empty
	buf    []byte
	skip   bool // the line was too long: drop everything to its end
	noise  uint64
}

// feed consumes b and calls emit for each token, in order. A line's text is
// only valid during the call. emit may change l.prompt.
func (l *lexer) feed(b []byte, emit func(kind, []byte)) {
	for _, c := range b {
		l.push(c, emit)
	}
}

func (l *lexer) push(c byte, emit func(kind, []byte)) {
	switch {
	case c == '\r' || c == '\n':
		line, skipped := trim(l.buf), l.skip
		l.buf, l.skip = l.buf[:0], false
		if len(line) > 0 && !skipped {
			emit(lineToken, line)
		}
	case l.isNoise(c):
		l.noise++
	case l.skip:
	case len(l.buf) >= l.max:
		l.buf, l.skip = l.buf[:0], true
		emit(overflowToken, nil)
	default:
		l.buf = append(l.buf, c)
		if l.prompt != "" && string(l.buf) == l.prompt {
			l.buf = l.buf[:0]
			emit(promptToken, nil)
		}
	}
}

func (l *lexer) isNoise(c byte) bool {
	switch {
	case c == '\t':
		return false
	case c < 0x20 || c == 0x7f || c == 0xff:
		return true
	case len(l.buf) == 0:
		return c >= 0x80
	}
	return false
}

// tail is the text of a line that has begun and not ended.
func (l *lexer) tail() string { return string(trim(l.buf)) }

// dropTail forgets an unfinished line.
func (l *lexer) dropTail() { l.buf, l.skip = l.buf[:0], false }

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// hasName reports whether line starts with name and the name ends there: by the
// line's end, a colon, a blank or a comma. "+CPIN" is not found in "+CPINR: 3"
// nor in "+CPIN?", an echo that lost its head.
func hasName(line, name string) bool {
	rest, ok := strings.CutPrefix(line, name)
	if !ok || name == "" {
		return false
	}
	return rest == "" || strings.IndexByte(": ,\t", rest[0]) >= 0 || strings.IndexByte(": ,", name[len(name)-1]) >= 0
}

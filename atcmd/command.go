package atcmd

import (
	"fmt"
	"strings"
	"time"
)

// Command is one AT command line and what its answer looks like.
type Command struct {
	// Text is the command line without a terminator, as "AT+CGSN".
	Text string

	// Prefix names the command's own information lines, as "+CGLA": a line
	// "+CGLA: ..." is then an answer even where "+CGLA" is also a URC.
	Prefix string

	// Bare accepts information lines that carry no prefix, as +CGSN answers.
	// Give it the value's shape: a stray RING must not become a manufacturer.
	// Known URCs are taken out before Bare is asked.
	Bare func(line string) bool

	// Require makes OK without an own line (Prefix or Bare) the error
	// [ErrNoAnswer] and poisons the port. Set it wherever an answer is due.
	Require bool

	// Timeout is the time from the first byte written to the final result;
	// 0 means [Options.Timeout].
	Timeout time.Duration

	// Payload is sent after Prompt (">" when empty) has been received, verbatim
	// and followed by Ctrl-Z.
	Payload []byte
	Prompt  string

	// Numeric also accepts the result numbers of ATV0. It is for commands
	// without information lines that are sent before ATV1 is known to hold.
	Numeric bool

	// Secret keeps the command's arguments, its payload and all lines that come
	// while it runs, other than results and known URCs, out of traces.
	Secret bool
}

// Name is the command without its arguments, fit for logs: "AT+CGLA".
func (c Command) Name() string {
	for i := 2; i < len(c.Text); i++ {
		if b := c.Text[i]; b == '=' || b == '?' || b == ';' || b == ' ' || b == '"' {
			return clip(c.Text[:i])
		}
	}
	return clip(c.Text)
}

// maxCommand bounds a command line: the longest real one is AT+CSIM or AT+CGLA
// with an extended APDU in hex.
const maxCommand = 1 << 18

func (c Command) check() error {
	switch {
	case c.Text == "":
		return fmt.Errorf("%w: it is empty", ErrBadCommand)
	case len(c.Text) > maxCommand:
		return fmt.Errorf("%w: %s has %d characters, more than %d", ErrBadCommand, c.Name(), len(c.Text), maxCommand)
	case strings.ContainsFunc(c.Text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: %s has a control character", ErrBadCommand, c.Name())
	case strings.TrimSpace(c.Text) != c.Text:
		return fmt.Errorf("%w: %s begins or ends with a blank", ErrBadCommand, c.Name())
	case c.Timeout < 0:
		return fmt.Errorf("%w: %s has a negative timeout", ErrBadCommand, c.Name())
	}
	return nil
}

// hasShape says whether the command knows its own lines.
func (c Command) hasShape() bool { return c.Prefix != "" || c.Bare != nil }

// Response is what came between a command and its final result.
type Response struct {
	// Lines are the command's own lines in order, blanks at both ends
	// trimmed, prefix included. For a command with neither Prefix nor Bare
	// they are all lines that are no URC.
	Lines []string

	// Extra are lines that are neither the command's own nor known URCs.
	Extra []string

	// Final is the final result, as "OK" or "+CME ERROR: 14".
	Final string

	// Worded says that it came as a word and not as a number: ATV1 holds.
	Worded bool

	prefix string
}

// Value is the first own line without its prefix, or "" when there is none.
func (r Response) Value() string {
	if len(r.Lines) == 0 {
		return ""
	}
	return CutPrefix(r.Lines[0], r.prefix)
}

// Values are all own lines without their prefixes.
func (r Response) Values() []string {
	out := make([]string, len(r.Lines))
	for i, line := range r.Lines {
		out[i] = CutPrefix(line, r.prefix)
	}
	return out
}

// CutPrefix removes "prefix:" and the blanks after it, if line has it.
func CutPrefix(line, prefix string) string {
	if !hasOwn(line, prefix) {
		return line
	}
	return strings.TrimLeft(line[len(prefix)+1:], " \t")
}

// hasOwn: the prefix must be followed by a colon or a blank. A command echo
// that lost its first characters ("+CGLA=1,...") is thus no answer.
func hasOwn(line, prefix string) bool {
	return prefix != "" && len(line) > len(prefix) && line[:len(prefix)] == prefix &&
		(line[len(prefix)] == ':' || line[len(prefix)] == ' ')
}

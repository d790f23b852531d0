package atcmdtest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// step is one line of a script.
type step struct {
	line  int
	kind  byte          // the script's first character
	data  string        // bytes expected or sent
	delay time.Duration // for '~'
}

// parse reads a script; see the package comment for the format.
func parse(script string) ([]step, error) {
	var steps []step
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("script line %d: %w", i+1, err)
		}
		s.line = i + 1
		steps = append(steps, s)
	}
	return steps, nil
}

func parseLine(line string) (step, error) {
	s := step{kind: line[0]}
	text := strings.TrimSpace(line[1:])
	var err error
	switch s.kind {
	case '>':
		s.data = text + "\r"
	case '<':
		s.data = "\r\n" + text + "\r\n"
	case '?', '!':
		if s.data, err = strconv.Unquote(text); err != nil {
			return s, fmt.Errorf("%q is not a quoted string", text)
		}
	case '~':
		if s.delay, err = time.ParseDuration(text); err != nil || s.delay < 0 {
			return s, fmt.Errorf("%q is not a duration", text)
		}
	case '*':
		if text != "hangup" {
			return s, fmt.Errorf("unknown event %q", text)
		}
	default:
		return s, fmt.Errorf("unknown kind %q", s.kind)
	}
	return s, nil
}

func (s step) expects() bool { return s.kind == '>' || s.kind == '?' }
func (s step) sends() bool   { return s.kind == '<' || s.kind == '!' }

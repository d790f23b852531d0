package modemsim

import (
	"strings"
	"testing"
)

// ParseAll runs the parser over a whole line and its parameters.
func ParseAll(t *testing.T, line string) {
	for rest := line; strings.Trim(rest, " ;") != ""; {
		c, tail, err := nextCommand(rest)
		if err != nil {
			return
		}
		if len(tail) >= len(rest) {
			t.Fatalf("%q: nothing was taken: %+v", rest, c)
		}
		if ps, err := params(c.arg); err == nil {
			for _, p := range ps {
				p.number()
			}
		}
		rest = tail
	}
}

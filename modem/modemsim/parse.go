package modemsim

import (
	"errors"
	"strconv"
	"strings"
)

// form is how a command was written (ITU-T V.250 section 5.4, 3GPP TS 27.007
// section 4.2).
type form byte

const (
	formExec form = 'x' // +NAME, or a basic command with or without number
	formRead form = '?' // +NAME?
	formTest form = 't' // +NAME=?
	formSet  form = '=' // +NAME=value
)

// command is one command of a command line.
type command struct {
	name string // upper case with its prefix: "E", "&C", "S3", "+CGLA", "%XICCID"
	form form
	arg  string // behind "=", or the number of a basic command; quotes kept
}

var errSyntax = errors.New("not an AT command")

// extendedPrefixes start a command with a name. V.250 knows "+"; the others
// are the vendors' own.
const extendedPrefixes = `+%#^!*$@_`

// nextCommand takes the first command off a command line without its "AT".
func nextCommand(line string) (c command, rest string, err error) {
	line = strings.TrimLeft(line, " ;")
	if line == "" {
		return command{}, "", errSyntax
	}
	switch b := line[0]; {
	case strings.IndexByte(extendedPrefixes, b) >= 0:
		return nextExtended(line)
	case b == '&' || b == '\\':
		if len(line) < 2 || !letter(line[1]) {
			return command{}, "", errSyntax
		}
		n := digits(line[2:])
		return command{upper(line[:2]), formExec, line[2 : 2+n]}, line[2+n:], nil
	case b == 'S' || b == 's':
		return nextRegister(line)
	case b == 'D' || b == 'd': // a dial string takes the rest of the line
		return command{"D", formExec, line[1:]}, "", nil
	case letter(b):
		n := digits(line[1:])
		return command{upper(line[:1]), formExec, line[1 : 1+n]}, line[1+n:], nil
	}
	return command{}, "", errSyntax
}

// nextRegister reads S<n>=<value>, S<n>? and S<n>.
func nextRegister(line string) (command, string, error) {
	n := digits(line[1:])
	if n == 0 || n > 3 {
		return command{}, "", errSyntax
	}
	c := command{name: upper(line[:1+n]), form: formExec}
	rest := line[1+n:]
	switch {
	case strings.HasPrefix(rest, "?"):
		c.form, rest = formRead, rest[1:]
	case strings.HasPrefix(rest, "="):
		m := digits(rest[1:])
		c.form, c.arg, rest = formSet, rest[1:1+m], rest[1+m:]
	}
	return c, rest, nil
}

func nextExtended(line string) (command, string, error) {
	n := 1
	for n < len(line) && nameByte(line[n]) {
		n++
	}
	if n == 1 {
		return command{}, "", errSyntax
	}
	c := command{name: upper(line[:n]), form: formExec}
	rest := line[n:]
	switch {
	case strings.HasPrefix(rest, "=?"):
		c.form, rest = formTest, rest[2:]
	case strings.HasPrefix(rest, "?"):
		c.form, rest = formRead, rest[1:]
	case strings.HasPrefix(rest, "="):
		end := valueEnd(rest[1:])
		c.form, c.arg, rest = formSet, strings.TrimSpace(rest[1:1+end]), rest[1+end:]
	}
	rest = strings.TrimLeft(rest, " ")
	if rest != "" && rest[0] != ';' {
		return command{}, "", errSyntax
	}
	return c, strings.TrimPrefix(rest, ";"), nil
}

// valueEnd is the length of a value: up to a semicolon outside quotes.
func valueEnd(s string) int {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return i
			}
		}
	}
	return len(s)
}

func letter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func digit(b byte) bool  { return b >= '0' && b <= '9' }

func nameByte(b byte) bool {
	return letter(b) || digit(b) || strings.IndexByte("!%-./:_", b) >= 0
}

func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}

// upper folds ASCII only: anything else is no command name anyway.
func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 0x20
		}
	}
	return string(b)
}

// param is one parameter of a value.
type param struct {
	text   string // without quotes
	quoted bool
}

// params splits a value at its commas outside quotes. An empty value has no
// parameter; "a,,b" has three.
func params(arg string) ([]param, error) {
	if arg == "" {
		return nil, nil
	}
	var ps []param
	for {
		arg = strings.TrimLeft(arg, " ")
		var p param
		if strings.HasPrefix(arg, `"`) {
			end := strings.IndexByte(arg[1:], '"')
			if end < 0 {
				return nil, errSyntax
			}
			p, arg = param{arg[1 : 1+end], true}, strings.TrimLeft(arg[2+end:], " ")
			if arg != "" && arg[0] != ',' {
				return nil, errSyntax
			}
		} else {
			end := strings.IndexByte(arg, ',')
			if end < 0 {
				end = len(arg)
			}
			p, arg = param{text: strings.TrimRight(arg[:end], " ")}, arg[end:]
		}
		ps = append(ps, p)
		if arg == "" {
			return ps, nil
		}
		arg = arg[1:]
	}
}

// number reads an unquoted decimal parameter of at most nine digits.
func (p param) number() (int, bool) {
	if p.quoted || p.text == "" || len(p.text) > 9 || digits(p.text) != len(p.text) {
		return 0, false
	}
	n, err := strconv.Atoi(p.text)
	return n, err == nil
}

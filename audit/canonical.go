package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A SyntaxError is JSON that the log does not take.
type SyntaxError struct {
	Offset int // in bytes, of the input
	What   string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.What) }

// Marshal encodes a fact: encoding/json without HTML escaping, in canonical
// form. Floats, nulls and doubled members are a *SyntaxError.
func Marshal(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("audit: marshal: %w", err)
	}
	return Canonical(buf.Bytes())
}

// Canonical returns one JSON value in the log's form: no white space, shortest
// escapes, members in their given order. It refuses floats, integers outside
// int64, null, doubled members, invalid UTF-8, lone surrogates, nesting over
// 16 levels and anything after the value. Every error is a *SyntaxError.
func Canonical(data []byte) (json.RawMessage, error) {
	s := scanner{src: data, out: make([]byte, 0, len(data))}
	if err := s.value(0); err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(s.src) {
		return nil, s.fail("data after the value")
	}
	return s.out, nil
}

// scanner reads JSON from src and writes its canonical form to out.
type scanner struct {
	src []byte
	pos int
	out []byte
}

func (s *scanner) fail(what string) error { return &SyntaxError{Offset: s.pos, What: what} }

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// take consumes c after optional white space and copies it to out.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		s.out = append(s.out, c)
		return true
	}
	return false
}

func (s *scanner) value(depth int) error {
	if depth > maxNested {
		return s.fail("nested too deeply")
	}
	s.space()
	if s.pos == len(s.src) {
		return s.fail("unexpected end")
	}
	switch c := s.src[s.pos]; {
	case c == '{':
		return s.object(depth)
	case c == '[':
		return s.array(depth)
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case bytes.HasPrefix(s.src[s.pos:], []byte("true")):
		s.pos += 4
		s.out = append(s.out, "true"...)
		return nil
	case bytes.HasPrefix(s.src[s.pos:], []byte("false")):
		s.pos += 5
		s.out = append(s.out, "false"...)
		return nil
	case bytes.HasPrefix(s.src[s.pos:], []byte("null")):
		return s.fail("null is not allowed")
	}
	return s.fail("unexpected character")
}

func (s *scanner) object(depth int) error {
	s.take('{')
	if s.take('}') {
		return nil
	}
	var seen memberSet
	for {
		s.space()
		start, from := s.pos, len(s.out)
		if err := s.str(); err != nil {
			return err
		}
		if !seen.add(s.out[from:]) {
			return &SyntaxError{Offset: start, What: "duplicate member " + string(s.out[from:])}
		}
		if !s.take(':') {
			return s.fail("expected ':'")
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.fail("expected ',' or '}'")
		}
	}
}

func (s *scanner) array(depth int) error {
	s.take('[')
	if s.take(']') {
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.fail("expected ',' or ']'")
		}
	}
}

// memberSet finds doubled members: by comparison while few, then by a map.
type memberSet struct {
	few  []string
	many map[string]struct{}
}

func (m *memberSet) add(name []byte) bool {
	if m.many == nil {
		for _, f := range m.few {
			if f == string(name) {
				return false
			}
		}
		m.few = append(m.few, string(name))
		if len(m.few) > 16 {
			m.many = make(map[string]struct{}, 64)
			for _, f := range m.few {
				m.many[f] = struct{}{}
			}
		}
		return true
	}
	if _, ok := m.many[string(name)]; ok {
		return false
	}
	m.many[string(name)] = struct{}{}
	return true
}

// number takes an integer of int64.
func (s *scanner) number() error {
	start := s.pos
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c == '.' || c == 'e' || c == 'E' {
			return s.fail("not an integer")
		}
		if c != '-' && (c < '0' || c > '9') {
			break
		}
		s.pos++
	}
	text := string(s.src[start:s.pos])
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text {
		s.pos = start
		return s.fail("not an integer of 64 bits in shortest form")
	}
	s.out = append(s.out, text...)
	return nil
}

// str takes a string and writes it with the shortest escapes.
func (s *scanner) str() error {
	if s.pos == len(s.src) || s.src[s.pos] != '"' {
		return s.fail("expected a string")
	}
	s.pos++
	s.out = append(s.out, '"')
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			s.out = append(s.out, '"')
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.fail("control character in a string")
		case c < utf8.RuneSelf:
			s.out = append(s.out, c)
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.src[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return s.fail("not UTF-8")
			}
			s.out = appendRune(s.out, r)
			s.pos += n
		}
	}
	return s.fail("string without an end")
}

func (s *scanner) escape() error {
	if s.pos+1 >= len(s.src) {
		return s.fail("string without an end")
	}
	switch c := s.src[s.pos+1]; c {
	case '"', '\\', '/':
		s.out = appendRune(s.out, rune(c))
	case 'b':
		s.out = append(s.out, `\b`...)
	case 'f':
		s.out = append(s.out, `\f`...)
	case 'n':
		s.out = append(s.out, `\n`...)
	case 'r':
		s.out = append(s.out, `\r`...)
	case 't':
		s.out = append(s.out, `\t`...)
	case 'u':
		return s.unicode()
	default:
		return s.fail("unknown escape")
	}
	s.pos += 2
	return nil
}

func (s *scanner) unicode() error {
	r, ok := hex4(s.src[s.pos:])
	if !ok {
		return s.fail("malformed \\u escape")
	}
	n := 6
	if utf16.IsSurrogate(r) {
		low, ok := hex4(s.src[s.pos+6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return s.fail("lone surrogate")
		}
		n = 12
	}
	s.out = appendRune(s.out, r)
	s.pos += n
	return nil
}

// hex4 reads "\uXXXX" at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// appendString appends s, valid UTF-8, as a canonical JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		dst = appendRune(dst, r)
	}
	return append(dst, '"')
}

func appendRune(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if r < 0x20 || r == '\u2028' || r == '\u2029' {
		return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
	}
	return utf8.AppendRune(dst, r)
}

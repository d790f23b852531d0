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

// scanner reads JSON from src and writes its canonical form to out. When it is
// strict it writes nothing and refuses what is not in canonical form.
type scanner struct {
	src    []byte
	pos    int
	out    []byte
	strict bool
}

const notCanonical = "not in canonical form"

// put writes to out.
func (s *scanner) put(b ...byte) {
	if !s.strict {
		s.out = append(s.out, b...)
	}
}

func (s *scanner) puts(text string) {
	if !s.strict {
		s.out = append(s.out, text...)
	}
}

func (s *scanner) fail(what string) error { return &SyntaxError{Offset: s.pos, What: what} }

func (s *scanner) space() {
	if s.strict {
		return // white space is then an unexpected character
	}
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
		s.put(c)
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
		s.puts("true")
		return nil
	case bytes.HasPrefix(s.src[s.pos:], []byte("false")):
		s.pos += 5
		s.puts("false")
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
		name := s.src[start:s.pos]
		if !s.strict {
			name = s.out[from:]
		}
		if !seen.add(name) {
			return &SyntaxError{Offset: start, What: "duplicate member " + string(name)}
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
	few  [16][]byte
	n    int
	many map[string]struct{}
}

func (m *memberSet) add(name []byte) bool {
	if m.many == nil {
		for _, f := range m.few[:m.n] {
			if bytes.Equal(f, name) {
				return false
			}
		}
		if m.n < len(m.few) {
			m.few[m.n] = name // out may move, these bytes stay
			m.n++
			return true
		}
		m.many = make(map[string]struct{}, 64)
		for _, f := range m.few {
			m.many[string(f)] = struct{}{}
		}
	}
	if _, ok := m.many[string(name)]; ok {
		return false
	}
	m.many[string(name)] = struct{}{}
	return true
}

// number takes an integer of int64 in shortest form.
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
	text := s.src[start:s.pos]
	if !shortest(text) {
		s.pos = start
		return s.fail("not an integer of 64 bits in shortest form")
	}
	s.put(text...)
	return nil
}

// shortest says whether text is an int64 without leading zeros or "-0".
func shortest(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	switch n := len(digits); {
	case n == 0 || bytes.IndexByte(digits, '-') >= 0:
		return false
	case digits[0] == '0':
		return n == 1 && len(text) == 1
	case n < 19:
		return true
	}
	_, err := strconv.ParseInt(string(text), 10, 64)
	return err == nil
}

// str takes a string and writes it with the shortest escapes.
func (s *scanner) str() error {
	if s.pos == len(s.src) || s.src[s.pos] != '"' {
		return s.fail("expected a string")
	}
	s.pos++
	s.put('"')
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			s.put('"')
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.fail("control character in a string")
		case c < utf8.RuneSelf:
			s.put(c)
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.src[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return s.fail("not UTF-8")
			}
			if err := s.rune(r, n); err != nil {
				return err
			}
		}
	}
	return s.fail("string without an end")
}

// rune takes a character that n bytes of src stand for.
func (s *scanner) rune(r rune, n int) error {
	if !s.strict {
		s.out = appendRune(s.out, r)
	} else {
		var buf [8]byte
		if !bytes.Equal(appendRune(buf[:0], r), s.src[s.pos:s.pos+n]) {
			return s.fail(notCanonical)
		}
	}
	s.pos += n
	return nil
}

func (s *scanner) escape() error {
	if s.pos+1 >= len(s.src) {
		return s.fail("string without an end")
	}
	switch c := s.src[s.pos+1]; c {
	case '"', '\\', '/':
		return s.rune(rune(c), 2)
	case 'b':
		return s.rune('\b', 2)
	case 'f':
		return s.rune('\f', 2)
	case 'n':
		return s.rune('\n', 2)
	case 'r':
		return s.rune('\r', 2)
	case 't':
		return s.rune('\t', 2)
	case 'u':
		return s.unicode()
	}
	return s.fail("unknown escape")
}

func (s *scanner) unicode() error {
	r, ok := hex4(s.src[s.pos:])
	if !ok {
		return s.fail("malformed \\u escape")
	}
	if !utf16.IsSurrogate(r) {
		return s.rune(r, 6)
	}
	low, ok := hex4(s.src[s.pos+6:])
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return s.fail("lone surrogate")
	}
	return s.rune(r, 12)
}

// hex4 reads "\uXXXX" at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

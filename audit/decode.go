package audit

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// A DecodeError says why bytes are not an entry.
type DecodeError struct {
	Offset int    // in bytes, of the entry
	Field  string // the envelope's field, "" outside one
	What   string
}

func (e *DecodeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("audit: entry: byte %d: %s", e.Offset, e.What)
	}
	return fmt.Sprintf("audit: entry: byte %d: field %q: %s", e.Offset, e.Field, e.What)
}

// Decode reads an entry. It accepts exactly what [AppendEntry] writes: another
// order, an unknown or doubled field, white space, other escapes, trailing
// data or more than [MaxEntry] bytes are a *DecodeError. The entry's Data
// refers to b.
func Decode(b []byte) (Entry, error) {
	if len(b) > MaxEntry {
		return Entry{}, &DecodeError{Offset: MaxEntry, What: fmt.Sprintf("%d bytes, more than %d", len(b), MaxEntry)}
	}
	d := decoder{scanner: scanner{src: b, strict: true}}
	var e Entry
	d.uint("seq", &e.Seq)
	d.string("type", &e.Type)
	var slot uint64
	d.uint("slot", &slot)
	e.Slot = int(slot)
	d.uint("slot_seq", &e.SlotSeq)
	if d.has("unit") {
		d.string("unit", &e.Unit)
		d.uint("unit_seq", &e.UnitSeq)
	}
	if d.has("run") {
		d.string("run", &e.Run)
	}
	d.string("actor", &e.Actor)
	d.string("boot", &e.Boot)
	d.time("utc", &e.UTC)
	d.int("mono", &e.Mono)
	d.string("clock", &e.Clock)
	if d.has("sim") {
		d.literal("sim", "true")
		e.Sim = true
	}
	e.Data = d.data()
	if d.err == nil {
		d.err = e.check()
	}
	if d.err != nil {
		return Entry{}, d.err
	}
	return e, nil
}

// check holds the values' own rules, beyond their syntax.
func (e Entry) check() error {
	fail := func(field, what string) error { return &DecodeError{Field: field, What: what} }
	switch {
	case e.Seq == 0:
		return fail("seq", "zero")
	case e.SlotSeq == 0:
		return fail("slot_seq", "zero")
	case e.Slot > maxSlot:
		return fail("slot", "too large")
	case e.Unit != "" && e.UnitSeq == 0:
		return fail("unit_seq", "zero")
	case e.Actor == "":
		return fail("actor", "empty")
	case e.Mono < 0:
		return fail("mono", "negative")
	case e.Clock != ClockSynced && e.Clock != ClockUnsynced && e.Clock != ClockUnknown:
		return fail("clock", "unknown state")
	}
	if what := checkType(e.Type); what != "" {
		return fail("type", what)
	}
	for _, f := range [...]struct{ name, value string }{{"actor", e.Actor}, {"unit", e.Unit}, {"run", e.Run}, {"boot", e.Boot}} {
		if what := checkName(f.value); what != "" {
			return fail(f.name, what)
		}
	}
	return nil
}

// decoder reads the envelope's fields in order; the first error stays.
type decoder struct {
	scanner
	err  error
	seen [14]string
	n    int
}

// has reports whether field name stands here.
func (d *decoder) has(name string) bool {
	if d.err != nil || len(d.src)-d.pos < len(name)+4 {
		return false
	}
	open := byte(',')
	if d.n == 0 {
		open = '{'
	}
	b := d.src[d.pos : d.pos+len(name)+4]
	return b[0] == open && b[1] == '"' && string(b[2:2+len(name)]) == name && b[len(b)-2] == '"' && b[len(b)-1] == ':'
}

// field consumes the introduction of field name.
func (d *decoder) field(name string) bool {
	if d.err != nil {
		return false
	}
	if !d.has(name) {
		d.err = &DecodeError{Offset: d.pos, Field: name, What: d.foreign(name)}
		return false
	}
	d.pos += len(name) + 4
	d.seen[d.n] = name
	d.n++
	return true
}

// foreign says what stands where field want was expected.
func (d *decoder) foreign(want string) string {
	rest := d.src[d.pos:]
	if len(rest) < 2 || rest[1] != '"' {
		return "missing"
	}
	name, _, ok := bytes.Cut(rest[2:], []byte{'"'})
	if !ok || len(name) > maxType {
		return "missing"
	}
	for _, s := range d.seen[:d.n] {
		if s == string(name) {
			return "duplicate field " + strconv.Quote(s)
		}
	}
	for _, s := range [...]string{"seq", "type", "slot", "slot_seq", "unit", "unit_seq", "run", "actor", "boot", "utc", "mono", "clock", "sim", "data"} {
		if s == string(name) {
			return fmt.Sprintf("field %q stands where %q belongs", s, want)
		}
	}
	return "unknown field " + strconv.Quote(string(name))
}

func (d *decoder) bad(name string, start int, what string) {
	if d.err == nil {
		d.err = &DecodeError{Offset: start, Field: name, What: what}
	}
}

func (d *decoder) digits(name string) (string, int) {
	if !d.field(name) {
		return "", 0
	}
	start := d.pos
	if err := d.number(); err != nil {
		d.bad(name, start, err.(*SyntaxError).What)
		return "", 0
	}
	return string(d.src[start:d.pos]), start
}

func (d *decoder) uint(name string, v *uint64) {
	text, start := d.digits(name)
	if d.err != nil {
		return
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		d.bad(name, start, "negative")
		return
	}
	*v = n
}

func (d *decoder) int(name string, v *int64) {
	text, start := d.digits(name)
	if d.err != nil {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		d.bad(name, start, "not an integer")
		return
	}
	*v = n
}

// string takes a string without escapes other than \" and \\: names have no
// control characters.
func (d *decoder) string(name string, v *string) {
	if !d.field(name) {
		return
	}
	start := d.pos
	if err := d.str(); err != nil {
		d.bad(name, err.(*SyntaxError).Offset, err.(*SyntaxError).What)
		return
	}
	text, ok := unquote(d.src[start:d.pos])
	if !ok || text == "" {
		d.bad(name, start, "empty or with a control character")
		return
	}
	*v = text
}

// unquote undoes the escapes that a name can have.
func unquote(quoted []byte) (string, bool) {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), true
	}
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' {
			if i++; inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
		}
		out = append(out, inner[i])
	}
	return string(out), true
}

func (d *decoder) time(name string, v *time.Time) {
	start := d.pos
	var text string
	d.string(name, &text)
	if d.err != nil {
		return
	}
	t, ok := parseUTC(text)
	if !ok {
		d.bad(name, start, "not RFC 3339 with nine fractional digits in UTC")
		return
	}
	*v = t
}

// parseUTC reads utcLayout and nothing else.
func parseUTC(s string) (time.Time, bool) {
	if len(s) != len(utcLayout) {
		return time.Time{}, false
	}
	for i := range len(s) {
		digit := s[i] >= '0' && s[i] <= '9'
		if want := utcLayout[i] >= '0' && utcLayout[i] <= '9'; digit != want || !want && s[i] != utcLayout[i] {
			return time.Time{}, false
		}
	}
	num := func(from, to int) (n int) {
		for _, c := range []byte(s[from:to]) {
			n = 10*n + int(c-'0')
		}
		return n
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, second := num(11, 13), num(14, 16), num(17, 19)
	t := time.Date(year, time.Month(month), day, hour, minute, second, num(20, 29), time.UTC)
	// Date carries over what does not exist, such as 30 February.
	y, m, d := t.Date()
	return t, y == year && int(m) == month && d == day && hour < 24 && minute < 60 && second < 60
}

func (d *decoder) literal(name, text string) {
	if !d.field(name) {
		return
	}
	if !bytes.HasPrefix(d.src[d.pos:], []byte(text)) {
		d.bad(name, d.pos, "not "+text)
		return
	}
	d.pos += len(text)
}

// data takes the last field and the closing brace.
func (d *decoder) data() []byte {
	if !d.field("data") {
		return nil
	}
	start := d.pos
	if start == len(d.src) || d.src[start] != '{' {
		d.bad("data", start, "not an object")
		return nil
	}
	if err := d.value(0); err != nil {
		d.bad("data", err.(*SyntaxError).Offset, err.(*SyntaxError).What)
		return nil
	}
	data := d.src[start:d.pos]
	if rest := d.src[d.pos:]; len(rest) != 1 || rest[0] != '}' {
		what := "data after the entry"
		if len(rest) == 0 {
			what = "entry without an end"
		} else if rest[0] == ',' {
			what = d.foreign("")
		}
		d.bad("", d.pos, what)
		return nil
	}
	return data
}

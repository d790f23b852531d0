package stock

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
)

// A JSON list is an array of objects with the columns as members, or an object
// with the members "profiles" (that array) and "batch" (the batch's terms, see
// the members of station.StockBatch).

// jsonReader walks through JSON and knows where it is.
type jsonReader struct {
	s     *sheet
	dec   *json.Decoder
	data  []byte
	lines []int // offset of each line's first byte
}

// errJSON ends the walk; the problem was noted.
var errJSON = errors.New("stock: JSON cannot be read further")

func (s *sheet) readJSON(data []byte) {
	r := &jsonReader{s: s, dec: json.NewDecoder(bytes.NewReader(data)), data: data, lines: []int{0}}
	r.dec.UseNumber()
	for i, c := range data {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	if r.document() != nil {
		return
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		line, column := r.pos()
		s.problem(line, column, "something follows after the end")
	}
	if len(s.rows) == 0 && len(s.problems) == 0 {
		s.problem(1, 1, "the file has no line")
	}
}

// pos is where the next value begins.
func (r *jsonReader) pos() (line, column int) {
	at := int(r.dec.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	line = sort.SearchInts(r.lines, at+1)
	return line, at - r.lines[line-1] + 1
}

// next is the next token with the place where it begins.
func (r *jsonReader) next() (t json.Token, line, column int, err error) {
	line, column = r.pos()
	t, err = r.dec.Token()
	if err != nil {
		line, column = r.pos()
		r.s.problem(line, column, "this is not JSON: %v", err)
		return nil, line, column, errJSON
	}
	return t, line, column, nil
}

func (r *jsonReader) document() error {
	t, line, column, err := r.next()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		return r.profiles()
	case json.Delim('{'):
	default:
		r.s.problem(line, column, "a list of profiles is needed, or an object with the member profiles")
		return errJSON
	}
	return r.members(func(name string, line, column int) error {
		t, vline, vcolumn, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case name == "profiles" && t == json.Delim('['):
			return r.profiles()
		case name == "batch" && t == json.Delim('{'):
			return r.terms(vline, vcolumn)
		case name == "profiles" || name == "batch":
			r.s.problem(vline, vcolumn, "%s has the wrong type", name)
		default:
			r.s.problem(line, column, "member %s is not known; known are batch and profiles", heading(name))
		}
		return r.skip(t)
	})
}

// members calls fn for each member of the object that has begun, once each.
func (r *jsonReader) members(fn func(name string, line, column int) error) error {
	seen := map[string]bool{}
	for r.dec.More() {
		t, line, column, err := r.next()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if seen[name] {
			r.s.problem(line, column, "member %s is there twice", heading(name))
		}
		seen[name] = true
		if err := fn(name, line, column); err != nil {
			return err
		}
	}
	_, _, _, err := r.next()
	return err
}

// skip reads over the rest of a value whose first token was t.
func (r *jsonReader) skip(t json.Token) error {
	if _, ok := t.(json.Delim); !ok {
		return nil
	}
	for depth := 1; depth > 0; {
		t, line, column, err := r.next()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth > 64 {
			r.s.problem(line, column, "nested too deeply")
			return errJSON
		}
	}
	return nil
}

func (r *jsonReader) profiles() error {
	for r.dec.More() {
		t, line, column, err := r.next()
		if err != nil {
			return err
		}
		if t != json.Delim('{') {
			r.s.problem(line, column, "a line must be an object")
			if err := r.skip(t); err != nil {
				return err
			}
			continue
		}
		out, err := r.row(line, column, r.s.columns.find, r.s.columns.String())
		if err != nil {
			return err
		}
		if r.s.rows = append(r.s.rows, out); len(r.s.rows) > maxRows {
			r.s.problem(line, column, "more than %d lines in one file", maxRows)
			return errJSON
		}
	}
	_, _, _, err := r.next()
	return err
}

func (r *jsonReader) terms(line, column int) error {
	out, err := r.row(line, column, func(name string) (string, bool) { return name, termNames[name] }, termList)
	r.s.terms = &out
	return err
}

// row reads the object that has begun.
func (r *jsonReader) row(line, column int, known func(string) (string, bool), list string) (row, error) {
	out, seen := row{line: line, column: column, fields: map[string]field{}}, map[string]string{}
	err := r.members(func(name string, line, column int) error {
		id, ok := known(name)
		switch {
		case !ok:
			r.s.problem(line, column, "member %s is not known; known are %s", heading(name), list)
		case seen[id] != "" && seen[id] != name:
			r.s.problem(line, column, "%s is there already, as member %s", id, heading(seen[id]))
		}
		seen[id] = name
		t, vline, vcolumn, err := r.next()
		if err != nil {
			return err
		}
		text, scalar := jsonText(t)
		switch {
		case !ok:
			return r.skip(t)
		case id == "countries" && t == json.Delim('['):
			text, err = r.texts()
			out.fields[id] = field{text: text, line: vline, column: vcolumn}
			return err
		case !scalar && t != nil: // null is as good as nothing
			r.s.problem(vline, vcolumn, "%s must be a text or a number", id)
			return r.skip(t)
		case text != "":
			out.fields[id] = field{text: text, line: vline, column: vcolumn}
		}
		return nil
	})
	return out, err
}

// texts reads the rest of an array of texts, joined by spaces.
func (r *jsonReader) texts() (string, error) {
	var all []byte
	for r.dec.More() {
		t, line, column, err := r.next()
		if err != nil {
			return "", err
		}
		text, ok := t.(string)
		if !ok {
			r.s.problem(line, column, "a text is needed")
			if err := r.skip(t); err != nil {
				return "", err
			}
			continue
		}
		all = append(append(all, ' '), text...)
	}
	_, _, _, err := r.next()
	return string(bytes.TrimSpace(all)), err
}

package stock

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"linefit/internal/strictyaml"
)

// Limits of an import.
const (
	maxFile = 64 << 20
	maxRows = 200_000
	maxText = 64 // bytes of a name: batch, operator, customer, SKU
)

// columns are those of one kind of list, with the other names under which they
// are sent.
type columns map[string][]string

// codeColumns are the columns of a list of codes.
var codeColumns = columns{
	"batch":             nil,
	"activation_code":   {"ac", "lpa", "activationcode", "lpa_code", "qr"},
	"smdp":              {"smdp_address", "sm_dp+", "smdp+", "sm_dp", "smdpaddress"},
	"matching_id":       {"matchingid", "token", "ac_token"},
	"confirmation_code": {"cc", "confirmationcode"},
	"iccid":             nil,
	"eid":               nil,
	"operator":          {"mno", "carrier"},
	"region":            nil,
	"customer":          nil,
	"sku":               nil,
	"cap":               {"max_downloads", "download_limit"},
	"expires":           {"expiry", "valid_until", "expiry_date"},
	"station":           {"bench", "workstation"},
}

func (c columns) find(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	name = strings.NewReplacer(" ", "_", "-", "_").Replace(name)
	if _, ok := c[name]; ok {
		return name, true
	}
	for column, others := range c {
		if slices.Contains(others, name) {
			return column, true
		}
	}
	return "", false
}

func (c columns) String() string { return strings.Join(slices.Sorted(maps.Keys(c)), ", ") }

// field is a value and where it stands.
type field struct {
	text         string
	line, column int
}

// row is one line of a list, by column name.
type row struct {
	line, column int
	fields       map[string]field
}

func (r row) text(column string) string { return r.fields[column].text }

// sheet collects rows and mistakes of one file.
type sheet struct {
	file     string
	columns  columns
	rows     []row
	terms    *row // the batch's terms, where the file states them
	problems strictyaml.Problems
}

func (s *sheet) problem(line, column int, format string, args ...any) {
	s.problems = append(s.problems, strictyaml.Problem{File: s.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

// err is all mistakes in the order of the file, nil where there is none.
func (s *sheet) err() error {
	slices.SortStableFunc(s.problems, func(a, b strictyaml.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return s.problems.Err()
}

// at reports a mistake in a row's column; where the column is missing, in the row.
func (s *sheet) at(r row, column, format string, args ...any) {
	line, col := r.line, r.column
	if f, ok := r.fields[column]; ok {
		line, col = f.line, f.column
	}
	s.problem(line, col, column+": "+format, args...)
}

// readSheet reads a list: JSON where the first character is [ or {, else CSV.
func readSheet(file string, data []byte, c columns) *sheet {
	s := &sheet{file: file, columns: c}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	first := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(data) > maxFile:
		s.problem(1, 1, "the file has %d bytes, more than %d", len(data), maxFile)
	case !utf8.Valid(data):
		s.problem(1, 1, "the file is not UTF-8: save it as CSV UTF-8")
	case len(first) > 0 && (first[0] == '[' || first[0] == '{'):
		s.readJSON(data)
	default:
		s.readCSV(data)
	}
	s.hide()
	return s
}

func (s *sheet) readCSV(data []byte) {
	data, comma := strictyaml.Spreadsheet(data)
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma = comma
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		s.csvError(err)
		return
	}
	names, ok := s.head(r, head)
	if !ok { // without one no line can be read
		return
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // what follows cannot be told apart any more
			s.csvError(err)
			return
		}
		s.csvRow(r, names, record)
		if len(s.rows) > maxRows {
			s.problem(1, 1, "more than %d lines in one file", maxRows)
			return
		}
	}
	if len(s.rows) == 0 && len(s.problems) == 0 {
		s.problem(1, 1, "the file has no line")
	}
}

func (s *sheet) head(r *csv.Reader, head []string) (names []string, ok bool) {
	names = make([]string, len(head))
	if !slices.ContainsFunc(head, func(text string) bool { _, ok := s.columns.find(text); return ok }) {
		// What stands there may be a code: it is not shown.
		line, column := r.FieldPos(0)
		s.problem(line, column, "the first line must name the columns; known are %s", s.columns)
		return names, false
	}
	for i, text := range head {
		line, column := r.FieldPos(i)
		name, ok := s.columns.find(text)
		switch {
		case !ok:
			s.problem(line, column, "column %s is not known; known are %s", heading(text), s.columns)
		case slices.Contains(names, name):
			s.problem(line, column, "column %s is there twice", name)
		}
		names[i] = name
	}
	return names, true
}

func (s *sheet) csvRow(r *csv.Reader, names, record []string) {
	line, _ := r.FieldPos(0)
	if len(record) == 1 && strings.TrimSpace(record[0]) == "" {
		return
	}
	if len(record) != len(names) {
		s.problem(line, 1, "%d fields, the head has %d columns", len(record), len(names))
		return
	}
	out := row{line: line, column: 1, fields: map[string]field{}}
	for i, text := range record {
		if text = strings.TrimSpace(text); text == "" || names[i] == "" {
			continue
		}
		line, column := r.FieldPos(i)
		out.fields[names[i]] = field{text: text, line: line, column: column}
	}
	s.rows = append(s.rows, out)
}

func (s *sheet) csvError(err error) {
	var p *csv.ParseError
	switch {
	case errors.As(err, &p):
		s.problem(p.Line, p.Column, "%v", p.Err)
	case errors.Is(err, io.EOF):
		s.problem(1, 1, "the file is empty")
	default:
		s.problem(1, 1, "%v", err)
	}
}

// quote shows a text that is no secret, shortened.
func quote(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// badText says what is wrong with a name, nothing where it is one.
func badText(text string) string {
	if len(text) > maxText {
		return fmt.Sprintf("%d bytes, more than %d", len(text), maxText)
	}
	for _, r := range text {
		switch {
		case r == utf8.RuneError: // JSON replaces what is not UTF-8
			return "a character was lost: the file is not UTF-8"
		case !unicode.IsPrint(r):
			return fmt.Sprintf("character %U cannot be shown", r)
		}
	}
	return ""
}

// jsonText is a scalar of a JSON list as text.
func jsonText(t json.Token) (string, bool) {
	switch t := t.(type) {
	case string:
		return strings.TrimSpace(t), true
	case json.Number:
		return t.String(), true
	}
	return "", false
}

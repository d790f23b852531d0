package pairing

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
)

// Limits of a list.
const (
	maxFile  = 64 << 20
	maxLines = 200_000
	maxText  = 64 // bytes of a module serial, a firmware or a reel
)

// columns of a list, with the names under which makers send them.
var columns = []struct {
	name   string
	others []string
	needed bool
}{
	{"module_serial", []string{"module", "module_sn"}, false},
	{"imei", nil, true},
	{"eid", nil, true},
	{"firmware", []string{"fw", "firmware_version"}, false},
	{"bootstrap_iccid", []string{"bootstrap", "iccid"}, false},
	{"reel", []string{"reel_id"}, false},
}

// Line is one line of a list and where it stands.
type Line struct {
	station.PairedUnit
	Line int
}

// Read reads a list: CSV with a head line, separated by commas, semicolons or
// tabulators. The error is strictyaml.Problems, with every mistake and its
// place. Warnings are what a person should look at.
func Read(name string, data []byte) (lines []Line, warnings []string, err error) {
	r := &reader{file: name, imeis: map[ident.IMEI]int{}, eids: map[ident.EID]int{}, modules: map[string]int{}}
	switch {
	case len(data) > maxFile:
		r.problem(1, 1, "the file has %d bytes, more than %d", len(data), maxFile)
	case !utf8.Valid(data):
		r.problem(1, 1, "the file is not UTF-8: save it as CSV UTF-8")
	default:
		r.read(data)
	}
	if len(r.lines) == 0 && len(r.found) == 0 {
		r.problem(1, 1, "the file has no line")
	}
	if err := r.found.Err(); err != nil {
		return nil, nil, err
	}
	return r.lines, r.warnings, nil
}

type reader struct {
	file     string
	columns  []string
	lines    []Line
	imeis    map[ident.IMEI]int
	eids     map[ident.EID]int
	modules  map[string]int
	found    strictyaml.Problems
	warnings []string
}

func (r *reader) problem(line, column int, format string, args ...any) {
	r.found = append(r.found, strictyaml.Problem{File: r.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) read(data []byte) {
	data, comma := strictyaml.Spreadsheet(data)
	c := csv.NewReader(bytes.NewReader(data))
	c.Comma, c.FieldsPerRecord = comma, -1
	for {
		record, err := c.Read()
		var bad *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &bad): // what follows cannot be told apart any more
			r.problem(bad.Line, bad.Column, "%v", bad.Err)
			return
		case err != nil:
			r.problem(1, 1, "%v", err)
			return
		}
		line, _ := c.FieldPos(0)
		switch {
		case r.columns == nil:
			if !r.head(line, record) {
				return
			}
		case len(record) == 1 && strings.TrimSpace(record[0]) == "":
		case len(r.lines) == maxLines:
			r.problem(line, 1, "more than %d lines in one file", maxLines)
			return
		default:
			r.line(line, record)
		}
	}
}

// head reads the head line; false where the lines below cannot be told apart.
func (r *reader) head(line int, record []string) bool {
	for i, text := range record {
		name := columnOf(text)
		switch {
		case name == "":
			r.problem(line, i+1, "column %q is not known; known are %s", shortened(text), strings.Join(names(), ", "))
		case slices.Contains(r.columns, name):
			r.problem(line, i+1, "column %s is there twice", name)
		}
		r.columns = append(r.columns, name)
	}
	complete := true
	for _, c := range columns {
		if c.needed && !slices.Contains(r.columns, c.name) {
			r.problem(line, 1, "column %s is missing", c.name)
			complete = false
		}
	}
	return complete
}

func names() []string {
	var all []string
	for _, c := range columns {
		all = append(all, c.name)
	}
	return all
}

func columnOf(text string) string {
	text = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(text)))
	for _, c := range columns {
		if text == c.name || slices.Contains(c.others, text) {
			return c.name
		}
	}
	return ""
}

func (r *reader) line(line int, record []string) {
	if len(record) != len(r.columns) {
		r.problem(line, 1, "%d fields, the head has %d columns", len(record), len(r.columns))
		return
	}
	l := Line{Line: line}
	for i, text := range record {
		if err := r.field(&l, r.columns[i], strings.TrimSpace(text)); err != nil {
			r.problem(line, i+1, "%s: %v", r.columns[i], err)
		}
	}
	r.unique(l)
	r.lines = append(r.lines, l)
}

func (r *reader) field(l *Line, column, text string) (err error) {
	if text == "" {
		if column == "imei" || column == "eid" {
			return errors.New("is empty")
		}
		return nil
	}
	switch column {
	case "imei":
		l.IMEI, err = ident.ParseIMEI(text)
	case "eid":
		l.EID, err = ident.ParseEID(text)
	case "bootstrap_iccid":
		l.Bootstrap, err = ident.ParseICCID(text)
		if err == nil && !l.Bootstrap.LuhnValid() {
			r.warnings = append(r.warnings, fmt.Sprintf("%s:%d: bootstrap_iccid %s has another check digit than ITU-T E.118 says", r.file, l.Line, l.Bootstrap))
		}
	case "module_serial":
		l.Module, err = plain(text)
	case "firmware":
		l.Firmware, err = plain(text)
	case "reel":
		l.Reel, err = plain(text)
	}
	return err
}

// plain is a text that can be shown.
func plain(text string) (string, error) {
	if len(text) > maxText {
		return "", fmt.Errorf("%d bytes, more than %d", len(text), maxText)
	}
	for _, c := range text {
		switch {
		case c == utf8.RuneError: // JSON replaces what is not UTF-8
			return "", errors.New("a character was lost: the file is not UTF-8")
		case !unicode.IsPrint(c):
			return "", fmt.Errorf("character %U cannot be shown", c)
		}
	}
	return text, nil
}

// unique: no module and no eUICC stands on a list twice.
func (r *reader) unique(l Line) {
	note := func(column, what string, first int, twice bool) {
		if twice {
			r.problem(l.Line, 1+slices.Index(r.columns, column), "%s stands in line %d already", what, first)
		}
	}
	if l.IMEI != "" {
		first, twice := r.imeis[l.IMEI]
		note("imei", "IMEI "+string(l.IMEI), first, twice)
		r.imeis[l.IMEI] = l.Line
	}
	if l.EID != "" {
		first, twice := r.eids[l.EID]
		note("eid", "EID "+string(l.EID), first, twice)
		r.eids[l.EID] = l.Line
	}
	if l.Module != "" {
		first, twice := r.modules[l.Module]
		note("module_serial", "module "+l.Module, first, twice)
		r.modules[l.Module] = l.Line
	}
}

func shortened(text string) string {
	if len(text) > 40 {
		return strings.ToValidUTF8(text[:40], "") + "…"
	}
	return text
}

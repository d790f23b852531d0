package admission

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
)

// List is a list of expected units, read from a CSV file with a header line:
// serial, and imei or eid or both; sample marks reference units (golden,
// failing).
type List map[station.Serial]station.Expect

// Expect implements Units.
func (l List) Expect(unit station.Serial) (station.Expect, bool) {
	e, known := l[unit]
	return e, known
}

// ParseUnits reads a list. The error is strictyaml.Problems: every mistake with
// its line; nothing of a list with a mistake is used.
func ParseUnits(name string, r io.Reader) (List, error) {
	p := unitParser{file: name, list: List{}, imeis: map[ident.IMEI]int{}, eids: map[ident.EID]int{}}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if !utf8.Valid(text) {
		p.add(1, 1, "the file is not UTF-8: save it as CSV UTF-8")
		return nil, p.found.Err()
	}
	text, comma := strictyaml.Spreadsheet(text)
	c := csv.NewReader(bytes.NewReader(text))
	c.Comma, c.FieldsPerRecord = comma, -1
	c.TrimLeadingSpace = true
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			line := 1
			if errors.As(err, &pe) {
				line = pe.Line
			}
			p.add(line, 1, "%v", err)
			break
		}
		line, _ := c.FieldPos(0)
		if p.columns == nil {
			p.header(line, record)
			continue
		}
		p.row(line, record)
	}
	if p.columns == nil && len(p.found) == 0 {
		p.add(1, 1, "the file has no header line: serial,imei,eid")
	}
	return p.list, p.found.Err()
}

type unitParser struct {
	file    string
	columns []string
	list    List
	imeis   map[ident.IMEI]int
	eids    map[ident.EID]int
	found   strictyaml.Problems
}

func (p *unitParser) add(line, column int, format string, args ...any) {
	p.found = append(p.found, strictyaml.Problem{File: p.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

func (p *unitParser) header(line int, record []string) {
	seen := map[string]bool{}
	for i, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		p.columns = append(p.columns, name)
		switch {
		case name != "serial" && name != "imei" && name != "eid" && name != "sample":
			p.add(line, i+1, "column %q is not known: serial, imei, eid, sample", name)
		case seen[name]:
			p.add(line, i+1, "column %q stands twice", name)
		}
		seen[name] = true
	}
	if !seen["serial"] || !seen["imei"] && !seen["eid"] {
		p.add(line, 1, "needs the column serial, and imei or eid")
	}
}

func (p *unitParser) row(line int, record []string) {
	if len(record) != len(p.columns) {
		p.add(line, 1, "%d fields, the header has %d", len(record), len(p.columns))
		return
	}
	var serial station.Serial
	e := station.Expect{Source: "pairing"}
	for i, text := range record {
		text = strings.TrimSpace(text)
		var err error
		switch {
		case p.columns[i] == "serial":
			serial, err = station.ParseSerial(text)
		case text == "":
		case p.columns[i] == "imei":
			e.IMEI, err = ident.ParseIMEI(text)
		case p.columns[i] == "eid":
			e.EID, err = ident.ParseEID(text)
		case p.columns[i] != "sample": // the header has said so
		case text == station.SampleGolden, text == station.SampleFailing:
			e.Sample = text
		default:
			err = fmt.Errorf("sample is %q, not %s or %s", text, station.SampleGolden, station.SampleFailing)
		}
		if err != nil {
			p.add(line, i+1, "%v", err)
		}
	}
	p.keep(line, serial, e)
}

// keep takes a row unless it says again, or otherwise, what another row says.
func (p *unitParser) keep(line int, serial station.Serial, e station.Expect) {
	if _, twice := p.list[serial]; twice && serial != "" {
		p.add(line, 1, "serial %s is already on the list", serial)
	}
	if first, twice := p.imeis[e.IMEI]; twice && e.IMEI != "" {
		p.add(line, 1, "IMEI %s is already in line %d", e.IMEI, first)
	}
	if first, twice := p.eids[e.EID]; twice && e.EID != "" {
		p.add(line, 1, "EID %s is already in line %d", e.EID, first)
	}
	if e.IMEI == "" && e.EID == "" {
		p.add(line, 1, "neither IMEI nor EID")
	}
	p.list[serial], p.imeis[e.IMEI], p.eids[e.EID] = e, line, line
}

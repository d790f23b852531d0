package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of a JSON document.
const (
	maxDepth = 64
	maxFlaws = 100 // that are told
)

// flaws are what makes a file no JSON document that all readers read alike: no
// JSON, something behind its end, a member that an object has twice, of which
// some take the first and others the last.
func flaws(file string, data []byte) (found Problems) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	at, begin := cursor{data: data, line: 1}, 0
	add := func(format string, args ...any) {
		line, column := at.find(begin)
		found = append(found, Problem{File: file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
	}
	var open []map[string]bool // members so far of the objects that are open; nil: an array
	member := false            // the next token may be a member's name
	for started := false; ; started = true {
		for begin = int(dec.InputOffset()); begin < len(data) && bytes.IndexByte([]byte(" \t\r\n,:"), data[begin]) >= 0; begin++ {
		}
		t, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && started && len(open) == 0:
			return found
		case err != nil:
			add("this is not one JSON document: %v", err)
			return found
		case started && len(open) == 0:
			add("this is not one JSON document: something follows after its end")
			return found
		}
		if name, ok := t.(string); ok && member {
			seen := open[len(open)-1]
			if seen[name] && len(found) < maxFlaws {
				add("member %.40q is there twice", name)
			}
			seen[name], member = true, false
			continue
		}
		switch t {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > maxDepth {
			add("nested too deeply")
			return found
		}
		member = len(open) > 0 && open[len(open)-1] != nil
	}
}

// cursor finds lines; the offsets asked for never decrease.
type cursor struct {
	data        []byte
	line, start int // start of the line
	at          int
}

func (p *cursor) find(offset int) (line, column int) {
	offset = min(offset, len(p.data))
	for ; p.at < offset; p.at++ {
		if p.data[p.at] == '\n' {
			p.line, p.start = p.line+1, p.at+1
		}
	}
	return p.line, offset - p.start + 1
}

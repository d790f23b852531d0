package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// maxShown bounds what a message shows of a JSON file: a value may be long, and
// no business of whoever reads the message.
const maxShown = 120

// DecodeJSON reads a JSON document of at most limit bytes that fits a schema
// into v. Unknown members are mistakes where the schema says so. The error is of
// type [Problems], with all mistakes; list names the document's member that is
// an array, whose elements have their lines told.
func DecodeJSON(file string, data []byte, limit int, schema *jsonschema.Schema, list string, v any) error {
	problem := func(format string, args ...any) error {
		return Problems{{File: file, Line: 1, Column: 1, Text: fmt.Sprintf(format, args...)}}
	}
	if len(data) > limit {
		return problem("the file has %d bytes, more than %d", len(data), limit)
	}
	if found := flaws(file, data); len(found) > 0 {
		return found.Err()
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return problem("this is not one JSON document")
	}
	err = schema.Validate(doc)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		j := jsonDoc{file: file, list: list, lines: ElementLines(data, list)}
		j.collect(invalid)
		return j.found.Err()
	}
	if err != nil {
		return problem("%v", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return Problems{{File: file, Line: 1 + bytes.Count(data[:min(int(wrong.Offset), len(data))], []byte("\n")), Column: 1, Path: wrong.Field, Text: "cannot be read"}}
		}
		return problem("a member cannot be read: base64 is needed where the schema says so")
	}
	return nil
}

type jsonDoc struct {
	file, list string
	lines      []int
	found      Problems
}

func (j *jsonDoc) collect(e *jsonschema.ValidationError) {
	for _, c := range e.Causes {
		j.collect(c)
	}
	if len(e.Causes) > 0 {
		return
	}
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	if len(text) > maxShown {
		text = "is not as the schema wants it (" + strings.Join(e.ErrorKind.KeywordPath(), " ") + ")"
	}
	p := Problem{File: j.file, Line: 1, Column: 1, Path: pathText(e.InstanceLocation), Text: text}
	if at := e.InstanceLocation; len(at) > 1 && at[0] == j.list {
		if i, err := strconv.Atoi(at[1]); err == nil && i < len(j.lines) {
			p.Line = j.lines[i]
		}
	}
	j.found = append(j.found, p)
}

// ElementLines are the lines at which the elements of an array begin that is a
// member of a JSON document; none where there is no such array.
func ElementLines(data []byte, member string) []int {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil
		}
		if key == member {
			return arrayLines(dec, data)
		}
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return nil
		}
	}
	return nil
}

func arrayLines(dec *json.Decoder, data []byte) (lines []int) {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil
	}
	line, from := 1, 0
	for dec.More() {
		at := int(dec.InputOffset())
		for at < len(data) && bytes.IndexByte([]byte(" \t\r\n,"), data[at]) >= 0 {
			at++
		}
		line += bytes.Count(data[from:at], []byte("\n"))
		from = at
		lines = append(lines, line)
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return lines
		}
	}
	return lines
}

// Package strictyaml reads configuration files so that a person sees all
// mistakes at once, each with its file and line: YAML syntax (goccy/go-yaml),
// shape (JSON Schema), and whatever the caller finds afterwards and adds with
// [Doc.Problem]. Nothing is taken from a file that has a problem.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Problem is one mistake in a file.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path,omitempty"` // "steps[2].kind"
	Text   string `json:"text"`
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Text
}

// Problems is the error of a file with mistakes, in the order of their lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Err is p as an error, nil where there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	return p
}

// Doc is one parsed YAML document.
type Doc struct {
	File string
	data []byte
	root ast.Node
}

// MaxSize bounds a configuration file, in bytes: one of 4 MiB takes the parser
// 18 s and 1.8 GB, and 64 slots need 20 KB.
const MaxSize = 1 << 20

// Parse reads one document. The error is of type [Problems].
func Parse(file string, data []byte) (*Doc, error) {
	if len(data) > MaxSize {
		return nil, Problems{{File: file, Line: 1, Column: 1, Text: fmt.Sprintf("the file has %d bytes, more than %d", len(data), MaxSize)}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // YAML 1.2.2, 5.2: a byte order mark is no content
	switch {
	case !utf8.Valid(data):
		return nil, Problems{{File: file, Line: 1, Column: 1, Text: "the file is not UTF-8"}}
	case len(bytes.TrimSpace(data)) == 0:
		return nil, Problems{{File: file, Line: 1, Column: 1, Text: "the file is empty"}}
	}
	if line := tooDeep(data); line > 0 {
		return nil, Problems{{File: file, Line: line, Column: 1, Text: "nested too deeply"}}
	}
	f, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Problems{syntaxProblem(file, err)}
	}
	if len(f.Docs) == 1 && f.Docs[0].Body == nil {
		return nil, Problems{{File: file, Line: 1, Column: 1, Text: "nothing but comments is in the file"}}
	}
	if len(f.Docs) != 1 {
		return nil, Problems{{File: file, Line: 1, Column: 1, Text: fmt.Sprintf("one YAML document is needed, the file has %d", len(f.Docs))}}
	}
	return &Doc{File: file, data: data, root: f.Docs[0].Body}, nil
}

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Text: err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		p.Text = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	return p
}

// Validate holds the document against a JSON Schema and returns every mistake.
func (d *Doc) Validate(schema *jsonschema.Schema) Problems {
	var v any
	if err := yaml.Unmarshal(d.data, &v); err != nil {
		return Problems{syntaxProblem(d.File, err)}
	}
	err := schema.Validate(v)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		if err != nil {
			return Problems{{File: d.File, Line: 1, Column: 1, Text: err.Error()}}
		}
		return nil
	}
	c := collector{doc: d, right: descriptions(schema)}
	c.collect(invalid)
	return c.found
}

// Decode fills v from the document. Unknown keys are mistakes.
func (d *Doc) Decode(v any) error {
	if err := yaml.UnmarshalWithOptions(d.data, v, yaml.Strict()); err != nil {
		return Problems{syntaxProblem(d.File, err)}
	}
	return nil
}

// DecodeKnown is Decode for one who looks for more mistakes in a document that has
// some already: unknown keys are left out.
func (d *Doc) DecodeKnown(v any) error { return yaml.Unmarshal(d.data, v) }

// Value is the node at a path of keys and indexes, nil where there is none. It
// is not to be changed.
func (d *Doc) Value(path []string) ast.Node { return Value(d.root, path) }

// Value is the node at a path below another one.
func Value(n ast.Node, path []string) ast.Node {
	for _, p := range path {
		if _, n = child(n, p); n == nil {
			return nil
		}
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		return a.Value
	}
	return n
}

// Problem makes a problem at a path of keys and indexes.
func (d *Doc) Problem(path []string, format string, args ...any) Problem {
	line, column := position(find(d.root, path))
	return Problem{File: d.File, Line: line, Column: column, Path: pathText(path), Text: fmt.Sprintf(format, args...)}
}

// Path makes a path of keys (strings) and indexes (ints).
func Path(parts ...any) []string {
	path := make([]string, len(parts))
	for i, p := range parts {
		path[i] = fmt.Sprint(p)
	}
	return path
}

func pathText(path []string) string {
	var b strings.Builder
	for _, p := range path {
		if _, err := strconv.Atoi(p); err == nil {
			fmt.Fprintf(&b, "[%s]", p)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

// find follows a path as far as it leads; for a mapping's entry it returns the
// key's node.
func find(n ast.Node, path []string) ast.Node {
	at := n
	for _, p := range path {
		key, value := child(n, p)
		if key == nil {
			return at
		}
		at, n = key, value
	}
	return at
}

func child(n ast.Node, name string) (key, value ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == name {
				return v.Key, v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == name {
			return n.Key, n.Value
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Values) {
			return n.Values[i], n.Values[i]
		}
	case *ast.AnchorNode:
		return child(n.Value, name)
	}
	return nil, nil
}

func position(n ast.Node) (line, column int) {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 1, 1
}

// Compile compiles a JSON Schema text; it is for schemas embedded in the
// program, so a mistake panics.
func Compile(name, text string) *jsonschema.Schema {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		panic(fmt.Sprintf("schema %s: %v", name, err))
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, v); err != nil {
		panic(fmt.Sprintf("schema %s: %v", name, err))
	}
	s, err := c.Compile(name)
	if err != nil {
		panic(fmt.Sprintf("schema %s: %v", name, err))
	}
	return s
}

package modemsim

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// FileError is a mistake in a data file, with its place.
type FileError struct {
	File string
	Line int // from 1; 0 where the file as a whole is meant
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap gives the mistake without its place.
func (e *FileError) Unwrap() error { return e.Err }

// Personas are the personas of a folder by name.
type Personas map[string]Persona

// LoadPersonas reads every *.yaml of the folder dir of fsys, each one persona,
// and resolves "extends". All mistakes of all files come back together, as
// [*FileError] values joined.
func LoadPersonas(fsys fs.FS, dir string) (Personas, error) {
	files, err := fs.Glob(fsys, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &FileError{File: dir, Err: errors.New("holds no persona (*.yaml)")}
	}
	l := loader{fsys: fsys, raw: map[string]rawPersona{}, done: Personas{}}
	sort.Strings(files)
	for _, file := range files {
		l.read(file)
	}
	for _, name := range slices.Sorted(mapKeys(l.raw)) {
		l.resolve(name, nil)
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	return l.done, nil
}

// Names are the personas' names in order.
func (p Personas) Names() []string { return slices.Sorted(mapKeys(p)) }

// Get is the persona of a name, or an error that lists the names there are.
func (p Personas) Get(name string) (Persona, error) {
	if q, ok := p[name]; ok {
		return q.clone(), nil
	}
	return Persona{}, fmt.Errorf("no persona %q; there are %s", name, strings.Join(p.Names(), ", "))
}

type rawPersona struct {
	file string
	data []byte
	tree *ast.File
	head Persona
}

type loader struct {
	fsys fs.FS
	raw  map[string]rawPersona
	done Personas
	errs []error
}

func (l *loader) fail(file string, line int, format string, args ...any) {
	l.errs = append(l.errs, &FileError{file, line, fmt.Errorf(format, args...)})
}

// read parses one file far enough to know its name and what it extends.
func (l *loader) read(file string) {
	data, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		l.fail(file, 0, "%w", err)
		return
	}
	r := rawPersona{file: file, data: data}
	if err := yaml.UnmarshalWithOptions(data, &r.head, yaml.Strict()); err != nil {
		l.errs = append(l.errs, yamlError(file, err))
		return
	}
	if r.tree, err = parser.ParseBytes(data, 0); err != nil {
		l.errs = append(l.errs, yamlError(file, err))
		return
	}
	want := strings.TrimSuffix(path.Base(file), ".yaml")
	if r.head.Name != want {
		l.fail(file, lineOf(r.tree, "name"), "name is %q; the file's name asks for %q", r.head.Name, want)
		return
	}
	l.raw[r.head.Name] = r
}

// resolve decodes a persona over the one it extends.
func (l *loader) resolve(name string, chain []string) (Persona, bool) {
	if p, ok := l.done[name]; ok {
		return p, true
	}
	r := l.raw[name]
	line := lineOf(r.tree, "extends")
	var p Persona
	if base := r.head.Extends; base != "" {
		if slices.Contains(append(chain, name), base) {
			l.fail(r.file, line, "extends itself by way of %q", base)
			return p, false
		}
		if _, ok := l.raw[base]; !ok {
			l.fail(r.file, line, "extends %q, which is not there or has mistakes", base)
			return p, false
		}
		b, ok := l.resolve(base, append(chain, name))
		if !ok {
			return p, false
		}
		p = b.clone()
	}
	text, delay, commands := p.AT.CMEText, p.AT.Delay, p.Commands
	p.AT.CMEText, p.AT.Delay, p.Commands = nil, nil, nil
	if err := yaml.UnmarshalWithOptions(r.data, &p, yaml.Strict()); err != nil {
		l.errs = append(l.errs, yamlError(r.file, err))
		return p, false
	}
	p.AT.CMEText = merged(text, p.AT.CMEText)
	p.AT.Delay = merged(delay, p.AT.Delay)
	p.Commands = merged(commands, p.Commands)
	if fit := p.Boot.Fit; fit > 0 {
		p = p.WithBoot(fit)
		p.Boot.Fit = 0
	}
	faults := p.check()
	for _, f := range faults {
		l.fail(r.file, lineOf(r.tree, f.path...), "%s: %s", strings.Join(f.path, "."), f.text)
	}
	if len(faults) == 0 {
		l.done[name] = p
	}
	return p, len(faults) == 0
}

func merged[K comparable, V any](base, over map[K]V) map[K]V {
	m := cloneMap(base)
	for k, v := range over {
		m[k] = v
	}
	return m
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// yamlError gives a decoder's error its place.
func yamlError(file string, err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		return &FileError{file, y.GetToken().Position.Line, errors.New(y.GetMessage())}
	}
	return &FileError{file, 0, err}
}

// lineOf is the line of the deepest key of a path that the file has, or 1.
func lineOf(tree *ast.File, keys ...string) int {
	line := 1
	if tree == nil || len(tree.Docs) == 0 {
		return line
	}
	node := tree.Docs[0].Body
	for _, key := range keys {
		found := false
		for _, v := range mapping(node) {
			if strings.Trim(v.Key.String(), `"'`) == key {
				line, node, found = v.Key.GetToken().Position.Line, v.Value, true
				break
			}
		}
		if !found {
			return line
		}
	}
	return line
}

func mapping(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

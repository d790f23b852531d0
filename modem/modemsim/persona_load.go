package modemsim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"linefit/internal/strictyaml"
)

// Personas are the personas of a folder by name.
type Personas map[string]Persona

// LoadPersonas reads every *.yaml of the folder dir of fsys, each one persona,
// and resolves "extends". All mistakes of all files come back together, as
// [strictyaml.Problems].
func LoadPersonas(fsys fs.FS, dir string) (Personas, error) {
	files, err := fs.Glob(fsys, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no persona (*.yaml): %w", dir, fs.ErrNotExist)
	}
	l := loader{fsys: fsys, raw: map[string]rawPersona{}, done: Personas{}}
	for _, file := range slices.Sorted(slices.Values(files)) {
		l.read(file)
	}
	for _, name := range slices.Sorted(maps.Keys(l.raw)) {
		l.resolve(name, nil)
	}
	if len(l.found) > 0 {
		return nil, l.found
	}
	return l.done, nil
}

// Names are the personas' names in order.
func (p Personas) Names() []string { return slices.Sorted(maps.Keys(p)) }

// Get is the persona of a name, or an error that lists the names there are.
func (p Personas) Get(name string) (Persona, error) {
	if q, ok := p[name]; ok {
		return q.clone(), nil
	}
	return Persona{}, fmt.Errorf("no persona %q; there are %s", name, strings.Join(p.Names(), ", "))
}

type rawPersona struct {
	doc  *strictyaml.Doc
	head Persona
}

type loader struct {
	fsys  fs.FS
	raw   map[string]rawPersona
	done  Personas
	found strictyaml.Problems
}

// fail keeps an error of the reader.
func (l *loader) fail(file string, err error) {
	var ps strictyaml.Problems
	if errors.As(err, &ps) {
		l.found = append(l.found, ps...)
		return
	}
	l.found = append(l.found, strictyaml.Problem{File: file, Line: 1, Column: 1, Text: err.Error()})
}

// read parses one file far enough to know its name and what it extends.
func (l *loader) read(file string) {
	data, err := fs.ReadFile(l.fsys, file)
	if err != nil {
		l.fail(file, err)
		return
	}
	r := rawPersona{}
	if r.doc, err = strictyaml.Parse(file, data); err == nil {
		err = r.doc.Decode(&r.head)
	}
	if err != nil {
		l.fail(file, err)
		return
	}
	if want := strings.TrimSuffix(path.Base(file), ".yaml"); r.head.Name != want {
		l.found = append(l.found, r.doc.Problem([]string{"name"}, "is %q; the file's name asks for %q", r.head.Name, want))
		return
	}
	l.raw[r.head.Name] = r
}

// base is the persona that another one extends.
func (l *loader) base(r rawPersona, chain []string) (Persona, bool) {
	at := []string{"extends"}
	switch base := r.head.Extends; {
	case base == "":
		return Persona{}, true
	case slices.Contains(chain, base):
		l.found = append(l.found, r.doc.Problem(at, "%q extends this persona", base))
	case l.raw[base].doc == nil:
		l.found = append(l.found, r.doc.Problem(at, "%q is not there or has mistakes", base))
	default:
		p, ok := l.resolve(base, chain)
		return p.clone(), ok
	}
	return Persona{}, false
}

// resolve decodes a persona over the one it extends.
func (l *loader) resolve(name string, chain []string) (Persona, bool) {
	if p, ok := l.done[name]; ok {
		return p, true
	}
	r := l.raw[name]
	p, ok := l.base(r, append(chain, name))
	if !ok {
		return p, false
	}
	text, delay, commands := p.AT.CMEText, p.AT.Delay, p.Commands
	p.AT.CMEText, p.AT.Delay, p.Commands = nil, nil, nil
	if err := r.doc.Decode(&p); err != nil {
		l.fail(r.doc.File, err)
		return p, false
	}
	p.AT.CMEText = merged(text, p.AT.CMEText)
	p.AT.Delay = merged(delay, p.AT.Delay)
	p.Commands = merged(commands, p.Commands)
	if fit := p.Boot.Fit; fit > 0 {
		p = p.WithBoot(fit)
		p.Boot.Fit = 0
	}
	mistakes := p.check()
	for _, m := range mistakes {
		l.found = append(l.found, r.doc.Problem(m.path, "%s", m.text))
	}
	if len(mistakes) == 0 {
		l.done[name] = p
	}
	return p, len(mistakes) == 0
}

func merged[K comparable, V any](base, over map[K]V) map[K]V {
	m := cloneMap(base)
	maps.Copy(m, over)
	return m
}

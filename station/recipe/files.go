package recipe

import (
	"errors"
	"io/fs"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/eim"
)

// maxFile bounds a file that a recipe names.
const maxFile = eim.MaxFile

// attach reads the files that a recipe's steps name, and checks what they hold.
func attach(doc *strictyaml.Doc, r *station.Recipe, read func(file string) ([]byte, error)) strictyaml.Problems {
	var found strictyaml.Problems
	for i, s := range r.Steps {
		kind, _ := station.KindByName(s.Kind)
		for _, p := range kind.Params {
			if p.Type != station.ParamFiles {
				continue
			}
			for n, file := range s.Params[p.Name] {
				found = append(found, attachOne(r, file, read, func(format string, args ...any) strictyaml.Problem {
					return doc.Problem(strictyaml.Path("steps", i, "with", p.Name, n), format, args...)
				})...)
			}
		}
	}
	return found
}

func attachOne(r *station.Recipe, file string, read func(string) ([]byte, error), problem func(string, ...any) strictyaml.Problem) strictyaml.Problems {
	if _, done := r.Files[file]; done {
		return nil
	}
	data, err := read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return strictyaml.Problems{problem("there is no file %s beside the recipe", file)}
	case err != nil:
		return strictyaml.Problems{problem("%v", err)}
	case len(data) > maxFile:
		return strictyaml.Problems{problem("%s has %d bytes, more than %d", file, len(data), maxFile)}
	}
	var bad strictyaml.Problems
	if _, err := eim.Parse(file, data); errors.As(err, &bad) {
		return bad
	}
	if r.Files == nil {
		r.Files = map[string][]byte{}
	}
	r.Files[file] = data
	return nil
}

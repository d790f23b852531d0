package eim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
)

// LoadFolder reads eIM configuration data that orders may name: each file of the
// folder by its name without the ending (.json, .der, .hex, .b64). The error has
// every mistake of every file.
func LoadFolder(dir string) (map[string][]Configuration, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("eIM configurations: %w", err)
	}
	out, from := map[string][]Configuration{}, map[string]string{}
	var found strictyaml.Problems
	for _, f := range files {
		if f.IsDir() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, f.Name())
		name := strings.TrimSuffix(f.Name(), filepath.Ext(f.Name()))
		if other := from[name]; other != "" {
			found = append(found, strictyaml.Problem{File: path, Line: 1, Column: 1, Text: fmt.Sprintf("an order that names %q could mean %s too", name, other)})
			continue
		}
		from[name] = path
		data, err := readLimited(path, MaxFile+1)
		if err != nil {
			return nil, fmt.Errorf("eIM configurations: %w", err)
		}
		list, err := Parse(path, data)
		var mistakes strictyaml.Problems
		switch {
		case errors.As(err, &mistakes):
			found = append(found, mistakes...)
		case err != nil:
			return nil, err
		}
		out[name] = list
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// Packages is a folder of packages that eIMs have signed for single eUICCs, as
// the order brought them: <EID>.der. They are read when their eUICC is on the
// fixture, and never made here.
type Packages string

// Package is an eUICC's package; found is false where there is none.
func (p Packages) Package(eid ident.EID) (raw []byte, found bool, err error) {
	raw, err = readLimited(filepath.Join(string(p), string(eid)+".der"), MaxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("eUICC package: %w", err)
	}
	return raw, true, nil
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

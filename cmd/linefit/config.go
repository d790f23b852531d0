package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/recipe"
)

type configCmd struct {
	Check  configCheckCmd  `cmd:"" help:"Every mistake in a station file and in the files that it names, each with file and line."`
	Schema configSchemaCmd `cmd:"" help:"The JSON Schema of a kind of file: station, recipe, policy, eim, data, request, batch, report."`
}

type configCheckCmd struct {
	File string `arg:"" help:"The station file."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// configDocument is a checked station file as JSON.
type configDocument struct {
	File     string              `json:"file"`
	OK       bool                `json:"ok"`
	Station  string              `json:"station,omitempty"`
	Slots    int                 `json:"slots,omitempty"`
	Recipe   string              `json:"recipe,omitempty"`
	Version  int                 `json:"version,omitempty"`
	Digest   string              `json:"digest,omitempty"`
	MES      string              `json:"mes,omitempty"`
	Mistakes strictyaml.Problems `json:"mistakes"`
}

// Run checks a station file. It opens no port and no line: that is doctor's.
func (c *configCheckCmd) Run(a *app) error {
	f, err := untilStopped(a.ctx, func() (*stationFile, error) { return inspectStation(c.File) })
	if err != nil {
		return err
	}
	d := configDocument{File: c.File, OK: len(f.mistakes) == 0, Mistakes: f.mistakes}
	if cfg := f.config; cfg != nil {
		d.Station, d.Slots, d.MES = cfg.Station.Name, len(cfg.Slots), cfg.MESName()
	}
	if r := f.recipe; r != nil {
		d.Recipe, d.Version, d.Digest = r.Name, r.Version, r.Digest()
	}
	if c.JSON {
		if err := a.json(d); err != nil {
			return err
		}
	} else if d.OK {
		fmt.Fprintf(a.stdout, "%s: good, station %s, %s, recipe %s version %d, MES: %s\n", c.File, d.Station, counted(d.Slots, "slot"), d.Recipe, d.Version, d.MES)
	}
	if !d.OK {
		return exit(exitUsage, d.Mistakes)
	}
	return nil
}

// stationFile is a station file and what it names, as far as it can be read,
// and every mistake in all of them.
type stationFile struct {
	config   *config.Config
	recipe   *station.Recipe
	mistakes strictyaml.Problems
}

// inspectStation reads a station file and the files that it names. The error is
// about the file itself, not about what is in it.
func inspectStation(path string) (*stationFile, error) {
	data, err := strictyaml.ReadFile(path, strictyaml.MaxSize)
	if err != nil {
		return nil, fileExit(err)
	}
	f := &stationFile{mistakes: strictyaml.Problems{}}
	f.config, err = config.Inspect(path, data)
	f.gather(path, err)
	for _, n := range config.NamedFiles(path, data) {
		if _, err := os.Stat(n.Path); err != nil {
			n.Problem.Text = err.Error()
			if !slices.ContainsFunc(f.mistakes, func(p strictyaml.Problem) bool { return p.Path == n.Key }) {
				f.mistakes = append(f.mistakes, n.Problem)
			}
			continue
		}
		f.gather(n.Path, f.load(n))
	}
	if f.config != nil {
		f.gather(path, (&plan{}).servers(f.config))
		f.gather(path, (&plan{}).stocking(f.config))
		f.gather(path, (&plan{}).witnessed(f.config.Audit.Witnesses))
	}
	order := map[string]int{path: 0} // the station file first, then as they were read
	for _, m := range f.mistakes {
		if _, ok := order[m.File]; !ok {
			order[m.File] = len(order)
		}
	}
	slices.SortStableFunc(f.mistakes, func(p, q strictyaml.Problem) int {
		return cmp.Or(cmp.Compare(order[p.File], order[q.File]), cmp.Compare(p.Line, q.Line))
	})
	return f, nil
}

// load reads one of the files that a station file names.
func (f *stationFile) load(n config.Named) (err error) {
	switch n.Key {
	case "recipe":
		f.recipe, err = recipe.Load(n.Path)
	case "policy":
		_, err = loadPolicy(n.Path)
	case "quirks":
		_, err = loadQuirks(n.Path)
	case "units":
		_, err = loadUnits(n.Path)
	}
	return err
}

// gather takes an error about a file's content as mistakes. What another look
// found at the same place is not said twice.
func (f *stationFile) gather(file string, err error) {
	var found strictyaml.Problems
	switch {
	case err == nil:
	case errors.As(err, &found):
		before := f.mistakes
		for _, p := range found {
			if !slices.ContainsFunc(before, func(q strictyaml.Problem) bool { return q.File == p.File && q.Path != "" && q.Path == p.Path }) {
				f.mistakes = append(f.mistakes, p)
			}
		}
	default:
		for _, line := range strings.Split(err.Error(), "\n") {
			f.mistakes = append(f.mistakes, strictyaml.Problem{File: file, Line: 1, Column: 1, Text: line})
		}
	}
}

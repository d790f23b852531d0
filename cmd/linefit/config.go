package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"linefit/internal/strictyaml"
	"linefit/station/config"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Every mistake in a station file and in the files that it names, each with file and line."`
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
	data, err := os.ReadFile(c.File)
	if err != nil {
		return fileExit(err)
	}
	d := configDocument{File: c.File, Mistakes: strictyaml.Problems{}}
	cfg, err := config.Parse(c.File, data)
	if err := gather(err, c.File, &d.Mistakes); err != nil {
		return err
	}
	if cfg != nil {
		if err := d.files(cfg); err != nil {
			return err
		}
	}
	d.OK = len(d.Mistakes) == 0
	if c.JSON {
		if err := a.json(d); err != nil {
			return err
		}
	} else if d.OK {
		fmt.Fprintf(a.stdout, "%s: good, station %s, %s, recipe %s version %d, MES: %s\n", c.File, d.Station, counted(d.Slots, "slot"), d.Recipe, d.Version, d.MES)
	}
	for _, m := range d.Mistakes {
		fmt.Fprintln(a.stderr, m)
	}
	if !d.OK {
		return exit(exitUsage, fmt.Errorf("%s", counted(len(d.Mistakes), "mistake")))
	}
	return nil
}

// files checks what a station file names.
func (d *configDocument) files(cfg *config.Config) error {
	d.Station, d.Slots, d.MES = cfg.Station.Name, len(cfg.Slots), cfg.MESName()
	r, err := readRecipe(cfg.Recipe, &d.Mistakes)
	if err != nil {
		return err
	}
	if r != nil {
		d.Recipe, d.Version, d.Digest = r.Name, r.Version, r.Digest()
	}
	_, err = loadPolicy(cfg.Policy)
	if err := gather(err, cfg.Policy, &d.Mistakes); err != nil {
		return err
	}
	_, err = loadQuirks(cfg.Quirks)
	if err := gather(err, cfg.Quirks, &d.Mistakes); err != nil {
		return err
	}
	_, err = loadUnits(cfg.Units)
	if err := gather(err, cfg.Units, &d.Mistakes); err != nil {
		return err
	}
	return gather((&plan{}).servers(cfg.SMDP), d.File, &d.Mistakes)
}

// gather takes an error about a file's content as mistakes; an error of the
// file system stays one.
func gather(err error, file string, into *strictyaml.Problems) error {
	var found strictyaml.Problems
	switch {
	case err == nil:
	case errors.As(err, &found):
		*into = append(*into, found...)
	case isPathError(err):
		return fileExit(err)
	default:
		for _, line := range strings.Split(err.Error(), "\n") {
			*into = append(*into, strictyaml.Problem{File: file, Line: 1, Column: 1, Text: line})
		}
	}
	return nil
}

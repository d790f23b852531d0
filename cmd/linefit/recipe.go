package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/recipe"
)

type recipeCmd struct {
	Lint   recipeLintCmd   `cmd:"" help:"Every mistake in recipes, each with file and line."`
	Show   recipeShowCmd   `cmd:"" help:"What recipes do, step by step."`
	Digest recipeDigestCmd `cmd:"" help:"The digests under which recipes stand in every run."`
	Schema recipeSchemaCmd `cmd:"" help:"The JSON Schema of a recipe."`
}

// recipeFiles are the files that a command reads.
type recipeFiles struct {
	Files []string `arg:"" name:"file" help:"Recipe files."`
	JSON  bool     `name:"json" help:"Print one JSON document."`
}

// recipeDocument is one recipe as JSON.
type recipeDocument struct {
	File     string              `json:"file"`
	OK       bool                `json:"ok"`
	Recipe   string              `json:"recipe,omitempty"`
	Version  int                 `json:"version,omitempty"`
	Digest   string              `json:"digest,omitempty"`
	Steps    []stepDocument      `json:"steps,omitempty"`
	Mistakes strictyaml.Problems `json:"mistakes"`
	recipe   *station.Recipe
}

// stepDocument is a step as JSON, with the names of the recipe file.
type stepDocument struct {
	ID           string              `json:"id"`
	Kind         string              `json:"kind"`
	With         map[string][]string `json:"with,omitempty"`
	Limits       []limitDocument     `json:"limits,omitempty"`
	Timeout      string              `json:"timeout"`
	Attempts     int                 `json:"attempts"`
	RetryFrom    string              `json:"retry_from,omitempty"`
	RetryOn      []station.Outcome   `json:"retry_on,omitempty"`
	Irreversible bool                `json:"irreversible,omitempty"`
	Always       bool                `json:"always,omitempty"`
	Optional     bool                `json:"optional,omitempty"`
	Final        bool                `json:"final,omitempty"`
}

type limitDocument struct {
	Measure string   `json:"measure"`
	Min     *int64   `json:"min,omitempty"`
	Max     *int64   `json:"max,omitempty"`
	In      []string `json:"in,omitempty"`
	Prefix  []string `json:"prefix,omitempty"`
}

type (
	recipeLintCmd   struct{ recipeFiles }
	recipeShowCmd   struct{ recipeFiles }
	recipeDigestCmd struct{ recipeFiles }
	recipeSchemaCmd struct {
		Files []string `arg:"" optional:"" name:"file" help:"Recipe files to hold against it."`
	}
)

// recipesRead are the files as they were read.
type recipesRead struct {
	docs   []recipeDocument
	unread error // about files that cannot be read, all of them
}

// read reads all files; mistakes stand in the documents.
func (c recipeFiles) read(ctx context.Context) (recipesRead, error) {
	return untilStopped(ctx, func() (recipesRead, error) {
		docs, err := c.readAll()
		return recipesRead{docs, err}, nil
	})
}

func (c recipeFiles) readAll() (docs []recipeDocument, err error) {
	for _, file := range c.Files {
		d := recipeDocument{File: file, Mistakes: strictyaml.Problems{}}
		var unread error
		if d.recipe, unread = readRecipe(file, &d.Mistakes); unread != nil {
			err = errors.Join(err, unread)
			d.Mistakes = append(d.Mistakes, strictyaml.Problem{File: file, Line: 1, Column: 1, Text: unread.Error()})
		}
		if d.recipe != nil {
			d.OK, d.Recipe, d.Version, d.Digest = true, d.recipe.Name, d.recipe.Version, d.recipe.Digest()
		}
		docs = append(docs, d)
	}
	return docs, err
}

// readRecipe reads a recipe; what is wrong with it goes to mistakes.
func readRecipe(file string, mistakes *strictyaml.Problems) (*station.Recipe, error) {
	data, err := strictyaml.ReadFile(file, strictyaml.MaxSize)
	if err != nil {
		return nil, fileExit(err)
	}
	r, err := recipe.Parse(file, data)
	var found strictyaml.Problems
	if errors.As(err, &found) {
		*mistakes = append(*mistakes, found...)
		return nil, nil
	}
	return r, err
}

// fileExit gives an error about a file that was named its exit code.
func fileExit(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return exit(exitRefused, err)
	case isPathError(err):
		return exit(exitUsage, err)
	}
	return err
}

// mistakes are the mistakes of all files, as the error that ends 2; where there
// is none but a file that may not be read, 4.
func (r recipesRead) mistakes() error {
	var all strictyaml.Problems
	for _, d := range r.docs {
		all = append(all, d.Mistakes...)
	}
	if len(all) == 0 {
		return nil
	}
	code := exitUsage
	var coded *exitError
	if len(all) == 1 && errors.As(r.unread, &coded) {
		code = coded.code
	}
	return exit(code, all)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// run reads, prints what is right and reports what is wrong.
func (c recipeFiles) run(a *app, print func(recipeDocument)) error {
	r, err := c.read(a.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := a.json(map[string]any{"recipes": r.docs}); err != nil {
			return err
		}
		return r.mistakes()
	}
	for _, d := range r.docs {
		if d.OK {
			print(d)
		}
	}
	return r.mistakes()
}

// Run lints.
func (c *recipeLintCmd) Run(a *app) error {
	return c.run(a, func(d recipeDocument) {
		fmt.Fprintf(a.stdout, "%s: good, %s version %d, %s, digest %s\n", d.File, d.Recipe, d.Version, counted(len(d.recipe.Steps), "step"), d.Digest[:12])
	})
}

// Run shows.
func (c *recipeShowCmd) Run(a *app) error {
	if c.JSON {
		r, err := c.read(a.ctx)
		if err != nil {
			return err
		}
		for i, d := range r.docs {
			if d.OK {
				r.docs[i].Steps = stepDocuments(d.recipe.Steps)
			}
		}
		if err := a.json(map[string]any{"recipes": r.docs}); err != nil {
			return err
		}
		return r.mistakes()
	}
	return c.run(a, func(d recipeDocument) {
		fmt.Fprintf(a.stdout, "%sdigest %s\n", recipe.Show(d.recipe), d.Digest)
	})
}

// Run prints digests, as sha256sum does.
func (c *recipeDigestCmd) Run(a *app) error {
	return c.run(a, func(d recipeDocument) { fmt.Fprintf(a.stdout, "%s  %s\n", d.Digest, d.File) })
}

// Run prints the schema.
func (c *recipeSchemaCmd) Run(a *app) error {
	if _, err := fmt.Fprintln(a.stdout, string(recipe.Schema())); err != nil {
		return err
	}
	r, err := recipeFiles{Files: c.Files}.read(a.ctx)
	if err != nil {
		return err
	}
	return r.mistakes()
}

func stepDocuments(steps []station.Step) (docs []stepDocument) {
	for _, s := range steps {
		d := stepDocument{
			ID: s.ID, Kind: s.Kind, With: s.Params, Timeout: s.Timeout.String(), Attempts: s.Attempts, RetryFrom: s.RetryFrom,
			RetryOn: s.RetryOn, Irreversible: s.Irreversible, Always: s.Always, Optional: s.Optional, Final: s.Final,
		}
		for _, l := range s.Limits {
			d.Limits = append(d.Limits, limitDocument(l))
		}
		docs = append(docs, d)
	}
	return docs
}

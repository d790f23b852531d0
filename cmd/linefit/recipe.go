package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	Steps    []station.Step      `json:"steps,omitempty"`
	Mistakes strictyaml.Problems `json:"mistakes"`
	recipe   *station.Recipe
}

type (
	recipeLintCmd   struct{ recipeFiles }
	recipeShowCmd   struct{ recipeFiles }
	recipeDigestCmd struct{ recipeFiles }
	recipeSchemaCmd struct {
		Files []string `arg:"" optional:"" name:"file" help:"Recipe files to hold against it."`
	}
)

// read reads all files; mistakes stand in the documents.
func (c recipeFiles) read() (docs []recipeDocument, err error) {
	for _, file := range c.Files {
		d := recipeDocument{File: file, Mistakes: strictyaml.Problems{}}
		if d.recipe, err = readRecipe(file, &d.Mistakes); err != nil {
			return nil, err
		}
		if d.recipe != nil {
			d.OK, d.Recipe, d.Version, d.Digest = true, d.recipe.Name, d.recipe.Version, d.recipe.Digest()
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// readRecipe reads a recipe; what is wrong with it goes to mistakes.
func readRecipe(file string, mistakes *strictyaml.Problems) (*station.Recipe, error) {
	data, err := os.ReadFile(file)
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

// mistakes prints the mistakes of all files and ends 2 if there are any.
func mistakes(a *app, docs []recipeDocument) error {
	n := 0
	for _, d := range docs {
		for _, m := range d.Mistakes {
			fmt.Fprintln(a.stderr, m)
			n++
		}
	}
	if n > 0 {
		return exit(exitUsage, fmt.Errorf("%s", counted(n, "mistake")))
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// run reads, prints what is right and reports what is wrong.
func (c recipeFiles) run(a *app, print func(recipeDocument)) error {
	docs, err := c.read()
	if err != nil {
		return err
	}
	if c.JSON {
		if err := a.json(map[string]any{"recipes": docs}); err != nil {
			return err
		}
		return mistakes(a, docs)
	}
	for _, d := range docs {
		if d.OK {
			print(d)
		}
	}
	return mistakes(a, docs)
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
		docs, err := c.read()
		if err != nil {
			return err
		}
		for i := range docs {
			if docs[i].OK {
				docs[i].Steps = docs[i].recipe.Steps
			}
		}
		if err := a.json(map[string]any{"recipes": docs}); err != nil {
			return err
		}
		return mistakes(a, docs)
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
	docs, err := recipeFiles{Files: c.Files}.read()
	if err != nil {
		return err
	}
	return mistakes(a, docs)
}

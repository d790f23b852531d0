package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"linefit/rework"
	"linefit/station/config"
	"linefit/station/eim"
	"linefit/station/ifpp"
	"linefit/station/recipe"
)

type configSchemaCmd struct {
	File string `arg:"" default:"station" help:"station, recipe, policy, eim; of in-factory provisioning: data, request, batch, report."`
}

// Run prints the JSON Schema (draft 2020-12) of a kind of file, for editors and
// for those who make such files.
func (c *configSchemaCmd) Run(a *app) error {
	all := ifpp.Schemas()
	all["station"], all["recipe"], all["policy"], all["eim"] = config.Schema(), string(recipe.Schema()), string(rework.Schema()), eim.Schema()
	text, ok := all[c.File]
	if !ok {
		return exit(exitUsage, fmt.Errorf("config schema %s: one of %s", c.File, strings.Join(slices.Sorted(maps.Keys(all)), ", ")))
	}
	_, err := fmt.Fprintln(a.stdout, strings.TrimSpace(text))
	return err
}

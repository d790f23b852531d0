package configs

import "embed"

// Policies holds the folder policies: where a unit goes after a run.
//
//go:embed policies
var Policies embed.FS

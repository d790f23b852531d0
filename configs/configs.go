// Package configs embeds what linefit ships as data.
package configs

import "embed"

// FS holds the folders personas (the virtual modules' behaviour) and recipes.
//
//go:embed personas recipes
var FS embed.FS

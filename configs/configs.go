// Package configs embeds what linefit ships as data.
package configs

import "embed"

// FS holds the folders personas (the virtual modules' behaviour), recipes and
// policies.
//
//go:embed personas recipes policies
var FS embed.FS

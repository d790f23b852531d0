// Package configs embeds what linefit ships as data.
package configs

import "embed"

// FS holds the folders personas (the virtual modules' behaviour), recipes,
// policies and eim (eIM configuration data for recipes).
//
//go:embed personas recipes policies eim
var FS embed.FS

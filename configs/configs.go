// Package configs embeds what linefit ships as data.
package configs

import "embed"

// FS holds the folder personas: the virtual modules' behaviour.
//
//go:embed personas
var FS embed.FS

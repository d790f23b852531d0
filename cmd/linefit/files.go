package main

import "linefit/internal/strictyaml"

// Bounds of the files that a person names, in bytes.
const (
	maxSmallFile = 4 << 20   // keys, certificates, tokens, settings
	maxListFile  = 256 << 20 // lists of codes and units, batches, reports
)

// readFile reads a small file that a person named.
func readFile(path string) ([]byte, error) { return strictyaml.ReadFile(path, maxSmallFile) }

// readListFile reads a file that a person named, which may be large.
func readListFile(path string) ([]byte, error) { return strictyaml.ReadFile(path, maxListFile) }

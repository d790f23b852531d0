package main

import (
	"linefit/modem/testpki"
)

// simAuthority is linefit's own test CA, the same for every virtual part on
// every machine, so that they know each other without --pki. It protects
// nothing: its seed is this line.
func simAuthority() (*testpki.Authority, error) { return testpki.New([]byte("linefit virtual parts")) }

//go:build !unix

package mes

import (
	"os"
	"syscall"
)

func setSocketMode(syscall.RawConn, os.FileMode) error { return nil }

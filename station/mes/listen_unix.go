//go:build unix

package mes

import (
	"os"
	"syscall"
)

// setSocketMode gives a socket its permission before it is bound: between bind
// and a later chmod nobody else gets in. Linux takes a socket's mode from the
// descriptor; elsewhere the chmod after bind does it.
func setSocketMode(c syscall.RawConn, mode os.FileMode) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), uint32(mode.Perm())) }); cerr != nil {
		return cerr
	}
	if err == syscall.EINVAL || err == syscall.ENOTSUP {
		return nil
	}
	return err
}

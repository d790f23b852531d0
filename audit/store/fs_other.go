//go:build unix && !linux

package store

import (
	"os"

	"golang.org/x/sys/unix"

	"linefit/audit"
)

func fdatasync(f *os.File) error { return f.Sync() }

func statfs(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return uint64(st.Bavail) * uint64(st.Bsize), uint64(st.Blocks) * uint64(st.Bsize), nil
}

func clockState() string { return audit.ClockUnknown }

package store

import (
	"os"

	"golang.org/x/sys/unix"

	"linefit/audit"
)

func fdatasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

func statfs(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}

// clockState asks the kernel whether the system clock is synchronised. It
// needs no privilege because it changes nothing.
func clockState() string {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return audit.ClockUnknown
	}
	if state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0 {
		return audit.ClockUnsynced
	}
	return audit.ClockSynced
}

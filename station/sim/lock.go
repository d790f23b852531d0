package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrBusy is the error of a simulated line that another process runs.
var ErrBusy = errors.New("another process runs this simulated line")

// lockWorld keeps others out of the folder until the file is closed, or the
// process is gone however it went.
func lockWorld(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("simulated line: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrBusy
		}
		return nil, errors.Join(fmt.Errorf("simulated line %s: %w", dir, err), f.Close())
	}
	return f, nil
}

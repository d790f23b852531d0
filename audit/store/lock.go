package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockDir takes the store's lock: flock on DIR/lock, which names its holder.
// It ends with the process, however that ends.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("audit/store: lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, lockHolder(dir)
		}
		return nil, fmt.Errorf("audit/store: lock %s: %w", path, err)
	}
	holder, err := json.Marshal(holder{PID: os.Getpid(), Program: filepath.Base(os.Args[0])})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(holder, '\n'), 0)
	}
	if err != nil && !errors.Is(err, unix.ENOSPC) { // a full disk must not keep the store shut
		return nil, errors.Join(fmt.Errorf("audit/store: lock: %w", err), f.Close())
	}
	return f, nil
}

// Free reports whether no process holds the store in dir; a *[LockedError] says
// who does. A folder without a store is free. It holds the lock for a moment, so
// it is for one who has failed already and wants to say why.
func Free(dir string) error {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/store: lock: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return lockHolder(dir)
	}
	return nil
}

type holder struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
}

func lockHolder(dir string) error {
	var h holder
	text, err := os.ReadFile(filepath.Join(dir, "lock"))
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil {
		return &LockedError{Dir: dir}
	}
	return &LockedError{Dir: dir, PID: h.PID, Program: h.Program}
}

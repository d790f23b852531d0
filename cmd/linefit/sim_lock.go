package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// errLocked is the error of a folder that another process writes into.
var errLocked = errors.New("another process uses this folder")

// lockFile opens a file and locks it until it is closed.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// scanLines hands over lines of at most 64 KiB until take says no or the
// reader ends.
func scanLines(r io.Reader, take func(line string) bool) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		if !take(s.Text()) {
			return
		}
	}
}

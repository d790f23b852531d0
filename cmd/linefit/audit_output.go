package main

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeOutput writes a file whole or not at all: a name is there only when
// everything in it is. "-" is stdout. A device or a pipe is written to, not
// replaced.
func writeOutput(a *app, path string, fn func(io.Writer) error) error {
	return writeMode(a, path, 0o644, fn)
}

// writeMode is writeOutput for a file with this mode.
func writeMode(a *app, path string, mode fs.FileMode, fn func(io.Writer) error) error {
	if path == "-" {
		w := bufio.NewWriter(a.stdout)
		return joinOnce(fn(w), w.Flush())
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() && !st.IsDir() {
		return writeDevice(path, fn)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return logExit(err)
	}
	w := bufio.NewWriter(tmp)
	err = fn(w)
	if err == nil {
		err = errors.Join(w.Flush(), tmp.Chmod(mode), tmp.Sync())
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(tmp.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

func writeDevice(path string, fn func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	return joinOnce(fn(w), w.Flush(), f.Close())
}

// joinOnce is errors.Join without what is said already: a buffer gives a failed
// write's error again when it is flushed.
func joinOnce(errs ...error) (all error) {
	for _, err := range errs {
		if err != nil && !errors.Is(all, err) {
			all = errors.Join(all, err)
		}
	}
	return all
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"linefit/internal/strictyaml"
)

// What no command has given a code of its own ends with that of its cause: a disk
// that takes nothing and a reader that has gone are no faults of linefit.
func TestExitCodes(t *testing.T) {
	onto := func(file *os.File, err error) error { return &fs.PathError{Op: "write", Path: file.Name(), Err: err} }
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, exitOK, ""},
		{errors.New("odd"), exitInternal, "linefit: odd"},
		{fmt.Errorf("store: %w", syscall.ENOSPC), exitMissing, "no space left"},
		{&fs.PathError{Op: "write", Path: "/srv/x", Err: syscall.EDQUOT}, exitMissing, "/srv/x"},
		{fmt.Errorf("mkdir: %w", syscall.EROFS), exitMissing, "read-only"},
		{&fs.PathError{Op: "write", Path: "/srv/x", Err: syscall.EIO}, exitInternal, "input/output"},
		{onto(os.Stdout, syscall.EIO), exitMissing, "/dev/stdout"},
		{onto(os.Stdout, syscall.EPIPE), exitMissing, ""},
		{errors.Join(onto(os.Stdout, syscall.EPIPE), errors.New("odd")), exitMissing, ""},
		{fmt.Errorf("read: %w", context.Canceled), exitVerdict, "context canceled"},
		{exit(exitVerdict, nil), exitVerdict, ""},
		{exit(exitRefused, syscall.ENOSPC), exitRefused, "no space left"},
		{exit(exitUsage, strictyaml.Problems{{File: "f", Line: 2, Column: 3, Text: "x"}}), exitUsage, "f:2:3: x\nlinefit: 1 mistake\n"},
	} {
		var stderr bytes.Buffer
		if code := report(&stderr, c.err); code != c.code || !strings.Contains(stderr.String(), c.says) || (c.says == "") != (stderr.Len() == 0) {
			t.Errorf("%v: exit %d, %q; want %d, %q", c.err, code, &stderr, c.code, c.says)
		}
	}
}

// A file is bounded, and its parser still takes seconds: who stops the command does
// not wait for it.
func TestStoppedWhileParsing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun, end := make(chan bool), make(chan bool)
	defer close(end)
	go func() {
		<-begun
		cancel()
	}()
	_, err := untilStopped(ctx, func() (int, error) {
		close(begun)
		<-end
		return 1, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a fault is lost")
		}
	}()
	_, _ = untilStopped(t.Context(), func() (int, error) { panic("fault") })
}

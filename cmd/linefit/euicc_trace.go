package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"linefit/atcmd"
	"linefit/modem/apdu"
)

// traceFile appends a redacted trace. The zero value and nil write nothing.
type traceFile struct {
	mu  sync.Mutex
	w   io.WriteCloser
	err error // of the first write that failed
}

// openTrace is the trace of a command; a station's goes to who asked for the work.
func (c *euiccCmd) openTrace() (*traceFile, error) {
	if c.via != nil {
		return &traceFile{w: c.via.trace}, nil
	}
	return openTrace(c.Trace)
}

func openTrace(path string) (*traceFile, error) {
	if path == "" {
		return &traceFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, exit(exitMissing, fmt.Errorf("--trace: %w", err))
	}
	t := &traceFile{w: f}
	fmt.Fprintf(t, "# %s linefit euicc\n", time.Now().UTC().Format(time.RFC3339))
	return t, nil
}

// Write appends raw trace text.
func (t *traceFile) Write(b []byte) (int, error) {
	if t == nil || t.w == nil {
		return len(b), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.w.Write(b)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("--trace: %w", err)
	}
	return n, err
}

// lost is why the trace is not whole, nil where it is.
func (t *traceFile) lost() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// ofAT is the trace of a port, nil without a file: nothing is made readable for
// nobody.
func (t *traceFile) ofAT() func(atcmd.Direction, []byte) {
	if t == nil || t.w == nil {
		return nil
	}
	return func(d atcmd.Direction, b []byte) { fmt.Fprintf(t, "# AT %s %q\n", d, b) }
}

// ofAPDUs is the trace of a channel, nil without a file.
func (t *traceFile) ofAPDUs() func(apdu.Event) {
	if t == nil || t.w == nil {
		return nil
	}
	return func(e apdu.Event) { _, _ = io.WriteString(t, e.String()) }
}

func (t *traceFile) close() error {
	if t == nil || t.w == nil {
		return nil
	}
	return t.w.Close()
}

package atcmdtest

import (
	"fmt"
	"io"
	"sync"
)

// Recorder passes bytes through and writes them down as a script that [Play]
// accepts. Reads and writes that follow each other without a change of
// direction become one line, so how they were split leaves no trace.
//
// A recording holds everything that went over the line, codes and keys
// included: it is for the laboratory. The trace of a Port is redacted.
type Recorder struct {
	rwc io.ReadWriteCloser

	mu   sync.Mutex
	w    io.Writer
	kind byte // direction of data
	data []byte
	err  error // first failure of w
}

// Record starts to write down what goes over rwc.
func Record(rwc io.ReadWriteCloser, w io.Writer) *Recorder {
	return &Recorder{rwc: rwc, w: w}
}

func (r *Recorder) Read(b []byte) (int, error) {
	n, err := r.rwc.Read(b)
	r.add('!', b[:n])
	return n, err
}

func (r *Recorder) Write(b []byte) (int, error) {
	// Before the write: the answer may be read before Write returns.
	r.add('?', b)
	return r.rwc.Write(b)
}

// Close closes the port and completes the recording. The error is the port's,
// or the first of writing the recording.
func (r *Recorder) Close() error {
	err := r.rwc.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
	if err == nil {
		err = r.err
	}
	return err
}

func (r *Recorder) add(kind byte, b []byte) {
	if len(b) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind != r.kind {
		r.flush()
		r.kind = kind
	}
	r.data = append(r.data, b...)
}

func (r *Recorder) flush() {
	if len(r.data) == 0 {
		return
	}
	if _, err := fmt.Fprintf(r.w, "%c %q\n", r.kind, r.data); err != nil && r.err == nil {
		r.err = fmt.Errorf("recording: %w", err)
	}
	r.data = r.data[:0]
}

package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrNoFile is the error of a path at which there is no file that could be read:
// a folder, a device, a socket.
var ErrNoFile = errors.New("it is no file")

// ErrTooLarge is the error of a file that is larger than anything that belongs
// there.
var ErrTooLarge = errors.New("it is too large")

// ReadFile reads a whole file that a person has named, of at most limit bytes. A
// pipe in its place is read to its end; one that nobody writes to is empty, and
// is not waited for. Whatever the path is, the memory taken is bounded. The error
// is an *fs.PathError, of ErrNoFile or ErrTooLarge where it is not the system's.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if m := info.Mode(); !m.IsRegular() && m.Type() != fs.ModeNamedPipe {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNoFile}
	}
	var data bytes.Buffer
	data.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
	}
	return data.Bytes(), nil
}

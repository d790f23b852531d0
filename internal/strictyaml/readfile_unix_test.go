//go:build unix

package strictyaml_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"linefit/internal/strictyaml"
)

// A pipe is read; one without a writer is empty and waited for by nobody.
func TestReadFilePipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if data, err := strictyaml.ReadFile(path, 100); err != nil || len(data) != 0 {
		t.Errorf("nobody writes: %q, %v", data, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("text"); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	data, err := strictyaml.ReadFile("/dev/fd/"+strconv.Itoa(int(r.Fd())), 100)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /dev/fd here")
	}
	if err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
}

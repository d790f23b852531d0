package strictyaml_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"linefit/internal/strictyaml"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := strictyaml.ReadFile(file, 10); err != nil || string(data) != "0123456789" {
		t.Errorf("%q, %v", data, err)
	}
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"too large": {file, strictyaml.ErrTooLarge},
		"a folder":  {dir, strictyaml.ErrNoFile},
		"a device":  {os.DevNull, strictyaml.ErrNoFile},
		"nothing":   {filepath.Join(dir, "none"), fs.ErrNotExist},
	} {
		_, err := strictyaml.ReadFile(c.path, 9)
		var path *fs.PathError
		if !errors.Is(err, c.want) || !errors.As(err, &path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

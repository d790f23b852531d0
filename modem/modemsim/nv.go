package modemsim

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FileNV is a module's non-volatile memory in one JSON file, replaced by write
// and rename and not fsynced: a kill of the process leaves it whole.
type FileNV string

// Load reads the file; a file that is not there is an empty memory.
func (f FileNV) Load() (map[string]string, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, &fs.PathError{Op: "read", Path: string(f), Err: err}
	}
	return m, nil
}

// Save replaces the file.
func (f FileNV) Save(m map[string]string) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(f)), "."+filepath.Base(string(f))+"-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), string(f))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

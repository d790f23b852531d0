package smdpsim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ProfileFile is a profile package in a folder.
type ProfileFile struct {
	Name string // file name without .der
	DER  []byte `json:"-"`
	Info PackageInfo
}

// String names the file and shows nothing of the profile.
func (p ProfileFile) String() string {
	return fmt.Sprintf("profile %s of ICCID %s", p.Name, p.Info.ICCID)
}

// GoString is [ProfileFile.String].
func (p ProfileFile) GoString() string { return p.String() }

// LoadProfiles reads every *.der of a folder. The error joins all mistakes,
// each with the file's path.
func LoadProfiles(dir string) ([]ProfileFile, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var files []ProfileFile
	var errs []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".der")
		if !ok || e.IsDir() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		der, err := readPackage(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		info, err := ParsePackage(der)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		files = append(files, ProfileFile{name, der, info})
	}
	if len(files) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: %w: no profile package (*.der) in this folder", dir, fs.ErrNotExist))
	}
	return files, errors.Join(errs...)
}

// readPackage reads a file that is not larger than a package can be.
func readPackage(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > MaxPackage {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d", path, ErrPackage, st.Size(), MaxPackage)
	}
	return os.ReadFile(path)
}

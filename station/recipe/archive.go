package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"linefit/station"
)

// Archive keeps every recipe that was active, by its digest, so that a run that
// was interrupted goes on with the recipe that it began with.
type Archive struct {
	dir string

	mu    sync.Mutex // guards known
	known map[string]*station.Recipe
}

// OpenArchive makes the folder where it is missing.
func OpenArchive(dir string) (*Archive, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("recipe archive: %w", err)
	}
	return &Archive{dir: dir, known: map[string]*station.Recipe{}}, nil
}

// Keep writes a recipe before it becomes active; it is durable on return.
func (a *Archive) Keep(r *station.Recipe) error {
	digest := r.Digest()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[digest] = r
	file := filepath.Join(a.dir, digest+".json")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("recipe archive: %w", err)
	}
	if err := writeDurably(file, b); err != nil {
		return fmt.Errorf("recipe archive: %w", err)
	}
	return nil
}

func writeDurably(file string, b []byte) error {
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

var digestShape = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Find gives a recipe by its digest, nil where there is none or where the file
// is not what its name says.
func (a *Archive) Find(digest string) *station.Recipe {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.known[digest]; r != nil {
		return r
	}
	if !digestShape.MatchString(digest) {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(a.dir, digest+".json"))
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return nil
	}
	var r station.Recipe
	if json.Unmarshal(b, &r) != nil || r.Digest() != digest {
		return nil
	}
	a.known[digest] = &r
	return &r
}

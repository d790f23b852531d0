package euiccsim

import (
	"io/fs"
	"os"
	"slices"
	"sync"
)

// Image is where a card's non-volatile memory is kept. Save replaces the whole
// content or changes nothing; a card calls it at each of its commit points and
// at no other time. Load of an image that was never saved gives fs.ErrNotExist.
type Image interface {
	Load() ([]byte, error)
	Save([]byte) error
}

// FileImage is an image in one file, replaced by write and rename. It does not
// fsync: a kill of the process leaves the page cache, and so the state of the
// card, whole; only a crash of the machine may lose the newest commits.
type FileImage string

// Load reads the file.
func (f FileImage) Load() ([]byte, error) { return os.ReadFile(string(f)) }

// Save replaces the file. The card is its only writer, so that the name of the
// new content is fixed and a killed process leaves nothing that piles up.
func (f FileImage) Save(b []byte) error {
	tmp := string(f) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, string(f))
}

// MemoryImage is an image in memory. The zero value is empty. It is safe for
// concurrent use.
type MemoryImage struct {
	mu sync.Mutex
	b  []byte
}

// Load gives a copy.
func (m *MemoryImage) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.b == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.b), nil
}

// Save keeps a copy.
func (m *MemoryImage) Save(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = slices.Clone(b)
	return nil
}

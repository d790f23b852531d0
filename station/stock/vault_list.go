package stock

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Item names an item without opening it.
type Item struct {
	Kind   Kind   `json:"kind"`
	Handle string `json:"handle"`
}

// List names the items of the given kinds, of all kinds where none is given,
// in the order of kind and handle.
func (v *Vault) List(only ...Kind) ([]Item, error) {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	wanted := map[Kind]bool{}
	for _, k := range only {
		wanted[k] = true
	}
	var items []Item
	for _, e := range entries {
		handle, kind, ok := strings.Cut(e.Name(), ".")
		if !ok || !validHandle(handle) || !kinds[Kind(kind)] || len(only) > 0 && !wanted[Kind(kind)] {
			continue
		}
		items = append(items, Item{Kind: Kind(kind), Handle: handle})
	}
	sort.Slice(items, func(i, j int) bool {
		a, b := items[i], items[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.Handle < b.Handle
	})
	return items, nil
}

// older reports whether an item was written before a time.
func (v *Vault) older(kind Kind, handle string, than time.Time) (bool, error) {
	info, err := os.Stat(v.path(kind, handle))
	if err != nil {
		return false, fmt.Errorf("vault: %w", err)
	}
	return info.ModTime().Before(than), nil
}

// handleText is lower-case base 32 (RFC 4648) without padding.
var handleText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newHandle is 128 random bits as text.
func newHandle() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return handleText.EncodeToString(b[:])
}

func validHandle(h string) bool {
	if len(h) != handleText.EncodedLen(16) {
		return false
	}
	for i := range len(h) {
		if c := h[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func sweepUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tmpPrefix) {
			if err := erase(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

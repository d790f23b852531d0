package stock

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// Put seals one item. It is durable, and its handle may be written down, when
// Put returns without an error.
func (v *Vault) Put(kind Kind, secret Secret) (handle string, err error) {
	handles, err := v.PutAll(kind, []Secret{secret})
	if err != nil {
		return "", err
	}
	return handles[0], nil
}

// PutAll seals several items of one kind with few flushes. After an error none
// of them is there.
func (v *Vault) PutAll(kind Kind, secrets []Secret) (handles []string, err error) {
	handles = make([]string, len(secrets))
	for i := range handles {
		handles[i] = newHandle()
	}
	if err := v.putAs(kind, handles, secrets); err != nil {
		return nil, err
	}
	return handles, nil
}

// HandleFor is the handle of an item that belongs to something with a name of
// its own, the same each time. Without the vault's key nothing can be told from
// it.
func (v *Vault) HandleFor(kind Kind, name string) string {
	m := hmac.New(sha256.New, v.derive("handle", []byte(v.id)))
	m.Write([]byte(string(kind) + "\x00" + name))
	return handleText.EncodeToString(m.Sum(nil)[:16])
}

// Replace seals one item under the handle of what it belongs to, of which there
// is at most one of this kind: the one that was there is erased first. It is
// durable when Replace returns without an error.
func (v *Vault) Replace(kind Kind, handle string, secret Secret) error {
	if !validHandle(handle) {
		return &ItemError{Kind: kind, Handle: handle, Err: ErrNoItem}
	}
	if _, err := os.Stat(v.path(kind, handle)); err == nil {
		if err := v.Delete(kind, handle); err != nil {
			return err
		}
	}
	return v.putAs(kind, []string{handle}, []Secret{secret})
}

// flushes is how many files are flushed at a time: they share the commits of the
// file system's journal.
const flushes = 16

// putAs seals items under new handles that the caller made.
func (v *Vault) putAs(kind Kind, handles []string, secrets []Secret) error {
	var g errgroup.Group
	g.SetLimit(flushes)
	for i, s := range secrets {
		g.Go(func() error { return v.write(kind, handles[i], s) })
	}
	err := g.Wait()
	if err == nil {
		err = syncDir(v.dir)
	}
	if err != nil {
		return fmt.Errorf("vault: %w", errors.Join(err, v.removeAll(kind, handles)))
	}
	return nil
}

func (v *Vault) write(kind Kind, handle string, s Secret) error {
	if !kinds[kind] || s.Len() > MaxItem {
		return fmt.Errorf("item of kind %q with %d bytes", kind, s.Len())
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	aead, err := v.aead(salt)
	if err != nil {
		return err
	}
	data := append([]byte(itemMagic), salt...)
	data = aead.Seal(data, nil, s.Reveal(), v.bound(kind, handle))
	return writeNew(v.dir, itemName(kind, handle), data)
}

func (v *Vault) removeAll(kind Kind, handles []string) error {
	var errs []error
	for _, h := range handles {
		if err := os.Remove(v.path(kind, h)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Delete erases an item: overwritten as far as the file system allows (a copy
// on write one, or flash, may keep old blocks: these stay sealed), removed, and
// the removal durable. It is done when there is no such item. Cut anywhere, the
// item is there whole or not at all.
func (v *Vault) Delete(kind Kind, handle string) error {
	if err := v.discard([]Item{{Kind: kind, Handle: handle}}); err != nil {
		return &ItemError{Kind: kind, Handle: handle, Err: err}
	}
	return nil
}

// deleteAll is [Vault.Delete] of several items of one kind with few flushes.
func (v *Vault) deleteAll(kind Kind, handles []string) error {
	items := make([]Item, len(handles))
	for i, h := range handles {
		items[i] = Item{Kind: kind, Handle: h}
	}
	return v.deleteItems(items)
}

// deleteItems is [Vault.Delete] of several items with few flushes.
func (v *Vault) deleteItems(items []Item) error {
	if err := v.discard(items); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}

// discard takes the items' names away, durably, and then erases what had them: an
// item that was overwritten in its place and not removed would be a damaged one.
// What a crash leaves is erased when the vault is opened next.
func (v *Vault) discard(items []Item) error {
	var gone []string
	var errs []error
	for _, i := range items {
		if !kinds[i.Kind] || !validHandle(i.Handle) {
			continue
		}
		tmp := filepath.Join(v.dir, tmpPrefix+newHandle())
		switch err := os.Rename(v.path(i.Kind, i.Handle), tmp); {
		case err == nil:
			gone = append(gone, tmp)
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, &ItemError{Kind: i.Kind, Handle: i.Handle, Err: err})
		}
	}
	if err := syncDir(v.dir); err != nil {
		return errors.Join(append(errs, err)...)
	}
	if len(gone) == 0 {
		return errors.Join(errs...)
	}
	var g errgroup.Group
	g.SetLimit(flushes)
	for _, tmp := range gone {
		g.Go(func() error { return erase(tmp) })
	}
	return errors.Join(append(errs, g.Wait(), syncDir(v.dir))...)
}

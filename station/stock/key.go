package stock

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// KeySize is the size of a vault key, in bytes.
const KeySize = 32

// Errors of a key.
var (
	// ErrNoKey says that the vault's key is not to be had.
	ErrNoKey = errors.New("the vault's key is missing")
	// ErrWrongKey says that a key is not the one that the vault was made with.
	ErrWrongKey = errors.New("the key is not this vault's")
)

// KeySource gives the vault's key: a key file, a systemd credential, a TPM.
type KeySource interface {
	// Key returns KeySize random bytes, always the same. With fresh the vault
	// is new: a source that can make keys may make one then, and only then.
	// Where there is no key the error is ErrNoKey, wrapped.
	Key(ctx context.Context, fresh bool) (Secret, error)
}

// KeyBytes is a key that the caller has.
type KeyBytes []byte

// Key implements [KeySource].
func (k KeyBytes) Key(context.Context, bool) (Secret, error) { return parseKey(k, "given key") }

// KeyFile is a key in a file that nobody but its owner may read: KeySize raw
// bytes, or as many in hexadecimal with or without a line feed.
type KeyFile struct {
	Path string
	// Make says that the file is made together with a new vault, mode 0600.
	Make bool
}

// Key implements [KeySource].
func (k KeyFile) Key(_ context.Context, fresh bool) (Secret, error) {
	key, err := readKey(k.Path, true)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if !k.Make || !fresh {
		return Secret{}, fmt.Errorf("%w: no file %s", ErrNoKey, k.Path)
	}
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	text := append([]byte(hex.EncodeToString(raw)), '\n')
	if err := writeNew(filepath.Dir(k.Path), filepath.Base(k.Path), text); err != nil {
		return Secret{}, fmt.Errorf("vault key: %w", err)
	}
	if err := syncDir(filepath.Dir(k.Path)); err != nil {
		return Secret{}, fmt.Errorf("vault key: %w", err)
	}
	return NewSecret(raw), nil
}

// KeyCredential is a systemd credential by its name (LoadCredentialEncrypted=
// in the unit file), read from $CREDENTIALS_DIRECTORY.
type KeyCredential string

// Key implements [KeySource].
func (k KeyCredential) Key(context.Context, bool) (Secret, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return Secret{}, fmt.Errorf("%w: CREDENTIALS_DIRECTORY is not set, so systemd gives no credential %q", ErrNoKey, string(k))
	}
	if !filepath.IsLocal(string(k)) {
		return Secret{}, fmt.Errorf("vault key: %q is no name of a credential", string(k))
	}
	key, err := readKey(filepath.Join(dir, string(k)), false) // systemd mounts it for this unit alone
	if errors.Is(err, fs.ErrNotExist) {
		return Secret{}, fmt.Errorf("%w: systemd gives no credential %q", ErrNoKey, string(k))
	}
	return key, err
}

func readKey(path string, private bool) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("vault key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Secret{}, fmt.Errorf("vault key: %w", err)
	}
	if mode := info.Mode(); !mode.IsRegular() || private && mode.Perm()&0o077 != 0 {
		return Secret{}, fmt.Errorf("vault key: %s has mode %v; it must be a file that only its owner can read (chmod 600)", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, 4*KeySize))
	if err != nil {
		return Secret{}, fmt.Errorf("vault key: %w", err)
	}
	return parseKey(data, path)
}

func parseKey(data []byte, from string) (Secret, error) {
	if len(data) == KeySize {
		return NewSecret(data), nil
	}
	raw, err := hex.DecodeString(string(bytes.TrimRight(data, "\r\n")))
	if err != nil || len(raw) != KeySize {
		return Secret{}, fmt.Errorf("vault key: %s has neither %d bytes nor %d hexadecimal digits", from, KeySize, 2*KeySize)
	}
	return NewSecret(raw), nil
}

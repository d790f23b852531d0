package stock

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Kind says what a vault item is. It stands in the file's name.
type Kind string

// Kinds of items.
const (
	KindCode         Kind = "code"         // an activation code, with its confirmation code
	KindConfirmation Kind = "confirmation" // a confirmation code that came by itself
	KindPackage      Kind = "package"      // a bound profile package
	KindNotification Kind = "notification" // a pending notification, signed by an eUICC
	KindResult       Kind = "result"       // a signed installation result
	KindStaging      Kind = "staging"      // an import whose codes are not all sealed
	KindImport       Kind = "import"       // an import that is not all in the log
	KindPart         Kind = "part"         // facts of such an import
	KindToken        Kind = "token"        // an eIM association and its token
	KindPerson       Kind = "person"       // who a pseudonym in the log is: see package people
	KindSeen         Kind = "seen"         // fingerprint of an erased code, so that it is not taken in again
)

// kinds is the closed list.
var kinds = map[Kind]bool{
	KindCode: true, KindConfirmation: true, KindPackage: true, KindNotification: true,
	KindResult: true, KindStaging: true, KindImport: true, KindPart: true, KindSeen: true, KindToken: true, KindPerson: true,
}

// MaxItem bounds an item, in bytes.
const MaxItem = 32 << 20

// Errors of a vault.
var (
	// ErrNoItem says that there is no such item: never written, or erased.
	ErrNoItem = errors.New("no such item in the vault")
	// ErrDamaged says that an item, or the vault's head, is not what was
	// written: torn, altered, or moved from another item or vault.
	ErrDamaged = errors.New("vault item is damaged")
)

// ItemError is a fault of one item.
type ItemError struct {
	Kind   Kind
	Handle string
	Err    error // ErrNoItem, ErrDamaged or the file system's
}

func (e *ItemError) Error() string { return fmt.Sprintf("vault: %s %s: %v", e.Kind, e.Handle, e.Err) }
func (e *ItemError) Unwrap() error { return e.Err }

const (
	headName  = "HEAD"
	headMagic = "linefit vault/1"
	itemMagic = "LFV1"
	saltSize  = 32
)

// Vault keeps secrets as sealed files in one folder, which it owns while the
// process holds the store's lock. Its methods may be called at the same time.
// doc.go has the format.
type Vault struct {
	dir string
	id  string
	key Secret
}

// OpenVault opens the vault in dir, or makes it where the folder is missing or
// empty. Files that a crash left unfinished are removed.
func OpenVault(ctx context.Context, dir string, source KeySource) (*Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if err := sweepUnfinished(dir); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	head, err := readLimited(filepath.Join(dir, headName), 1024)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if fresh {
		if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
			return nil, errors.Join(fmt.Errorf("vault: %s has items but no %s: %w", dir, headName, ErrDamaged), err)
		}
	}
	key, err := source.Key(ctx, fresh)
	if err != nil {
		return nil, err
	}
	if key.Len() != KeySize {
		return nil, fmt.Errorf("vault: the key has %d bytes, not %d", key.Len(), KeySize)
	}
	v := &Vault{dir: dir, key: key}
	if fresh {
		return v, v.create()
	}
	return v, v.check(string(head))
}

// VaultReader reads a vault that may be in use by a station.
type VaultReader struct{ v *Vault }

// ReadVault opens the vault in dir for reading: nothing is made, removed or
// locked.
func ReadVault(ctx context.Context, dir string, source KeySource) (*VaultReader, error) {
	head, err := readLimited(filepath.Join(dir, headName), 1024)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	key, err := source.Key(ctx, false)
	if err != nil {
		return nil, err
	}
	if key.Len() != KeySize {
		return nil, fmt.Errorf("vault: the key has %d bytes, not %d", key.Len(), KeySize)
	}
	v := &Vault{dir: dir, key: key}
	return &VaultReader{v}, v.check(string(head))
}

// Get is [Vault.Get].
func (r *VaultReader) Get(kind Kind, handle string) (Secret, error) { return r.v.Get(kind, handle) }

func (v *Vault) create() error {
	v.id = newHandle()
	if err := writeNew(v.dir, headName, []byte(v.head())); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if err := errors.Join(syncDir(v.dir), syncDir(filepath.Dir(v.dir))); err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}

// head is the text of the vault's head: its id and a value that only the right
// key gives.
func (v *Vault) head() string {
	return fmt.Sprintf("%s\n%s\n%s\n", headMagic, v.id, hex.EncodeToString(v.derive("check", []byte(v.id))))
}

func (v *Vault) check(head string) error {
	lines := strings.Split(head, "\n")
	if len(lines) != 4 || lines[0] != headMagic || !validHandle(lines[1]) || len(lines[2]) != 2*sha256.Size {
		return fmt.Errorf("vault: %s: %w", headName, ErrDamaged)
	}
	v.id = lines[1]
	if subtle.ConstantTimeCompare([]byte(head), []byte(v.head())) != 1 {
		return fmt.Errorf("vault %s: %w", v.dir, ErrWrongKey)
	}
	return nil
}

// derive makes a key of its own for one purpose.
func (v *Vault) derive(purpose string, salt []byte) []byte {
	key, err := hkdf.Key(sha256.New, v.key.Reveal(), salt, headMagic+" "+purpose, 32)
	if err != nil { // 32 bytes are always to be had
		panic(err)
	}
	return key
}

// fingerprint tells secrets apart without showing them: a keyed hash, which
// leaves the process sealed only.
func (v *Vault) fingerprint(text string) string {
	m := hmac.New(sha256.New, v.derive("fingerprint", []byte(v.id)))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func (v *Vault) aead(salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(v.derive("item", salt))
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// bound is what an item's seal covers beside the item.
func (v *Vault) bound(kind Kind, handle string) []byte {
	return []byte(headMagic + "\n" + v.id + "\n" + itemName(kind, handle))
}

// Get opens an item. The error is an *ItemError.
func (v *Vault) Get(kind Kind, handle string) (Secret, error) {
	fail := func(err error) (Secret, error) { return Secret{}, &ItemError{Kind: kind, Handle: handle, Err: err} }
	if !kinds[kind] || !validHandle(handle) {
		return fail(ErrNoItem)
	}
	data, err := readLimited(v.path(kind, handle), MaxItem+1024)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(ErrNoItem)
	}
	if err != nil {
		return fail(err)
	}
	head := len(itemMagic) + saltSize
	if len(data) < head || string(data[:len(itemMagic)]) != itemMagic {
		return fail(ErrDamaged)
	}
	aead, err := v.aead(data[len(itemMagic):head])
	if err != nil {
		return fail(err)
	}
	clear, err := aead.Open(nil, nil, data[head:], v.bound(kind, handle))
	if err != nil {
		return fail(ErrDamaged)
	}
	return NewSecret(clear), nil
}

func (v *Vault) path(kind Kind, handle string) string {
	return filepath.Join(v.dir, itemName(kind, handle))
}

func itemName(kind Kind, handle string) string { return handle + "." + string(kind) }

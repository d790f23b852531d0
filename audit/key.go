package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Key signs the checkpoints of one shard of one station's log. Its name is
// the origin. A key in a file comes from [LoadOrCreateKey]; one in a TPM or a
// token implements the interface itself.
type Key interface {
	note.Signer
	// VKey returns the public half as a C2SP signed-note verifier key.
	VKey() string
}

// MaxOrigin bounds the name of a log, in bytes.
const MaxOrigin = 128

// CheckOrigin says whether name can name a log: up to [MaxOrigin] printable
// bytes without space or plus sign, by convention a schemeless URL such as
// "factory.example/line-1/station-3".
func CheckOrigin(name string) error {
	if name == "" || len(name) > MaxOrigin {
		return fmt.Errorf("audit: origin has %d bytes, not 1 to %d", len(name), MaxOrigin)
	}
	for _, r := range name {
		if r <= ' ' || r == '+' || r > '~' {
			return fmt.Errorf("audit: origin %q has a character other than printable ASCII without space and '+'", name)
		}
	}
	return nil
}

type fileKey struct {
	note.Signer
	vkey string
}

func (k fileKey) VKey() string { return k.vkey }

// String keeps the private half out of logs.
func (k fileKey) String() string { return k.vkey }

// NewKey returns a new Ed25519 key for the log of that origin and its private
// half in note's encoding.
func NewKey(origin string) (Key, string, error) {
	if err := CheckOrigin(origin); err != nil {
		return nil, "", err
	}
	skey, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, "", fmt.Errorf("audit: generate key: %w", err)
	}
	k, err := ParseKey(skey)
	return k, skey, err
}

// ParseKey reads a private key in note's encoding,
// "PRIVATE+KEY+<origin>+<id>+<base64>". Errors never show the key.
func ParseKey(skey string) (Key, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, errors.New("audit: malformed private key")
	}
	// NewSigner has checked the form: four fields, then base64 (which has '+'
	// in its alphabet) of one algorithm byte and the Ed25519 seed.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(skey, "+", 5)[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("audit: malformed private key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, fmt.Errorf("audit: verifier key: %w", err)
	}
	return fileKey{signer, vkey}, nil
}

// LoadOrCreateKey reads the key in a file, or makes one for that origin and
// writes it there, mode 0600 and synced, if there is no file. Keep the file
// outside the store's folder. A key for another origin is an error.
func LoadOrCreateKey(path, origin string) (Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path, origin)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: key file: %w", err)
	}
	k, err := ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	if k.Name() != origin {
		return nil, fmt.Errorf("audit: key file %s is for log %q, not %q", path, k.Name(), origin)
	}
	return k, nil
}

// createKey writes a temporary file and renames it, so that a crash leaves
// either no key or a whole one.
func createKey(path, origin string) (Key, error) {
	k, skey, err := NewKey(origin)
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("audit: key file: %w", err)
	}
	_, err = tmp.WriteString(skey + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path) // never over a key that another process just made
	}
	err = errors.Join(err, os.Remove(tmp.Name()))
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("audit: key file: %w", err)
	}
	return k, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A verifier knows its key's text.
type verifier struct {
	note.Verifier
	vkey string
}

// SameKey reports whether two verifiers from [ParseVKey] have the same key. Name
// and id alone do not tell: the id has 32 bits, and who wants another key with the
// same one finds it.
func SameKey(a, b note.Verifier) bool {
	x, ok := a.(verifier)
	y, ok2 := b.(verifier)
	return ok && ok2 && x.vkey == y.vkey
}

// ParseVKey reads a verifier key in its one encoding, white space around it
// ignored.
func ParseVKey(vkey string) (note.Verifier, error) {
	vkey = strings.TrimSpace(vkey)
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("audit: verifier key: %w", err)
	}
	if id := strings.SplitN(vkey, "+", 3)[1]; id != fmt.Sprintf("%08x", v.KeyHash()) {
		return nil, fmt.Errorf("audit: verifier key: its id is %q, not %08x", id, v.KeyHash())
	}
	return verifier{v, vkey}, nil
}

package audit_test

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"

	"linefit/audit"
)

// TestSeal: a seal holds for these bytes, this kind of file and this key only,
// and none is ever a checkpoint.
func TestSeal(t *testing.T) {
	dir := t.TempDir()
	key := func(name string) audit.Key {
		k, err := audit.LoadOrCreateKey(filepath.Join(dir, name), "factory.example/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ours, other := key("a"), key("b")
	seal, err := audit.Seal("loading report", sha256.Sum256([]byte("text")), ours)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.ParseCheckpoint(seal); err == nil {
		t.Error("a seal is taken for a checkpoint")
	}
	if err := audit.OpenSeal(seal, "loading report", sha256.Sum256([]byte("text")), ours.VKey()); err != nil {
		t.Error(err)
	}
	if err := audit.OpenSeal(seal, "loading report", sha256.Sum256([]byte("text")), ""); err != nil {
		t.Error(err)
	}
	bent := append([]byte(nil), seal...)
	bent[len(bent)-8] ^= 1
	for name, err := range map[string]error{
		"other bytes": audit.OpenSeal(seal, "loading report", sha256.Sum256([]byte("texT")), ""),
		"other kind":  audit.OpenSeal(seal, "bundle", sha256.Sum256([]byte("text")), ""),
		"other key":   audit.OpenSeal(seal, "loading report", sha256.Sum256([]byte("text")), other.VKey()),
		"bent":        audit.OpenSeal(bent, "loading report", sha256.Sum256([]byte("text")), ours.VKey()),
		"none":        audit.OpenSeal(nil, "loading report", sha256.Sum256([]byte("text")), ""),
		"too long":    audit.OpenSeal(make([]byte, 1<<20), "loading report", sha256.Sum256([]byte("text")), ""),
	} {
		if !errors.Is(err, audit.ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpenSeal(f *testing.F) {
	f.Add([]byte("linefit loading report\nx/y\nAAAA\n\n— x/y AAAAAAAA\n"), []byte("text"))
	f.Fuzz(func(t *testing.T, seal, canonical []byte) {
		if err := audit.OpenSeal(seal, "loading report", sha256.Sum256(canonical), ""); err != nil && !errors.Is(err, audit.ErrSeal) {
			t.Fatalf("untyped error %v", err)
		}
	})
}

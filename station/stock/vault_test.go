package stock_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"linefit/station/stock"
)

var testKey = stock.KeyBytes(bytes.Repeat([]byte{0x5a}, stock.KeySize))

func openVault(t *testing.T, dir string) *stock.Vault {
	t.Helper()
	v, err := stock.OpenVault(context.Background(), dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t *testing.T, v *stock.Vault, kind stock.Kind, text string) string {
	t.Helper()
	h, err := v.Put(kind, stock.NewSecret([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestVaultKeepsItemsOverRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v := openVault(t, dir)
	a := put(t, v, stock.KindCode, "one")
	b := put(t, v, stock.KindPackage, strings.Repeat("package ", 100_000))
	empty := put(t, v, stock.KindNotification, "")
	if a == b || len(a) != 26 {
		t.Fatalf("handles %q, %q", a, b)
	}
	v = openVault(t, dir)
	for _, c := range []struct {
		kind   stock.Kind
		handle string
		text   string
	}{{stock.KindCode, a, "one"}, {stock.KindPackage, b, strings.Repeat("package ", 100_000)}, {stock.KindNotification, empty, ""}} {
		s, err := v.Get(c.kind, c.handle)
		if err != nil || s.RevealText() != c.text {
			t.Errorf("%s: %v", c.kind, err)
		}
	}
	if _, err := v.Get(stock.KindPackage, a); !errors.Is(err, stock.ErrNoItem) {
		t.Errorf("another kind: %v", err)
	}
	items, err := v.List()
	if err != nil || len(items) != 3 || items[0] != (stock.Item{Kind: stock.KindCode, Handle: a}) {
		t.Errorf("list: %v, %v", items, err)
	}
	if items, _ := v.List(stock.KindPackage); len(items) != 1 {
		t.Errorf("list of packages: %v", items)
	}
	for range 2 { // a second time changes nothing
		if err := v.Delete(stock.KindCode, a); err != nil {
			t.Fatal(err)
		}
	}
	var item *stock.ItemError
	if _, err := v.Get(stock.KindCode, a); !errors.As(err, &item) || !errors.Is(err, stock.ErrNoItem) || item.Handle != a {
		t.Errorf("after erasing: %v", err)
	}
	for _, h := range []string{"", "../HEAD", strings.Repeat("a", 26) + "/../x", strings.Repeat("A", 26)} {
		if _, err := v.Get(stock.KindCode, h); !errors.Is(err, stock.ErrNoItem) {
			t.Errorf("handle %q: %v", h, err)
		}
	}
	if _, err := v.Put("other", stock.NewSecret([]byte("x"))); err == nil {
		t.Error("a kind that is not known was taken")
	}
}

func TestVaultErasesBytes(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir)
	h := put(t, v, stock.KindCode, canary)
	path := filepath.Join(dir, h+".code")
	held, err := os.Open(path) // still sees the bytes after the name is gone
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Delete(stock.KindCode, h); err != nil {
		t.Fatal(err)
	}
	after := make([]byte, len(before))
	if _, err := held.ReadAt(after, 0); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(after, before[40:]) || bytes.Equal(after, before) {
		t.Error("the sealed bytes are still there")
	}
}

// Every prefix and every changed byte of an item's file is found out.
func TestVaultFindsDamage(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir)
	h := put(t, v, stock.KindCode, canary)
	other := put(t, v, stock.KindCode, "another one")
	path := filepath.Join(dir, h+".code")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Get(stock.KindCode, h); !errors.Is(err, stock.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range whole {
		check("torn", whole[:n])
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		check("flipped", flipped)
	}
	check("longer", append(bytes.Clone(whole), 0))
	moved, err := os.ReadFile(filepath.Join(dir, other+".code"))
	if err != nil {
		t.Fatal(err)
	}
	check("another item's", moved)
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := v.Get(stock.KindCode, h); err != nil || s.RevealText() != canary {
		t.Errorf("whole again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, h+".package"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(stock.KindPackage, h); !errors.Is(err, stock.ErrDamaged) {
		t.Errorf("another kind's: %v", err)
	}
}

func TestVaultAndKeys(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "vault")
	v := openVault(t, dir)
	h := put(t, v, stock.KindCode, "one")
	if _, err := stock.OpenVault(ctx, dir, stock.KeyBytes(bytes.Repeat([]byte{1}, stock.KeySize))); !errors.Is(err, stock.ErrWrongKey) {
		t.Errorf("wrong key: %v", err)
	}
	if _, err := stock.OpenVault(ctx, dir, stock.KeyBytes("short")); err == nil {
		t.Error("short key was taken")
	}
	// A file key is made with the vault and never later.
	keyFile := filepath.Join(t.TempDir(), "vault.key")
	if _, err := stock.OpenVault(ctx, dir, stock.KeyFile{Path: keyFile, Make: true}); !errors.Is(err, stock.ErrNoKey) {
		t.Errorf("missing key of an existing vault: %v", err)
	}
	if _, err := os.Stat(keyFile); !errors.Is(err, os.ErrNotExist) {
		t.Error("a key was made for an existing vault")
	}
	fresh := filepath.Join(t.TempDir(), "vault")
	if _, err := stock.OpenVault(ctx, fresh, stock.KeyFile{Path: keyFile}); !errors.Is(err, stock.ErrNoKey) {
		t.Errorf("missing key that may not be made: %v", err)
	}
	v2, err := stock.OpenVault(ctx, fresh, stock.KeyFile{Path: keyFile, Make: true})
	if err != nil {
		t.Fatal(err)
	}
	h2 := put(t, v2, stock.KindCode, "two")
	info, err := os.Stat(keyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v", info, err)
	}
	again, err := stock.OpenVault(ctx, fresh, stock.KeyFile{Path: keyFile, Make: true})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := again.Get(stock.KindCode, h2); err != nil || s.RevealText() != "two" {
		t.Errorf("with the file's key: %v", err)
	}
	if err := os.Chmod(keyFile, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := stock.OpenVault(ctx, fresh, stock.KeyFile{Path: keyFile}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("key that others can read: %v", err)
	}
	// An item of another vault is damage, whatever the key.
	copied, err := os.ReadFile(filepath.Join(dir, h+".code"))
	if err != nil {
		t.Fatal(err)
	}
	third := filepath.Join(t.TempDir(), "vault")
	v3 := openVault(t, third)
	if err := os.WriteFile(filepath.Join(third, h+".code"), copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v3.Get(stock.KindCode, h); !errors.Is(err, stock.ErrDamaged) {
		t.Errorf("another vault's item: %v", err)
	}
	// A vault without its head is not taken for a new one.
	if err := os.Remove(filepath.Join(third, "HEAD")); err != nil {
		t.Fatal(err)
	}
	if _, err := stock.OpenVault(ctx, third, testKey); !errors.Is(err, stock.ErrDamaged) {
		t.Errorf("no head: %v", err)
	}
}

func TestKeyFromCredential(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	raw := bytes.Repeat([]byte{7}, stock.KeySize)
	for name, data := range map[string][]byte{"raw": raw, "hex": []byte(hex.EncodeToString(raw)), "line": []byte(hex.EncodeToString(raw) + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o440); err != nil {
			t.Fatal(err)
		}
		if s, err := stock.KeyCredential(name).Key(context.Background(), false); err != nil || !bytes.Equal(s.Reveal(), raw) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := stock.KeyCredential("none").Key(context.Background(), true); !errors.Is(err, stock.ErrNoKey) {
		t.Errorf("missing: %v", err)
	}
	if _, err := stock.KeyCredential("../x").Key(context.Background(), true); err == nil {
		t.Error("a path was taken for a name")
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := stock.KeyCredential("raw").Key(context.Background(), true); !errors.Is(err, stock.ErrNoKey) {
		t.Errorf("no directory: %v", err)
	}
}

// However far erasing an item got, it is whole or it is not there, and an opened
// vault has nothing of it: one that was overwritten in its place would be damaged,
// and the station would not start for it.
func TestVaultDeleteCut(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir)
	kept, gone := put(t, v, stock.KindImport, "kept"), put(t, v, stock.KindImport, "gone")
	watch := func() map[string][]byte {
		files := map[string][]byte{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if b, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil {
				files[e.Name()] = b
			}
		}
		return files
	}
	seen := watch()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err := v.Delete(stock.KindImport, gone) // the name cannot be taken away
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err != nil { // root may all the same
		for name, b := range watch() {
			if !bytes.Equal(b, seen[name]) {
				t.Errorf("%s was overwritten in its place", name)
			}
		}
		if _, err := v.Get(stock.KindImport, gone); err != nil {
			t.Error(err)
		}
		if err := v.Delete(stock.KindImport, gone); err != nil {
			t.Error(err)
		}
	}
	// A crash behind the taking of the name: what is left is erased at the start.
	if err := os.WriteFile(filepath.Join(dir, ".new-"+gone), seen[gone+".import"], 0o600); err != nil {
		t.Fatal(err)
	}
	v = openVault(t, dir)
	if files := watch(); len(files) != len(seen)-1 || files[kept+".import"] == nil {
		t.Errorf("%d files, %d before", len(files), len(seen))
	}
	if items, err := v.List(stock.KindImport); err != nil || len(items) != 1 || items[0].Handle != kept {
		t.Errorf("%v, %v", items, err)
	}
}

// What a crash left half written is removed and takes nothing else along.
func TestVaultSweepsUnfinishedFiles(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir)
	h := put(t, v, stock.KindCode, "one")
	if err := os.WriteFile(filepath.Join(dir, ".new-abc"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	v = openVault(t, dir)
	if _, err := os.Stat(filepath.Join(dir, ".new-abc")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the unfinished file is still there")
	}
	if _, err := v.Get(stock.KindCode, h); err != nil {
		t.Error(err)
	}
}

func TestPutAllIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, dir)
	tooLarge := stock.NewSecret(make([]byte, stock.MaxItem+1))
	if _, err := v.PutAll(stock.KindCode, []stock.Secret{stock.NewSecret([]byte("a")), tooLarge, stock.NewSecret([]byte("b"))}); err == nil {
		t.Fatal("an item over the limit was taken")
	}
	if items, err := v.List(); err != nil || len(items) != 0 {
		t.Errorf("left behind: %v, %v", items, err)
	}
}

func TestVaultConcurrently(t *testing.T) {
	v := openVault(t, t.TempDir())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			h, err := v.Put(stock.KindNotification, stock.NewSecret([]byte("n")))
			if err != nil {
				t.Error(err)
				return
			}
			if s, err := v.Get(stock.KindNotification, h); err != nil || s.RevealText() != "n" {
				t.Error(err)
			}
			if err := v.Delete(stock.KindNotification, h); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if items, _ := v.List(); len(items) != 0 {
		t.Errorf("left: %v", items)
	}
}

// searchCanaries fails where a file under dir has one of the texts, in clear,
// hexadecimal or base64.
func searchCanaries(t *testing.T, dir string, canaries ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, c := range canaries {
			for how, text := range map[string]string{
				"clear": c, "hex": hex.EncodeToString([]byte(c)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(c))),
				"base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c)), "="),
			} {
				if bytes.Contains(data, []byte(text)) || strings.Contains(path, text) {
					t.Errorf("%s shows a secret (%s)", path, how)
				}
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files searched: %v", files, err)
	}
}

func TestNoCanaryWithoutTheKey(t *testing.T) {
	dir := t.TempDir()
	v := openVault(t, filepath.Join(dir, "vault"))
	for _, k := range []stock.Kind{
		stock.KindCode, stock.KindConfirmation, stock.KindPackage, stock.KindNotification, stock.KindResult,
	} {
		put(t, v, k, canary+string(k))
	}
	searchCanaries(t, dir, canary)
}

package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"linefit/station/stock"
)

type profilesSplitCmd struct {
	terms
	File     string   `arg:"" type:"existingfile" help:"The whole list, CSV or JSON."`
	Stations []string `required:"" help:"Names of the stations."`
	Key      string   `required:"" type:"path" placeholder:"FILE" help:"Signing key; made where there is no such file, its verifier key is printed."`
	KeyName  string   `default:"planning" help:"Name of a key that is made."`
	Out      string   `default:"." type:"path" placeholder:"DIR" help:"Where the shares are written: STATION.share."`
	Wipe     bool     `help:"Erase the whole list when the shares are written."`
	JSON     bool     `name:"json" help:"Print one JSON document."`
}

// Run splits a list: all shares are written, or none. FILE.taken beside it then
// says that it was: split once more for others, or taken in whole by a station, its
// codes would be tried twice.
func (c *profilesSplitCmd) Run(a *app) error {
	data, err := readList(c.File)
	if err != nil {
		return err
	}
	files, err := c.files()
	if err != nil {
		return exit(exitUsage, err)
	}
	key, err := readShareKey(c.Key, c.KeyName)
	if err != nil {
		return err
	}
	parts, err := stock.Split(c.File, data, c.batch(), c.Stations, key.signer)
	if err != nil {
		return exit(exitUsage, err)
	}
	if err := c.write(a, key, key.fingerprint(data), files, parts); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, map[string]any{"shares": files, "vkey": key.vkey})
	}
	for _, name := range c.Stations {
		fmt.Fprintf(a.stdout, "%s  %s\n", name, files[name])
	}
	fmt.Fprintln(a.stdout, "verifier key for the stations:", key.vkey)
	return nil
}

// files are the names of the shares, by station.
func (c *profilesSplitCmd) files() (map[string]string, error) {
	files := map[string]string{}
	var errs []error
	for _, name := range c.Stations {
		if name == ".." || name == "." || filepath.Base(name) != name {
			errs = append(errs, fmt.Errorf("split: station %q is no name of a file", name))
		}
		files[name] = filepath.Join(c.Out, name+".share")
	}
	return files, errors.Join(errs...)
}

// write writes the key, where it is new, and the shares.
func (c *profilesSplitCmd) write(a *app, key *shareKey, fingerprint string, files map[string]string, parts map[string][]byte) error {
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return exit(fileCode(err), err)
	}
	var errs []error
	for _, name := range c.Stations {
		if _, err := os.Lstat(files[name]); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, &fs.PathError{Op: "open", Path: files[name], Err: fs.ErrExist})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return exit(exitMissing, err)
	}
	unmark, err := c.mark(a, fingerprint)
	if err != nil {
		return err
	}
	if err = key.keep(); err == nil {
		err = writeShares(c.Stations, files, parts)
	}
	if err != nil {
		return exit(exitMissing, errors.Join(err, unmark()))
	}
	if c.Wipe {
		if err := errors.Join(stock.Wipe(c.File), unmark()); err != nil {
			return exit(exitMissing, fmt.Errorf("the shares are written, and the list was not erased: %w", err))
		}
	}
	return nil
}

// writeShares writes all shares, or leaves none.
func writeShares(stations []string, files map[string]string, parts map[string][]byte) error {
	for i, name := range stations {
		err := writeSecret(files[name], parts[name])
		if err == nil {
			continue
		}
		for _, written := range stations[:i+1] {
			if gone := os.Remove(files[written]); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
		return err
	}
	return nil
}

// mark says beside the list that it was split; undo takes that away. The same list
// may be split for the same stations again: the shares come out the same.
func (c *profilesSplitCmd) mark(a *app, fingerprint string) (undo func() error, err error) {
	file := c.File + ".taken"
	text := []byte(takenMagic + takenSplit + strings.Join(c.Stations, ",") + "\nlist " + fingerprint + "\n")
	if err = writeSecret(file, text); errors.Is(err, fs.ErrExist) {
		old, unread := readFile(file)
		switch {
		case unread != nil:
			return nil, exit(exitMissing, unread)
		case bytes.Equal(old, text):
			return func() error { return nil }, nil
		case strings.HasPrefix(string(old), takenMagic):
			return nil, exit(exitUsage, takenBefore(c.File, file, old))
		}
		err = os.WriteFile(file, text, 0o600) // it was cut short by a crash
	}
	if err != nil {
		fmt.Fprintf(a.stderr, "warning: %s cannot be made (%v): nobody will see that the list was split\n", file, err)
		return func() error { return nil }, nil
	}
	return func() error { return os.Remove(file) }, nil
}

// shareKey is the key that signs shares.
type shareKey struct {
	signer note.Signer
	secret []byte
	vkey   string
	keep   func() error // writes it, where it is new; the verifier key stands beside it in FILE.vkey
}

// fingerprint tells lists apart; without the key no code can be tried against it.
func (k *shareKey) fingerprint(list []byte) string {
	h := hmac.New(sha256.New, k.secret)
	h.Write(list)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// readShareKey reads a key, or makes one that is not written yet.
func readShareKey(file, name string) (*shareKey, error) {
	skey, err := readFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newShareKey(file, name)
	case err != nil:
		return nil, exit(fileCode(err), err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		return nil, exit(exitUsage, fmt.Errorf("--key: %s is no signing key: %w", file, err))
	}
	vkey, err := readFile(file + ".vkey")
	if err != nil {
		return nil, exit(fileCode(err), err)
	}
	return &shareKey{signer, bytes.TrimSpace(skey), strings.TrimSpace(string(vkey)), func() error { return nil }}, nil
}

func newShareKey(file, name string) (*shareKey, error) {
	made, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, exit(exitUsage, fmt.Errorf("--key-name: %w", err))
	}
	signer, err := note.NewSigner(made)
	if err != nil {
		return nil, exit(exitUsage, fmt.Errorf("--key-name: %w", err))
	}
	return &shareKey{signer, []byte(made), vkey, func() error {
		if err := os.WriteFile(file+".vkey", []byte(vkey+"\n"), 0o644); err != nil { //nolint:gosec // everybody may have it
			return err
		}
		return writeSecret(file, []byte(made+"\n"))
	}}, nil
}

// writeSecret writes a new file that nobody else can read.
func writeSecret(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

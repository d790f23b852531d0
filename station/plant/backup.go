package plant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/audit/store"
)

// BackupFormat names the form of a backup's manifest.
const BackupFormat = "linefit-backup/1"

const (
	manifestName = "backup.json"
	backupData   = "data"
)

// Backup is the manifest of a backup: a folder with a station's store, its vault
// and its recipes, sealed as they are. Keys lie elsewhere and are not in it.
type Backup struct {
	Format     string       `json:"format"`
	ID         string       `json:"id"` // random
	Made       time.Time    `json:"made"`
	Origin     string       `json:"origin"`
	VKey       string       `json:"vkey"`
	Entries    uint64       `json:"entries"`
	Checkpoint string       `json:"checkpoint"` // signed note, the newest that the copied log carries
	Files      []BackupFile `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name   string `json:"name"` // below data, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// backupParts are copied in this order: the log ends behind the checkpoint, and
// everything that the log names is in the vault when that is copied.
var backupParts = []string{"checkpoint", "station.vkey", "damage", "archived", "segments", "recipes", "vault"}

// ErrBackup says that a folder is no whole backup, or cannot take one.
var ErrBackup = errors.New("no backup")

// MakeBackup copies the store in dir to the folder out, which must be empty or
// missing, also while the station runs. The copy's log is verified: a damaged
// one is a *store.DamagedError.
func MakeBackup(ctx context.Context, dir, out string) (b Backup, err error) {
	if err := emptyFolder(out); err != nil {
		return b, err
	}
	b = Backup{Format: BackupFormat, ID: rand.Text(), Made: time.Now().UTC().Truncate(time.Second)}
	to := filepath.Join(out, backupData)
	for _, part := range backupParts {
		files, err := copyPart(ctx, dir, to, part)
		if err != nil {
			return b, fmt.Errorf("backup: %w", err)
		}
		b.Files = append(b.Files, files...)
	}
	if err := b.settle(ctx, dir, to); err != nil {
		return b, fmt.Errorf("backup: %w", err)
	}
	r, err := store.Verify(ctx, to, store.VerifyOptions{})
	if err != nil {
		return b, fmt.Errorf("backup: %w", err)
	}
	if !r.OK {
		return b, &store.DamagedError{Report: r}
	}
	note, err := os.ReadFile(filepath.Join(to, "checkpoint"))
	if err != nil {
		return b, fmt.Errorf("backup: %w", err)
	}
	b.Origin, b.VKey, b.Entries, b.Checkpoint = r.Origin, r.VKey, r.Entries, string(note)
	text, err := json.MarshalIndent(b, "", " ")
	if err == nil {
		err = writeDurably(filepath.Join(out, manifestName), append(text, '\n'))
	}
	return b, err
}

// settle brings the copied checkpoint up to what the station has published while
// the segments were copied.
func (b *Backup) settle(ctx context.Context, dir, to string) error {
	if err := store.SettleCopy(ctx, dir, to); err != nil {
		return err
	}
	for i, f := range b.Files {
		if strings.Contains(f.Name, "/") {
			continue
		}
		again, err := digest(filepath.Join(to, f.Name))
		if err != nil {
			return err
		}
		again.Name = f.Name
		b.Files[i] = again
	}
	return nil
}

// ReadBackup reads a backup's manifest and holds every file against it.
func ReadBackup(ctx context.Context, from string) (b Backup, err error) {
	text, err := os.ReadFile(filepath.Join(from, manifestName))
	if err != nil {
		return b, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if err := json.Unmarshal(text, &b); err != nil || b.Format != BackupFormat {
		return b, fmt.Errorf("%w: %s is no manifest of the form %s", ErrBackup, manifestName, BackupFormat)
	}
	for _, f := range b.Files {
		if err := ctx.Err(); err != nil {
			return b, err
		}
		if !fs.ValidPath(f.Name) || !slices.ContainsFunc(backupParts, func(p string) bool { return f.Name == p || strings.HasPrefix(f.Name, p+"/") }) {
			return b, fmt.Errorf("%w: file %q does not belong into one", ErrBackup, f.Name)
		}
		got, err := digest(filepath.Join(from, backupData, filepath.FromSlash(f.Name)))
		if err != nil {
			return b, fmt.Errorf("%w: %w", ErrBackup, err)
		}
		if got.Size != f.Size || got.SHA256 != f.SHA256 {
			return b, fmt.Errorf("%w: %s is not what was copied", ErrBackup, f.Name)
		}
	}
	return b, b.whole(from)
}

// whole checks that a backup has no file that its manifest does not name, and that
// the manifest speaks of the log that is in it.
func (b Backup) whole(from string) error {
	named := map[string]bool{}
	for _, f := range b.Files {
		named[f.Name] = true
	}
	data := filepath.Join(from, backupData)
	err := filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(data, path)
		if err = errors.Join(err, relErr); err != nil || e.IsDir() {
			return err
		}
		if !named[filepath.ToSlash(rel)] {
			return fmt.Errorf("file %q is not one that was copied", rel)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	for name, want := range map[string]string{"checkpoint": b.Checkpoint, "station.vkey": b.VKey + "\n"} {
		have, err := os.ReadFile(filepath.Join(data, name))
		if err != nil || string(have) != want {
			return errors.Join(fmt.Errorf("%w: %s is not what %s says", ErrBackup, name, manifestName), err)
		}
	}
	return nil
}

// Restore puts a backup into the place of a store. dir must hold none. The
// station then starts read-only, until two people have accepted that, and keeps
// every profile back that was not used up. A restore that was cut short leaves a
// marked store, which can be removed and restored again.
func Restore(ctx context.Context, from, dir string) (Backup, error) {
	b, err := ReadBackup(ctx, from)
	if err != nil {
		return b, err
	}
	if err := noStore(dir); err != nil {
		return b, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return b, fmt.Errorf("restore: %w", err)
	}
	mark := store.Restored{ID: rand.Text(), What: "backup of " + b.Made.Format(time.RFC3339), Anchors: [][]byte{[]byte(b.Checkpoint)}}
	if err := mark.Mark(dir); err != nil {
		return b, err
	}
	for _, part := range slices.Backward(backupParts) { // the checkpoint last
		if _, err := copyPart(ctx, filepath.Join(from, backupData), dir, part); err != nil {
			return b, fmt.Errorf("restore: %w", err)
		}
	}
	r, err := store.Verify(ctx, dir, store.VerifyOptions{})
	if err == nil && !r.OK {
		err = &store.DamagedError{Report: r}
	}
	if err == nil && (r.Origin != b.Origin || r.VKey != b.VKey || r.Entries != b.Entries) {
		err = fmt.Errorf("%w: %s speaks of %d entries of log %s, %d of %s are there", ErrBackup, manifestName, b.Entries, b.Origin, r.Entries, r.Origin)
	}
	return b, err
}

// Replace makes a store for a station whose own is lost: its log has a new
// origin and begins, when two people have accepted that, with the last checkpoint
// of the lost one that somebody kept. vkey verifies that checkpoint.
func Replace(dir string, checkpoint []byte, vkey string) (audit.Checkpoint, error) {
	v, err := audit.ParseVKey(vkey)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	last, err := audit.OpenCheckpoint(checkpoint, v)
	if err != nil {
		return last, err
	}
	if err := noStore(dir); err != nil {
		return last, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return last, fmt.Errorf("replace: %w", err)
	}
	return last, store.Restored{
		ID: rand.Text(), What: fmt.Sprintf("replacement of log %s after %d entries", last.Origin, last.Size),
		Anchors: [][]byte{checkpoint}, Keys: []string{strings.TrimSpace(vkey)},
	}.Mark(dir)
}

// noStore wants a folder without a store.
func noStore(dir string) error {
	for _, part := range append([]string{"badger"}, backupParts...) {
		if _, err := os.Lstat(filepath.Join(dir, part)); err == nil {
			return fmt.Errorf("%s holds a store: move it away first: %w", dir, fs.ErrExist)
		}
	}
	return nil
}

func emptyFolder(dir string) error {
	names, err := os.ReadDir(dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("backup: %w", err)
	case len(names) > 0:
		return fmt.Errorf("backup: %s is not empty: %w", dir, fs.ErrExist)
	}
	return nil
}

// copyPart copies a file or a folder durably. What is not there, or goes away
// meanwhile because it was erased, is left out.
func copyPart(ctx context.Context, from, to, part string) ([]BackupFile, error) {
	var files []BackupFile
	root := filepath.Join(from, part)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Join(err, relErr, ctx.Err()) != nil:
			return errors.Join(err, relErr, ctx.Err())
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !e.Type().IsRegular():
			return nil // nothing of a store
		}
		err = copyFile(path, filepath.Join(to, rel))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := digest(filepath.Join(to, rel))
		f.Name = filepath.ToSlash(rel)
		files = append(files, f)
		return err
	})
	return files, err
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	st, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func digest(path string) (BackupFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return BackupFile{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return BackupFile{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

func writeDurably(path string, data []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"linefit/audit"
)

// ExportTiles writes the log as C2SP tlog-tiles: the newest shard into dir,
// each older one into dir/shards/<number>. Tiles and entry bundles come
// first, the checkpoint last, so that an export which broke off has none or
// an older one that still holds. Exporting again into the same folder adds
// what is new.
func (l *Log) ExportTiles(ctx context.Context, dir string) (Exported, error) {
	c, err := l.good(ctx)
	if err != nil {
		return Exported{}, err
	}
	return c.tiles(ctx, func(i int) string {
		if i < len(c.shards)-1 {
			return shardFolder(dir, c.shards[i].head.Shard)
		}
		return dir
	})
}

// shardFolder is where an export has an older shard.
func shardFolder(dir string, shard uint32) string {
	return filepath.Join(dir, "shards", fmt.Sprintf("%04d", shard))
}

// tiles writes each shard into the folder that of names; "" leaves it out.
func (c *covered) tiles(ctx context.Context, of func(i int) string) (Exported, error) {
	out := c.exported()
	dirs := make([]string, len(c.shards))
	writers := make([]audit.TileWriter, len(c.shards))
	for i, s := range c.shards {
		if dirs[i] = of(i); dirs[i] == "" {
			continue
		}
		if err := c.log.fitsExport(dirs[i], s.head.Origin); err != nil {
			return Exported{}, err
		}
		writers[i].Put = func(path string, data []byte) error { return putFile(filepath.Join(dirs[i], path), data) }
	}
	err := c.hashed(ctx, func(shard int, seq uint64, raw []byte) error {
		if dirs[shard] == "" {
			return nil
		}
		out.Last, out.Entries = seq, out.Entries+1
		return writers[shard].Add(raw)
	})
	for i, s := range c.shards {
		if dirs[i] == "" || err != nil {
			continue
		}
		var head audit.Head
		if head, err = writers[i].Close(); err == nil && head != s.signed.Head {
			err = fmt.Errorf("audit/store: tiles give root %s, the checkpoint says %s", head.Root, s.signed.Root)
		}
		if err == nil {
			err = putFile(filepath.Join(dirs[i], vkeyFile), []byte(s.head.VKey+"\n"))
		}
		if err == nil {
			err = putFile(filepath.Join(dirs[i], checkpointFile), s.signed.Note)
		}
	}
	return out, err
}

// ErrFolder says that a folder cannot take an export.
var ErrFolder = errors.New("audit/store: not a folder for this export")

// fitsExport refuses a folder with anything but an older export of this log.
func (l *Log) fitsExport(dir, origin string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/store: export: %w", err)
	}
	for _, n := range names {
		switch n.Name() {
		case "tile", "shards", vkeyFile:
		case checkpointFile:
			old, err := os.ReadFile(filepath.Join(dir, checkpointFile))
			if err != nil {
				return fmt.Errorf("audit/store: export: %w", err)
			}
			if c, err := l.open(old); err != nil || c.Origin != origin {
				return fmt.Errorf("%w: %s holds the export of another log or shard", ErrFolder, dir)
			}
		default:
			return fmt.Errorf("%w: %s holds %s and is no export", ErrFolder, dir, n.Name())
		}
	}
	return nil
}

// putFile writes a file of an export; one that has the same bytes already is
// left alone. Only the checkpoint, which comes last, is renamed into place: it
// says what is whole.
func putFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	target := path
	if filepath.Base(path) == checkpointFile {
		path += ".tmp"
	}
	err := os.WriteFile(path, data, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
	}
	if err == nil && path != target {
		err = os.Rename(path, target)
	}
	if err != nil {
		return fmt.Errorf("audit/store: export: %w", err)
	}
	return nil
}

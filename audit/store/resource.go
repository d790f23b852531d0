package store

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// Resource returns one resource as a C2SP tlog-tiles server answers it, for path
// "checkpoint", "tile/<L>/<N>[.p/<W>]" or "tile/entries/<N>[.p/<W>]" of the
// newest shard, and the same below "shards/<number>/" of an older one, as in an
// export. The checkpoint of the newest shard is that of its durable head; tiles
// and entry bundles never change. What there is not, or not yet, is
// fs.ErrNotExist.
func (s *Store) Resource(path string) ([]byte, error) {
	if path == checkpointFile {
		return s.Checkpoint()
	}
	older, rest, err := cutShard(path)
	if err != nil {
		return nil, err
	}
	var data []byte
	err = s.withSnapshot(func(v *snapshot) error {
		sh := shardView{snapshot: v, head: header{Shard: v.meta.Shard, Base: v.meta.Base}, signed: audit.Checkpoint{Head: v.Head()}}
		if older > 0 {
			if sh, err = s.shard(v, older); err != nil {
				return err
			}
		}
		data, err = sh.resource(rest)
		return err
	})
	return data, err
}

// cutShard cuts "shards/<number>/" off a path; 0 is the newest shard.
func cutShard(path string) (uint32, string, error) {
	rest, ok := strings.CutPrefix(path, "shards/")
	if !ok {
		return 0, path, nil
	}
	number, rest, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n == 0 || fmt.Sprintf("%04d", n) != number {
		return 0, "", fmt.Errorf("audit/store: %s is no shard's path: %w", path, fs.ErrNotExist)
	}
	return uint32(n), rest, nil
}

// shard is an older shard at hand.
func (s *Store) shard(v *snapshot, number uint32) (shardView, error) {
	shards, err := s.shards(v)
	if err != nil {
		return shardView{}, err
	}
	for _, sh := range shards {
		if sh.head.Shard == number && number < v.meta.Shard {
			return sh, nil
		}
	}
	return shardView{}, fmt.Errorf("audit/store: shard %d: %w", number, fs.ErrNotExist)
}

func (s shardView) resource(path string) ([]byte, error) {
	if path == checkpointFile {
		return s.signed.Note, nil
	}
	t, err := parseTilePath(path)
	if err != nil {
		return nil, err
	}
	level := max(t.L, 0)
	if nodes := s.signed.Size >> (level * tileHeight); uint64(t.N)<<tileHeight+uint64(t.W) > nodes {
		return nil, fmt.Errorf("audit/store: %s: %w", path, fs.ErrNotExist)
	}
	if t.L < 0 {
		return s.bundle(uint64(t.N)<<tileHeight, t.W)
	}
	data, err := s.tile(t.L, uint64(t.N), t.W)
	if err != nil {
		return nil, err
	}
	return data[:t.W*tlog.HashSize], nil
}

// parseTilePath reads a C2SP tile path with tlog's parser for its own form.
func parseTilePath(path string) (tlog.Tile, error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if entries, is := strings.CutPrefix(rest, "entries/"); is {
		rest = "data/" + entries
	}
	t, err := tlog.ParseTilePath("tile/" + strconv.Itoa(tileHeight) + "/" + rest)
	if !ok || err != nil || t.L >= tileLevels {
		return tlog.Tile{}, fmt.Errorf("audit/store: %s is no tile's path: %w", path, fs.ErrNotExist)
	}
	return t, nil
}

// Log opens the store's own evidence for reading, as [OpenLog] does.
func (s *Store) Log() (*Log, error) { return openLog(s.opt.FS, s.opt.Dir, s.VKey()) }

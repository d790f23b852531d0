package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// Resource returns one resource of the newest shard as a C2SP tlog-tiles
// server answers it, for path "checkpoint", "tile/<L>/<N>[.p/<W>]" or
// "tile/entries/<N>[.p/<W>]". The checkpoint is of the newest durable head;
// tiles and entry bundles never change. What there is not, or not yet, is
// fs.ErrNotExist.
func (s *Store) Resource(path string) ([]byte, error) {
	if path == checkpointFile {
		return s.Checkpoint()
	}
	t, err := parseTilePath(path)
	if err != nil {
		return nil, err
	}
	var data []byte
	err = s.withSnapshot(func(v *snapshot) error {
		level := max(t.L, 0)
		if nodes := v.Head().Size >> (level * tileHeight); uint64(t.N)<<tileHeight+uint64(t.W) > nodes {
			return fmt.Errorf("audit/store: %s: %w", path, fs.ErrNotExist)
		}
		if t.L < 0 {
			data, err = v.bundle(uint64(t.N)<<tileHeight, t.W)
			return err
		}
		if data, err = v.tile(t.L, uint64(t.N), t.W); err == nil {
			data = data[:t.W*tlog.HashSize]
		}
		return err
	})
	return data, err
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

// bundle returns an entry bundle.
func (s *snapshot) bundle(leaf uint64, n int) ([]byte, error) {
	var out []byte
	first := s.meta.Base + leaf
	for raw, err := range s.raw(first, first+uint64(n)-1) {
		if err != nil {
			return nil, err
		}
		out = audit.AppendBundled(out, raw)
		n--
	}
	if n != 0 {
		return nil, errors.New("audit/store: entries of a bundle are missing")
	}
	return out, nil
}

// Prove returns the inclusion proof of one entry of the newest shard under
// its newest durable head, from the derived tree. [Log.Prove] does the same
// for any shard, from the evidence.
func (s *Store) Prove(seq uint64) (audit.Proof, error) {
	var p audit.Proof
	err := s.withSnapshot(func(v *snapshot) error {
		head := v.Head()
		if seq < v.meta.Base || seq-v.meta.Base >= head.Size {
			return fmt.Errorf("audit/store: entry %d is not in the newest shard", seq)
		}
		p.Index = seq - v.meta.Base
		e, err := v.Entry(seq)
		if err != nil {
			return err
		}
		p.Entry = audit.AppendEntry(nil, e)
		if p.Path, err = tlog.ProveRecord(int64(head.Size), int64(p.Index), hashReader(head.Size, v.tile)); err != nil {
			return fmt.Errorf("audit/store: prove entry %d: %w", seq, err)
		}
		p.Checkpoint, err = audit.SignCheckpoint(head, s.key())
		return err
	})
	return p, err
}

// Log opens the store's own evidence for reading, as [OpenLog] does.
func (s *Store) Log() (*Log, error) { return openLog(s.opt.FS, s.opt.Dir, s.VKey()) }

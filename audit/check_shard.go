package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tilesCheck checks one shard's folder. The first thing that is wrong ends it.
type tilesCheck struct {
	fsys fs.FS
	dir  string
	v    note.Verifier
	end  string       // the last checkpoint as the next shard says, "" for the newest
	kept []Checkpoint // that someone kept
	fn   func(Entry)

	head    Checkpoint // as it is there, until open has verified it
	base    uint64     // seq of the first entry
	entries uint64
	last    Entry
	// archived are the shards that entries here say have left the store.
	archived []ArchivedShard
	found    *Finding
}

// maxResource bounds a file of an export: a full bundle of the largest entries.
const maxResource = TileWidth * (MaxEntry + 2)

func (c *tilesCheck) bad(code, file string, seq uint64, format string, args ...any) {
	if c.found == nil {
		c.found = &Finding{Code: code, File: path.Join(c.dir, file), Seq: seq, Detail: fmt.Sprintf(format, args...)}
	}
}

func (c *tilesCheck) read(file string) []byte {
	name := path.Join(c.dir, file)
	st, err := fs.Stat(c.fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.bad(FindMissing, file, 0, "it is missing")
		return nil
	case err == nil && st.Size() > maxResource:
		c.bad(FindTile, file, 0, "%d bytes, more than %d", st.Size(), maxResource)
		return nil
	}
	data, err := fs.ReadFile(c.fsys, name)
	if err != nil {
		c.bad(FindUnreadable, file, 0, "%v", err)
	}
	return data
}

// look reads the checkpoint and does not verify it yet.
func (c *tilesCheck) look() {
	signed := c.read("checkpoint")
	if c.found != nil {
		return
	}
	var err error
	if c.head, err = ParseCheckpoint(signed); err != nil {
		c.bad(FindCheckpoint, "checkpoint", 0, "%v", err)
	}
}

// open verifies the checkpoint, those that someone kept, and the key that is there.
func (c *tilesCheck) open() bool {
	_, err := OpenCheckpoint(c.head.Note, c.v)
	switch {
	case errors.Is(err, ErrCheckpointKey):
		c.bad(FindKey, "checkpoint", 0, "%v", err)
	case errors.Is(err, ErrCheckpointOrigin):
		c.bad(FindOrigin, "checkpoint", 0, "%v", err)
	case err != nil:
		c.bad(FindCheckpoint, "checkpoint", 0, "%v", err)
	}
	if last, err := ParseCheckpoint([]byte(c.end)); c.found == nil && c.end != "" && (err != nil || last.Head != c.head.Head) {
		c.bad(FindFork, "checkpoint", 0, "the next shard says that this one ends otherwise")
	}
	if text, err := fs.ReadFile(c.fsys, path.Join(c.dir, "station.vkey")); c.found == nil && err == nil {
		line := strings.TrimSuffix(string(text), "\n")
		if own, err := ParseVKey(line); err != nil || !SameKey(own, c.v) || strings.TrimSpace(line) != line {
			c.bad(FindKey, "station.vkey", 0, "it is not the key of the checkpoint, %s+%08x", c.v.Name(), c.v.KeyHash())
		}
	}
	for _, k := range c.kept {
		if c.found == nil {
			c.found = keptBy(k, c.v)
		}
		if c.found == nil && k.Size > c.head.Size {
			c.found = &Finding{Code: FindRollback, Detail: fmt.Sprintf("the given checkpoint has %d entries of log %q, the export has %d", k.Size, k.Origin, c.head.Size)}
		}
	}
	return c.found == nil
}

// meet compares the tree so far with the kept checkpoints of its size.
func (c *tilesCheck) meet(check *Checker) {
	for _, k := range c.kept {
		if k.Size != check.Size() || c.found != nil {
			continue
		}
		if root := check.Head().Root; root != k.Root {
			c.found = &Finding{Code: FindFork, Detail: fmt.Sprintf("the given checkpoint has root %s at size %d of log %q, the entries give %s: its history is another", k.Root, k.Size, k.Origin, root)}
		}
	}
}

// bundle reads the bundle that begins with a leaf.
func (c *tilesCheck) bundle(leaf uint64) (file string, data []byte, n int) {
	n = int(min(c.head.Size-leaf, TileWidth))
	file = EntriesPath(leaf/TileWidth, n)
	return file, c.read(file), n
}

// first returns the shard's first entry's link, nil if the shard is the first.
func (c *tilesCheck) first() *ShardOpened {
	if c.found != nil || c.head.Size == 0 {
		return nil
	}
	file, data, _ := c.bundle(0)
	if c.found != nil {
		return nil
	}
	raw, _, err := CutBundled(data)
	if err != nil {
		c.bad(FindTile, file, 0, "%v", err)
		return nil
	}
	e, err := Decode(raw)
	if err != nil {
		c.bad(FindEntry, file, 0, "%v", err)
		return nil
	}
	if e.Type != TypeShardOpened {
		return nil
	}
	var link ShardOpened
	if err := ParseFact(e, &link); err != nil {
		c.bad(FindEntry, file, e.Seq, "%v", err)
		return nil
	}
	return &link
}

// run checks all entries and tiles.
func (c *tilesCheck) run() {
	if !c.open() {
		return
	}
	w := TileWriter{Put: func(file string, want []byte) error {
		if have := c.read(file); c.found == nil && !bytes.Equal(have, want) {
			c.bad(FindTile, file, c.differs(file, have, want), "it is not what the entries%s give", inBundle(file))
		}
		return nil
	}}
	var check *Checker
	for leaf := uint64(0); leaf < c.head.Size && c.found == nil; {
		file, data, n := c.bundle(leaf)
		for range n {
			if c.found != nil {
				return
			}
			raw, rest, err := CutBundled(data)
			if err != nil {
				c.bad(FindTile, file, 0, "%v", err)
				return
			}
			if check == nil {
				first, err := Decode(raw)
				if err != nil {
					c.bad(FindEntry, file, 0, "%v", err)
					return
				}
				check, c.base = NewChecker(first.Seq, first.Sim), first.Seq
			}
			c.entry(check, raw, file)
			c.meet(check)
			data = rest
			leaf++
			if err := w.Add(raw); err != nil {
				c.bad(FindUnreadable, file, 0, "%v", err)
			}
		}
		if c.found == nil && len(data) > 0 {
			c.bad(FindTile, file, 0, "%d bytes behind its last entry", len(data))
		}
	}
	if c.found != nil {
		return
	}
	head, err := w.Close()
	if err != nil {
		c.bad(FindUnreadable, "", 0, "%v", err)
	}
	if head != c.head.Head {
		c.bad(FindRoot, "checkpoint", 0, "the entries give root %s, the checkpoint says %s at size %d", head.Root, c.head.Root, c.head.Size)
	}
}

// inBundle names the bundle whose leaves a tile has.
func inBundle(tile string) string {
	if bundle, ok := strings.CutPrefix(tile, "tile/0/"); ok {
		return " in tile/entries/" + bundle
	}
	return ""
}

// differs is the first entry whose hash in a tile of leaves is another.
func (c *tilesCheck) differs(file string, have, want []byte) uint64 {
	if !strings.HasPrefix(file, "tile/0/") {
		return 0
	}
	i := 0
	for i < min(len(have), len(want)) && have[i] == want[i] {
		i++
	}
	return c.base + (c.entries-1)/TileWidth*TileWidth + uint64(i/tlog.HashSize)
}

func (c *tilesCheck) entry(check *Checker, raw []byte, file string) {
	e, _, err := check.Add(raw)
	var f *FindingError
	if errors.As(err, &f) {
		c.bad(f.Code, file, f.Seq, "%s", f.Detail)
		return
	}
	c.entries++
	c.last = e
	var left ShardArchived
	if e.Type == TypeShardArchived && ParseFact(e, &left) == nil {
		c.archived = append(c.archived, left.Shards...)
	}
	if c.fn != nil {
		c.fn(e)
	}
}

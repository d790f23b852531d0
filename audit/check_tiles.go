package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A TilesReport says what an export as tiles holds.
type TilesReport struct {
	Origin  string    `json:"origin"` // of the newest shard
	Shards  int       `json:"shards"`
	Size    uint64    `json:"size"` // of the newest shard's tree
	Entries uint64    `json:"entries"`
	Last    uint64    `json:"last"` // seq of the newest entry
	Finding []Finding `json:"findings"`
}

// CheckTiles checks an export as C2SP tlog-tiles in a folder, as an outsider
// can: v signed the newest checkpoint, every entry and every tile belongs to
// it, every counter is without a gap, and each older shard ends as the next one
// says. fn, which may be nil, gets every entry of what was found good so far.
func CheckTiles(fsys fs.FS, v note.Verifier, fn func(Entry)) TilesReport {
	r := TilesReport{Finding: []Finding{}}
	older, err := fs.Glob(fsys, "shards/*")
	if err != nil {
		r.Finding = append(r.Finding, Finding{Code: FindUnreadable, File: "shards", Detail: err.Error()})
		return r
	}
	slices.Sort(older)
	shards := append(older, ".")
	links := make([]*ShardOpened, len(shards)+1)
	// Each shard's first entry says what the one before it must be.
	for i := range slices.Backward(shards) {
		c := &tilesCheck{fsys: fsys, dir: shards[i], v: v}
		if link := links[i+1]; link != nil {
			if c.v, err = ParseVKey(link.LastVKey()); err != nil {
				r.Finding = append(r.Finding, Finding{Code: FindKey, File: shards[i+1], Detail: err.Error()})
				return r
			}
			c.end = link.Last()
		} else if i < len(shards)-1 {
			r.Finding = append(r.Finding, Finding{Code: FindForeign, File: shards[i], Detail: "no newer shard says that this one is before it"})
			return r
		}
		if links[i] = c.first(); c.found != nil {
			r.Finding = append(r.Finding, *c.found)
			return r
		}
	}
	for i, dir := range shards {
		c := &tilesCheck{fsys: fsys, dir: dir, v: v, fn: fn}
		if link := links[i+1]; link != nil {
			c.v, _ = ParseVKey(link.LastVKey()) // parsed above
			c.end = link.Last()
		}
		c.run()
		r.Shards++
		r.Entries += c.entries
		r.Origin, r.Size, r.Last = c.head.Origin, c.head.Size, c.last
		if c.found != nil {
			r.Finding = append(r.Finding, *c.found)
			return r
		}
	}
	return r
}

// tilesCheck checks one shard's folder. The first thing that is wrong ends it.
type tilesCheck struct {
	fsys fs.FS
	dir  string
	v    note.Verifier
	end  string // the last checkpoint as the next shard says, "" for the newest
	fn   func(Entry)

	head    Checkpoint
	base    uint64 // seq of the first entry
	entries uint64
	last    uint64
	found   *Finding
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

// open reads and verifies the checkpoint.
func (c *tilesCheck) open() bool {
	signed := c.read("checkpoint")
	if c.found != nil {
		return false
	}
	var err error
	c.head, err = OpenCheckpoint(signed, c.v)
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
	return c.found == nil
}

// bundle reads the bundle that begins with a leaf.
func (c *tilesCheck) bundle(leaf uint64) (file string, data []byte, n int) {
	n = int(min(c.head.Size-leaf, TileWidth))
	file = EntriesPath(leaf/TileWidth, n)
	return file, c.read(file), n
}

// first returns the shard's first entry's link, nil if the shard is the first.
func (c *tilesCheck) first() *ShardOpened {
	if !c.open() || c.head.Size == 0 {
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
	if err != nil || e.Type != TypeShardOpened {
		return nil // run says what is wrong with the entry, if anything is
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
			c.bad(FindTile, file, c.differs(file, have, want), "it is not what the entries give")
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
	c.last = e.Seq
	if c.fn != nil {
		c.fn(e)
	}
}

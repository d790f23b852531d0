package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A TilesReport says what an export as tiles holds.
type TilesReport struct {
	Origin  string `json:"origin"` // of the newest shard
	Shards  int    `json:"shards"`
	Size    uint64 `json:"size"` // of the newest shard's tree
	Entries uint64 `json:"entries"`
	Last    uint64 `json:"last"` // seq of the newest entry
	// First is the seq of the oldest entry. Where it is not 1, Archived says whether
	// an entry here says that what was before was archived; an export of one shard
	// by itself does not know.
	First    uint64    `json:"first"`
	Archived bool      `json:"archived"`
	Finding  []Finding `json:"findings"`
	// Kept are the given checkpoints with which the export agrees.
	Kept []KeptCheckpoint `json:"kept,omitempty"`
	// Unvouched is the log at which the check ended since nothing that the given
	// key has signed names its key: two people went on there, and the older key was
	// lost. It can be anybody's.
	Unvouched []string `json:"unvouched,omitempty"`
}

// A KeptCheckpoint is one that somebody outside kept, and what it was held
// against.
type KeptCheckpoint struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	// Entries says that the entries themselves were there. Of a log of which only
	// the last checkpoint is left, the one with which the next log begins, it was
	// held against that.
	Entries bool `json:"entries"`
}

// CheckTiles checks an export as C2SP tlog-tiles in a folder, as an outsider
// can: every entry and every tile belongs to the checkpoint that is there, every
// counter is without a gap, and each older shard ends as the next one says.
//
// v is a key of the log, of any shard: what it signed vouches for the shards
// before by their links, and for those behind by the entry that closes a shard.
// kept are checkpoints that someone kept, of any shard of the log, or of the log
// before it that a replaced station had: each must be in the log's past. fn,
// which may be nil, gets every entry of what was found good so far. The first
// thing that is wrong ends the check.
func CheckTiles(fsys fs.FS, v note.Verifier, fn func(Entry), kept ...[]byte) TilesReport {
	x := &tilesExport{report: TilesReport{Finding: []Finding{}}}
	if f := x.check(fsys, v, fn, kept); f != nil {
		x.report.Finding = append(x.report.Finding, *f)
	}
	return x.report
}

// tilesExport is the shards of an export, oldest first.
type tilesExport struct {
	shards []*tilesCheck
	links  []*ShardOpened // links[i] is what shard i says of the one before, or nil
	report TilesReport
	// trusted is the key of the shard before the next one whose key must be named.
	trusted note.Verifier
}

func (x *tilesExport) check(fsys fs.FS, v note.Verifier, fn func(Entry), kept [][]byte) *Finding {
	older, err := fs.Glob(fsys, "shards/*")
	if err != nil {
		return &Finding{Code: FindUnreadable, File: "shards", Detail: err.Error()}
	}
	slices.Sort(older)
	for _, dir := range append(older, ".") {
		c := &tilesCheck{fsys: fsys, dir: dir, fn: fn}
		x.shards = append(x.shards, c)
		if c.look(); c.found != nil {
			return c.found
		}
	}
	if f := x.chain(v); f != nil {
		return f
	}
	elsewhere, f := x.distribute(kept)
	if f != nil {
		return f
	}
	for i, c := range x.shards {
		if f := x.run(i, c); f != nil {
			return f
		}
	}
	for _, c := range elsewhere {
		if f := x.heldByLink(c); f != nil {
			return f
		}
	}
	return nil
}

// chain reads what each shard says of the one before, and gives every shard up to
// the one of the given key its key.
func (x *tilesExport) chain(v note.Verifier) *Finding {
	newest := len(x.shards) - 1
	x.shards[newest].v = v // if it is no older one's, its checkpoint says whose it is
	x.links = make([]*ShardOpened, len(x.shards))
	for i, c := range slices.Backward(x.shards) {
		if i < newest || v.Name() == c.head.Origin { // its key is known: nothing is believed before
			c.open()
		}
		if x.links[i] = c.first(); c.found != nil {
			return c.found
		}
		if i == 0 {
			break
		}
		link := x.links[i]
		if link == nil {
			if i < newest || v.Name() == c.head.Origin {
				if c.run(); c.found != nil {
					return c.found // it was changed
				}
			}
			return &Finding{Code: FindForeign, File: x.shards[i-1].dir, Detail: "no newer shard says that this one is before it"}
		}
		before, err := ParseVKey(link.LastVKey())
		if err != nil {
			return &Finding{Code: FindKey, File: c.dir, Detail: err.Error()}
		}
		x.shards[i-1].v, x.shards[i-1].end = before, link.Last()
	}
	x.forward(v)
	return nil
}

// forward takes the keys behind the given one away, if it is an older shard's or
// that of the log before the first one: those must be named by what it vouches for.
func (x *tilesExport) forward(v note.Verifier) {
	newest := len(x.shards) - 1
	if v.Name() == x.shards[newest].head.Origin {
		return
	}
	for i, c := range slices.Backward(x.shards[:newest]) {
		if SameKey(c.v, v) {
			x.distrust(i+1, v)
			return
		}
	}
	if x.links[0] == nil {
		return
	}
	for _, vkey := range []string{x.links[0].VKey, x.links[0].LastVKey()} {
		if before, err := ParseVKey(vkey); err == nil && SameKey(before, v) {
			x.distrust(0, v)
			return
		}
	}
}

func (x *tilesExport) distrust(from int, v note.Verifier) {
	x.trusted = v
	for _, c := range x.shards[from:] {
		c.v = nil
	}
}

// run checks one shard; those before it were found good.
func (x *tilesExport) run(i int, c *tilesCheck) *Finding {
	if c.v == nil {
		if f := x.follow(i, c); f != nil {
			return f
		}
	}
	c.run()
	x.report.Shards++
	x.report.Entries += c.entries
	x.report.Origin, x.report.Size, x.report.Last = c.head.Origin, c.head.Size, c.last.Seq
	if i == 0 {
		x.report.First = c.base
	}
	x.report.Archived = x.report.Archived || slices.ContainsFunc(c.archived, func(s ArchivedShard) bool {
		return x.links[0] != nil && s.Origin == x.links[0].Origin && s.Checkpoint == x.links[0].Checkpoint
	})
	if c.found == nil {
		for _, k := range c.kept {
			x.report.Kept = append(x.report.Kept, KeptCheckpoint{k.Origin, k.Size, true})
		}
	}
	return c.found
}

// follow finds the key of a shard behind one that was found good.
func (x *tilesExport) follow(i int, c *tilesCheck) *Finding {
	bad := func(detail string) *Finding { return &Finding{Code: FindKey, File: c.dir, Detail: detail} }
	var closed ShardClosed
	vkey := ""
	if i > 0 {
		if last := x.shards[i-1].last; last.Type == TypeShardClosed && ParseFact(last, &closed) == nil && closed.Origin == c.head.Origin {
			vkey = closed.VKey
		}
	}
	if vkey == "" {
		link := x.links[i]
		if link == nil || i > 0 && link.Accepted == nil {
			return bad("the shard before does not name this one's key")
		}
		if i < len(x.shards)-1 {
			vkey = x.links[i+1].LastVKey()
		} else if vkey = strings.TrimSpace(string(c.read("station.vkey"))); c.found != nil {
			return c.found
		}
		if by, err := ParseVKey(link.VKey); err != nil || !SameKey(by, x.trusted) || !link.Vouches(vkey) {
			x.report.Unvouched = append(x.report.Unvouched, c.head.Origin)
			return bad(Unvouched(c.head.Origin))
		}
	}
	v, err := ParseVKey(vkey)
	if err != nil {
		return bad(err.Error())
	}
	if i < len(x.shards)-1 {
		if next, err := ParseVKey(x.links[i+1].LastVKey()); err != nil || !SameKey(next, v) {
			return bad("the next shard names another key of this one")
		}
	}
	c.v, x.trusted = v, v
	return nil
}

// distribute gives the kept checkpoints to their shards, and returns those of
// which no entries are here.
func (x *tilesExport) distribute(kept [][]byte) (elsewhere []Checkpoint, f *Finding) {
	for _, text := range kept {
		k, err := ParseCheckpoint(PlainNote(text))
		if err != nil {
			return nil, &Finding{Code: FindCheckpoint, Detail: "given checkpoint: " + err.Error()}
		}
		i := slices.IndexFunc(x.shards, func(c *tilesCheck) bool { return c.head.Origin == k.Origin })
		if i < 0 {
			elsewhere = append(elsewhere, k)
			continue
		}
		x.shards[i].kept = append(x.shards[i].kept, k)
	}
	return elsewhere, nil
}

// heldByLink holds a kept checkpoint of a log of which no entries are here against
// the one with which the log behind it begins.
func (x *tilesExport) heldByLink(k Checkpoint) *Finding {
	bad := func(code, format string, args ...any) *Finding {
		return &Finding{Code: code, Detail: "given checkpoint: " + fmt.Sprintf(format, args...)}
	}
	i := slices.IndexFunc(x.links, func(l *ShardOpened) bool { return l != nil && l.Origin == k.Origin })
	if i < 0 {
		return bad(FindOrigin, "it is of log %q, which is not in this export and which no shard of it names", k.Origin)
	}
	v, err := ParseVKey(x.links[i].VKey)
	if err != nil {
		return &Finding{Code: FindKey, File: x.shards[i].dir, Detail: err.Error()}
	}
	if f := keptBy(k, v); f != nil {
		return f
	}
	last, err := ParseCheckpoint([]byte(x.links[i].Checkpoint))
	switch {
	case err != nil || k.Size > last.Size:
		return bad(FindRollback, "it has %d entries of log %q, the next log was begun behind %d", k.Size, k.Origin, last.Size)
	case k.Size == last.Size && k.Root != last.Root:
		return bad(FindFork, "it has root %s at size %d of log %q, the next log was begun behind %s", k.Root, k.Size, k.Origin, last.Root)
	}
	x.report.Kept = append(x.report.Kept, KeptCheckpoint{k.Origin, k.Size, false})
	return nil
}

// keptBy verifies the signature of a kept checkpoint.
func keptBy(k Checkpoint, v note.Verifier) *Finding {
	_, err := OpenCheckpoint(k.Note, v)
	if err == nil {
		return nil
	}
	f := &Finding{Code: FindCheckpoint, Detail: "given checkpoint: " + err.Error()}
	if errors.Is(err, ErrCheckpointKey) {
		f.Code = FindKey
	}
	return f
}

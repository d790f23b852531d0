package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"linefit/audit"
)

// A DamagedError says that a log was not exported because it is damaged.
type DamagedError struct{ Report Report }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("audit/store: the log is damaged, nothing is exported: %s (%d findings)", e.Report.Findings[0], len(e.Report.Findings))
}

// An Exported says what an export holds.
type Exported struct {
	Origin     string `json:"origin"`     // of the newest shard
	Entries    uint64 `json:"entries"`    // written
	Size       uint64 `json:"size"`       // of the published checkpoint
	Last       uint64 `json:"last"`       // seq of the last entry considered
	Checkpoint string `json:"checkpoint"` // signed note that covers them
}

// A covered log is one that was just verified, with the signed heads that
// cover its shards. Exports hold what those cover, and nothing more.
type covered struct {
	archived []audit.ArchivedShard
	log      *Log
	shards   []shardCover
}

// A shardCover is one shard with its last signed head.
type shardCover struct {
	head   header // of its first segment
	signed audit.Checkpoint
}

// good verifies the log and returns what its checkpoints cover.
func (l *Log) good(ctx context.Context) (*covered, error) {
	r, err := l.Verify(ctx, nil)
	if err != nil {
		return nil, err
	}
	if !r.OK {
		return nil, &DamagedError{r}
	}
	c := &covered{log: l, archived: r.Archived}
	c.shards, err = l.covers()
	return c, err
}

// covers are the shards at hand with what covers each: the published
// checkpoint, or what the next shard says of it. A shard of which nothing that
// was signed is left is not covered.
func (l *Log) covers() ([]shardCover, error) {
	published, err := l.Published()
	if err != nil {
		return nil, err
	}
	var shards []shardCover
	for i, s := range l.segs {
		if i > 0 && s.head.Shard == l.segs[i-1].head.Shard || s.head.Origin != published.Origin && s.head.Shard == l.newest().Shard {
			continue // not a shard's first segment, or a shard not yet published
		}
		sc := shardCover{head: s.head, signed: published}
		if s.head.Origin != published.Origin {
			next, err := l.after(s.head.Shard)
			if err != nil {
				return nil, err
			}
			if next.Accepted != nil && next.Known == "" {
				continue
			}
			if sc.signed, err = l.open([]byte(next.Last())); err != nil {
				return nil, err
			}
		}
		shards = append(shards, sc)
	}
	return shards, nil
}

// after is what the shard at hand behind a closed one says of what was before it.
// Numbers are skipped where two people went on without what was lost.
func (l *Log) after(shard uint32) (*audit.ShardOpened, error) {
	for _, s := range l.segs {
		link := s.head.Link
		if s.head.Shard <= shard {
			continue
		}
		if link != nil && (link.Accepted != nil || s.head.Shard == shard+1) {
			return link, nil
		}
		break
	}
	return nil, &audit.FindingError{Finding: audit.Finding{Code: audit.FindMissing, Detail: fmt.Sprintf("no segment says how shard %d ends", shard)}}
}

// newest is the shard that the published checkpoint is of.
func (c *covered) newest() shardCover { return c.shards[len(c.shards)-1] }

func (c *covered) exported() Exported {
	n := c.newest()
	return Exported{Origin: n.head.Origin, Size: n.signed.Size, Checkpoint: string(n.signed.Note)}
}

// each calls fn for the bytes of every covered entry, with the index of its
// shard. Their form and order are known; nothing is decoded.
func (c *covered) each(ctx context.Context, fn func(shard int, seq uint64, raw []byte) error) error {
	shard, seq := 0, c.shards[0].head.Base
	for x, err := range c.log.entries(ctx) {
		if err != nil {
			return err
		}
		for shard < len(c.shards) && c.shards[shard].head.Shard < x.head.Shard {
			if shard++; shard < len(c.shards) {
				seq = c.shards[shard].head.Base
			}
		}
		if shard == len(c.shards) {
			break
		}
		if s := c.shards[shard]; x.head.Shard < s.head.Shard || seq >= s.head.Base+s.signed.Size {
			continue // not covered
		}
		if err := fn(shard, seq, x.raw); err != nil {
			return err
		}
		seq++
	}
	return nil
}

// hashed is each, and fails in the end if the entries are not the ones that
// the signed heads cover.
func (c *covered) hashed(ctx context.Context, fn func(shard int, seq uint64, raw []byte) error) error {
	trees := make([]audit.Tree, len(c.shards))
	err := c.each(ctx, func(shard int, seq uint64, raw []byte) error {
		trees[shard].Append(audit.LeafHash(raw))
		return fn(shard, seq, raw)
	})
	if err != nil {
		return err
	}
	for i, s := range c.shards {
		if head := trees[i].Head(); head != s.signed.Head {
			return &audit.FindingError{Finding: audit.Finding{Code: audit.FindRoot, Detail: fmt.Sprintf("the entries read give root %s at size %d, the checkpoint says %s at %d", head.Root, head.Size, s.signed.Root, s.signed.Size)}}
		}
	}
	return nil
}

// Select calls fn for the entries that a filter selects, in order, with their
// exact bytes (valid during the call). It verifies the log first.
func (l *Log) Select(ctx context.Context, f audit.Filter, fn func(e audit.Entry, raw []byte) error) (Exported, error) {
	return l.selectRaw(ctx, f, true, fn)
}

// selectRaw is Select; unless decoded is set, fn may get a zero entry.
func (l *Log) selectRaw(ctx context.Context, f audit.Filter, decoded bool, fn func(e audit.Entry, raw []byte) error) (Exported, error) {
	c, err := l.good(ctx)
	if err != nil {
		return Exported{}, err
	}
	units, err := c.resolve(ctx, f.ID)
	if err != nil {
		return Exported{}, err
	}
	out := c.exported()
	err = c.hashed(ctx, func(_ int, seq uint64, raw []byte) error {
		out.Last = seq
		if seq <= f.After || units != nil && !units.Maybe(raw) {
			return nil
		}
		if f.OnlyAfter() && !decoded {
			out.Entries++
			return fn(audit.Entry{}, raw)
		}
		e, err := audit.Decode(raw)
		if err != nil {
			return err
		}
		if !f.Match(e) || units != nil && !units.Has(e) {
			return nil
		}
		out.Entries++
		return fn(e, raw)
	})
	return out, err
}

// resolve finds the units behind an identifier; nil if there is none to find.
func (c *covered) resolve(ctx context.Context, id string) (*audit.Resolver, error) {
	if id == "" {
		return nil, nil
	}
	r := audit.NewResolver(id)
	for {
		err := c.each(ctx, func(_ int, _ uint64, raw []byte) error {
			if !r.Maybe(raw) {
				return nil
			}
			e, err := audit.Decode(raw)
			if err == nil {
				r.See(e)
			}
			return err
		})
		if err != nil || !r.Again() {
			return r, err
		}
	}
}

// ExportJSONL writes the selected entries' exact bytes, one on each line.
func (l *Log) ExportJSONL(ctx context.Context, w io.Writer, f audit.Filter) (Exported, error) {
	buf := bufio.NewWriter(w)
	out, err := l.selectRaw(ctx, f, false, func(_ audit.Entry, raw []byte) error {
		if _, err := buf.Write(raw); err != nil {
			return err
		}
		return buf.WriteByte('\n')
	})
	return out, errors.Join(err, buf.Flush())
}

// ExportCSV writes the selected entries as CSV.
func (l *Log) ExportCSV(ctx context.Context, w io.Writer, f audit.Filter) (Exported, error) {
	c := audit.NewCSVWriter(w)
	out, err := l.Select(ctx, f, func(e audit.Entry, _ []byte) error { return c.Write(e) })
	if err != nil {
		return out, err
	}
	return out, c.Flush()
}

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

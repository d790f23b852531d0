package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

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

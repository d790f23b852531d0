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
	Origin     string `json:"origin"`
	Entries    uint64 `json:"entries"`    // written
	Size       uint64 `json:"size"`       // of the published checkpoint
	Last       uint64 `json:"last"`       // seq of the last entry considered
	Checkpoint string `json:"checkpoint"` // signed note that covers them
}

// good verifies the log and returns its published checkpoint: exports hold
// only what that covers, and nothing of a damaged log.
func (l *Log) good(ctx context.Context) (Report, audit.Checkpoint, error) {
	r, err := l.Verify(ctx, nil)
	if err != nil {
		return Report{}, audit.Checkpoint{}, err
	}
	if !r.OK {
		return Report{}, audit.Checkpoint{}, &DamagedError{r}
	}
	c, err := l.Published()
	return r, c, err
}

// base is the seq of the newest shard's first entry.
func (l *Log) base() uint64 { return l.segs[len(l.segs)-1].head.Base }

// covered calls fn for the bytes of every entry that the published checkpoint
// covers, and fails if they are not what it says. The log was verified just
// before: their form and order are known, and nothing is decoded.
func (l *Log) covered(ctx context.Context, c audit.Checkpoint, fn func(seq uint64, raw []byte) error) error {
	var tree audit.Tree
	err := l.below(ctx, c, func(seq uint64, raw []byte) error {
		if seq >= l.base() {
			tree.Append(audit.LeafHash(raw))
		}
		return fn(seq, raw)
	})
	if err != nil {
		return err
	}
	if head := tree.Head(); head != c.Head {
		return &audit.FindingError{Finding: audit.Finding{Code: audit.FindRoot, Detail: fmt.Sprintf("the entries read give root %s at size %d, the checkpoint says %s at %d", head.Root, head.Size, c.Root, c.Size)}}
	}
	return nil
}

// below calls fn for every entry that the checkpoint covers, without looking
// at the tree.
func (l *Log) below(ctx context.Context, c audit.Checkpoint, fn func(seq uint64, raw []byte) error) error {
	seq, end := l.segs[0].head.First, l.base()+c.Size
	for raw, err := range l.entries(ctx) {
		if err != nil {
			return err
		}
		if seq >= end {
			break
		}
		if err := fn(seq, raw); err != nil {
			return err
		}
		seq++
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
	r, c, err := l.good(ctx)
	if err != nil {
		return Exported{}, err
	}
	units, err := l.resolve(ctx, c, f.ID)
	if err != nil {
		return Exported{}, err
	}
	out := Exported{Origin: r.Origin, Size: c.Size, Checkpoint: string(c.Note)}
	err = l.covered(ctx, c, func(seq uint64, raw []byte) error {
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
func (l *Log) resolve(ctx context.Context, c audit.Checkpoint, id string) (*audit.Resolver, error) {
	if id == "" {
		return nil, nil
	}
	r := audit.NewResolver(id)
	for {
		err := l.below(ctx, c, func(_ uint64, raw []byte) error {
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

// ExportTiles writes the newest shard as C2SP tlog-tiles into dir: tiles and
// entry bundles first, the checkpoint last, so that an export which broke off
// has none or an older one that still holds. Exporting again into the same
// folder adds what is new.
func (l *Log) ExportTiles(ctx context.Context, dir string) (Exported, error) {
	r, c, err := l.good(ctx)
	if err != nil {
		return Exported{}, err
	}
	if err := l.fitsExport(dir); err != nil {
		return Exported{}, err
	}
	out := Exported{Origin: r.Origin, Size: c.Size, Checkpoint: string(c.Note)}
	w := audit.TileWriter{Put: func(path string, data []byte) error { return putFile(filepath.Join(dir, path), data) }}
	err = l.covered(ctx, c, func(seq uint64, raw []byte) error {
		if seq < l.base() {
			return nil
		}
		out.Last, out.Entries = seq, out.Entries+1
		return w.Add(raw)
	})
	if err != nil {
		return out, err
	}
	if head, err := w.Close(); err != nil || head != c.Head {
		return out, errors.Join(err, fmt.Errorf("audit/store: tiles give root %s, the checkpoint says %s", head.Root, c.Root))
	}
	if err := putFile(filepath.Join(dir, vkeyFile), []byte(l.VKey()+"\n")); err != nil {
		return out, err
	}
	return out, putFile(filepath.Join(dir, checkpointFile), c.Note)
}

// fitsExport refuses a folder with anything but an older export of this log.
func (l *Log) fitsExport(dir string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("audit/store: export: %w", err)
	}
	for _, n := range names {
		switch n.Name() {
		case "tile", vkeyFile:
		case checkpointFile:
			old, err := os.ReadFile(filepath.Join(dir, checkpointFile))
			if err == nil {
				_, err = audit.OpenCheckpoint(old, l.verifier)
			}
			if err != nil {
				return fmt.Errorf("audit/store: %s holds the export of another log: %w", dir, err)
			}
		default:
			return fmt.Errorf("audit/store: %s holds %s: it is not an export", dir, n.Name())
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

// Bundle returns the bundle of all units that an identifier finds.
func (l *Log) Bundle(ctx context.Context, id string) (audit.Bundle, error) {
	r, c, err := l.good(ctx)
	if err != nil {
		return audit.Bundle{}, err
	}
	units, err := l.resolve(ctx, c, id)
	if err != nil {
		return audit.Bundle{}, err
	}
	if len(units.Units()) == 0 {
		return audit.Bundle{}, fmt.Errorf("%w: %q", ErrNoUnit, id)
	}
	shard := audit.BundleShard{Origin: r.Origin, VKey: l.VKey(), First: l.base(), Sim: l.Sim(), Checkpoint: string(c.Note)}
	collect := audit.NewCollector()
	err = l.below(ctx, c, func(seq uint64, raw []byte) error {
		if seq < l.base() || !units.Maybe(raw) {
			return nil
		}
		e, err := audit.Decode(raw)
		if err != nil || !units.Has(e) {
			return err
		}
		shard.Entries = append(shard.Entries, audit.BundleEntry{Entry: string(raw), Index: seq - l.base()})
		return collect.WantRecord(c.Size, seq-l.base())
	})
	if err == nil {
		err = l.collect(ctx, c, collect)
	}
	for i := range shard.Entries {
		if err == nil {
			shard.Entries[i].Proof, err = collect.Record(c.Size, shard.Entries[i].Index)
		}
	}
	return audit.Bundle{Format: audit.BundleFormat, ID: id, Units: units.Units(), Shards: []audit.BundleShard{shard}}, err
}

// ErrNoUnit says that no entry mentions an identifier.
var ErrNoUnit = errors.New("audit/store: no unit with this identifier")

// collect gathers the hashes of the newest shard's tree, and checks its root.
func (l *Log) collect(ctx context.Context, c audit.Checkpoint, into *audit.Collector) error {
	return l.covered(ctx, c, func(seq uint64, raw []byte) error {
		if seq >= l.base() {
			into.Add(raw)
		}
		return nil
	})
}

// Prove returns the inclusion proof of one entry of the newest shard.
func (l *Log) Prove(ctx context.Context, seq uint64) (audit.Proof, error) {
	_, c, err := l.good(ctx)
	if err != nil {
		return audit.Proof{}, err
	}
	if seq < l.base() || seq-l.base() >= c.Size {
		return audit.Proof{}, fmt.Errorf("audit/store: entry %d is not under the published checkpoint (entries %d to %d)", seq, l.base(), l.base()+c.Size-1)
	}
	p := audit.Proof{Index: seq - l.base(), Checkpoint: c.Note}
	collect := audit.NewCollector()
	if err := collect.WantRecord(c.Size, p.Index); err != nil {
		return audit.Proof{}, err
	}
	err = l.covered(ctx, c, func(n uint64, raw []byte) error {
		if n == seq {
			p.Entry = bytes.Clone(raw)
		}
		if n >= l.base() {
			collect.Add(raw)
		}
		return nil
	})
	if err == nil {
		p.Path, err = collect.Record(c.Size, p.Index)
	}
	return p, err
}

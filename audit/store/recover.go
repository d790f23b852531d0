package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"linefit/audit"
)

// replayItems is how many entries are derived in one transaction at open.
const replayItems = 2048

// A tail is what stands behind the last whole batch of the newest segment.
type tail struct {
	name   string
	offset int64
	size   int64
	what   string
}

// replay reads segments from segs[from] on, checks them against their own
// roots and against what was derived before, and derives what is missing. It
// leaves the core at the end of the log. Findings mean that the log must not
// be continued.
func (c *core) replay(ctx context.Context, segs []segment, from int) (*tail, []audit.Finding, error) {
	var items []item
	entries := 0
	var last *tail
	for i := from; i < len(segs); i++ {
		seg := segs[i]
		f, size, err := openSegment(c.opt.FS, c.opt.Dir, seg.name)
		if err != nil {
			return nil, nil, err
		}
		t, finding, err := c.replaySegment(ctx, f, size, seg, i == len(segs)-1, func(it item) error {
			items, entries = append(items, it), entries+len(it.entries)
			if entries < replayItems {
				return nil
			}
			err := c.d.apply(items)
			items, entries = nil, 0
			return err
		})
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, nil, err
		}
		if finding != nil {
			return nil, []audit.Finding{*finding}, nil
		}
		last = t
	}
	if err := c.d.apply(items); err != nil {
		return nil, nil, err
	}
	return last, nil, nil
}

// replaySegment reads one segment. newest says that its end may be torn.
func (c *core) replaySegment(ctx context.Context, f File, size int64, seg segment, newest bool, derive func(item) error) (*tail, *audit.Finding, error) {
	bad := func(code string, off int64, seq uint64, format string, args ...any) (*tail, *audit.Finding, error) {
		return nil, &audit.Finding{Code: code, File: seg.rel(), Offset: off, Seq: seq, Detail: fmt.Sprintf(format, args...)}, nil
	}
	sc, h, err := openScanner(f, size)
	if err != nil {
		return nil, nil, err
	}
	// Going on after an accepted damage may skip what is lost.
	skips := h.Link != nil && h.Link.Accepted != nil
	if c.next != 0 && h.First != c.next && !skips {
		return bad(audit.FindMissing, 0, c.next, "entries %d to %d are missing", c.next, h.First-1)
	}
	c.enter(h)
	if c.tree.Head() != h.Prev {
		return bad(audit.FindRoot, int64(len(magic)), h.First, "header says root %s before entry %d, the entries give %s", h.Prev.Root, h.First, c.tree.Root())
	}
	c.next, c.off = h.First, sc.off
	applied := c.d.meta
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		b, err := sc.next()
		var d *damage
		switch {
		case err == io.EOF:
			return nil, nil, nil
		case errors.As(err, &d) && d.torn && newest:
			return &tail{name: seg.name, offset: c.off, size: size - c.off, what: d.what}, nil, nil
		case errors.As(err, &d):
			return bad(audit.FindFrame, d.offset, c.next, "%s", d.what)
		case err != nil:
			return nil, nil, err
		}
		it, finding := c.replayBatch(b, seg)
		if finding != nil {
			return nil, finding, nil
		}
		if behind := h.Shard < applied.Shard || h.Shard == applied.Shard && (h.First < applied.Segment || h.First == applied.Segment && b.end <= applied.Offset); behind {
			continue
		}
		if err := derive(it); err != nil {
			return nil, nil, err
		}
	}
}

// replayBatch adds one batch to the tree and checks its root.
func (c *core) replayBatch(b batch, seg segment) (item, *audit.Finding) {
	bad := func(code string, off int64, seq uint64, format string, args ...any) (item, *audit.Finding) {
		return item{}, &audit.Finding{Code: code, File: seg.rel(), Offset: off, Seq: seq, Detail: fmt.Sprintf(format, args...)}
	}
	it := item{at: place{c.head.Shard, c.head.First, b.start}}
	for i, raw := range b.entries {
		raw = append([]byte(nil), raw...)
		e, err := audit.Decode(raw)
		if err != nil {
			return bad(audit.FindEntry, b.offsets[i], c.next, "%s", err)
		}
		if e.Seq != c.next {
			return bad(audit.FindSeq, b.offsets[i], c.next, "entry says seq %d, %d belongs here", e.Seq, c.next)
		}
		if e.Sim != c.opt.Sim {
			return bad(audit.FindSim, b.offsets[i], c.next, "entry says sim %t, the log is sim %t", e.Sim, c.opt.Sim)
		}
		c.edge.add(c.tree.Size(), c.tree.Append(audit.LeafHash(raw)))
		c.d.slots[e.Slot] = e.SlotSeq
		if e.Unit != "" && e.Seq > c.d.meta.Applied {
			delete(c.d.units, e.Unit)
		}
		it.entries = append(it.entries, e)
		c.took(e)
		c.next++
	}
	if head := c.tree.Head(); head != b.head {
		return bad(audit.FindRoot, b.start, b.first, "entries %d to %d give root %s, the batch says %s at size %d", b.first, c.next-1, head.Root, b.head.Root, b.head.Size)
	}
	c.off = b.end
	it.tiles = c.edge.flush()
	it.after = c.metaAt(b.head, b.end)
	return it, nil
}

// makeDurable opens the newest segment for writing, sets its torn tail aside
// and makes what is left durable. Batches that were not yet derived may be in
// the page cache only, and marked clean after a failed flush: they are
// written once more, the same bytes in the same place.
func (c *core) makeDurable(seg segment, before meta, t *tail) ([]audit.Draft, error) {
	f, err := c.opt.FS.OpenFile(c.segmentPath(seg.name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c.file = f
	var drafts []audit.Draft
	if t != nil {
		d, err := c.setAside(f, t)
		if err != nil {
			return nil, err
		}
		drafts = append(drafts, d)
		if err := f.Truncate(t.offset); err != nil {
			return nil, err
		}
	}
	from := int64(0)
	if before.Shard == seg.head.Shard && before.Segment == seg.head.First {
		from = before.Offset
	}
	buf := make([]byte, 1<<20)
	for off := from; off < c.off; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), c.off-off)], off)
		if err != nil && err != io.EOF || n == 0 {
			return nil, fmt.Errorf("read back %s: %w", seg.name, err)
		}
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			return nil, err
		}
		off += int64(n)
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return drafts, c.opt.syncNames()
}

// syncNames makes the names of the folder and of the segments durable: whoever
// made the newest one may have ended, or have been told of an error, before that.
func (o *Options) syncNames() error {
	dir := filepath.Clean(o.Dir)
	for _, dir := range []string{filepath.Join(dir, segmentDir), dir, filepath.Dir(dir)} {
		if err := o.FS.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) { // nobody made a name in a folder that cannot be read
			return err
		}
	}
	return nil
}

// setAside copies bytes that were never acknowledged to DIR/torn and returns
// the fact.
func (c *core) setAside(f File, t *tail) (audit.Draft, error) {
	data := make([]byte, t.size)
	if _, err := f.ReadAt(data, t.offset); err != nil && err != io.EOF {
		return audit.Draft{}, err
	}
	return setAside(c.opt, t.name, t.offset, t.what, data)
}

func setAside(opt *Options, name string, offset int64, what string, data []byte) (audit.Draft, error) {
	sum := sha256.Sum256(data)
	fact, err := audit.Marshal(struct {
		Segment string `json:"segment"`
		Offset  int64  `json:"offset"`
		Bytes   int    `json:"bytes"`
		SHA256  string `json:"sha256"`
		What    string `json:"what"`
	}{name, offset, len(data), hex.EncodeToString(sum[:]), what})
	if err != nil {
		return audit.Draft{}, err
	}
	dir := filepath.Join(opt.Dir, tornDir)
	if err := opt.FS.MkdirAll(dir, 0o755); err != nil {
		return audit.Draft{}, err
	}
	if err := replaceFile(opt.FS, dir, fmt.Sprintf("%s-%d-%x.bin", name, offset, sum[:4]), data); err != nil {
		return audit.Draft{}, err
	}
	return audit.Draft{Type: audit.TypeTailDropped, Actor: "station", Data: fact}, nil
}

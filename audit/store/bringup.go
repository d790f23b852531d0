package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"linefit/audit"
)

// continueFrom brings the core to the end of an existing log.
func (c *core) continueFrom(ctx context.Context, segs []segment, o *opened) error {
	for _, s := range segs {
		if s.head.Link != nil {
			c.link = s.head.Link
			c.links = append(c.links, s.head.Link)
		}
	}
	c.oldest = segs[0].head.Shard
	if err := c.tryAgain(o); err != nil {
		return fmt.Errorf("audit/store: open: %w", err)
	}
	before := c.d.meta
	t, findings, err := c.bringUp(ctx, segs, o)
	if err != nil {
		return fmt.Errorf("audit/store: open: %w", err)
	}
	if before.Last == 0 && c.next > 1 && o.summary.Remade == "" {
		o.summary.Remade = "it was missing"
	}
	o.summary.Replayed = c.next - 1 - min(before.Applied, c.next-1)
	if t != nil {
		o.summary.Dropped = t.size
	}
	o.findings = append(o.findings, findings...)
	if len(findings) == 0 && c.next <= before.Applied {
		o.findings = append(o.findings, audit.Finding{
			Code: audit.FindDerived, File: segs[len(segs)-1].rel(), Offset: c.off, Seq: c.next,
			Detail: fmt.Sprintf("the log ends with entry %d, entries up to %d were acknowledged", c.next-1, before.Applied),
		})
	}
	if len(findings) == 0 {
		published, found, err := c.compare()
		if err != nil {
			return err
		}
		o.findings = append(append(o.findings, c.d.meta.Refused...), found...)
		o.publish = !published
	}
	if len(o.findings) > 0 {
		return nil
	}
	if err := c.knowAge(); err != nil {
		return fmt.Errorf("audit/store: open: %w", err)
	}
	drafts, err := c.makeDurable(segs[len(segs)-1], before, t)
	if err == nil && c.tree.Size() > 0 {
		err = c.writeVKey()
	}
	if err != nil {
		return fmt.Errorf("audit/store: open: %w", err)
	}
	o.drafts = append(o.drafts, drafts...)
	return nil
}

// tryAgain makes derived state anew where a projection could not take an entry,
// until people have gone on with it: another version of it may.
func (c *core) tryAgain(o *opened) error {
	refused := c.d.meta.Refused
	switch {
	case len(refused) == 0:
		return nil
	case c.accepted(refused[0]):
		c.d.meta.Refused = nil
		return nil
	}
	o.summary.Remade = "tried again: " + refused[0].Detail
	return c.remake()
}

// knowAge finds out when the newest shard began, where that was not replayed.
func (c *core) knowAge() error {
	if c.tree.Size() == 0 || !c.since.IsZero() {
		return nil
	}
	s, err := c.d.snapshot(c.opt)
	if err != nil {
		return err
	}
	defer s.txn.Discard()
	e, err := s.Entry(c.head.Base)
	c.since = e.UTC
	return err
}

// bringUp replays from where Badger stands. Where that is nowhere, it starts
// at the oldest shard from which all is there, with that shard's snapshot; and
// if an older shard turns out damaged, at the newest.
func (c *core) bringUp(ctx context.Context, segs []segment, o *opened) (*tail, []audit.Finding, error) {
	from, known, err := c.start(segs)
	if err != nil {
		return nil, []audit.Finding{{Code: audit.FindDerived, Seq: segs[from].head.First, Detail: err.Error()}}, nil
	}
	if !known {
		from = oldestWhole(segs)
		if err := c.loadSnapshot(ctx, segs, from); err != nil {
			return nil, nil, err
		}
	}
	t, findings, err := c.replay(ctx, segs, from)
	newest := firstOf(segs, segs[len(segs)-1].head.Shard)
	if err != nil || len(findings) == 0 || known || from == newest || c.head.Shard == segs[newest].head.Shard {
		return t, findings, err
	}
	if err := c.remake(); err != nil {
		return nil, nil, err
	}
	o.summary.Remade = "from the newest shard: " + findings[0].String()
	if err := c.loadSnapshot(ctx, segs, newest); err != nil {
		return nil, nil, err
	}
	return c.replay(ctx, segs, newest)
}

// firstOf returns the index of a shard's first segment.
func firstOf(segs []segment, shard uint32) int {
	for i, s := range segs {
		if s.head.Shard == shard {
			return i
		}
	}
	return 0
}

// oldestWhole returns the first segment from which replaying gives the whole
// state: the oldest, or that of the newest shard that was begun in spite of
// damage before it.
func oldestWhole(segs []segment) int {
	for i := len(segs) - 1; i > 0; i-- {
		if l := segs[i].head.Link; l != nil && l.Accepted != nil {
			return i
		}
	}
	return 0
}

// remake begins with an empty Badger.
func (c *core) remake() error {
	if err := c.d.db.Close(); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(c.opt.Dir, badgerDir)); err != nil {
		return err
	}
	var err error
	c.d, _, err = openDeriver(c.opt)
	c.head, c.ready, c.closed = header{}, 0, false
	c.tree, c.edge = &audit.Tree{}, &tileEdge{}
	return err
}

// start returns the segment from which to replay: the one Badger stands in,
// with the tree as it was before it; else the first, and known is false.
func (c *core) start(segs []segment) (from int, known bool, err error) {
	m := c.d.meta
	for i, s := range segs {
		if m.Shard != s.head.Shard || m.Segment != s.head.First || m.Origin != s.head.Origin {
			continue
		}
		err := c.d.tiles(c.opt, func(read tileSource) (err error) {
			if c.tree, err = audit.LoadTree(s.head.Prev.Size, hashReader(s.head.Prev.Size, read)); err == nil {
				c.edge, err = loadEdge(s.head.Prev.Size, read)
			}
			return err
		})
		if err != nil {
			return i, true, fmt.Errorf("derived tree: %w", err)
		}
		c.head.Shard, c.next = s.head.Shard, s.head.First
		return i, true, nil
	}
	return 0, false, nil
}

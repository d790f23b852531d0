package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"linefit/audit"
)

// opened is what opening found.
type opened struct {
	core     *core
	findings []audit.Finding // not empty: read-only
	drafts   []audit.Draft   // facts about the opening itself
	publish  bool            // the published checkpoint is behind the log
	summary  Opening
}

// Opening says what opening the log took.
type Opening struct {
	// Remade is why derived state was made anew from the segments, or "".
	Remade string `json:"remade,omitempty"`
	// Replayed is how many entries were derived at opening.
	Replayed uint64 `json:"replayed"`
	// Dropped is the number of bytes cut from the end of the log. They were
	// never acknowledged; a copy lies in DIR/torn.
	Dropped int64 `json:"dropped"`
}

// openCore opens the log: lists segments, opens or remakes Badger, replays
// what Badger has not seen, compares with the published checkpoint and the
// anchors, and only then touches the evidence.
func openCore(ctx context.Context, opt *Options) (o opened, err error) {
	for _, dir := range []string{opt.Dir, filepath.Join(opt.Dir, segmentDir)} {
		if err := opt.FS.MkdirAll(dir, 0o755); err != nil {
			return o, fmt.Errorf("audit/store: %w", err)
		}
	}
	segs, torn, findings, err := listSegments(opt.FS, opt.Dir)
	if err != nil {
		return o, err
	}
	o.findings = append(findings, chain(segs)...)
	if torn != "" && len(o.findings) == 0 {
		d, err := dropTornSegment(opt, torn)
		if err != nil {
			return o, err
		}
		o.drafts = append(o.drafts, d)
	}
	if err := fits(opt, segs); err != nil {
		return o, err
	}
	c := &core{opt: opt, tree: &audit.Tree{}, edge: &tileEdge{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.d, o.summary.Remade, err = openDeriver(opt); err != nil {
		return o, err
	}
	o.core = c
	born := len(segs) == 0 && len(o.findings) == 0 && !exists(opt, checkpointFile) && c.d.meta.Last == 0
	switch {
	case born:
		o.publish = true
		return o, c.create()
	case len(segs) == 0 && len(o.findings) == 0:
		o.findings = append(o.findings, audit.Finding{Code: audit.FindMissing, File: segmentDir, Detail: "all segments are missing"})
	}
	if len(o.findings) > 0 {
		return o, nil
	}
	return o, c.continueFrom(ctx, segs, &o)
}

// fits refuses a store that is not the one the options describe. That is a
// mistake of whoever starts the station, not damage.
func fits(opt *Options, segs []segment) error {
	if len(segs) == 0 {
		return nil
	}
	h := segs[len(segs)-1].head
	if h.Origin != opt.Key.Name() {
		return fmt.Errorf("audit/store: %s is the log of %q, the key is for %q", opt.Dir, h.Origin, opt.Key.Name())
	}
	if h.VKey != opt.Key.VKey() {
		return fmt.Errorf("audit/store: the log in %s is signed with another key: %s, not %s", opt.Dir, h.VKey, opt.Key.VKey())
	}
	if h.Sim != opt.Sim {
		return fmt.Errorf("audit/store: %s is a log with sim %t, opened with sim %t", opt.Dir, h.Sim, opt.Sim)
	}
	return nil
}

func exists(opt *Options, name string) bool {
	f, err := opt.FS.OpenFile(filepath.Join(opt.Dir, name), os.O_RDONLY, 0)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	_ = f.Close() // opened for reading only
	return true
}

// openDeriver opens Badger, or drops and remakes it where that fails or an
// earlier attempt died in it. What it held is derived anew; remade says why.
func openDeriver(opt *Options) (d *deriver, remade string, err error) {
	dir, latch := filepath.Join(opt.Dir, badgerDir), filepath.Join(opt.Dir, latchFile)
	if _, err := os.Stat(latch); err == nil {
		remade = "the station died while it was being opened"
		if err := os.RemoveAll(dir); err != nil {
			return nil, "", fmt.Errorf("audit/store: drop derived state: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		if err := os.WriteFile(latch, nil, 0o644); err != nil && !isFull(err) {
			return nil, "", fmt.Errorf("audit/store: %w", err)
		}
		d, err := tryDeriver(dir, opt.Projections)
		if removeErr := os.Remove(latch); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		if err == nil {
			return d, remade, nil
		}
		if attempt > 0 || isFull(err) {
			return nil, "", fmt.Errorf("audit/store: derived state: %w", err)
		}
		remade = err.Error()
		if err := os.RemoveAll(dir); err != nil {
			return nil, "", fmt.Errorf("audit/store: drop derived state: %w", err)
		}
	}
}

func tryDeriver(dir string, projections []audit.Projection) (*deriver, error) {
	db, err := openBadger(dir)
	if err != nil {
		return nil, err
	}
	d, err := newDeriver(db, projections)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// create begins a new log.
func (c *core) create() error {
	c.head = header{
		Format: 1, Origin: c.opt.Key.Name(), Shard: 1, Base: 1, First: 1,
		Prev: c.tree.Head(), VKey: c.opt.Key.VKey(), Sim: c.opt.Sim,
	}
	var err error
	c.next = 1
	c.file, c.off, err = createSegment(c.opt, c.head)
	if err == nil {
		err = c.writeVKey()
	}
	if err != nil {
		return fmt.Errorf("audit/store: new log: %w", err)
	}
	return nil
}

// writeVKey keeps DIR/station.vkey what it must be.
func (c *core) writeVKey() error {
	want := []byte(c.opt.Key.VKey() + "\n")
	have, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, vkeyFile), 4096)
	if err == nil && bytes.Equal(have, want) {
		return nil
	}
	return replaceFile(c.opt.FS, c.opt.Dir, vkeyFile, want)
}

// continueFrom brings the core to the end of an existing log.
func (c *core) continueFrom(ctx context.Context, segs []segment, o *opened) error {
	before := c.d.meta
	from, err := c.start(segs)
	if err != nil {
		o.findings = append(o.findings, audit.Finding{Code: audit.FindDerived, Seq: segs[from].head.First, Detail: err.Error()})
		return nil
	}
	t, findings, err := c.replay(ctx, segs, from)
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
		signed, found := c.compare()
		o.findings = append(o.findings, found...)
		o.publish = len(signed.Note) == 0 || signed.Size < c.tree.Size()
	}
	if len(o.findings) > 0 {
		return nil
	}
	drafts, err := c.makeDurable(segs[len(segs)-1], before, t)
	if err == nil {
		err = c.writeVKey()
	}
	if err != nil {
		return fmt.Errorf("audit/store: open: %w", err)
	}
	o.drafts = append(o.drafts, drafts...)
	return nil
}

// start returns the segment from which to replay: the one Badger stands in,
// with the tree as it was before it; the first, with Badger empty.
func (c *core) start(segs []segment) (int, error) {
	for i, s := range segs {
		m := c.d.meta
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
			return i, fmt.Errorf("derived tree: %w", err)
		}
		c.head.Shard, c.next = s.head.Shard, s.head.First
		return i, nil
	}
	c.next = segs[0].head.First
	return 0, nil
}

// compare checks the log against the published checkpoint and the anchors.
func (c *core) compare() (audit.Checkpoint, []audit.Finding) {
	verifier, err := audit.ParseVKey(c.opt.Key.VKey())
	if err != nil {
		return audit.Checkpoint{}, []audit.Finding{{Code: audit.FindKey, Detail: err.Error()}}
	}
	note, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, checkpointFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) && c.tree.Size() == 0 {
		return audit.Checkpoint{}, nil
	}
	if err != nil {
		return audit.Checkpoint{}, []audit.Finding{{Code: audit.FindMissing, File: checkpointFile, Detail: err.Error()}}
	}
	signed, err := audit.OpenCheckpoint(note, verifier)
	if err != nil {
		return audit.Checkpoint{}, []audit.Finding{{Code: audit.FindCheckpoint, File: checkpointFile, Detail: err.Error()}}
	}
	var findings []audit.Finding
	if f := c.consistent(signed, audit.FindTruncated); f != nil {
		f.File = checkpointFile
		findings = append(findings, *f)
	}
	for _, anchor := range c.opt.Anchors {
		a, err := audit.OpenCheckpoint(anchor, verifier)
		if err != nil {
			findings = append(findings, audit.Finding{Code: audit.FindCheckpoint, Detail: "anchor: " + err.Error()})
		} else if f := c.consistent(a, audit.FindRollback); f != nil {
			findings = append(findings, *f)
		}
	}
	if len(findings) == 0 && signed.Size > 0 {
		c.signed = signed.Note
	}
	return signed, findings
}

// consistent checks that the log has the checkpoint's head in its past.
func (c *core) consistent(signed audit.Checkpoint, shorter string) *audit.Finding {
	size := c.tree.Size()
	if signed.Size > size {
		return &audit.Finding{
			Code: shorter, Seq: c.next,
			Detail: fmt.Sprintf("a signed checkpoint has %d entries, the log has %d", signed.Size, size),
		}
	}
	var root audit.Head
	err := c.d.tiles(c.opt, func(read tileSource) error {
		t, err := audit.LoadTree(signed.Size, hashReader(size, read))
		if err == nil {
			root = t.Head()
		}
		return err
	})
	if err != nil {
		return &audit.Finding{Code: audit.FindDerived, Detail: err.Error()}
	}
	if root.Root != signed.Root {
		return &audit.Finding{
			Code:   audit.FindFork,
			Detail: fmt.Sprintf("a signed checkpoint has root %s at size %d, the log has %s", signed.Root, signed.Size, root.Root),
		}
	}
	return nil
}

// dropTornSegment sets aside a newest segment whose header was never written
// whole: nothing in it was acknowledged.
func dropTornSegment(opt *Options, name string) (audit.Draft, error) {
	path := filepath.Join(opt.Dir, segmentDir, name)
	data, err := readFile(opt.FS, path, 1<<20)
	if err != nil {
		return audit.Draft{}, err
	}
	d, err := setAside(opt, name, 0, "segment without a whole header", data)
	if err == nil {
		err = opt.FS.Remove(path)
	}
	if err == nil {
		err = opt.FS.SyncDir(filepath.Join(opt.Dir, segmentDir))
	}
	return d, err
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

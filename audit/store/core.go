package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"linefit/audit"
)

// core is one opened incarnation of the log, from open to the next failure.
// The appender owns it; readers see db and segments under the store's lock.
// Nothing in it is repaired after a failed write: it is closed and reopened.
type core struct {
	opt    *Options
	key    audit.Key // of the newest shard
	d      *deriver
	head   header // of the newest segment
	file   File   // the newest segment
	off    int64  // its length up to the last whole batch
	next   uint64 // seq of the next entry
	tree   *audit.Tree
	edge   *tileEdge
	signed []byte // published checkpoint that the next batch carries along
	clock  drifting
	link   *audit.ShardOpened          // of the newest shard
	links  []*audit.ShardOpened        // of all shards at hand
	oldest uint32                      // first shard at hand
	was    header                      // of the newest segment when the log was opened
	mark   *Restored                   // nil: the store was not restored
	ready  uint32                      // newest shard whose snapshot is whole
	closed bool                        // the last entry closes the shard
	since  time.Time                   // UTC of the shard's first entry
	newest time.Time                   // UTC of the last one
	synced bool                        // the clock was, at the last one
	owed   map[int]*audit.RefusedError // by slot: of queued drafts, nobody was told yet
}

// drifting follows UTC against monotonic time within a boot.
type drifting struct {
	known bool
	drift time.Duration
}

// A pending is a batch that was encoded and not yet written.
type pending struct {
	buf     []byte
	item    item
	stage   *stage // what is derived from it
	after   int64
	answers []answer // of each request
	clock   drifting
	head    audit.Head
	refused []audit.Finding // what projections cannot take of the log's own entries
}

// drop ends a pending batch that is not written, or is.
func (p *pending) drop() { p.stage.drop() }

func (c *core) segmentPath(name string) string {
	return filepath.Join(c.opt.Dir, segmentDir, name)
}

// encode turns requests into one batch and asks the projections. It changes
// counters and the tree, so a batch that was encoded and not committed leaves the
// core unusable; a request that a projection refuses leaves nothing.
func (c *core) encode(reqs []*request) (*pending, error) {
	p := &pending{clock: c.clock, stage: c.d.begin()}
	if len(c.signed) > 0 {
		p.buf = appendFrame(p.buf, kindSigned, c.signed)
	}
	for _, r := range reqs {
		a, err := c.request(p, r)
		if err != nil {
			p.drop()
			return nil, err
		}
		p.answers = append(p.answers, a)
	}
	if len(p.item.entries) == 0 {
		return p, nil
	}
	p.head = c.tree.Head()
	p.buf = appendCommit(p.buf, p.head)
	p.after = c.off + int64(len(p.buf))
	p.item.at = c.here()
	p.item.tiles = c.edge.flush()
	p.item.after = c.metaAt(p.head, p.after)
	return p, nil
}

// here is where the next batch stands.
func (c *core) here() place { return place{c.head.Shard, c.head.First, c.off} }

// metaAt is the derived state's meta after a batch that ends at offset.
func (c *core) metaAt(head audit.Head, offset int64) meta {
	return meta{
		Origin: c.head.Origin, Head: head, Applied: c.next - 1, Last: c.next - 1,
		Shard: c.head.Shard, Base: c.head.Base, Segment: c.head.First, Offset: offset,
		Ready: c.ready, Closed: c.closed,
	}
}

// took notes what an entry means for the shard.
func (c *core) took(e audit.Entry) {
	c.closed = e.Type == audit.TypeShardClosed
	c.newest, c.synced = e.UTC, e.Clock == audit.ClockSynced
	if e.Seq == c.head.Base {
		c.since = e.UTC
	}
	if e.Type == audit.TypeShardReady {
		c.ready = c.head.Shard
	}
}

// enter makes h the newest segment's header; a new shard begins empty.
func (c *core) enter(h header) {
	if h.Shard != c.head.Shard {
		c.tree, c.edge, c.signed, c.closed, c.since = &audit.Tree{}, &tileEdge{}, nil, false, time.Time{}
		clear(c.d.slots)
		clear(c.d.units)
	}
	c.head = h
}

// step returns the entry that must go before d because UTC stepped.
func (c *core) step(p *pending, d stamped) (stamped, bool) {
	drift := time.Duration(d.utc.UnixNano() - d.mono)
	if !p.clock.known {
		p.clock = drifting{known: true, drift: drift}
		return stamped{}, false
	}
	step := drift - p.clock.drift
	if step <= audit.MaxClockStep && step >= -audit.MaxClockStep {
		return stamped{}, false
	}
	p.clock.drift = drift
	data := fmt.Sprintf(`{"step_ms":%d,"expected_utc":%q}`, step.Milliseconds(), d.utc.Add(-step).UTC().Format(time.RFC3339Nano))
	d.Draft = audit.Draft{Type: audit.TypeClockStep, Actor: "station", Data: []byte(data)}
	return d, true
}

// commit makes a batch durable, then derives from it. The error's unknown
// flag says that the batch may be in the file.
func (c *core) commit(p *pending) *StateError {
	if _, err := c.file.WriteAt(p.buf, c.off); err != nil {
		return writeError("write "+c.segmentName(), err)
	}
	if err := c.file.Sync(); err != nil {
		return writeError("flush "+c.segmentName(), err)
	}
	c.off = p.after
	c.clock = p.clock
	c.signed = nil
	if err := c.d.write(p.stage, []item{p.item}, append(c.d.meta.Refused, p.refused...)); err != nil {
		return &StateError{
			Health:  Health{State: Stopped, Cause: CauseDerive, Reason: err.Error()},
			Unknown: true, err: err,
		}
	}
	c.d.trimUnits()
	return nil
}

func (c *core) segmentName() string { return segmentName(c.head.Shard, c.head.First) }

func writeError(what string, err error) *StateError {
	cause := CauseWrite
	if isFull(err) {
		cause = CauseDiskFull
	}
	return &StateError{
		Health:  Health{State: Stopped, Cause: cause, Reason: what + ": " + err.Error()},
		Unknown: true, err: err,
	}
}

// roll begins a new segment when the newest is full.
func (c *core) roll() *StateError {
	if c.off < c.opt.SegmentSize {
		return nil
	}
	h := c.head
	h.First, h.Prev, h.Link = c.next, c.tree.Head(), nil
	f, off, err := createSegment(c.opt, h)
	if err != nil {
		e := writeError("new segment", err)
		e.Unknown = false // the batch was not begun
		return e
	}
	old := c.file
	c.enter(h)
	c.file, c.off = f, off
	if err := old.Close(); err != nil {
		e := writeError("close segment", err)
		e.Unknown = false
		return e
	}
	return nil
}

// createSegment makes a segment with its header durable, name included.
func createSegment(opt *Options, h header) (File, int64, error) {
	text, err := h.encode()
	if err != nil {
		return nil, 0, err
	}
	dir := filepath.Join(opt.Dir, segmentDir)
	f, err := opt.FS.OpenFile(filepath.Join(dir, segmentName(h.Shard, h.First)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, 0, err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = opt.FS.SyncDir(dir)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, int64(len(text)), nil
}

// close ends the incarnation.
func (c *core) close() error {
	var errs []error
	if c.file != nil {
		errs = append(errs, c.file.Close())
	}
	if c.d != nil {
		errs = append(errs, c.opt.closeBadger(c.d.db))
	}
	return errors.Join(errs...)
}

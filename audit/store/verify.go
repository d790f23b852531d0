package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// maxFindings bounds a report.
const maxFindings = 200

// Verify reads everything in dir's log and reports every damage that its own
// checksums, counters, roots and signed checkpoints, the given key and the
// given checkpoint can show. It takes no lock and changes nothing. The error
// is about reading; damage is in the report.
func Verify(ctx context.Context, dir string, o VerifyOptions) (Report, error) {
	return verifyFS(ctx, OSFS(), dir, o)
}

func verifyFS(ctx context.Context, fsys FS, dir string, o VerifyOptions) (Report, error) {
	l, err := openLog(fsys, dir, o.Key)
	if errors.Is(err, ErrNoStore) && o.Checkpoint != nil {
		r := Report{Findings: []audit.Finding{{Code: audit.FindMissing, Detail: "the checkpoint is of a log, the folder holds none"}}}
		return r, nil
	}
	if err != nil {
		return Report{}, err
	}
	return l.Verify(ctx, o.Checkpoint)
}

// Verify is [Verify] for a log already opened; checkpoint may be nil.
func (l *Log) Verify(ctx context.Context, checkpoint []byte) (Report, error) {
	r, err := l.verify(ctx, checkpoint, nil)
	if err != nil || r.OK || !l.moved() {
		return r, err
	}
	again, err := openLog(l.fs, l.dir, l.given)
	if err != nil {
		return r, err
	}
	*l = *again
	return l.verify(ctx, checkpoint, nil)
}

// moved reports whether shards were archived since the log was opened: what is
// not there any more is no damage then.
func (l *Log) moved() bool {
	segs, _, _, err := listSegments(l.fs, l.dir)
	return err == nil && len(segs) > 0 && len(l.segs) > 0 && segs[0].head.Shard > l.segs[0].head.Shard
}

// errMoved says that a reading must begin anew.
func (l *Log) errMoved() error {
	return &fs.PathError{Op: "read", Path: filepath.Join(l.dir, segmentDir), Err: errors.New("shards were archived meanwhile: try again")}
}

// verify verifies; read, which may be nil, gets what is good.
func (l *Log) verify(ctx context.Context, checkpoint []byte, read *reading) (Report, error) {
	v := &verification{log: l, read: read, report: Report{
		VKey: l.VKey(), Sim: l.Sim(), Segments: len(l.segs), Unvouched: l.unvouched,
		Findings: append([]audit.Finding{}, l.findings...),
	}}
	if l.published != nil {
		v.report.Published = l.published.Size
		v.expect(*l.published, checkpointFile, audit.FindTruncated)
	}
	v.expectKnown()
	if checkpoint != nil {
		v.given(checkpoint)
	}
	for i, seg := range l.segs {
		if err := v.segment(ctx, seg, i == len(l.segs)-1); err != nil {
			return Report{}, err
		}
	}
	v.finish()
	return v.report, nil
}

// verification is the state of one Verify.
type verification struct {
	log     *Log
	read    *reading // nil: nobody reads along
	report  Report
	check   *audit.Checker
	head    header             // of the segment being read
	closed  *audit.ShardClosed // what the shard's last entry says
	expects []expected
	recent  map[uint64]tlog.Hash // roots since the last checkpoint in the log
	// carriedSize is the size of the newest checkpoint in the log itself. The
	// published one cannot be older: it was written first.
	carriedSize uint64
	broken      bool // an entry is missing: roots say nothing any more
	torn        *damage
	tornIn      segment
}

// expected is a signed head that the log must have in its past.
type expected struct {
	signed  audit.Checkpoint
	file    string // where the checkpoint was, "" if it was given
	shorter string // code when the log does not reach it
	met     bool
}

func (v *verification) find(f audit.Finding) {
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, f)
	}
}

func (v *verification) expect(c audit.Checkpoint, file, shorter string) {
	v.expects = append(v.expects, expected{signed: c, file: file, shorter: shorter})
}

// given takes the caller's checkpoint.
func (v *verification) given(note []byte) {
	if raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(note))); err == nil {
		note = raw
	}
	if len(v.log.segs) == 0 {
		return // there is a finding that says so
	}
	c, err := v.log.open(note)
	if err != nil {
		f := checkpointFinding(err, "")
		f.Detail = "given checkpoint: " + f.Detail
		v.find(f)
		return
	}
	v.report.Checkpoint = &c.Size
	v.expect(c, "", audit.FindRollback)
}

// segment verifies one segment.
func (v *verification) segment(ctx context.Context, seg segment, newest bool) error {
	f, size, err := openSegment(v.log.fs, v.log.dir, seg.name)
	if err != nil {
		v.find(audit.Finding{Code: audit.FindUnreadable, File: seg.rel(), Seq: seg.head.First, Detail: err.Error()})
		v.broken = true
		return nil
	}
	defer f.Close()
	v.report.Bytes += size
	sc, h, err := openScanner(f, size)
	if err != nil { // it was readable a moment ago
		return fmt.Errorf("audit/store: %s: %w", seg.rel(), err)
	}
	v.begin(seg, h)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := sc.next()
		var d *damage
		switch {
		case err == io.EOF:
			return nil
		case err == nil:
			v.batch(b, seg)
		case errors.As(err, &d) && d.torn && newest:
			v.torn, v.tornIn = d, seg
			v.report.Tail = &Tail{File: seg.rel(), Offset: sc.off, Bytes: size - sc.off, What: d.what}
			return nil
		case d != nil:
			v.find(audit.Finding{Code: audit.FindFrame, File: seg.rel(), Offset: d.offset, Seq: d.seq, Detail: d.what})
			v.broken = true
			head, ok := sc.resync(d.offset)
			if !ok {
				return nil
			}
			sc.seq = h.Base + head.Size
		default:
			v.find(audit.Finding{Code: audit.FindUnreadable, File: seg.rel(), Offset: sc.off, Detail: err.Error()})
			v.broken = true
			return nil
		}
	}
}

// begin checks that a segment continues what was read before.
func (v *verification) begin(seg segment, h header) {
	if v.check == nil || h.Shard != v.head.Shard {
		v.beginShard(seg, h)
	}
	v.head = h
	if v.broken {
		return
	}
	if v.check.Next() != h.First {
		v.find(audit.Finding{Code: audit.FindMissing, File: seg.rel(), Seq: v.check.Next(), Detail: fmt.Sprintf("entries %d to %d are missing before this segment", v.check.Next(), h.First-1)})
		v.broken = true
		return
	}
	if head := v.check.Head(); head != h.Prev {
		v.find(audit.Finding{Code: audit.FindRoot, File: seg.rel(), Offset: int64(len(magic)), Seq: h.First, Detail: fmt.Sprintf("its header says root %s before entry %d, the entries give %s", h.Prev.Root, h.First, head.Root)})
	}
}

// batch verifies one whole batch.
func (v *verification) batch(b batch, seg segment) {
	v.report.Entries += uint64(len(b.entries))
	if v.broken {
		v.decodeOnly(b, seg)
		return
	}
	if b.signed != nil {
		v.carried(b, seg)
	}
	for i, raw := range b.entries {
		e, _, err := v.check.Add(raw)
		v.shardFact(e, seg, b.offsets[i])
		for _, f := range findingsOf(err) {
			f.File, f.Offset = seg.rel(), b.offsets[i]
			v.find(f)
		}
		if v.read != nil && err == nil {
			v.read.see(e, raw, v.head)
		}
		v.meet(v.check.Size())
	}
	head := v.check.Head()
	v.recent[head.Size] = head.Root
	if head != b.head {
		v.find(audit.Finding{Code: audit.FindRoot, File: seg.rel(), Offset: b.start, Seq: b.first, Detail: fmt.Sprintf("entries %d to %d give root %s, the batch says %s at size %d", b.first, v.check.Next()-1, head.Root, b.head.Root, b.head.Size)})
	}
}

// decodeOnly is for batches behind a gap, where counters and roots are lost.
func (v *verification) decodeOnly(b batch, seg segment) {
	for i, raw := range b.entries {
		if _, err := audit.Decode(raw); err != nil {
			v.find(audit.Finding{Code: audit.FindEntry, File: seg.rel(), Offset: b.offsets[i], Detail: err.Error()})
		}
	}
}

// carried verifies the checkpoint that a batch carries: it was published
// before, so the shard's key has signed it, and the log must have had that head.
func (v *verification) carried(b batch, seg segment) {
	bad := func(code, format string, args ...any) {
		v.find(audit.Finding{Code: code, File: seg.rel(), Offset: b.start, Seq: b.first, Detail: fmt.Sprintf(format, args...)})
	}
	c, err := openWith(b.signed, v.head.VKey)
	if err != nil {
		bad(checkpointFinding(err, "").Code, "it carries a checkpoint: %s", err)
		return
	}
	v.carriedSize = c.Size
	root, known := v.recent[c.Size]
	switch {
	case !known:
		bad(audit.FindCheckpoint, "it carries a checkpoint of size %d, which the log did not have since the one before", c.Size)
	case root != c.Root:
		bad(audit.FindFork, "it carries a signed checkpoint with root %s at size %d, the entries before it give %s", c.Root, c.Size, root)
	default:
		for size := range v.recent {
			if size < c.Size {
				delete(v.recent, size)
			}
		}
	}
}

// meet compares the tree with the signed heads of its size.
func (v *verification) meet(size uint64) {
	for i := range v.expects {
		e := &v.expects[i]
		if e.met || e.signed.Size != size || e.signed.Origin != v.head.Origin {
			continue
		}
		e.met = true
		if root := v.check.Head().Root; root != e.signed.Root {
			v.find(audit.Finding{Code: audit.FindFork, File: e.file, Detail: fmt.Sprintf("%s has root %s at size %d, the log has %s: its history is another", e.name(), e.signed.Root, size, root)})
		}
	}
}

// endShard settles what the shard just read owes, and the report's head.
func (v *verification) endShard() {
	if v.check == nil {
		return
	}
	head := v.check.Head()
	v.report.Origin, v.report.Size, v.report.Root = v.head.Origin, head.Size, head.Root.String()
	v.meet(head.Size)
	for i := range v.expects {
		e := &v.expects[i]
		if e.met || e.signed.Origin != v.head.Origin {
			continue
		}
		e.met = true
		if v.broken {
			continue // the finding that broke it says why
		}
		f := audit.Finding{Code: e.shorter, File: e.file, Seq: v.check.Next(), Detail: fmt.Sprintf("%s has %d entries, the log has %d", e.name(), e.signed.Size, head.Size)}
		if v.torn != nil {
			f.File, f.Offset = v.tornIn.rel(), v.torn.offset
			f.Detail += "; it breaks off here: " + v.torn.what
			v.report.Tail = nil
		}
		v.find(f)
	}
}

// publishedSince reports whether the published checkpoint, which was read before
// the segments, has caught up with them: the station writes while this reads.
func (v *verification) publishedSince(origin string) bool {
	again, err := openLog(v.log.fs, v.log.dir, v.log.given)
	if err != nil || again.published == nil {
		return false
	}
	if c := again.published; c.Origin == origin {
		return c.Size >= v.carriedSize
	}
	return again.newest().Shard > v.head.Shard // a shard was closed meanwhile
}

// finish completes the report.
func (v *verification) finish() {
	v.endShard()
	if p := v.log.published; p != nil && p.Origin == v.head.Origin && p.Size < v.carriedSize && !v.publishedSince(p.Origin) {
		v.find(audit.Finding{Code: audit.FindCheckpoint, File: checkpointFile, Detail: fmt.Sprintf("it has %d entries, but one with %d was published before: an old copy was put back", p.Size, v.carriedSize)})
	}
	for _, e := range v.expects {
		if !e.met && len(v.log.segs) > 0 && !v.archived(e.signed) {
			v.find(audit.Finding{Code: audit.FindMissing, File: e.file, Detail: fmt.Sprintf("%s is of log %q, whose segments are not here", e.name(), e.signed.Origin)})
		}
	}
	v.expectArchived()
	v.report.OK = len(v.report.Findings) == 0
}

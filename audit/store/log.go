package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
)

// A Log reads a store's evidence without taking its lock and without changing
// anything, also while the station writes: segments only grow, and the
// published checkpoint says how far they must reach.
type Log struct {
	dir       string
	fs        FS
	segs      []segment
	findings  []audit.Finding   // about folder, headers, keys and checkpoint
	published *audit.Checkpoint // nil if it is missing or damaged
	given     string            // verifier key that it was opened with
	unvouched []string          // origins of shards whose key the given one does not vouch for
}

// OpenLog looks at the log in dir. vkey is the verifier key to trust, of any
// of the log's shards; empty means the one in the folder. [ErrNoStore] says
// that there is no log. Damage is no error here: [Log.Verify] reports it.
func OpenLog(dir, vkey string) (*Log, error) { return openLog(OSFS(), dir, vkey) }

func openLog(fsys FS, dir, vkey string) (*Log, error) {
	for attempt := 1; ; attempt++ {
		l, err := lookAt(fsys, dir, vkey)
		// A station that begins a new shard between two of our reads looks
		// damaged once; damage stays.
		if err != nil || len(l.findings) == 0 || attempt == 3 {
			return l, err
		}
	}
}

func lookAt(fsys FS, dir, vkey string) (*Log, error) {
	l := &Log{dir: dir, fs: fsys, given: vkey}
	// The checkpoint first: segments listed later reach at least as far.
	signed, signedErr := readFile(fsys, filepath.Join(dir, checkpointFile), 1<<20)
	stored, storedErr := readFile(fsys, filepath.Join(dir, vkeyFile), 4096)
	for _, err := range []error{signedErr, storedErr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("audit/store: %w", err)
		}
	}
	segs, _, findings, err := listSegments(fsys, dir)
	if err != nil {
		return nil, err
	}
	l.segs = segs
	if len(segs) == 0 && len(findings) == 0 {
		if signedErr != nil && storedErr != nil {
			return nil, fmt.Errorf("%w: %s", ErrNoStore, dir)
		}
		l.add(audit.Finding{Code: audit.FindMissing, File: segmentDir, Detail: "all segments are missing"})
	}
	l.findings = append(l.findings, findings...)
	l.findings = append(l.findings, chain(segs)...)
	if err := l.checkKeys(vkey, stored, storedErr); err != nil {
		return nil, err
	}
	l.openPublished(signed, signedErr)
	return l, nil
}

func (l *Log) add(f audit.Finding) { l.findings = append(l.findings, f) }

// newest is the header of the newest segment.
func (l *Log) newest() header {
	if len(l.segs) == 0 {
		return header{}
	}
	return l.segs[len(l.segs)-1].head
}

// between is the link to the shard before, if the newest shard has no entry
// yet: the station may be, or have stopped, between the two.
func (l *Log) between() *audit.ShardOpened {
	if len(l.segs) == 0 {
		return nil
	}
	s := l.segs[len(l.segs)-1]
	text, err := s.head.encode()
	if err != nil || s.size > int64(len(text)) {
		return nil
	}
	return s.head.Link
}

// checkKeys compares the keys in the segments' headers with the given one and
// with DIR/station.vkey.
func (l *Log) checkKeys(given string, stored []byte, storedErr error) error {
	newest := l.newest().VKey
	switch {
	case storedErr != nil:
		l.add(audit.Finding{Code: audit.FindMissing, File: vkeyFile, Detail: "the station's verifier key is missing"})
	case newest == "" || string(stored) == newest+"\n":
	case l.between() != nil && string(stored) == l.between().VKey+"\n":
	default:
		l.add(audit.Finding{Code: audit.FindKey, File: vkeyFile, Detail: fmt.Sprintf("it is not the key in the segments, %s", newest)})
	}
	for _, s := range l.segs {
		if v, err := audit.ParseVKey(s.head.VKey); err != nil || v.Name() != s.head.Origin {
			l.add(audit.Finding{Code: audit.FindKey, File: s.rel(), Seq: s.head.First, Detail: "the key in the header is not one of this log"})
		}
	}
	if given == "" {
		return nil
	}
	v, err := audit.ParseVKey(given)
	if err != nil {
		return err
	}
	if len(l.segs) > 0 && !l.knows(v) {
		l.add(audit.Finding{Code: audit.FindKey, Detail: fmt.Sprintf("the log is signed by %s, the given key is %s+%08x", newest, v.Name(), v.KeyHash())})
	}
	for _, origin := range l.unvouched {
		l.add(unvouchedFinding(origin))
	}
	return nil
}

// knows reports whether a key is one of the log's: of a shard at hand, or of the
// one before it. What follows a shard without being named by it is unvouched.
func (l *Log) knows(v note.Verifier) bool {
	is := func(vkey string) bool {
		own, err := audit.ParseVKey(vkey)
		return err == nil && audit.SameKey(own, v)
	}
	known := false
	for i, s := range l.segs {
		if link := s.head.Link; s.head.First == s.head.Base && link != nil {
			before := is(link.VKey) || is(link.LastVKey())
			if (known || before) && !l.named(i, is(link.VKey)) {
				l.unvouched = append(l.unvouched, s.head.Origin)
			}
			known = known || before
		}
		if is(s.head.VKey) {
			known, l.unvouched = true, nil // and by their links those before
		}
	}
	return known
}

// named reports whether what is trusted names the key of the shard that begins
// with segment i: the shard before by its last entry, or its key by its word.
// linked says that the trusted key is the one that the link says has vouched.
func (l *Log) named(i int, linked bool) bool {
	s := l.segs[i].head
	if i > 0 && s.Link.Accepted == nil {
		return true // verify sees it
	}
	return (linked || i > 0 && s.Link.VKey == l.segs[i-1].head.VKey) && s.Link.Vouches(s.VKey)
}

// vouched reports whether the key that the log was opened with is that of the
// published checkpoint, or has vouched for it from shard to shard: without the
// entries, by the headers alone.
func (l *Log) vouched() bool {
	if l.given == "" || l.published == nil {
		return l.given == ""
	}
	v, err := audit.ParseVKey(l.given)
	if err != nil {
		return false
	}
	trusted, last := v, ""
	for _, s := range l.segs {
		if s.head.VKey == last {
			continue
		}
		last = s.head.VKey
		own, err := audit.ParseVKey(s.head.VKey)
		if err != nil {
			return false
		}
		if link := s.head.Link; link != nil && link.Vouches(s.head.VKey) {
			if by, err := audit.ParseVKey(link.VKey); err == nil && audit.SameKey(by, trusted) {
				trusted = own
			}
		}
		if s.head.Origin == l.published.Origin {
			return audit.SameKey(own, trusted)
		}
	}
	_, err = audit.OpenCheckpoint(l.published.Note, trusted)
	return err == nil
}

// open verifies a checkpoint with the key of the shard that it is of.
func (l *Log) open(signed []byte) (audit.Checkpoint, error) {
	parsed, err := audit.ParseCheckpoint(signed)
	if err != nil {
		return audit.Checkpoint{}, err
	}
	vkey, own := l.newest().VKey, false
	for _, s := range l.segs {
		if s.head.Origin == parsed.Origin {
			vkey, own = s.head.VKey, true
		} else if s.head.Link != nil && s.head.Link.Origin == parsed.Origin && !own {
			vkey = s.head.Link.VKey // of a shard that was archived
		}
	}
	return openWith(signed, vkey)
}

func (l *Log) openPublished(signed []byte, readErr error) {
	if readErr != nil {
		l.add(audit.Finding{Code: audit.FindMissing, File: checkpointFile, Detail: "the published checkpoint is missing"})
		return
	}
	if len(l.segs) == 0 {
		return
	}
	c, err := l.open(signed)
	if err != nil {
		l.add(checkpointFinding(err, checkpointFile))
		return
	}
	if b := l.between(); c.Origin != l.newest().Origin && (b == nil || b.Origin != c.Origin) {
		l.add(audit.Finding{Code: audit.FindOrigin, File: checkpointFile, Detail: fmt.Sprintf("it is of shard %q, the newest shard is %q", c.Origin, l.newest().Origin)})
		return
	}
	l.published = &c
}

// checkpointFinding says what is wrong with a checkpoint.
func checkpointFinding(err error, file string) audit.Finding {
	f := audit.Finding{Code: audit.FindCheckpoint, File: file, Detail: err.Error()}
	switch {
	case errors.Is(err, audit.ErrCheckpointOrigin):
		f.Code = audit.FindOrigin
	case errors.Is(err, audit.ErrCheckpointKey):
		f.Code = audit.FindKey
	}
	return f
}

// unvouchedFinding says that a shard's key is nobody's word for who has the given
// one: it can be anybody's.
func unvouchedFinding(origin string) audit.Finding {
	return audit.Finding{Code: audit.FindKey, Detail: audit.Unvouched(origin)}
}

// Published returns the checkpoint in the folder, verified with the key of its
// shard.
func (l *Log) Published() (audit.Checkpoint, error) {
	if l.published == nil {
		return audit.Checkpoint{}, errors.New("audit/store: no good published checkpoint")
	}
	return *l.published, nil
}

// Newest is Published for who reads nothing else: where the log was opened with a
// key, that one must be its shard's or have vouched for it.
func (l *Log) Newest() (audit.Checkpoint, error) {
	c, err := l.Published()
	if err == nil && !l.vouched() {
		err = &audit.CheckpointError{Kind: audit.ErrCheckpointKey, Detail: fmt.Sprintf("the given key is not that of log %q, and has not vouched for it", c.Origin)}
	}
	return c, err
}

// VKey is the verifier key that the newest segment names.
func (l *Log) VKey() string { return l.newest().VKey }

// Sim says whether the log is a simulated station's.
func (l *Log) Sim() bool { return len(l.segs) > 0 && l.segs[0].head.Sim }

// A located is an entry with the header of its segment.
type located struct {
	head header
	raw  []byte // valid until the next one
}

// entries yields all entries, whole batches only, and ends with a
// *audit.FindingError at damage. It checks frames and nothing else.
func (l *Log) entries(ctx context.Context) iter.Seq2[located, error] {
	return func(yield func(located, error) bool) {
		for i, seg := range l.segs {
			more, err := l.segmentEntries(ctx, seg, i == len(l.segs)-1, yield)
			if err != nil {
				yield(located{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

func (l *Log) segmentEntries(ctx context.Context, seg segment, newest bool, yield func(located, error) bool) (more bool, err error) {
	f, size, err := openSegment(l.fs, l.dir, seg.name)
	if err != nil {
		return false, fmt.Errorf("audit/store: %w", err)
	}
	defer f.Close()
	sc, _, err := openScanner(f, size)
	for err == nil {
		var b batch
		if b, err = sc.next(); err != nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		for _, raw := range b.entries {
			if !yield(located{seg.head, raw}, nil) {
				return false, nil
			}
		}
	}
	var d *damage
	switch {
	case err == io.EOF, errors.As(err, &d) && d.torn && newest:
		return true, nil
	case d != nil:
		return false, &audit.FindingError{Finding: audit.Finding{Code: audit.FindFrame, File: seg.rel(), Offset: d.offset, Seq: d.seq, Detail: d.what}}
	}
	return false, err
}

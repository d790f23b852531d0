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
	verifier  note.Verifier     // of the newest shard
	published *audit.Checkpoint // nil if it is missing or damaged
}

// OpenLog looks at the log in dir. vkey is the verifier key to trust; empty
// means the one in the folder. [ErrNoStore] says that there is no log. Damage
// is no error here: [Log.Verify] reports it.
func OpenLog(dir, vkey string) (*Log, error) { return openLog(OSFS(), dir, vkey) }

func openLog(fsys FS, dir, vkey string) (*Log, error) {
	l := &Log{dir: dir, fs: fsys}
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
	if err := l.chooseKey(vkey, stored, storedErr); err != nil {
		return nil, err
	}
	l.openPublished(signed, signedErr)
	return l, nil
}

func (l *Log) add(f audit.Finding) { l.findings = append(l.findings, f) }

// chooseKey compares the key in the newest segment's header with the given
// one and with DIR/station.vkey.
func (l *Log) chooseKey(given string, stored []byte, storedErr error) error {
	var err error
	if given != "" {
		if l.verifier, err = audit.ParseVKey(given); err != nil {
			return err
		}
	}
	header := ""
	if len(l.segs) > 0 {
		header = l.segs[len(l.segs)-1].head.VKey
	}
	switch {
	case storedErr != nil:
		l.add(audit.Finding{Code: audit.FindMissing, File: vkeyFile, Detail: "the station's verifier key is missing"})
	case header != "" && string(stored) != header+"\n":
		l.add(audit.Finding{Code: audit.FindKey, File: vkeyFile, Detail: fmt.Sprintf("it is not the key in the segments, %s", header)})
	case header == "":
		header = string(stored)
	}
	own, err := audit.ParseVKey(header)
	switch {
	case err != nil && header != "":
		l.add(audit.Finding{Code: audit.FindKey, File: vkeyFile, Detail: err.Error()})
	case err != nil:
	case l.verifier == nil:
		l.verifier = own
	case own.Name() != l.verifier.Name() || own.KeyHash() != l.verifier.KeyHash():
		l.add(audit.Finding{Code: audit.FindKey, Detail: fmt.Sprintf("the log is signed by %s+%08x, the given key is %s+%08x", own.Name(), own.KeyHash(), l.verifier.Name(), l.verifier.KeyHash())})
	}
	return nil
}

func (l *Log) openPublished(signed []byte, readErr error) {
	if readErr != nil {
		l.add(audit.Finding{Code: audit.FindMissing, File: checkpointFile, Detail: "the published checkpoint is missing"})
		return
	}
	if l.verifier == nil {
		return
	}
	c, err := audit.OpenCheckpoint(signed, l.verifier)
	if err != nil {
		l.add(checkpointFinding(err, checkpointFile))
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

// Published returns the checkpoint in the folder, verified.
func (l *Log) Published() (audit.Checkpoint, error) {
	if l.published == nil {
		return audit.Checkpoint{}, errors.New("audit/store: no good published checkpoint")
	}
	return *l.published, nil
}

// VKey is the verifier key that the newest segment names.
func (l *Log) VKey() string {
	if len(l.segs) == 0 {
		return ""
	}
	return l.segs[len(l.segs)-1].head.VKey
}

// Sim says whether the log is a simulated station's.
func (l *Log) Sim() bool { return len(l.segs) > 0 && l.segs[0].head.Sim }

// Batches between segments are whole: entries yields them one by one, raw,
// up to the last whole batch, and ends with a *audit.FindingError at damage.
// It checks frames and order, and nothing else.
func (l *Log) entries(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i, seg := range l.segs {
			more, err := l.segmentEntries(ctx, seg, i == len(l.segs)-1, yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

func (l *Log) segmentEntries(ctx context.Context, seg segment, newest bool, yield func([]byte, error) bool) (more bool, err error) {
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
			if !yield(raw, nil) {
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

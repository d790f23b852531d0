package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"linefit/audit"
)

// Names in the store's folder.
const (
	segmentDir     = "segments"
	tornDir        = "torn"
	badgerDir      = "badger"
	latchFile      = "badger.opening"
	checkpointFile = "checkpoint"
	vkeyFile       = "station.vkey"
	archivedFile   = "archived"
)

// A segment is one file of evidence.
type segment struct {
	name string
	head header
	size int64
}

// rel is the segment's name relative to the store's folder, for findings.
func (s segment) rel() string { return path.Join(segmentDir, s.name) }

// listSegments reads the headers of all segments in order. Damage is
// returned as findings; a segment whose header cannot be read is left out.
// torn is set when the only damage is a newest segment whose header was cut.
func listSegments(fsys FS, dir string) (segs []segment, torn string, findings []audit.Finding, err error) {
	names, err := fsys.ReadDir(filepath.Join(dir, segmentDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil, nil
	}
	if err != nil {
		return nil, "", nil, fmt.Errorf("audit/store: %w", err)
	}
	gone, err := archivedShard(fsys, dir)
	if err != nil {
		return nil, "", nil, err
	}
	sort.Strings(names)
	for i, name := range names {
		rel := path.Join(segmentDir, name)
		shard, first, ok := parseSegmentName(name)
		if !ok {
			findings = append(findings, audit.Finding{Code: audit.FindForeign, File: rel, Detail: "not a segment of this store"})
			continue
		}
		if shard <= gone {
			continue // a removal that is under way, or was cut
		}
		seg, err := readSegmentHeader(fsys, dir, name)
		var d *damage
		switch {
		case errors.As(err, &d) && d.torn && i == len(names)-1:
			torn = name
			continue
		case errors.As(err, &d):
			findings = append(findings, audit.Finding{Code: audit.FindHeader, File: rel, Offset: d.offset, Seq: first, Detail: d.what})
			continue
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EISDIR):
			findings = append(findings, audit.Finding{Code: audit.FindUnreadable, File: rel, Seq: first, Detail: err.Error()})
			continue
		case err != nil:
			return nil, "", nil, fmt.Errorf("audit/store: %w", err)
		}
		if seg.head.Shard != shard || seg.head.First != first {
			findings = append(findings, audit.Finding{
				Code: audit.FindHeader, File: rel, Offset: int64(len(magic)), Seq: first,
				Detail: fmt.Sprintf("its header belongs to %s", segmentName(seg.head.Shard, seg.head.First)),
			})
			continue
		}
		segs = append(segs, seg)
	}
	return segs, torn, findings, nil
}

// archivedShard is the newest shard that DIR/archived says has left, 0 where none
// has. Its segments do not count any more, removed or not; that an entry says where
// they went is for [Log.Verify] to see.
func archivedShard(fsys FS, dir string) (uint32, error) {
	b, err := readFile(fsys, filepath.Join(dir, archivedFile), 32)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("audit/store: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return 0, nil // damaged: every segment that is there counts
	}
	return uint32(n), nil
}

// newestShard returns the largest shard number among the segments' names.
func newestShard(fsys FS, dir string) (uint32, error) {
	names, err := fsys.ReadDir(filepath.Join(dir, segmentDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("audit/store: %w", err)
	}
	newest := uint32(0)
	for _, name := range names {
		if shard, _, ok := parseSegmentName(name); ok {
			newest = max(newest, shard)
		}
	}
	return newest, nil
}

// onlyShard keeps what concerns one shard.
func onlyShard(findings []audit.Finding, shard uint32) (out []audit.Finding) {
	for _, f := range findings {
		if s, _, ok := parseSegmentName(path.Base(f.File)); ok && s == shard {
			out = append(out, f)
		}
	}
	return out
}

func readSegmentHeader(fsys FS, dir, name string) (segment, error) {
	f, size, err := openSegment(fsys, dir, name)
	if err != nil {
		return segment{}, err
	}
	defer f.Close()
	_, h, err := openScanner(f, min(size, maxFrame+int64(len(magic))+frameHeader))
	if err != nil {
		return segment{}, err
	}
	return segment{name: name, head: h, size: size}, nil
}

func openSegment(fsys FS, dir, name string) (File, int64, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, segmentDir, name), os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// chain checks that segments follow one another by what their headers say:
// the same log, no shard and no segment left out. Whether a segment's entries
// reach the next one's first is for whoever reads them.
func chain(segs []segment) []audit.Finding {
	var findings []audit.Finding
	bad := func(s segment, code, format string, args ...any) {
		findings = append(findings, audit.Finding{Code: code, File: s.rel(), Seq: s.head.First, Detail: fmt.Sprintf(format, args...)})
	}
	for i, s := range segs {
		switch {
		case (i == 0 || s.head.Shard != segs[i-1].head.Shard) && s.head.First != s.head.Base:
			bad(s, audit.FindMissing, "entries %d to %d are missing: the shard begins with entry %d", s.head.Base, s.head.First-1, s.head.Base)
		case i == 0:
		case s.head.Shard == segs[i-1].head.Shard:
			p := segs[i-1].head
			if s.head.Origin != p.Origin || s.head.VKey != p.VKey || s.head.Base != p.Base {
				bad(s, audit.FindOrigin, "header is of log %q with key %s, the segment before is of log %q with key %s", s.head.Origin, s.head.VKey, p.Origin, p.VKey)
			}
		case s.head.Link != nil && s.head.Link.Accepted != nil: // people went on without what is missing
		case s.head.Shard != segs[i-1].head.Shard+1:
			bad(s, audit.FindMissing, "shard %d follows shard %d", s.head.Shard, segs[i-1].head.Shard)
		}
		if s.head.Sim != segs[0].head.Sim {
			bad(s, audit.FindSim, "sim is %t, in the first segment %t", s.head.Sim, segs[0].head.Sim)
		}
	}
	return findings
}

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
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

// maxAlarm bounds the findings of one opening: they go into the first entry of
// the shard with which people go on.
const maxAlarm = 20

// openCore opens the log and bounds what it found.
func openCore(ctx context.Context, opt *Options) (opened, error) {
	o, err := findCore(ctx, opt)
	if err == nil && len(o.findings) == 0 {
		if o.findings, err = o.core.damaged(ctx); err != nil {
			return o, errors.Join(err, o.core.close())
		}
	}
	o.findings = bounded(o.findings)
	return o, err
}

// bounded are at most so many findings as one alarm has.
func bounded(findings []audit.Finding) []audit.Finding {
	if n := len(findings); n > maxAlarm {
		return append(slices.Clone(findings[:maxAlarm]), audit.Finding{Code: findings[maxAlarm].Code, Detail: fmt.Sprintf("%d findings more", n-maxAlarm)})
	}
	return slices.Clone(findings)
}

// findCore opens the log: lists segments, opens or remakes Badger, replays
// what Badger has not seen, compares with the published checkpoint and the
// anchors, and only then touches the evidence. Shards before the newest are
// closed: they are read where derived state needs them, and verified by Verify.
func findCore(ctx context.Context, opt *Options) (o opened, err error) {
	for _, dir := range []string{opt.Dir, filepath.Join(opt.Dir, segmentDir)} {
		if err := opt.FS.MkdirAll(dir, 0o755); err != nil {
			return o, fmt.Errorf("audit/store: %w", err)
		}
	}
	if full := opt.room(openReserve); full != nil {
		return o, full
	}
	shard, err := newestShard(opt.FS, opt.Dir)
	if err != nil {
		return o, err
	}
	segs, torn, findings, err := listSegments(opt.FS, opt.Dir)
	if err != nil {
		return o, err
	}
	o.findings = onlyShard(append(findings, chain(segs)...), shard)
	if torn != "" && len(o.findings) == 0 {
		d, err := dropTornSegment(opt, torn)
		if err != nil {
			return o, err
		}
		o.drafts = append(o.drafts, d)
		if len(segs) > 0 {
			shard = segs[len(segs)-1].head.Shard
		}
	}
	c := &core{opt: opt, tree: &audit.Tree{}, edge: &tileEdge{}}
	if c.mark, err = readRestored(opt); err != nil {
		return o, err
	}
	if c.key, err = opt.keyOf(shard); err != nil {
		return o, err
	}
	if err := c.fits(segs); err != nil {
		return o, err
	}
	o.findings = append(o.findings, c.foreign(segs)...)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.d, o.summary.Remade, err = openDeriver(opt); err != nil {
		return o, err
	}
	o.core = c
	c.ready = c.d.meta.Ready
	born := len(segs) == 0 && len(o.findings) == 0 && !exists(opt, checkpointFile) && c.d.meta.Last == 0
	switch {
	case born:
		if o.findings, err = c.outside(); err != nil || len(o.findings) > 0 {
			return o, err
		}
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

// openReserve is the free space that opening itself may need: Badger writes
// into mapped files, and a page that finds no block kills the process.
const openReserve = 64 << 20

// fits refuses to mix a simulated log with a real one. That is a mistake of
// whoever starts the station, not damage.
func (c *core) fits(segs []segment) error {
	if len(segs) == 0 {
		return nil
	}
	if h := segs[len(segs)-1].head; h.Sim != c.opt.Sim {
		return &KindError{Dir: c.opt.Dir, Sim: h.Sim}
	}
	return nil
}

// foreign finds a store that is another station's, or was signed with a key
// that the station does not have.
func (c *core) foreign(segs []segment) []audit.Finding {
	if len(segs) == 0 {
		return nil
	}
	s := segs[len(segs)-1]
	c.was = s.head
	bad := audit.Finding{File: s.rel(), Seq: s.head.First}
	switch {
	case s.head.Origin != c.key.Name():
		bad.Code, bad.Detail = audit.FindOrigin, fmt.Sprintf("it is of log %q, this station's is %q", s.head.Origin, c.key.Name())
	case s.head.VKey != c.key.VKey():
		bad.Code, bad.Detail = audit.FindKey, fmt.Sprintf("it is signed with %s, the station's key is %s", s.head.VKey, c.key.VKey())
	default:
		return nil
	}
	return []audit.Finding{bad}
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
	d, err := readDeriver(db, projections)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

// readDeriver is newDeriver; records that are not what they must be may panic.
func readDeriver(db *badger.DB, projections []audit.Projection) (d *deriver, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, fmt.Errorf("malformed record: %v", r)
		}
	}()
	return newDeriver(db, projections)
}

// create begins a new log.
func (c *core) create() error {
	c.head = header{
		Format: 1, Origin: c.key.Name(), Shard: 1, Base: 1, First: 1,
		Prev: c.tree.Head(), VKey: c.key.VKey(), Sim: c.opt.Sim,
	}
	var err error
	c.next = 1
	c.file, c.off, err = createSegment(c.opt, c.head)
	if err == nil {
		err = c.writeVKey() // syncs the folder's names, segments among them
	}
	if err == nil {
		err = c.opt.FS.SyncDir(filepath.Dir(filepath.Clean(c.opt.Dir)))
	}
	if err != nil {
		return fmt.Errorf("audit/store: new log: %w", err)
	}
	return nil
}

// writeVKey keeps DIR/station.vkey what it must be.
func (c *core) writeVKey() error {
	want := []byte(c.key.VKey() + "\n")
	have, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, vkeyFile), 4096)
	if err == nil && bytes.Equal(have, want) {
		return nil
	}
	return replaceFile(c.opt.FS, c.opt.Dir, vkeyFile, want)
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

package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"linefit/audit"
)

// SettleCopy makes the checkpoint of a copy, whose files were copied one after
// another from the folder of a station that works, the newest that the copied log
// carries itself: the station may have published since the checkpoint was copied,
// and begun another shard. A source that is not what it must be is left for
// [Verify] to find in the copy.
func SettleCopy(ctx context.Context, source, dir string) error {
	fsys := OSFS()
	from, err := openLog(fsys, source, "")
	if err != nil {
		return err
	}
	segs, _, _, err := listSegments(fsys, dir)
	if err != nil || len(segs) == 0 || len(from.findings) > 0 || from.published == nil {
		return err
	}
	carried, err := newestCarried(ctx, fsys, dir, segs)
	if err != nil || carried.Note == nil {
		return err
	}
	if p := from.published; p.Origin == carried.Origin && p.Size < carried.Size {
		return nil
	}
	newest := segs[len(segs)-1].head
	signed, err := openWith(carried.Note, newest.VKey)
	if err != nil {
		return nil
	}
	have, err := readFile(fsys, filepath.Join(dir, checkpointFile), 1<<20)
	if err != nil {
		return fmt.Errorf("audit/store: settle: %w", err)
	}
	if old, err := audit.ParseCheckpoint(have); err == nil && old.Origin == signed.Origin && old.Size >= signed.Size {
		return nil
	}
	err = replaceFile(fsys, dir, checkpointFile, signed.Note)
	if err == nil {
		err = replaceFile(fsys, dir, vkeyFile, []byte(newest.VKey+"\n"))
	}
	if err != nil {
		return fmt.Errorf("audit/store: settle: %w", err)
	}
	return nil
}

// newestCarried is the last checkpoint that the newest shard carries in its
// batches, as it stands there; zero where it carries none.
func newestCarried(ctx context.Context, fsys FS, dir string, segs []segment) (audit.Checkpoint, error) {
	for i := len(segs) - 1; i >= 0 && segs[i].head.Shard == segs[len(segs)-1].head.Shard; i-- {
		c, err := lastCarried(ctx, fsys, dir, segs[i])
		if err != nil || c.Note != nil {
			return c, err
		}
	}
	return audit.Checkpoint{}, nil
}

func lastCarried(ctx context.Context, fsys FS, dir string, seg segment) (last audit.Checkpoint, err error) {
	f, size, err := openSegment(fsys, dir, seg.name)
	if err != nil {
		return last, fmt.Errorf("audit/store: settle: %w", err)
	}
	defer f.Close()
	sc, _, err := openScanner(f, size)
	for err == nil {
		var b batch
		if b, err = sc.next(); err == nil && b.signed != nil {
			if c, parseErr := audit.ParseCheckpoint(b.signed); parseErr == nil {
				last = c
			}
		}
		err = errors.Join(err, ctx.Err())
	}
	return last, ctx.Err() // what ended it is for Verify
}

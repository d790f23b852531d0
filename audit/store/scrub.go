package store

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"linefit/audit"
)

// damageFile says that a scrub found damage, with one finding on a line. While it
// is there, opening verifies all segments.
const damageFile = "damage"

// Scrub verifies all segments while the store runs, reading at most rate bytes
// for a second, and records the result as an entry of the type
// [audit.TypeScrubbed]. Damage that people have not accepted before makes the
// store read-only, now and at every opening until it is mended or accepted; the
// error is a *StateError then. Run must be running.
func (s *Store) Scrub(ctx context.Context, rate int64) (Report, error) {
	begin := time.Now()
	l, err := openLog(&pacedFS{FS: s.opt.FS, ctx: ctx, rate: max(rate, 1)}, s.opt.Dir, s.VKey())
	if err != nil {
		return Report{}, err
	}
	r, err := l.Verify(ctx, nil)
	if err != nil {
		return r, err
	}
	fact := audit.Scrubbed{
		Shards: r.Shards, Segments: r.Segments, Entries: r.Entries, Bytes: r.Bytes, Millis: time.Since(begin).Milliseconds(), Findings: len(r.Findings),
	}
	if len(r.Findings) > 0 {
		fact.First = r.Findings[0].String()
	}
	return r, s.do(ctx, func() error { return s.scrubbed(r.Findings, fact) })
}

// scrubbed takes a scrub's result. Appender only.
func (s *Store) scrubbed(findings []audit.Finding, fact audit.Scrubbed) error {
	if h := s.State(); h.State != OK {
		return &StateError{Health: h}
	}
	bad := s.core.notAccepted(findings)
	if err := s.opt.markDamage(bad); err != nil {
		e := writeError("mark damage", err)
		e.Unknown = false
		s.stop(e)
		return e
	}
	if err := s.appendOwn(audit.TypeScrubbed, fact); err != nil || len(bad) == 0 {
		return err
	}
	failed := &StateError{Health: alarm(bad)}
	s.stop(failed)
	return failed
}

// notAccepted are the findings, bounded, in spite of which nobody has gone on.
func (c *core) notAccepted(findings []audit.Finding) []audit.Finding {
	return slices.DeleteFunc(bounded(findings), c.accepted)
}

// markDamage keeps that there is damage, or that there is none.
func (o *Options) markDamage(findings []audit.Finding) error {
	if len(findings) == 0 {
		if !exists(o, damageFile) {
			return nil
		}
		if err := o.FS.Remove(filepath.Join(o.Dir, damageFile)); err != nil {
			return err
		}
		return o.FS.SyncDir(o.Dir)
	}
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.String() + "\n")
	}
	return replaceFile(o.FS, o.Dir, damageFile, []byte(b.String()))
}

// damaged verifies everything where a scrub has found damage: it may have been
// mended since. It returns what people have not accepted.
func (c *core) damaged(ctx context.Context) ([]audit.Finding, error) {
	if !exists(c.opt, damageFile) {
		return nil, nil
	}
	r, err := verifyFS(ctx, c.opt.FS, c.opt.Dir, VerifyOptions{})
	if err != nil {
		return nil, err
	}
	if bad := c.notAccepted(r.Findings); len(bad) > 0 {
		return bad, nil
	}
	return nil, c.opt.markDamage(nil)
}

// Damage is what the newest scrub of a store found, one finding on a line, ""
// where it found nothing or none was made.
func Damage(dir string) (string, error) {
	o := Options{Dir: dir, FS: OSFS()}
	if !exists(&o, damageFile) {
		return "", nil
	}
	b, err := readFile(o.FS, filepath.Join(dir, damageFile), 1<<16)
	if err != nil {
		return "", fmt.Errorf("audit/store: %w", err)
	}
	return string(b), nil
}

// pacedFS reads files no faster than rate bytes for a second.
type pacedFS struct {
	FS
	ctx  context.Context
	rate int64
	next time.Time // when the next read may be
}

// OpenFile implements FS.
func (p *pacedFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := p.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return pacedFile{f, p}, nil
}

type pacedFile struct {
	File
	p *pacedFS
}

// ReadAt implements io.ReaderAt.
func (f pacedFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.p.wait(); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(b, off)
	f.p.next = f.p.next.Add(time.Duration(float64(n) / float64(f.p.rate) * float64(time.Second)))
	return n, err
}

// wait paces a read: it waits for nothing but its turn.
func (p *pacedFS) wait() error {
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
		return p.ctx.Err()
	}
	t := time.NewTimer(p.next.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

package store

import (
	"errors"
	"fmt"
	"iter"

	"linefit/audit"
)

// Pick yields the entries of ascending numbers, as Entry does one by one, and
// reads each batch once. What View gives out has it.
func (s *snapshot) Pick(seqs []uint64) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		p := picker{s: s}
		for _, seq := range seqs {
			e, err := p.entry(seq)
			if err != nil {
				err = errors.Join(err, p.close())
				yield(audit.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				break
			}
		}
		if err := p.close(); err != nil {
			yield(audit.Entry{}, err)
		}
	}
}

// picker reads entries in ascending order. It owns the open segment.
type picker struct {
	s       *snapshot
	name    string // of the open segment
	file    File
	scan    *scanner
	entries [][]byte // of the batch that was read last
	first   uint64
}

func (p *picker) entry(seq uint64) (audit.Entry, error) {
	if seq < p.first || seq >= p.first+uint64(len(p.entries)) {
		if err := p.read(seq); err != nil {
			return audit.Entry{}, fmt.Errorf("audit/store: entry %d: %w", seq, err)
		}
	}
	e, err := audit.Decode(p.entries[seq-p.first])
	if err == nil && e.Seq != seq {
		err = fmt.Errorf("it says %d", e.Seq)
	}
	if err != nil {
		return audit.Entry{}, fmt.Errorf("audit/store: entry %d: %w", seq, err)
	}
	return e, nil
}

// read reads the batch of an entry.
func (p *picker) read(seq uint64) error {
	p.entries = nil
	if oldest, err := p.s.oldest(); p.file == nil && (err != nil || seq < oldest) {
		return errors.Join(err, audit.ErrArchived)
	}
	at, first, err := p.s.find(seq)
	if err != nil {
		return err
	}
	if name := segmentName(at.shard, at.segment); name != p.name {
		if err := p.close(); err != nil {
			return err
		}
		f, size, err := openSegment(p.s.opt.FS, p.s.opt.Dir, name)
		if err != nil {
			return err
		}
		old := p.scan
		p.name, p.file, p.scan = name, f, &scanner{r: f, size: size}
		if old != nil {
			p.scan.buf, p.scan.hold = old.buf[:0], old.hold[:0]
		}
	}
	p.scan.seek(at.offset, first)
	for {
		b, err := p.scan.next()
		if err != nil {
			return err
		}
		if seq < b.first+uint64(len(b.entries)) {
			p.first, p.entries = b.first, b.entries
			if seq < b.first {
				return errors.New("it is not where the index says")
			}
			return nil
		}
	}
}

func (p *picker) close() error {
	if p.file == nil {
		return nil
	}
	f := p.file
	p.file, p.name = nil, ""
	return f.Close()
}

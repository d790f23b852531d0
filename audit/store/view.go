package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// A snapshot is one Badger transaction and what it was derived from. It
// implements [audit.View].
type snapshot struct {
	txn  *badger.Txn
	meta meta
	opt  *Options
}

func (d *deriver) snapshot(opt *Options) (*snapshot, error) {
	txn := d.db.NewTransaction(false)
	m, _, err := readMeta(txn)
	if err != nil {
		txn.Discard()
		return nil, err
	}
	return &snapshot{txn, m, opt}, nil
}

// tiles calls fn with the tiles of the derived tree.
func (d *deriver) tiles(opt *Options, fn func(tileSource) error) error {
	s, err := d.snapshot(opt)
	if err != nil {
		return err
	}
	defer s.txn.Discard()
	return fn(s.tile)
}

func (s *snapshot) Head() audit.Head {
	if s.meta.Last == 0 {
		return (&audit.Tree{}).Head()
	}
	return s.meta.Head
}

func (s *snapshot) Last() uint64 { return s.meta.Last }

func (s *snapshot) Projection(name string) (audit.Reader, error) {
	for _, p := range s.opt.Projections {
		if p.Name() == name {
			return namespace(s.txn, name), nil
		}
	}
	return nil, fmt.Errorf("audit/store: no projection %q", name)
}

func (s *snapshot) Entry(seq uint64) (audit.Entry, error) {
	for e, err := range s.Entries(seq, seq) {
		return e, err
	}
	if oldest, err := s.oldest(); err != nil || seq > 0 && seq < oldest {
		return audit.Entry{}, errors.Join(err, fmt.Errorf("audit/store: entry %d: %w", seq, audit.ErrArchived))
	}
	return audit.Entry{}, fmt.Errorf("audit/store: no entry %d, the last is %d", seq, s.meta.Last)
}

// oldest is the number of the oldest entry at hand.
func (s *snapshot) oldest() (uint64, error) {
	names, err := s.opt.FS.ReadDir(filepath.Join(s.opt.Dir, segmentDir))
	if err != nil {
		return 0, fmt.Errorf("audit/store: %w", err)
	}
	for _, name := range names {
		if _, first, ok := parseSegmentName(name); ok {
			return first, nil
		}
	}
	return 0, nil
}

func (s *snapshot) Entries(first, last uint64) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for raw, err := range s.raw(first, last) {
			var e audit.Entry
			if err == nil {
				e, err = audit.Decode(append([]byte(nil), raw...))
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (s *snapshot) Unit(serial string) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		var seqs []uint64
		err := scanPrefix(s.txn, unitPrefix(serial), func(k, _ []byte) error {
			seqs = append(seqs, binary.BigEndian.Uint64(k[len(k)-8:]))
			return nil
		})
		if err != nil {
			yield(audit.Entry{}, err)
			return
		}
		for _, seq := range seqs {
			e, err := s.Entry(seq)
			if errors.Is(err, audit.ErrArchived) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// raw yields the bytes of entries, read from the segments and checked against
// their frames. They are valid until the next one.
func (s *snapshot) raw(first, last uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		last = min(last, s.meta.Last)
		for seq := max(first, 1); seq <= last; {
			at, start, err := s.find(seq)
			if err != nil {
				yield(nil, err)
				return
			}
			if seq = max(seq, start); seq > last {
				return
			}
			next, err := s.rawSegment(at, start, seq, last, yield)
			if errors.Is(err, fs.ErrNotExist) { // archived, if there is an older end of the log
				oldest, listErr := s.oldest()
				if listErr == nil && seq < oldest {
					seq = oldest
					continue
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if next == 0 {
				return
			}
			seq = next
		}
	}
}

// rawSegment yields entries seq to last as far as they stand in one segment,
// and returns the next seq, or 0 when the caller wants no more.
func (s *snapshot) rawSegment(at place, start, seq, last uint64, yield func([]byte, error) bool) (uint64, error) {
	name := segmentName(at.shard, at.segment)
	f, size, err := openSegment(s.opt.FS, s.opt.Dir, name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := &scanner{r: f, size: size}
	sc.seek(at.offset, start)
	began := seq
	for seq <= last {
		b, err := sc.next()
		if err != nil && seq > began {
			return seq, nil // the index says where the next one is
		}
		if err != nil {
			return 0, fmt.Errorf("audit/store: entry %d in %s: %w", seq, name, err)
		}
		for i, raw := range b.entries {
			if n := b.first + uint64(i); n == seq && n <= last {
				if !yield(raw, nil) {
					return 0, nil
				}
				seq++
			}
		}
	}
	return seq, nil
}

// find returns the batch that holds an entry, and the batch's first seq. Where
// numbers were skipped, because entries were lost and that was accepted, it is
// the next batch.
func (s *snapshot) find(seq uint64) (place, uint64, error) {
	at, first, count, err := s.seekBatch(seq, true)
	switch {
	case err != nil:
		return place{}, 0, err
	case count == 0:
		return s.findSegment(seq)
	case seq < first+uint64(count):
		return at, first, nil
	}
	at, first, count, err = s.seekBatch(seq, false)
	if err == nil && count == 0 {
		err = fmt.Errorf("audit/store: entry %d is not in the index", seq)
	}
	return at, first, err
}

// seekBatch returns the last batch that begins at or before seq, or the first
// one that begins at or after it; count is 0 if there is none.
func (s *snapshot) seekBatch(seq uint64, before bool) (at place, first uint64, count uint32, err error) {
	opts := badger.DefaultIteratorOptions
	opts.Reverse, opts.PrefetchValues, opts.Prefix = before, false, []byte{keyBatch}
	it := s.txn.NewIterator(opts)
	defer it.Close()
	if it.Seek(batchKey(seq)); !it.Valid() {
		return place{}, 0, 0, nil
	}
	v, err := it.Item().ValueCopy(nil)
	if err != nil || len(v) != 24 {
		return place{}, 0, 0, fmt.Errorf("audit/store: index of entry %d: %w", seq, errors.Join(err, errIndex))
	}
	at = place{binary.BigEndian.Uint32(v), binary.BigEndian.Uint64(v[4:]), int64(binary.BigEndian.Uint64(v[12:]))}
	return at, binary.BigEndian.Uint64(it.Item().Key()[1:]), binary.BigEndian.Uint32(v[20:]), nil
}

// findSegment is for entries of a closed shard from before the snapshot that
// derived state was made anew from: the segment that begins at or before seq.
func (s *snapshot) findSegment(seq uint64) (place, uint64, error) {
	segs, _, _, err := listSegments(s.opt.FS, s.opt.Dir)
	if err != nil {
		return place{}, 0, err
	}
	for i := len(segs) - 1; i >= 0; i-- {
		if h := segs[i].head; h.First <= seq {
			text, err := h.encode()
			return place{h.Shard, h.First, int64(len(text))}, h.First, err
		}
	}
	if len(segs) == 0 {
		return place{}, 0, fmt.Errorf("audit/store: entry %d: no segment is here", seq)
	}
	h := segs[0].head
	text, err := h.encode()
	return place{h.Shard, h.First, int64(len(text))}, h.First, err
}

var errIndex = errors.New("malformed record")

// tile returns the data of a tile of the current shard's tree.
func (s *snapshot) tile(level int, index uint64, width int) ([]byte, error) {
	return shardView{snapshot: s, head: header{Shard: s.meta.Shard, Base: s.meta.Base}}.tile(level, index, width)
}

// leaves hashes entries of the shard that begins with entry base, for the one
// tile that is not kept.
func (s *snapshot) leaves(base, leaf uint64, n int) ([]byte, error) {
	first := base + leaf
	out := make([]byte, 0, n*tlog.HashSize)
	for raw, err := range s.raw(first, first+uint64(n)-1) {
		if err != nil {
			return nil, err
		}
		h := audit.LeafHash(raw)
		out = append(out, h[:]...)
	}
	if len(out) != n*tlog.HashSize {
		return nil, fmt.Errorf("audit/store: entries %d to %d are not all there", first, first+uint64(n)-1)
	}
	return out, nil
}

func sortEntries(all []audit.Entry) {
	slices.SortFunc(all, func(a, b audit.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
}

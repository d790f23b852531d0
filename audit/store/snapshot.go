package store

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"linefit/audit"
)

// Bounds of one part of a snapshot: an entry has at most audit.MaxEntry bytes,
// base64 makes four of three, and who reads it knows what to expect.
const (
	maxPacked   = 44 << 10 // deflated
	maxUnpacked = 1 << 20
	maxPairs    = 8 << 10 // what one transaction of Badger takes
	partsAtOnce = 7       // in one batch
)

// carryOver appends one projection's state in parts.
func (s *Store) carryOver(v *snapshot, name string, ready *audit.ShardReady) error {
	var waiting []any
	flush := func() error {
		if len(waiting) == 0 {
			return nil
		}
		err := s.appendOwns(audit.TypeShardSnapshot, waiting)
		waiting = nil
		return err
	}
	p := newPacker()
	part := func() error {
		if p.pairs == 0 {
			return nil
		}
		pairs, data, err := p.take()
		if err != nil {
			return err
		}
		ready.Parts++
		waiting = append(waiting, audit.ShardSnapshot{Attempt: ready.Attempt, Projection: name, Pairs: pairs, Data: data})
		if len(waiting) < partsAtOnce {
			return nil
		}
		return flush()
	}
	err := namespace(v.txn, name).Iterate(nil, func(key, value []byte) error {
		fits, err := p.fits(len(key) + len(value) + 2*binary.MaxVarintLen32)
		if err == nil && !fits {
			err = part()
		}
		if err != nil {
			return err
		}
		return p.add(key, value)
	})
	if err == nil {
		err = part()
	}
	if err == nil {
		err = flush()
	}
	return err
}

// packer deflates pairs of keys and values.
type packer struct {
	out   bytes.Buffer
	w     *flate.Writer
	pairs int
	raw   int // bytes of the pairs
	held  int // of these, at most so many are not yet in out
}

func newPacker() *packer {
	p := &packer{}
	p.w, _ = flate.NewWriter(&p.out, flate.BestSpeed) // the level is one of flate's
	return p
}

// fits says whether n more bytes surely fit, however badly they deflate.
func (p *packer) fits(n int) (bool, error) {
	if p.raw+n > maxUnpacked || p.pairs == maxPairs {
		return false, nil
	}
	if p.out.Len()+p.held+n <= maxPacked {
		return true, nil
	}
	if err := p.w.Flush(); err != nil {
		return false, err
	}
	p.held = 0
	return p.out.Len()+n <= maxPacked, nil
}

func (p *packer) add(key, value []byte) error {
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(key))), uint64(len(value)))
	p.pairs++
	for _, b := range [][]byte{head, key, value} {
		p.raw, p.held = p.raw+len(b), p.held+len(b)
		if _, err := p.w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// take ends a part and begins the next.
func (p *packer) take() (pairs int, data string, err error) {
	if err := p.w.Close(); err != nil {
		return 0, "", err
	}
	pairs, data = p.pairs, base64.StdEncoding.EncodeToString(p.out.Bytes())
	p.out.Reset()
	p.w.Reset(&p.out)
	p.pairs, p.raw, p.held = 0, 0, 0
	return pairs, data, nil
}

// unpack calls fn for each pair of a part.
func unpack(part audit.ShardSnapshot, fn func(key, value []byte) error) error {
	packed, err := base64.StdEncoding.DecodeString(part.Data)
	if err != nil {
		return fmt.Errorf("audit/store: snapshot: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxUnpacked+1))
	if err == nil && len(raw) > maxUnpacked {
		err = errors.New("too long")
	}
	if err != nil {
		return fmt.Errorf("audit/store: snapshot: %w", err)
	}
	n := 0
	for ; len(raw) > 0; n++ {
		k, a := binary.Uvarint(raw)
		v, b := binary.Uvarint(raw[max(a, 0):])
		if a <= 0 || b <= 0 || k > uint64(len(raw)) || v > uint64(len(raw)) || uint64(len(raw)-a-b) < k+v {
			return errors.New("audit/store: snapshot: malformed pair")
		}
		raw = raw[a+b:]
		if err := fn(raw[:k:k], raw[k:k+v:k+v]); err != nil {
			return err
		}
		raw = raw[k+v:]
	}
	if n != part.Pairs {
		return fmt.Errorf("audit/store: snapshot: %d pairs, %d are stated", n, part.Pairs)
	}
	return nil
}

// loadSnapshot puts the snapshot into an empty Badger with which the shard of
// segs[from] begins. A station's first shard has none.
func (c *core) loadSnapshot(ctx context.Context, segs []segment, from int) error {
	c.next = segs[from].head.First
	if segs[from].head.Shard == 1 {
		return nil
	}
	l := &Log{fs: c.opt.FS, dir: c.opt.Dir, segs: segs[from:]}
	ready, err := l.snapshotEnd(ctx)
	if err != nil {
		return err
	}
	parts := 0
	for x, err := range l.entries(ctx) {
		if err != nil {
			return err
		}
		e, err := audit.Decode(x.raw)
		if err != nil || e.Seq > ready.Attempt+uint64(ready.Parts) {
			break
		}
		var part audit.ShardSnapshot
		if e.Type != audit.TypeShardSnapshot || e.Seq < ready.Attempt {
			continue
		}
		if err := audit.ParseFact(e, &part); err != nil {
			return err
		}
		if err := c.d.load(part); err != nil {
			return err
		}
		parts++
	}
	if parts != ready.Parts {
		return fmt.Errorf("audit/store: the snapshot of shard %d has %d parts, %d are there", segs[from].head.Shard, ready.Parts, parts)
	}
	// What stands in the shard before the snapshot is in it.
	c.d.meta.Applied = max(c.d.meta.Applied, ready.Attempt-1)
	return nil
}

// snapshotEnd finds the entry that says that the snapshot is whole.
func (l *Log) snapshotEnd(ctx context.Context) (audit.ShardReady, error) {
	for x, err := range l.entries(ctx) {
		if err != nil {
			return audit.ShardReady{}, err
		}
		e, err := audit.Decode(x.raw)
		if err != nil {
			return audit.ShardReady{}, err
		}
		if e.Type == audit.TypeShardReady {
			var ready audit.ShardReady
			return ready, audit.ParseFact(e, &ready)
		}
	}
	return audit.ShardReady{}, fmt.Errorf("audit/store: shard %d has no whole snapshot, and the shards before it are not here", l.segs[0].head.Shard)
}

// load writes a part of a snapshot.
func (d *deriver) load(part audit.ShardSnapshot) error {
	known := slices.ContainsFunc(d.projections, func(p audit.Projection) bool { return p.Name() == part.Projection })
	if !known {
		return nil // a projection that is no more
	}
	txn := d.db.NewTransaction(true)
	defer txn.Discard()
	ns := namespace(txn, part.Projection)
	if err := unpack(part, ns.Set); err != nil {
		return err
	}
	return txn.Commit()
}

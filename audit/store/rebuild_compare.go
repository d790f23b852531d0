package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"

	"github.com/dgraph-io/badger/v4"

	"linefit/audit"
)

// otherPart are keys that belong nowhere.
const otherPart = "other"

// part is one part while it is compared.
type part struct {
	keys, before uint64
	was, is      hash.Hash
	differs      []string
}

// comparison goes through two derived states side by side. first and shard are
// from where the one that was made anew has entries; 0 for all.
type comparison struct {
	parts       map[string]*part
	projections []audit.Projection
	first       uint64
	shard       uint32
}

func (x *comparison) names() []string {
	names := []string{"slots", "batches", "tiles", "units"}
	for _, p := range x.projections {
		names = append(names, "projection "+p.Name())
	}
	return append(names, otherPart)
}

func (x *comparison) run(ctx context.Context, was, is *badger.Txn) error {
	a, b := newCursor(was), newCursor(is)
	defer a.it.Close()
	defer b.it.Close()
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := errors.Join(a.err, b.err); err != nil {
			return fmt.Errorf("audit/store: rebuild: %w", err)
		}
		if !a.ok && !b.ok {
			return nil
		}
		order := 0
		switch {
		case !a.ok:
			order = 1
		case !b.ok:
			order = -1
		default:
			order = bytes.Compare(a.key, b.key)
		}
		key := b.key
		if order < 0 {
			key = a.key
		}
		name := x.partOf(key)
		had, has := order <= 0 && x.here(name, a.key, a.value), order >= 0 && x.here(name, b.key, b.value)
		if p := x.parts[name]; p != nil {
			p.take(p.was, &p.before, had, a.key, a.value)
			p.take(p.is, &p.keys, has, b.key, b.value)
			if (had != has || had && !bytes.Equal(a.value, b.value)) && len(p.differs) < maxDiffers {
				p.differs = append(p.differs, describe(key, had, has))
			}
		}
		if order <= 0 {
			a.next()
		}
		if order >= 0 {
			b.next()
		}
	}
}

func (p *part) take(sum hash.Hash, n *uint64, there bool, key, value []byte) {
	if !there {
		return
	}
	*n++
	for _, b := range [][]byte{key, value} {
		sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		sum.Write(b)
	}
}

// describe names a key for people.
func describe(k []byte, had, has bool) string {
	what := "changed"
	switch {
	case !had:
		what = "was missing"
	case !has:
		what = "was too many"
	}
	shown := fmt.Sprintf("%q", k[min(1, len(k)):])
	switch {
	case k[0] == keyProjection && len(k) > 1 && len(k) > 3+int(k[1]):
		shown = fmt.Sprintf("%q", k[3+int(k[1]):])
	case k[0] == keyUnit && len(k) > 10:
		shown = fmt.Sprintf("%q entry %d", k[1:len(k)-9], binary.BigEndian.Uint64(k[len(k)-8:]))
	case k[0] == keyBatch && len(k) == 9:
		shown = fmt.Sprintf("entry %d", binary.BigEndian.Uint64(k[1:]))
	case k[0] == keySlot && len(k) == 5:
		shown = fmt.Sprintf("slot %d", binary.BigEndian.Uint32(k[1:]))
	}
	return shown + " " + what
}

// partOf returns the part that a key is of, "" for what is of none and may be.
func (x *comparison) partOf(k []byte) string {
	name := otherPart
	switch k[0] {
	case keyMeta:
		if len(k) == 1 {
			return ""
		}
	case keyBatch:
		name = "batches"
	case keyTile:
		name = "tiles"
	case keySlot:
		name = "slots"
	case keyUnit:
		name = "units"
	case keyProjection:
		if len(k) > 1 && len(k) > 2+int(k[1]) {
			name = "projection " + string(k[2:2+int(k[1])])
		}
	}
	if x.parts[name] == nil {
		return otherPart
	}
	return name
}

// here reports whether what a key says is of an entry from which derived state was
// made anew: indexes go with the entries of shards that are not here.
func (x *comparison) here(name string, k, v []byte) bool {
	if x.first == 0 {
		return true
	}
	seq := uint64(math.MaxUint64)
	switch {
	case name == "slots" && len(v) == 16:
		seq = binary.BigEndian.Uint64(v[8:])
	case name == "batches" && len(k) == 9:
		seq = binary.BigEndian.Uint64(k[1:])
	case name == "tiles" && len(k) > 5:
		return binary.BigEndian.Uint32(k[1:]) >= x.shard
	case name == "units" && len(k) > 9, x.index(name) && len(k) > 9:
		seq = binary.BigEndian.Uint64(k[len(k)-8:])
	}
	return seq >= x.first
}

// index reports whether a part finds entries by their numbers ([audit.Index]).
func (x *comparison) index(name string) bool {
	for _, p := range x.projections {
		if "projection "+p.Name() == name {
			return !audit.Carried(p)
		}
	}
	return false
}

// cursor goes through one derived state.
type cursor struct {
	it         *badger.Iterator
	ok         bool
	key, value []byte
	err        error
}

func newCursor(txn *badger.Txn) *cursor {
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false
	c := &cursor{it: txn.NewIterator(opts)}
	c.it.Rewind()
	c.read()
	return c
}

func (c *cursor) next() {
	c.it.Next()
	c.read()
}

func (c *cursor) read() {
	if c.ok = c.it.Valid(); c.ok {
		c.key = c.it.Item().KeyCopy(c.key)
		c.value, c.err = c.it.Item().ValueCopy(c.value)
	}
}

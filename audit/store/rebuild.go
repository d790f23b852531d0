package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"

	"linefit/audit"
)

// A Rebuilt says how the derived state came out when it was made anew.
type Rebuilt struct {
	// Same says that everything came out as it was. It is false, too, when
	// there was nothing to compare with; NotCompared then says why.
	Same        bool   `json:"same"`
	NotCompared string `json:"not_compared,omitempty"`

	Entries uint64    `json:"entries"`
	Parts   []Derived `json:"parts"`
}

// A Derived compares one part of the derived state: a projection, or one of
// the store's own indexes ("slots", "batches", "tiles", "units"), if no shard was
// archived or accepted as damaged.
type Derived struct {
	Name    string `json:"name"`
	Same    bool   `json:"same"`
	Keys    uint64 `json:"keys"`
	Before  uint64 `json:"keys_before"`
	Digest  string `json:"digest"` // SHA-256 over all keys and values in order
	DigestB string `json:"digest_before,omitempty"`
}

// Rebuild drops Badger, remakes it from the segments and compares. It takes
// the store's lock.
func Rebuild(ctx context.Context, o Options) (Rebuilt, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return Rebuilt{}, err
	}
	if segs, err := opt.FS.ReadDir(filepath.Join(opt.Dir, segmentDir)); err != nil || len(segs) == 0 {
		return Rebuilt{}, fmt.Errorf("%w: %s", ErrNoStore, opt.Dir)
	}
	before, err := digestsOf(ctx, opt)
	if err != nil {
		return Rebuilt{}, err
	}
	lock, err := lockDir(opt.Dir)
	if err != nil {
		return Rebuilt{}, err
	}
	err = os.RemoveAll(filepath.Join(opt.Dir, badgerDir))
	if err = errors.Join(err, lock.Close()); err != nil {
		return Rebuilt{}, fmt.Errorf("audit/store: rebuild: %w", err)
	}
	after, err := digestsOf(ctx, opt)
	if err != nil {
		return Rebuilt{}, err
	}
	r := compareDerived(opt, before, after)
	if r.NotCompared = before.remade; r.NotCompared != "" {
		r.Same = false
	}
	return r, nil
}

// digestsOf opens the store and digests what is derived.
func digestsOf(ctx context.Context, opt Options) (d digests, err error) {
	s, err := Open(ctx, opt)
	if err != nil {
		return digests{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if h := s.State(); h.State != OK {
		return digests{}, &StateError{Health: h}
	}
	err = s.withSnapshot(func(v *snapshot) error {
		d, err = v.digests()
		return err
	})
	d.remade = s.Opening().Remade
	segs, _, _, listErr := listSegments(opt.FS, opt.Dir)
	d.whole = len(segs) > 0 && segs[0].head.Shard == 1 && oldestWhole(segs) == 0
	err = errors.Join(err, listErr)
	return d, err
}

type digests struct {
	remade  string
	whole   bool // every shard is here and good: indexes go back to entry 1
	entries uint64
	parts   map[string]*digest
}

type digest struct {
	keys uint64
	sum  hash.Hash
}

// digests hashes all keys and values, part by part.
func (s *snapshot) digests() (digests, error) {
	d := digests{entries: s.meta.Last, parts: map[string]*digest{}}
	err := scanFrom(s.txn, nil, nil, func(k, v []byte) error {
		name := partOf(k)
		if name == "" {
			return nil
		}
		p := d.parts[name]
		if p == nil {
			p = &digest{sum: sha256.New()}
			d.parts[name] = p
		}
		p.keys++
		for _, b := range [][]byte{k, v} {
			p.sum.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
			p.sum.Write(b)
		}
		return nil
	})
	return d, err
}

func partOf(k []byte) string {
	switch k[0] {
	case keyBatch:
		return "batches"
	case keyTile:
		return "tiles"
	case keySlot:
		return "slots"
	case keyUnit:
		return "units"
	case keyProjection:
		if n := int(k[1]); len(k) > 2+n {
			return "projection " + string(k[2:2+n])
		}
	}
	return ""
}

func compareDerived(opt Options, before, after digests) Rebuilt {
	r := Rebuilt{Same: before.entries == after.entries, Entries: after.entries}
	var names []string
	if before.whole {
		names = append(names, "slots", "batches", "tiles", "units")
	}
	for _, p := range opt.Projections {
		if !before.whole && !audit.Carried(p) {
			continue
		}
		names = append(names, "projection "+p.Name())
	}
	for _, name := range names {
		b, a := before.parts[name], after.parts[name]
		if b == nil {
			b = &digest{sum: sha256.New()}
		}
		if a == nil {
			a = &digest{sum: sha256.New()}
		}
		bs, as := b.sum.Sum(nil), a.sum.Sum(nil)
		d := Derived{Name: name, Same: bytes.Equal(bs, as), Keys: a.keys, Before: b.keys, Digest: hex.EncodeToString(as)}
		if !d.Same {
			d.DigestB = hex.EncodeToString(bs)
			r.Same = false
		}
		r.Parts = append(r.Parts, d)
	}
	return r
}

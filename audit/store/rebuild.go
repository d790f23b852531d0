package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
// the store's own indexes ("slots", "batches", "tiles", "units"). Where shards
// were archived or accepted as damaged, an index is compared as far as the entries
// are here. Keys that belong to no part are in "other": there must be none.
type Derived struct {
	Name    string `json:"name"`
	Same    bool   `json:"same"`
	Keys    uint64 `json:"keys"`
	Before  uint64 `json:"keys_before"`
	Digest  string `json:"digest"` // SHA-256 over all keys and values in order
	DigestB string `json:"digest_before,omitempty"`
	// Differs names the first keys that were not as they are now.
	Differs []string `json:"differs,omitempty"`
}

// maxDiffers bounds the keys that one part names.
const maxDiffers = 5

// beforeDir is what was derived before, while it is compared.
const beforeDir = "badger.before"

// Rebuild drops Badger, remakes it from the segments and compares. It takes
// the store's lock, and for a while the room of both.
func Rebuild(ctx context.Context, o Options) (Rebuilt, error) {
	opt, err := o.withDefaults()
	if err != nil {
		return Rebuilt{}, err
	}
	if segs, err := opt.FS.ReadDir(filepath.Join(opt.Dir, segmentDir)); err != nil || len(segs) == 0 {
		return Rebuilt{}, fmt.Errorf("%w: %s", ErrNoStore, opt.Dir)
	}
	entries, remade := uint64(0), ""
	err = withStore(ctx, opt, func(s *Store, v *snapshot) error { // what was there, brought up
		entries, remade = v.meta.Last, s.Opening().Remade
		return nil
	})
	if err != nil {
		return Rebuilt{}, err
	}
	if err := setBefore(opt); err != nil {
		return Rebuilt{}, fmt.Errorf("audit/store: rebuild: %w", err)
	}
	old := filepath.Join(opt.Dir, beforeDir)
	r := Rebuilt{NotCompared: remade}
	err = withStore(ctx, opt, func(_ *Store, v *snapshot) error {
		r.Entries = v.meta.Last
		return r.compare(ctx, opt, old, v)
	})
	if err != nil {
		return Rebuilt{}, err
	}
	if err := os.RemoveAll(old); err != nil {
		return Rebuilt{}, fmt.Errorf("audit/store: rebuild: %w", err)
	}
	r.Same = r.NotCompared == "" && entries == r.Entries
	for _, p := range r.Parts {
		r.Same = r.Same && p.Same
	}
	return r, nil
}

// withStore opens the store for as long as fn takes.
func withStore(ctx context.Context, opt Options, fn func(*Store, *snapshot) error) (err error) {
	s, err := Open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if h := s.State(); h.State != OK {
		return &StateError{Health: h}
	}
	return s.withSnapshot(func(v *snapshot) error { return fn(s, v) })
}

// setBefore sets what is derived aside.
func setBefore(opt Options) (err error) {
	lock, err := lockDir(opt.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	old := filepath.Join(opt.Dir, beforeDir)
	if err := os.RemoveAll(old); err != nil { // of a rebuild that was cut short
		return err
	}
	return os.Rename(filepath.Join(opt.Dir, badgerDir), old)
}

// compare holds what was derived before against what is derived now, key by key.
func (r *Rebuilt) compare(ctx context.Context, opt Options, old string, now *snapshot) (err error) {
	segs, _, _, err := listSegments(opt.FS, opt.Dir)
	if err != nil || len(segs) == 0 {
		return errors.Join(err, fmt.Errorf("audit/store: rebuild: %d segments", len(segs)))
	}
	x := comparison{parts: map[string]*part{}, projections: opt.Projections}
	if from := segs[oldestWhole(segs)].head; from.Shard > 1 {
		x.first, x.shard = from.First, from.Shard
	}
	for _, name := range x.names() {
		x.parts[name] = &part{was: sha256.New(), is: sha256.New()}
	}
	db, err := openBadger(old)
	if err != nil {
		return fmt.Errorf("audit/store: rebuild: what was derived before: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	was := db.NewTransaction(false)
	defer was.Discard()
	if err := x.run(ctx, was, now.txn); err != nil {
		return err
	}
	for _, name := range x.names() {
		p := x.parts[name]
		if name == otherPart && p.keys == 0 && p.before == 0 {
			continue
		}
		bs, as := hex.EncodeToString(p.was.Sum(nil)), hex.EncodeToString(p.is.Sum(nil))
		d := Derived{Name: name, Same: bs == as && name != otherPart, Keys: p.keys, Before: p.before, Digest: as, Differs: p.differs}
		if !d.Same {
			d.DigestB = bs
		}
		r.Parts = append(r.Parts, d)
	}
	return nil
}

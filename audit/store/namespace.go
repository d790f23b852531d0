package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"linefit/audit"
)

// scanPrefix calls fn for every key with that prefix, in order. Key and value
// are valid during the call.
func scanPrefix(txn *badger.Txn, prefix []byte, fn func(k, v []byte) error) error {
	return scanFrom(txn, prefix, prefix, fn)
}

func scanFrom(txn *badger.Txn, prefix, from []byte, fn func(k, v []byte) error) error {
	opts := badger.DefaultIteratorOptions
	opts.Prefix, opts.PrefetchValues = prefix, false
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Seek(from); it.Valid(); it.Next() {
		i := it.Item()
		if err := i.Value(func(v []byte) error { return fn(i.Key(), v) }); err != nil {
			return err
		}
	}
	return nil
}

// A keySpace is where a projection's keys are: in Badger, or staged above it.
type keySpace interface {
	get(key []byte) (value []byte, ok bool, err error)
	// chunk returns the first n pairs with that prefix, from a key on, in order.
	chunk(prefix, from []byte, n int) ([]pair, error)
	set(key, value []byte) error
	del(key []byte) error
}

type pair struct{ key, value []byte }

// errEnough ends a scan.
var errEnough = errors.New("enough")

// inBadger is a transaction of Badger.
type inBadger struct{ txn *badger.Txn }

func (b inBadger) get(key []byte) ([]byte, bool, error) {
	item, err := b.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	v, err := item.ValueCopy(nil)
	return v, err == nil, err
}

func (b inBadger) chunk(prefix, from []byte, n int) ([]pair, error) {
	var out []pair
	err := scanFrom(b.txn, prefix, from, func(k, v []byte) error {
		out = append(out, pair{bytes.Clone(k), append([]byte{}, v...)})
		if len(out) == n {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return out, err
}

func (b inBadger) set(key, value []byte) error { return b.txn.Set(key, value) }
func (b inBadger) del(key []byte) error        { return b.txn.Delete(key) }

// A namespaced is one projection's part of a key space.
type namespaced struct {
	in     keySpace
	prefix []byte
}

func prefixOf(name string) []byte {
	p := append([]byte{keyProjection, byte(len(name))}, name...)
	return append(p, 0)
}

func namespace(txn *badger.Txn, name string) *namespaced {
	return &namespaced{inBadger{txn}, prefixOf(name)}
}

func (s *stage) namespace(name string) *namespaced {
	prefix := prefixOf(name)
	return &namespaced{stagedPart{s, string(prefix)}, prefix}
}

func (n *namespaced) key(k []byte) []byte { return append(bytes.Clone(n.prefix), k...) }

func (n *namespaced) Get(key []byte) ([]byte, bool, error) { return n.in.get(n.key(key)) }

// iterateChunk is how many pairs are read at a time: fn may well write, and
// want an iterator of its own.
const iterateChunk = 64

func (n *namespaced) Iterate(prefix []byte, fn func(key, value []byte) error) error {
	return n.IterateFrom(prefix, prefix, fn)
}

// IterateFrom is Iterate for the keys from a given one on.
func (n *namespaced) IterateFrom(prefix, first []byte, fn func(key, value []byte) error) error {
	from := n.key(first)
	for {
		chunk, err := n.in.chunk(n.key(prefix), from, iterateChunk)
		if err != nil {
			return err
		}
		for _, p := range chunk {
			if err := fn(p.key[len(n.prefix):], p.value); errors.Is(err, audit.ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if len(chunk) < iterateChunk {
			return nil
		}
		from = append(chunk[len(chunk)-1].key, 0)
	}
}

func (n *namespaced) Set(key, value []byte) error {
	if len(key) > audit.MaxKey || len(value) > audit.MaxValue {
		return fmt.Errorf("key of %d or value of %d bytes is too large", len(key), len(value))
	}
	return n.in.set(n.key(key), bytes.Clone(value))
}

func (n *namespaced) Delete(key []byte) error { return n.in.del(n.key(key)) }

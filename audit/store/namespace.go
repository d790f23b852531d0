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

// A namespaced is one projection's part of a transaction.
type namespaced struct {
	txn    *badger.Txn
	prefix []byte
}

func namespace(txn *badger.Txn, name string) *namespaced {
	p := append([]byte{keyProjection, byte(len(name))}, name...)
	return &namespaced{txn, append(p, 0)}
}

func (n *namespaced) key(k []byte) []byte { return append(bytes.Clone(n.prefix), k...) }

func (n *namespaced) Get(key []byte) ([]byte, bool, error) {
	item, err := n.txn.Get(n.key(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	v, err := item.ValueCopy(nil)
	return v, err == nil, err
}

type pair struct{ key, value []byte }

// iterateChunk is how many pairs are read at a time: a writing transaction
// can have one iterator, and fn may well want another.
const iterateChunk = 64

func (n *namespaced) Iterate(prefix []byte, fn func(key, value []byte) error) error {
	return n.IterateFrom(prefix, prefix, fn)
}

// IterateFrom is Iterate for the keys from a given one on.
func (n *namespaced) IterateFrom(prefix, first []byte, fn func(key, value []byte) error) error {
	from := n.key(first)
	for {
		var chunk []pair
		err := scanFrom(n.txn, n.key(prefix), from, func(k, v []byte) error {
			chunk = append(chunk, pair{bytes.Clone(k), append([]byte{}, v...)})
			if len(chunk) == iterateChunk {
				return audit.ErrStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, audit.ErrStop) {
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
	return n.txn.Set(n.key(key), bytes.Clone(value))
}

func (n *namespaced) Delete(key []byte) error { return n.txn.Delete(n.key(key)) }

package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Tree is the right edge of a log's Merkle tree: for each level the last
// complete subtree. That is all that appending and the root need. The zero
// value is the empty tree. Hashing and index arithmetic are tlog's.
type Tree struct {
	size int64
	edge [64]tlog.Hash
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return uint64(t.size) }

// Append adds a leaf hash and returns the hashes that became complete with
// it; the first is the leaf's own, the i-th that of the subtree of 2^i leaves
// that ends here. They belong at [tlog.StoredHashIndex](0, size) and following.
func (t *Tree) Append(leaf tlog.Hash) []tlog.Hash {
	stored, err := tlog.StoredHashesForRecordHash(t.size, leaf, tlog.HashReaderFunc(t.read))
	if err != nil {
		panic(fmt.Sprintf("audit: tree of size %d: %v", t.size, err)) // read never fails
	}
	copy(t.edge[:], stored)
	t.size++
	return stored
}

// Root returns the root hash; that of the empty tree is SHA-256 of nothing.
func (t *Tree) Root() tlog.Hash {
	root, err := tlog.TreeHash(t.size, tlog.HashReaderFunc(t.read))
	if err != nil {
		panic(fmt.Sprintf("audit: tree of size %d: %v", t.size, err)) // read never fails
	}
	return root
}

// Head returns size and root.
func (t *Tree) Head() Head { return Head{Size: t.Size(), Root: t.Root()} }

// read serves the subtrees that appending and the root ask for: on each level
// the last complete one.
func (t *Tree) read(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, _ := tlog.SplitStoredHashIndex(index)
		out[i] = t.edge[level]
	}
	return out, nil
}

// LoadTree returns the right edge of the tree of that size, read from r.
func LoadTree(size uint64, r tlog.HashReader) (*Tree, error) {
	t := &Tree{size: int64(size)}
	var indexes []int64
	for level := range 63 {
		if n := t.size >> level; n > 0 {
			indexes = append(indexes, tlog.StoredHashIndex(level, n-1))
		}
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("audit: load tree of size %d: %w", size, err)
	}
	copy(t.edge[:], hashes)
	return t, nil
}

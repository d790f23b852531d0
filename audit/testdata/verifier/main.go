// Verifier checks an export of a station's log (C2SP tlog-tiles) with nothing
// but the Go checksum database's own packages. It shares no code with linefit
// and is written from the published formats alone:
//
//	verifier [-old CHECKPOINT] [-since-golden SLOT] VKEY-FILE DIR
//
// It prints the number of entries and exits 0, or says what is wrong and
// where and exits 1. An intent that has no result is named: nobody knew what
// became of it. It reads the export once and keeps the right edge of the tree,
// one tile of each level, and a counter for each slot and unit.
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	old := flag.String("old", "", "file with an earlier `checkpoint` of the log")
	slot := flag.Int("since-golden", 0, "print the units built in this `slot` since its last golden sample that passed")
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	seen := newMeaning(*slot)
	n, err := verify(flag.Arg(0), flag.Arg(1), *old, seen)
	if err != nil {
		fmt.Println("BAD:", err)
		os.Exit(1)
	}
	seen.print()
	fmt.Println("good:", n, "entries")
}

func verify(vkeyFile, dir, oldFile string, seen *meaning) (int64, error) {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return 0, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return 0, err
	}
	head, err := checkpoint(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return 0, err
	}
	before := tlog.Tree{N: -1}
	if oldFile != "" {
		if before, err = checkpoint(oldFile, verifier); err != nil {
			return 0, err
		}
		if before.N > head.N {
			return 0, fmt.Errorf("rolled back: %d entries were signed before, now %d", before.N, head.N)
		}
	}
	e := &export{dir: dir, size: head.N}
	for ; ; e.n++ {
		if e.n == before.N {
			if root, err := tlog.TreeHash(e.n, e); err != nil || root != before.Hash {
				return 0, fmt.Errorf("another history: root at %d is %v, was %v", e.n, root, before.Hash)
			}
		}
		if e.n == head.N {
			break
		}
		raw, err := e.next()
		if err != nil {
			return 0, err
		}
		if err := seen.see(raw, uint64(e.n)); err != nil {
			return 0, fmt.Errorf("entry %d: %w", e.n+1, err)
		}
	}
	for level := range e.tiles {
		if err := e.tile(level, head.N); err != nil {
			return 0, err
		}
	}
	if root, err := tlog.TreeHash(head.N, e); err != nil || root != head.Hash {
		return 0, fmt.Errorf("the entries give root %v, the checkpoint says %v", root, head.Hash)
	}
	return head.N, nil
}

// checkpoint opens a C2SP checkpoint.
func checkpoint(file string, v note.Verifier) (tlog.Tree, error) {
	signed, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", file, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != v.Name() {
		return tlog.Tree{}, fmt.Errorf("%s: not a checkpoint of %s", file, v.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// export is a folder of tiles that is read in order.
type export struct {
	dir     string
	size, n int64
	edge    [64]tlog.Hash // of each level the last complete subtree
	tiles   [8][]byte     // of each level above the leaves the tile that is filling up
	bundle  []byte        // what is left of the entry bundle being read
	leaves  []byte        // the tile with its hashes
}

// ReadHashes serves the subtrees that appending and the root ask for.
func (e *export) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, _ := tlog.SplitStoredHashIndex(x)
		out[i] = e.edge[level]
	}
	return out, nil
}

func (e *export) read(t tlog.Tile) (data []byte, path string, err error) {
	path = strings.Replace(strings.Replace(t.Path(), "tile/8/data/", "tile/entries/", 1), "tile/8/", "tile/", 1)
	data, err = os.ReadFile(filepath.Join(e.dir, path))
	return data, path, err
}

// next returns the bytes of the next entry and adds it to the tree.
func (e *export) next() ([]byte, error) {
	t := tlog.Tile{H: 8, L: -1, N: e.n / 256, W: int(min(256, e.size-e.n/256*256))}
	var err error
	if e.n%256 == 0 {
		if e.bundle, _, err = e.read(t); err != nil {
			return nil, err
		}
		if e.leaves, _, err = e.read(tlog.Tile{H: 8, L: 0, N: t.N, W: t.W}); err != nil {
			return nil, err
		}
	}
	if len(e.bundle) < 2 || len(e.bundle) < 2+int(binary.BigEndian.Uint16(e.bundle)) {
		return nil, fmt.Errorf("entry %d: its bundle breaks off", e.n+1)
	}
	n := 2 + int(binary.BigEndian.Uint16(e.bundle))
	raw := e.bundle[2:n]
	if e.bundle = e.bundle[n:]; (e.n == e.size-1 || e.n%256 == 255) && len(e.bundle) > 0 {
		return nil, fmt.Errorf("entry %d: %d bytes too many in its bundle", e.n+1, len(e.bundle))
	}
	stored, err := tlog.StoredHashes(e.n, raw, e)
	if err != nil {
		return nil, err
	}
	if len(e.leaves) != 32*t.W || !bytes.Equal(e.leaves[e.n%256*32:][:32], stored[0][:]) {
		return nil, fmt.Errorf("entry %d: its hash is not the one in the tree", e.n+1)
	}
	copy(e.edge[:], stored)
	for level := 1; level*8 < len(stored); level++ {
		if e.tiles[level] = append(e.tiles[level], stored[level*8][:]...); len(e.tiles[level]) == 256*32 {
			if err := e.tile(level, e.n+1); err != nil {
				return nil, err
			}
		}
	}
	return raw, nil
}

// tile compares the last tile of a level with the tree of n entries.
func (e *export) tile(level int, n int64) error {
	want := e.tiles[level]
	if len(want) == 0 {
		return nil
	}
	e.tiles[level] = nil
	have, path, err := e.read(tlog.Tile{H: 8, L: level, N: (n>>(8*level) - 1) / 256, W: len(want) / 32})
	if err != nil || !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not the entries' (%v)", path, err)
	}
	return nil
}

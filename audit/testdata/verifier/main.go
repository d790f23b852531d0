// Verifier checks an export of a station's log (C2SP tlog-tiles) with nothing
// but the Go checksum database's own packages. It shares no code with linefit
// and is written from the published formats alone:
//
//	verifier [-old CHECKPOINT] [-since-golden SLOT] VKEY-FILE DIR
//
// It prints the number of entries and exits 0, or says what is wrong and
// where and exits 1.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	found := &contained{slot: *slot}
	n, err := verify(flag.Arg(0), flag.Arg(1), *old, found)
	if err != nil {
		fmt.Println("BAD:", err)
		os.Exit(1)
	}
	if *slot > 0 {
		found.print()
	}
	fmt.Println("good:", n, "entries")
}

func verify(vkeyFile, dir, oldFile string, found *contained) (int64, error) {
	vkey, err := os.ReadFile(vkeyFile)
	if err != nil {
		return 0, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return 0, err
	}
	tree, err := checkpoint(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return 0, err
	}
	var hashes []tlog.Hash // all stored hashes of the tree
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	counters := map[string]uint64{}
	for i := int64(0); i < tree.N; i++ {
		raw, err := entry(dir, tree.N, i)
		if err != nil {
			return 0, err
		}
		stored, err := tlog.StoredHashes(i, raw, reader)
		if err != nil {
			return 0, err
		}
		hashes = append(hashes, stored...)
		if err := count(raw, uint64(i), counters); err != nil {
			return 0, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if err := found.see(raw); err != nil {
			return 0, fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	if err := tiles(dir, tree.N, reader); err != nil {
		return 0, err
	}
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return 0, fmt.Errorf("the entries give root %v, the checkpoint says %v", root, tree.Hash)
	}
	if oldFile == "" {
		return tree.N, nil
	}
	before, err := checkpoint(oldFile, verifier)
	if err != nil {
		return 0, err
	}
	if before.N > tree.N {
		return 0, fmt.Errorf("rolled back: %d entries were signed before, now %d", before.N, tree.N)
	}
	if root, err := tlog.TreeHash(before.N, reader); err != nil || root != before.Hash {
		return 0, fmt.Errorf("another history: root at %d is %v, was %v", before.N, root, before.Hash)
	}
	return tree.N, nil
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

var (
	bundle []byte // what is left of the entry bundle being read
	leaf   []byte // the tile with its hashes
)

// entry returns the bytes of entry i; entries are read in order.
func entry(dir string, size, i int64) ([]byte, error) {
	t := tlog.Tile{H: 8, L: -1, N: i / 256, W: int(min(256, size-i/256*256))}
	path := strings.Replace(t.Path(), "tile/8/data/", "tile/entries/", 1)
	if i%256 == 0 {
		var err error
		if bundle, err = os.ReadFile(filepath.Join(dir, path)); err != nil {
			return nil, err
		}
		if leaf, err = os.ReadFile(filepath.Join(dir, tilePath(tlog.Tile{H: 8, L: 0, N: t.N, W: t.W}))); err != nil {
			return nil, err
		}
	}
	if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
		return nil, fmt.Errorf("entry %d: %s breaks off", i+1, path)
	}
	n := 2 + int(binary.BigEndian.Uint16(bundle))
	raw := bundle[2:n]
	if bundle = bundle[n:]; i == size-1 && len(bundle) > 0 || i%256 == 255 && len(bundle) > 0 {
		return nil, fmt.Errorf("entry %d: %d bytes too many in %s", i+1, len(bundle), path)
	}
	if h := tlog.RecordHash(raw); len(leaf) != 32*t.W || !bytes.Equal(leaf[i%256*32:][:32], h[:]) {
		return nil, fmt.Errorf("entry %d: its hash is not the one in the tree", i+1)
	}
	return raw, nil
}

func tilePath(t tlog.Tile) string { return strings.Replace(t.Path(), "tile/8/", "tile/", 1) }

// tiles compares every tile file with the tree of the entries.
func tiles(dir string, size int64, r tlog.HashReader) error {
	for _, t := range tlog.NewTiles(8, 0, size) {
		want, err := tlog.ReadTileData(t, r)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(filepath.Join(dir, tilePath(t))); err != nil || !bytes.Equal(have, want) {
			return fmt.Errorf("%s is not the entries' (%v)", tilePath(t), err)
		}
	}
	return nil
}

// count checks the order and the gap-free counters of slots and units.
func count(raw []byte, index uint64, counters map[string]uint64) error {
	var e struct {
		Seq     uint64 `json:"seq"`
		Slot    int    `json:"slot"`
		SlotSeq uint64 `json:"slot_seq"`
		Unit    string `json:"unit"`
		UnitSeq uint64 `json:"unit_seq"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	if first := counters["first"]; first == 0 {
		counters["first"] = e.Seq
	} else if e.Seq != first+index {
		return fmt.Errorf("it says seq %d", e.Seq)
	}
	slot := fmt.Sprint("slot ", e.Slot)
	if counters[slot]++; counters[slot] != e.SlotSeq {
		return fmt.Errorf("%s counts %d, %d belongs here", slot, e.SlotSeq, counters[slot])
	}
	if counters["unit "+e.Unit]++; e.Unit != "" && counters["unit "+e.Unit] != e.UnitSeq {
		return fmt.Errorf("unit %q counts %d", e.Unit, e.UnitSeq)
	}
	return nil
}

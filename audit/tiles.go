package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Tile geometry of C2SP tlog-tiles.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// TilePath is the C2SP tlog-tiles path of a tile: "tile/0/x001/234.p/7".
func TilePath(level int, index uint64, width int) string {
	t := tlog.Tile{H: TileHeight, L: level, N: int64(index), W: width}
	return strings.Replace(t.Path(), "tile/8/", "tile/", 1)
}

// EntriesPath is the C2SP tlog-tiles path of a bundle of entries.
func EntriesPath(index uint64, width int) string {
	t := tlog.Tile{H: TileHeight, L: -1, N: int64(index), W: width}
	return strings.Replace(t.Path(), "tile/8/data/", "tile/entries/", 1)
}

// AppendBundled appends an entry to a C2SP entry bundle: its length as two
// big-endian bytes, then its bytes.
func AppendBundled(bundle, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
}

// CutBundled returns the first entry of an entry bundle and what follows it.
func CutBundled(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errors.New("audit: entry bundle ends within a length")
	}
	n := int(binary.BigEndian.Uint16(bundle))
	if len(bundle) < 2+n {
		return nil, nil, fmt.Errorf("audit: entry bundle has %d bytes where an entry of %d begins", len(bundle)-2, n)
	}
	return bundle[2 : 2+n], bundle[2+n:], nil
}

// A TileWriter turns entries into the files of a C2SP tlog-tiles tree,
// checkpoint excluded. Put is called once for each file, full tiles as soon
// as they are complete, the partial ones at Close.
type TileWriter struct {
	Put func(path string, data []byte) error

	tree    Tree
	tiles   [TileHeight][]byte
	entries []byte
}

// Add adds the next entry.
func (w *TileWriter) Add(entry []byte) error {
	leaf := w.tree.Size()
	stored := w.tree.Append(LeafHash(entry))
	w.entries = AppendBundled(w.entries, entry)
	if leaf%TileWidth == TileWidth-1 {
		if err := w.Put(EntriesPath(leaf/TileWidth, TileWidth), w.entries); err != nil {
			return err
		}
		w.entries = nil
	}
	for level := 0; level*TileHeight < len(stored); level++ {
		w.tiles[level] = append(w.tiles[level], stored[level*TileHeight][:]...)
		node := leaf >> (level * TileHeight)
		if node%TileWidth != TileWidth-1 {
			continue
		}
		if err := w.Put(TilePath(level, node/TileWidth, TileWidth), w.tiles[level]); err != nil {
			return err
		}
		w.tiles[level] = nil
	}
	return nil
}

// Close writes the partial tiles and returns the head of the whole tree.
func (w *TileWriter) Close() (Head, error) {
	size := w.tree.Size()
	if n := int(size % TileWidth); n > 0 {
		if err := w.Put(EntriesPath(size/TileWidth, n), w.entries); err != nil {
			return Head{}, err
		}
	}
	for level := range w.tiles {
		nodes := size >> (level * TileHeight)
		if n := int(nodes % TileWidth); n > 0 {
			if err := w.Put(TilePath(level, nodes/TileWidth, n), w.tiles[level]); err != nil {
				return Head{}, err
			}
		}
	}
	return w.tree.Head(), nil
}

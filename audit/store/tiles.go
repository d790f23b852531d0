package store

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	tileBytes  = tileWidth * tlog.HashSize
	tileLevels = 8 // 256^8 leaves
)

// tileEdge holds the tiles on the right edge of the tree while they fill up,
// and the ones that became full since the last flush.
type tileEdge struct {
	part  [tileLevels][]byte
	index [tileLevels]uint64 // of the tile in part
	dirty [tileLevels]bool
	full  []tile
}

type tile struct {
	level int
	index uint64
	data  []byte
}

// add takes the hashes that [audit.Tree.Append] returned for leaf index.
func (t *tileEdge) add(leaf uint64, stored []tlog.Hash) {
	for level := 0; level*tileHeight < len(stored); level++ {
		node := leaf >> (level * tileHeight)
		t.index[level] = node >> tileHeight
		t.part[level] = append(t.part[level], stored[level*tileHeight][:]...)
		t.dirty[level] = true
		if len(t.part[level]) == tileBytes {
			t.full = append(t.full, tile{level, t.index[level], t.part[level]})
			t.part[level] = nil
			t.dirty[level] = false
		}
	}
}

// flush returns the tiles to be written: the full ones, and the partial ones
// above level 0 that changed. Partial tiles of level 0 are read back from the
// entries themselves.
func (t *tileEdge) flush() []tile {
	out := t.full
	t.full = nil
	for level := 1; level < tileLevels; level++ {
		if t.dirty[level] {
			out = append(out, tile{level, t.index[level], append([]byte(nil), t.part[level]...)})
			t.dirty[level] = false
		}
	}
	t.dirty[0] = false
	return out
}

// tileSource returns the data of a tile, at least width hashes of it.
type tileSource func(level int, index uint64, width int) ([]byte, error)

// loadEdge reads the right edge of the tree of that size.
func loadEdge(size uint64, read tileSource) (*tileEdge, error) {
	t := &tileEdge{}
	for level := range tileLevels {
		nodes := size >> (level * tileHeight)
		width := int(nodes % tileWidth)
		if t.index[level] = nodes / tileWidth; width == 0 {
			continue
		}
		data, err := read(level, t.index[level], width)
		if err != nil {
			return nil, err
		}
		t.part[level] = append([]byte(nil), data[:width*tlog.HashSize]...)
	}
	return t, nil
}

// hashReader serves the stored hashes of the tree of that size out of tiles.
func hashReader(size uint64, read tileSource) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		var cached tlog.Tile
		var data []byte
		for i, index := range indexes {
			t := tlog.TileForIndex(tileHeight, index)
			nodes := size >> (t.L * tileHeight)
			if uint64(t.N)<<tileHeight >= nodes {
				return nil, fmt.Errorf("hash %d is not in the tree of size %d", index, size)
			}
			t.W = int(min(tileWidth, nodes-uint64(t.N)<<tileHeight))
			if data == nil || t != cached {
				d, err := read(t.L, uint64(t.N), t.W)
				if err != nil {
					return nil, err
				}
				if len(d) < t.W*tlog.HashSize {
					return nil, fmt.Errorf("tile %d/%d has %d bytes, not %d hashes", t.L, t.N, len(d), t.W)
				}
				cached, data = t, d[:t.W*tlog.HashSize]
			}
			h, err := tlog.HashFromTile(t, data, index)
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

func tileKey(shard uint32, level int, index uint64) []byte {
	k := binary.BigEndian.AppendUint32([]byte{keyTile}, shard)
	return binary.BigEndian.AppendUint64(append(k, byte(level)), index)
}

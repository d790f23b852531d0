package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"linefit/audit"
)

// Kinds of frames in a segment.
const (
	kindHeader = 'H' // first frame of a segment: header, JSON
	kindEntry  = 'E' // one entry
	kindSigned = 'S' // a checkpoint that was published before this batch
	kindCommit = 'C' // end of a batch: size (8 bytes), root (32 bytes)
)

const (
	magic       = "linefit\x01"
	frameHeader = 9 // length 4, kind 1, crc 4
	commitSize  = 8 + 32
	commitFrame = frameHeader + commitSize
	// maxFrame bounds a frame's payload, maxBatch a batch's entries together.
	maxFrame = 64 << 10
	maxBatch = 512 << 10
	// maxBatchEntries bounds the entries of one batch.
	maxBatchEntries = 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends one frame: big-endian length of the payload, kind,
// CRC-32C over length, kind and payload, payload.
func appendFrame(dst []byte, kind byte, payload []byte) []byte {
	var h [frameHeader]byte
	binary.BigEndian.PutUint32(h[0:], uint32(len(payload)))
	h[4] = kind
	binary.BigEndian.PutUint32(h[5:], frameCRC(h[:5], payload))
	return append(append(dst, h[:]...), payload...)
}

func frameCRC(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, payload)
}

func appendCommit(dst []byte, h audit.Head) []byte {
	var p [commitSize]byte
	binary.BigEndian.PutUint64(p[:], h.Size)
	copy(p[8:], h.Root[:])
	return appendFrame(dst, kindCommit, p[:])
}

func parseCommit(p []byte) audit.Head {
	var h audit.Head
	h.Size = binary.BigEndian.Uint64(p)
	copy(h.Root[:], p[8:])
	return h
}

// header is the first frame of a segment.
type header struct {
	Format int        `json:"format"` // 1
	Origin string     `json:"origin"` // the shard's origin
	Shard  uint32     `json:"shard"`  // 1 for the station's first
	Base   uint64     `json:"base"`   // seq of the shard's first entry
	First  uint64     `json:"first"`  // seq of the segment's first entry
	Prev   audit.Head `json:"prev"`   // the shard's head before that entry
	VKey   string     `json:"vkey"`   // verifies the shard's checkpoints
	Sim    bool       `json:"sim"`    // a simulated station
	// Link is in the first segment of every shard but the first: what the
	// shard's first entry says about the shard before.
	Link *audit.ShardOpened `json:"link,omitempty"`
}

func (h header) encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(h); err != nil {
		return nil, fmt.Errorf("segment header: %w", err)
	}
	return appendFrame([]byte(magic), kindHeader, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

func parseHeader(payload []byte) (header, error) {
	var h header
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return header{}, err
	}
	if h.Format != 1 {
		return header{}, fmt.Errorf("segment format %d is not 1", h.Format)
	}
	if h.Shard == 0 || h.Base == 0 || h.First < h.Base || h.First-h.Base != h.Prev.Size {
		return header{}, errors.New("numbers of the segment header do not fit together")
	}
	return h, nil
}

// segmentName is the file name of the segment that begins with entry first.
func segmentName(shard uint32, first uint64) string {
	return fmt.Sprintf("%04d-%012d.seg", shard, first)
}

// parseSegmentName is the inverse of segmentName.
func parseSegmentName(name string) (shard uint32, first uint64, ok bool) {
	if _, err := fmt.Sscanf(name, "%d-%d.seg", &shard, &first); err != nil {
		return 0, 0, false
	}
	return shard, first, segmentName(shard, first) == name && strings.HasSuffix(name, ".seg")
}

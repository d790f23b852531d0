package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"linefit/audit"
)

// damage says where a segment stops being readable.
type damage struct {
	offset int64  // of the first frame that is not valid
	seq    uint64 // of the entry that begins there, if it is one
	what   string // in words
	// torn: it can be the rest of a batch that was being written when the
	// machine or the program stopped. Only the end of the newest segment may
	// be torn, and only behind the newest signed head.
	torn bool
}

func (d *damage) Error() string { return fmt.Sprintf("byte %d: %s", d.offset, d.what) }

// A batch is what one flush made durable.
type batch struct {
	start, end int64 // of the batch in its segment, in bytes
	first      uint64
	entries    [][]byte
	offsets    []int64 // of the entries' frames
	signed     []byte  // checkpoint frame, or nil
	head       audit.Head
}

// scanner reads a segment batch after batch. Its slices are valid until the
// next call.
type scanner struct {
	r    io.ReaderAt
	size int64 // bytes that may be read
	off  int64 // next frame
	seq  uint64
	buf  []byte // read-ahead: file bytes from bufOff
	pos  int64
	hold []byte // payloads of the batch being read
}

const readAhead = 256 << 10

// openScanner reads the header and returns a scanner behind it. The error is
// a *damage or an I/O error.
func openScanner(r io.ReaderAt, size int64) (*scanner, header, error) {
	s := &scanner{r: r, size: size}
	head, err := s.bytes(0, len(magic))
	if err != nil {
		return nil, header{}, err
	}
	if len(head) < len(magic) {
		return nil, header{}, &damage{offset: 0, what: "shorter than the file's magic", torn: true}
	}
	if string(head) != magic {
		return nil, header{}, &damage{offset: 0, what: "not a linefit segment", torn: allZero(head)}
	}
	s.off = int64(len(magic))
	kind, payload, err := s.frame()
	if err == io.EOF {
		return nil, header{}, &damage{offset: s.off, what: "nothing behind the file's magic", torn: true}
	}
	if err != nil {
		return nil, header{}, err
	}
	if kind != kindHeader {
		return nil, header{}, &damage{offset: s.off, what: "first frame is not a header"}
	}
	h, err := parseHeader(payload)
	if err != nil {
		return nil, header{}, &damage{offset: int64(len(magic)), what: err.Error()}
	}
	s.off += frameHeader + int64(len(payload))
	s.seq = h.First
	return s, h, nil
}

// seek continues at off, where a batch beginning with entry seq stands.
func (s *scanner) seek(off int64, seq uint64) { s.off, s.seq = off, seq }

// bytes returns n bytes at off, fewer at the end of the file. They are valid
// until the next call.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	if n = int(min(int64(n), s.size-off)); n <= 0 {
		return nil, nil
	}
	if off < s.pos || off+int64(n) > s.pos+int64(len(s.buf)) {
		want := int(min(int64(max(n, readAhead)), s.size-off))
		if cap(s.buf) < want {
			s.buf = make([]byte, want)
		}
		s.buf = s.buf[:want]
		got, err := s.r.ReadAt(s.buf, off)
		s.buf, s.pos = s.buf[:got], off
		if err != nil && err != io.EOF {
			return nil, err
		}
		n = min(n, got)
	}
	return s.buf[off-s.pos:][:n], nil
}

// frame reads the frame at s.off without moving on.
func (s *scanner) frame() (kind byte, payload []byte, err error) {
	head, err := s.bytes(s.off, frameHeader)
	if err != nil {
		return 0, nil, err
	}
	if len(head) == 0 {
		return 0, nil, io.EOF
	}
	if len(head) < frameHeader {
		return 0, nil, s.damage("incomplete frame header")
	}
	length := binary.BigEndian.Uint32(head)
	if length > maxFrame {
		return 0, nil, s.damage(fmt.Sprintf("frame length %d is more than %d", length, maxFrame))
	}
	whole, err := s.bytes(s.off, frameHeader+int(length))
	if err != nil {
		return 0, nil, err
	}
	if len(whole) < frameHeader+int(length) {
		return 0, nil, s.damage(fmt.Sprintf("frame of %d bytes, %d are there", length, len(whole)-frameHeader))
	}
	if binary.BigEndian.Uint32(whole[5:]) != frameCRC(whole[:5], whole[frameHeader:]) {
		return 0, nil, s.damage("checksum of the frame does not match")
	}
	return whole[4], whole[frameHeader:], nil
}

// damage describes the frame at s.off as damaged, and decides whether it can
// be torn: nothing valid stands behind it, and it is cut short or has a hole.
func (s *scanner) damage(what string) *damage {
	d := &damage{offset: s.off, what: what}
	rest := make([]byte, min(s.size-s.off, 4*maxBatch))
	n, _ := s.r.ReadAt(rest, s.off)
	rest = rest[:n]
	if at := findFrame(rest); at >= 0 {
		// Blocks can reach the disk in another order than they were written.
		d.torn = hasHole(rest[:at]) && lastBatch(rest[at:])
	} else {
		d.torn = cutShort(rest) || hasHole(rest)
	}
	return d
}

// lastBatch says whether b, which begins with a valid frame, is the end of
// the last batch: one commit frame, at the very end.
func lastBatch(b []byte) bool {
	for len(b) > 0 {
		if len(b) < frameHeader {
			return false
		}
		n := frameHeader + int(binary.BigEndian.Uint32(b))
		if n > len(b) || binary.BigEndian.Uint32(b[5:]) != frameCRC(b[:5], b[frameHeader:n]) {
			at := findFrame(b) // another hole
			if at < 0 {
				return false
			}
			b = b[at:]
			continue
		}
		if b[4] == kindCommit {
			return n == len(b)
		}
		b = b[n:]
	}
	return false
}

// findFrame returns where behind the start of b a valid frame stands, or -1.
func findFrame(b []byte) int {
	for i := 1; i+frameHeader <= len(b); i++ {
		switch b[i+4] {
		case kindEntry, kindCommit, kindSigned:
		default:
			continue
		}
		n := binary.BigEndian.Uint32(b[i:])
		if n > maxFrame || i+frameHeader+int(n) > len(b) || n == 0 {
			continue
		}
		f := b[i:][:frameHeader+int(n)]
		if binary.BigEndian.Uint32(f[5:]) == frameCRC(f[:5], f[frameHeader:]) {
			return i
		}
	}
	return -1
}

// cutShort says whether b is the beginning of a frame.
func cutShort(b []byte) bool {
	if len(b) < frameHeader {
		return true
	}
	n := binary.BigEndian.Uint32(b)
	switch b[4] {
	case kindCommit:
		return n == commitSize && len(b) < commitFrame
	case kindEntry, kindSigned, kindHeader:
		return n <= maxFrame && len(b) < frameHeader+int(n)
	}
	return false
}

// hasHole says whether b has blocks that were allocated and never written.
// Entries have no zero bytes.
func hasHole(b []byte) bool {
	return len(b) > 0 && allZero(b) || bytes.Contains(b, make([]byte, 512))
}

func allZero(b []byte) bool { return len(bytes.TrimRight(b, "\x00")) == 0 }

// next returns the next whole batch. io.EOF is the clean end; a *damage says
// that from the last batch's end on there is no other whole batch.
func (s *scanner) next() (batch, error) {
	b := batch{start: s.off, first: s.seq}
	begin := s.off
	s.hold = s.hold[:0]
	var ends []int
	for {
		kind, payload, err := s.frame()
		if err == io.EOF && s.off > begin {
			err = &damage{offset: begin, what: "batch without its end", torn: true}
		}
		if err != nil {
			if d, ok := err.(*damage); ok {
				d.seq = b.first + uint64(len(ends))
				if d.torn {
					s.off = begin
				}
			}
			return batch{}, err
		}
		at := s.off
		s.off += frameHeader + int64(len(payload))
		switch {
		case kind == kindSigned && at == begin:
			b.signed = bytes.Clone(payload)
		case kind == kindEntry && len(ends) < maxBatchEntries && len(s.hold) <= maxBatch+audit.MaxEntry:
			b.offsets = append(b.offsets, at)
			s.hold = append(s.hold, payload...)
			ends = append(ends, len(s.hold))
		case kind == kindCommit && len(payload) == commitSize && len(ends) > 0:
			b.head, b.end = parseCommit(payload), s.off
			from := 0
			for _, to := range ends {
				b.entries = append(b.entries, s.hold[from:to])
				from = to
			}
			s.seq += uint64(len(b.entries))
			return b, nil
		default:
			s.off = at
			return batch{}, &damage{offset: at, seq: b.first + uint64(len(ends)), what: fmt.Sprintf("frame of kind %q does not belong here", kind)}
		}
	}
}

package wire

import (
	"bytes"
	"errors"
	"fmt"
)

// Tag is a BER tag as its encoded bytes, big-endian: 0x5A, 0x9F70, 0xBF2D.
// At most four bytes; leading zero bytes are not part of the tag.
type Tag uint32

// Constructed reports whether bit 6 of the tag's first byte is set.
func (t Tag) Constructed() bool { return t.first()&0x20 != 0 }

func (t Tag) first() byte {
	b := byte(t)
	for v := t; v != 0; v >>= 8 {
		b = byte(v)
	}
	return b
}

// Append appends the tag's bytes.
func (t Tag) Append(b []byte) []byte {
	for shift := 24; shift > 0; shift -= 8 {
		if t>>shift != 0 {
			b = append(b, byte(t>>shift))
		}
	}
	return append(b, byte(t))
}

// String is the tag in upper-case hexadecimal, as the specifications print it.
func (t Tag) String() string { return fmt.Sprintf("%02X", uint32(t)) }

const (
	// MaxDepth bounds the nesting that the readers follow.
	MaxDepth = 24
	// maxLengthBytes bounds a length field: 4 bytes reach 4 GiB, more than any input.
	maxLengthBytes = 4
)

// Errors of the TLV reader. They are wrapped in a *[SyntaxError] with the place.
var (
	ErrTruncated  = errors.New("input ends inside a TLV")
	ErrLength     = errors.New("length is indefinite, too wide or longer than the input")
	ErrTag        = errors.New("tag has more than four bytes")
	ErrTrailing   = errors.New("bytes follow the last TLV")
	ErrDepth      = errors.New("nested too deeply")
	ErrWrongTag   = errors.New("another tag was expected")
	ErrMissing    = errors.New("an element is missing")
	ErrDoubled    = errors.New("an element is there twice")
	ErrOutOfRange = errors.New("a value is out of range")
)

// SyntaxError says where a TLV could not be read.
type SyntaxError struct {
	Offset int // bytes from the start of the input
	Err    error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("TLV at byte %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause, one of the Err values of this package.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Node is one TLV. Raw and Value alias the input.
type Node struct {
	Tag   Tag
	Raw   []byte // tag, length and value as received
	Value []byte
}

// Header is the number of bytes of tag and length.
func (n Node) Header() int { return len(n.Raw) - len(n.Value) }

// ReadTag reads a tag from the start of b and returns its length.
func ReadTag(b []byte) (Tag, int, error) {
	if len(b) == 0 {
		return 0, 0, ErrTruncated
	}
	tag, n := Tag(b[0]), 1
	if b[0]&0x1f != 0x1f {
		return tag, n, nil
	}
	for {
		if n == len(b) {
			return 0, 0, ErrTruncated
		}
		if n == 4 {
			return 0, 0, ErrTag
		}
		tag = tag<<8 | Tag(b[n])
		n++
		if b[n-1]&0x80 == 0 {
			return tag, n, nil
		}
	}
}

// ReadLength reads a BER length from the start of b and returns its own size.
// It does not check the length against what follows. The indefinite form is
// refused.
func ReadLength(b []byte) (length, n int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrTruncated
	}
	if b[0] < 0x80 {
		return int(b[0]), 1, nil
	}
	width := int(b[0] & 0x7f)
	if width == 0 || width > maxLengthBytes {
		return 0, 0, ErrLength
	}
	if len(b) < 1+width {
		return 0, 0, ErrTruncated
	}
	var v uint64
	for _, c := range b[1 : 1+width] {
		v = v<<8 | uint64(c)
	}
	if v > 1<<31-1 {
		return 0, 0, ErrLength
	}
	return int(v), 1 + width, nil
}

// ReadHeader reads tag and length from the start of b without asking for the
// value to be there; the receiver of a segmented transfer needs that.
func ReadHeader(b []byte) (tag Tag, length, header int, err error) {
	tag, n, err := ReadTag(b)
	if err != nil {
		return 0, 0, 0, err
	}
	length, m, err := ReadLength(b[n:])
	if err != nil {
		return 0, 0, 0, err
	}
	return tag, length, n + m, nil
}

// Next reads the first TLV of b and returns the bytes behind it.
func Next(b []byte) (Node, []byte, error) {
	tag, length, header, err := ReadHeader(b)
	if err != nil {
		return Node{}, nil, &SyntaxError{Err: err}
	}
	if length > len(b)-header {
		return Node{}, nil, &SyntaxError{Err: ErrTruncated}
	}
	end := header + length
	return Node{Tag: tag, Raw: b[:end:end], Value: b[header:end:end]}, b[end:], nil
}

// Parse reads exactly one TLV, with nothing behind it.
func Parse(b []byte) (Node, error) {
	n, rest, err := Next(b)
	if err != nil {
		return Node{}, err
	}
	if len(rest) != 0 {
		return Node{}, &SyntaxError{Offset: len(n.Raw), Err: ErrTrailing}
	}
	return n, nil
}

// ParseTag is [Parse] for a known outer tag.
func ParseTag(b []byte, want Tag) (Node, error) {
	n, err := Parse(b)
	if err != nil {
		return Node{}, err
	}
	if n.Tag != want {
		return Node{}, &SyntaxError{Err: fmt.Errorf("%w: %v, not %v", ErrWrongTag, want, n.Tag)}
	}
	return n, nil
}

// ParseAll reads a sequence of TLVs that fills b.
func ParseAll(b []byte) ([]Node, error) {
	var nodes []Node
	for rest := b; len(rest) > 0; {
		n, tail, err := Next(rest)
		if err != nil {
			return nil, shift(err, len(b)-len(rest))
		}
		nodes, rest = append(nodes, n), tail
	}
	return nodes, nil
}

func shift(err error, by int) error {
	var s *SyntaxError
	if errors.As(err, &s) {
		return &SyntaxError{Offset: s.Offset + by, Err: s.Err}
	}
	return err
}

// Children reads the node's value as a sequence of TLVs.
func (n Node) Children() ([]Node, error) {
	nodes, err := ParseAll(n.Value)
	if err != nil {
		return nil, shift(err, n.Header())
	}
	return nodes, nil
}

// Find follows a path of tags, taking the first child of each name. It is
// false when an element is missing or the bytes on the way are no TLVs.
func (n Node) Find(path ...Tag) (Node, bool) {
	for _, tag := range path {
		found := false
		for rest := n.Value; len(rest) > 0; {
			child, tail, err := Next(rest)
			if err != nil {
				return Node{}, false
			}
			if child.Tag == tag {
				n, found = child, true
				break
			}
			rest = tail
		}
		if !found {
			return Node{}, false
		}
	}
	return n, true
}

// Need is [Node.Find] for elements that must be there, once each: what one reader
// takes from the first of two, another takes from the last. Its error names the
// path and is [ErrMissing] or [ErrDoubled]. Universal tags (a SEQUENCE, an OCTET
// STRING) may be there again: their place tells them apart.
func (n Node) Need(path ...Tag) (Node, error) {
	found, ok := n.Find(path...)
	if !ok {
		return Node{}, fmt.Errorf("%v: %w: %v", n.Tag, ErrMissing, path)
	}
	for at := n; len(path) > 0; path = path[1:] {
		times, one := 0, Node{}
		for rest := at.Value; len(rest) > 0; {
			child, tail, err := Next(rest)
			if err != nil {
				return Node{}, fmt.Errorf("%v: %w", n.Tag, err)
			}
			if child.Tag == path[0] {
				if times++; times == 1 {
					one = child
				}
			}
			rest = tail
		}
		if times > 1 && path[0].first()&0xC0 != 0 {
			return Node{}, fmt.Errorf("%v: %w: %v", n.Tag, ErrDoubled, path[0])
		}
		at = one
	}
	return found, nil
}

// Check reads the whole tree below n and reports the first syntax error, or
// [ErrDepth] when constructed nodes nest deeper than [MaxDepth].
func (n Node) Check() error { return n.check(0) }

func (n Node) check(depth int) error {
	if !n.Tag.Constructed() {
		return nil
	}
	if depth == MaxDepth {
		return &SyntaxError{Err: ErrDepth}
	}
	offset := n.Header()
	for rest := n.Value; len(rest) > 0; {
		child, tail, err := Next(rest)
		if err != nil {
			return shift(err, offset)
		}
		if err := child.check(depth + 1); err != nil {
			return shift(err, offset)
		}
		offset += len(child.Raw)
		rest = tail
	}
	return nil
}

// Equal reports whether two nodes have the same bytes.
func (n Node) Equal(o Node) bool { return bytes.Equal(n.Raw, o.Raw) }

// AppendLength appends a DER length.
func AppendLength(b []byte, n int) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n < 1<<8:
		return append(b, 0x81, byte(n))
	case n < 1<<16:
		return append(b, 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		return append(b, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// TLV encodes one TLV whose value is the concatenation of parts.
func TLV(tag Tag, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	b := make([]byte, 0, length+10)
	b = AppendLength(tag.Append(b), length)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// AppendInteger appends the shortest two's-complement form of v (the value of
// an ASN.1 INTEGER, X.690 section 8.3).
func AppendInteger(b []byte, v int64) []byte {
	n := 1
	for i := v; i > 127 || i < -128; i >>= 8 {
		n++
	}
	for shift := (n - 1) * 8; shift >= 0; shift -= 8 {
		b = append(b, byte(v>>shift))
	}
	return b
}

// Integer encodes an INTEGER under a tag.
func Integer(tag Tag, v int64) []byte { return TLV(tag, AppendInteger(nil, v)) }

// Int reads the node's value as an INTEGER of at most eight bytes.
func (n Node) Int() (int64, error) {
	if len(n.Value) == 0 || len(n.Value) > 8 {
		return 0, fmt.Errorf("%v: %w: INTEGER of %d bytes", n.Tag, ErrOutOfRange, len(n.Value))
	}
	v := int64(int8(n.Value[0]))
	for _, c := range n.Value[1:] {
		v = v<<8 | int64(c)
	}
	return v, nil
}

// Uint reads the node's value as an unsigned number of at most eight bytes, as
// ISO/IEC 7816 objects use them (a leading byte over 7F is no sign).
func (n Node) Uint() (uint64, error) {
	if len(n.Value) == 0 || len(n.Value) > 8 {
		return 0, fmt.Errorf("%v: %w: number of %d bytes", n.Tag, ErrOutOfRange, len(n.Value))
	}
	var v uint64
	for _, c := range n.Value {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// BitString encodes the named bits that are set as a BIT STRING without
// trailing zero bits (X.690 section 11.2.2).
func BitString(tag Tag, bits ...int) []byte {
	last := -1
	for _, bit := range bits {
		last = max(last, bit)
	}
	if last < 0 {
		return TLV(tag, []byte{0})
	}
	value := make([]byte, 2+last/8)
	value[0] = byte(7 - last%8)
	for _, bit := range bits {
		value[1+bit/8] |= 0x80 >> (bit % 8)
	}
	return TLV(tag, value)
}

// Bits reads the node's value as a BIT STRING and returns the numbers of the
// bits that are set, ascending.
func (n Node) Bits() ([]int, error) {
	if len(n.Value) == 0 || n.Value[0] > 7 || (len(n.Value) == 1 && n.Value[0] != 0) {
		return nil, fmt.Errorf("%v: %w: BIT STRING", n.Tag, ErrOutOfRange)
	}
	var bits []int
	for i := range (len(n.Value)-1)*8 - int(n.Value[0]) {
		if n.Value[1+i/8]&(0x80>>(i%8)) != 0 {
			bits = append(bits, i)
		}
	}
	return bits, nil
}

// Version is a three-byte version such as an SVN (SGP.22 VersionType).
func (n Node) Version() (string, error) {
	if len(n.Value) != 3 {
		return "", fmt.Errorf("%v: %w: version of %d bytes", n.Tag, ErrOutOfRange, len(n.Value))
	}
	return fmt.Sprintf("%d.%d.%d", n.Value[0], n.Value[1], n.Value[2]), nil
}

// OID reads the node's value as an OBJECT IDENTIFIER in dotted form.
func (n Node) OID() (string, error) {
	bad := fmt.Errorf("%v: %w: OBJECT IDENTIFIER", n.Tag, ErrOutOfRange)
	if len(n.Value) == 0 || n.Value[len(n.Value)-1]&0x80 != 0 {
		return "", bad
	}
	var arcs []string
	var v uint64
	for _, c := range n.Value {
		if v >= 1<<56 {
			return "", bad
		}
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if arcs == nil {
			first := min(v/40, 2)
			arcs = append(arcs, strconv.FormatUint(first, 10))
			v -= first * 40
		}
		arcs = append(arcs, strconv.FormatUint(v, 10))
		v = 0
	}
	return strings.Join(arcs, "."), nil
}

// OID encodes a dotted OBJECT IDENTIFIER under a tag.
func OID(tag Tag, dotted string) ([]byte, error) {
	parts := strings.Split(dotted, ".")
	if len(parts) < 2 {
		return nil, fmt.Errorf("OBJECT IDENTIFIER %q: %w", dotted, ErrOutOfRange)
	}
	arcs := make([]uint64, len(parts))
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 56)
		if err != nil || (i == 0 && v > 2) || (i == 1 && arcs[0] < 2 && v > 39) {
			return nil, fmt.Errorf("OBJECT IDENTIFIER %q: %w", dotted, ErrOutOfRange)
		}
		arcs[i] = v
	}
	value := appendBase128(nil, arcs[0]*40+arcs[1])
	for _, v := range arcs[2:] {
		value = appendBase128(value, v)
	}
	return TLV(tag, value), nil
}

func appendBase128(b []byte, v uint64) []byte {
	n := 1
	for i := v; i > 0x7f; i >>= 7 {
		n++
	}
	for i := n - 1; i > 0; i-- {
		b = append(b, byte(v>>(7*i))|0x80)
	}
	return append(b, byte(v&0x7f))
}

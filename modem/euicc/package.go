package euicc

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"linefit/modem/apdu"
	"linefit/modem/wire"
)

// MaxPackage bounds a bound profile package in bytes: well above the memory of
// any eUICC.
const MaxPackage = 4 << 20

// BoundPackage is a bound profile package, cut into segments. It is secret: it
// has no String, and what is printed of it is its size.
type BoundPackage struct {
	raw           []byte
	segments      [][]byte
	transactionID []byte
	metadata      []byte // BF25 out of the 88 segments, or nil when it is enciphered
}

// ErrPackage refuses what is no bound profile package.
var ErrPackage = errors.New("not a bound profile package")

// ParseBoundPackage checks the shape of a BF36 and cuts it into the segments of
// SGP.22 section 2.5.5: header with the initialise secure channel request; A0
// header with its first 87; A1 header; each 88; A2 header with its first 87,
// where there is one; A3 header; each 86. The segments alias raw.
func ParseBoundPackage(raw []byte) (*BoundPackage, error) {
	fail := func(err error) (*BoundPackage, error) { return nil, fmt.Errorf("%w: %w", ErrPackage, err) }
	if len(raw) > MaxPackage {
		return fail(fmt.Errorf("%d bytes, at most %d", len(raw), MaxPackage))
	}
	n, err := wire.ParseTag(raw, 0xBF36)
	if err != nil {
		return fail(err)
	}
	children, err := n.Children()
	if err != nil {
		return fail(err)
	}
	if len(children) == 0 || children[0].Tag != 0xBF23 {
		return fail(fmt.Errorf("%w: initialiseSecureChannelRequest", wire.ErrMissing))
	}
	isc := children[0]
	p := &BoundPackage{raw: raw}
	if p.transactionID, err = transactionID(isc); err != nil {
		return fail(err)
	}
	p.segments = append(p.segments, raw[:n.Header()+len(isc.Raw)])
	seen, last := 0, wire.Tag(0)
	for _, sequence := range children[1:] {
		item, known := map[wire.Tag]wire.Tag{0xA0: 0x87, 0xA1: 0x88, 0xA2: 0x87, 0xA3: 0x86}[sequence.Tag]
		if !known || sequence.Tag <= last {
			return fail(fmt.Errorf("%w: %v behind %v", wire.ErrWrongTag, sequence.Tag, last))
		}
		last = sequence.Tag
		if sequence.Tag != 0xA2 {
			seen++
		}
		if err := p.cut(sequence, item); err != nil {
			return fail(err)
		}
	}
	if seen != 3 {
		return fail(fmt.Errorf("%w: one of A0, A1, A3", wire.ErrMissing))
	}
	return p, nil
}

// cut appends the segments of one sequence.
func (p *BoundPackage) cut(sequence wire.Node, item wire.Tag) error {
	items, err := sequence.Children()
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return fmt.Errorf("%w: %v is empty", wire.ErrMissing, sequence.Tag)
	}
	var clear []byte
	for _, it := range items {
		if it.Tag != item {
			return fmt.Errorf("%w: %v in %v", wire.ErrWrongTag, it.Tag, sequence.Tag)
		}
		if item == 0x88 && len(it.Value) > 8 {
			clear = append(clear, it.Value[:len(it.Value)-8]...) // the last 8 bytes are the MAC
		}
	}
	if item == 0x88 {
		p.metadata = metadataIn(clear)
	}
	if item == 0x87 {
		p.segments = append(p.segments, sequence.Raw[:sequence.Header()+len(items[0].Raw)])
		items = items[1:]
	} else {
		p.segments = append(p.segments, sequence.Raw[:sequence.Header()])
	}
	for _, it := range items {
		p.segments = append(p.segments, it.Raw)
	}
	return nil
}

func metadataIn(clear []byte) []byte {
	n, _, err := wire.Next(clear)
	if err != nil || n.Tag != 0xBF25 {
		return nil
	}
	return n.Raw
}

// Raw is the package as received.
func (p *BoundPackage) Raw() []byte { return p.raw }

// Size is its length in bytes.
func (p *BoundPackage) Size() int { return len(p.raw) }

// TransactionID is the session that the package was bound in.
func (p *BoundPackage) TransactionID() []byte { return p.transactionID }

// Segments are what is sent, each as a chain of its own.
func (p *BoundPackage) Segments() [][]byte { return p.segments }

// Metadata are the profile's metadata in the package, which are protected but
// not enciphered; false when they cannot be read.
func (p *BoundPackage) Metadata() (Metadata, bool) {
	if p.metadata == nil {
		return Metadata{}, false
	}
	m, err := ParseMetadata(p.metadata)
	return m, err == nil
}

// APDUs is the number of STORE DATA commands that a load with blocks of the
// given size takes.
func (p *BoundPackage) APDUs(blockSize int) int {
	n := 0
	for _, s := range p.segments {
		n += (len(s) + blockSize - 1) / blockSize
	}
	return n
}

// String shows the size only.
func (p *BoundPackage) String() string {
	return fmt.Sprintf("bound profile package of %d bytes", len(p.raw))
}

// GoString is [BoundPackage.String].
func (p *BoundPackage) GoString() string { return p.String() }

// Load sends the package and returns the eUICC's installation result, which may
// say that the installation failed. It stops at the first result. Progress, if
// set, is called after each segment with the bytes sent so far. An error is a
// [*LoadError].
func (c *Card) Load(ctx context.Context, p *BoundPackage, progress func(sent, total int)) (*InstallationResult, error) {
	started, total := false, 0
	for i, segment := range p.segments {
		data, sent, err := c.chain(ctx, "LoadBoundProfilePackage", segment)
		started = started || sent > 0
		fail := func(err error) (*InstallationResult, error) {
			return nil, &LoadError{Segment: i, Segments: len(p.segments), Started: started, Err: err}
		}
		if err != nil {
			return fail(err)
		}
		if len(data) > 0 {
			r, err := ParseInstallationResult(data)
			if err != nil {
				return fail(err)
			}
			if !bytes.Equal(r.TransactionID, p.transactionID) {
				return fail(fmt.Errorf("%w: result of another transaction", wire.ErrOutOfRange))
			}
			return r, nil
		}
		total += len(segment)
		if progress != nil {
			progress(total, len(p.raw))
		}
	}
	return nil, &LoadError{Segment: len(p.segments) - 1, Segments: len(p.segments), Started: started, Err: ErrNoResult}
}

// Unknown reports whether err leaves open what the card did.
func Unknown(err error) bool { return errors.Is(err, apdu.ErrUnknown) }

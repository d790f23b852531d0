package smdpsim

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// ErrPackage is the error of bytes that are no unprotected profile package.
var ErrPackage = errors.New("not a SAIP profile package")

// MaxPackage is the largest profile package that is taken, in bytes.
const MaxPackage = 512 << 10

// Tags of profile elements (SAIP section 8.1, ProfileElement: a CHOICE with
// automatic tags).
const (
	peHeader         wire.Tag = 0xA0
	peFileManagement wire.Tag = 0xA1
	pePIN            wire.Tag = 0xA2
	pePUK            wire.Tag = 0xA3
	peAKA            wire.Tag = 0xA4
	peSecurityDomain wire.Tag = 0xA6
	peRFM            wire.Tag = 0xA7
	peEnd            wire.Tag = 0xAA
	peMF             wire.Tag = 0xB0
	peCD             wire.Tag = 0xB1
	peTelecom        wire.Tag = 0xB2
	peUSIM           wire.Tag = 0xB3
	peOptUSIM        wire.Tag = 0xB4
)

// PackageInfo is what the header of a profile package says (SAIP section 8.2).
type PackageInfo struct {
	ICCID ident.ICCID
	Type  string // profileType, may be empty
	Major int    // version of the SAIP specification
	Minor int
}

// ParsePackage reads the header of an unprotected profile package and checks
// that it is a sequence of well-formed profile elements from header to end.
// Errors wrap [ErrPackage].
func ParsePackage(der []byte) (PackageInfo, error) {
	elements, err := profileElements(der)
	if err != nil {
		return PackageInfo{}, err
	}
	var info PackageInfo
	header := elements[0]
	for _, v := range []struct {
		tag wire.Tag
		to  *int
	}{{0x80, &info.Major}, {0x81, &info.Minor}} {
		n, err := header.Need(v.tag)
		if err != nil {
			return PackageInfo{}, fmt.Errorf("%w: header: %w", ErrPackage, err)
		}
		version, err := n.Int()
		if err != nil || version < 0 || version > 255 {
			return PackageInfo{}, fmt.Errorf("%w: header: version", ErrPackage)
		}
		*v.to = int(version)
	}
	if n, ok := header.Find(0x82); ok {
		info.Type = strings.ToValidUTF8(string(n.Value), "?")
	}
	n, err := header.Need(0x83)
	if err != nil {
		return PackageInfo{}, fmt.Errorf("%w: header: %w", ErrPackage, err)
	}
	if len(n.Value) != 10 {
		return PackageInfo{}, fmt.Errorf("%w: header: ICCID of %d bytes", ErrPackage, len(n.Value))
	}
	// Unlike tag 5A and EF.ICCID, the header has the digits in reading order.
	if info.ICCID, err = ident.ParseICCID(hex.EncodeToString(n.Value)); err != nil {
		return PackageInfo{}, fmt.Errorf("%w: header: %w", ErrPackage, err)
	}
	return info, nil
}

func profileElements(der []byte) ([]wire.Node, error) {
	if len(der) > MaxPackage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrPackage, len(der), MaxPackage)
	}
	elements, err := wire.ParseAll(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPackage, err)
	}
	if len(elements) < 2 || elements[0].Tag != peHeader || elements[len(elements)-1].Tag != peEnd {
		return nil, fmt.Errorf("%w: no header at the start or no end element at the end", ErrPackage)
	}
	for i, e := range elements {
		if err := e.Check(); err != nil {
			return nil, fmt.Errorf("%w: element %d (%v): %w", ErrPackage, i, e.Tag, err)
		}
	}
	return elements, nil
}

// RewriteICCID is a copy of a profile package with another ICCID in its header
// and in EF.ICCID (the file ef-iccid of PE-MF), so that one package serves many
// units. Errors wrap [ErrPackage], also where the package has no EF.ICCID.
func RewriteICCID(der []byte, iccid ident.ICCID) ([]byte, error) {
	if _, err := ident.ParseICCID(string(iccid)); err != nil {
		return nil, err
	}
	out := bytes.Clone(der)
	if _, err := ParsePackage(out); err != nil {
		return nil, err
	}
	elements, err := profileElements(out)
	if err != nil {
		return nil, err
	}
	header, _ := elements[0].Find(0x83)
	copy(header.Value, plainICCID(iccid)) // a Node's value aliases out
	for _, e := range elements {
		if e.Tag != peMF {
			continue
		}
		if content, ok := e.Find(0xA4, 0x83); ok && len(content.Value) == 10 {
			copy(content.Value, iccid.Bytes())
			return out, nil
		}
	}
	return nil, fmt.Errorf("%w: no content of EF.ICCID in PE-MF", ErrPackage)
}

// plainICCID is the ICCID as the package header has it: ten bytes, digits in
// reading order, padded with F.
func plainICCID(iccid ident.ICCID) []byte {
	s := string(iccid) + strings.Repeat("F", 20-len(iccid))
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil // not reached: an ICCID has digits only
	}
	return b
}

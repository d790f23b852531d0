package smdpsim

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// GenericSize is the size of a generated profile package that is as large as
// the GSMA TS.48 generic test profile, in bytes.
const GenericSize = 12_300

// ErrGeneric is the error of a profile package that cannot be generated as asked.
var ErrGeneric = errors.New("profile cannot be generated")

// Generic describes a generated profile package. The same values always give
// the same bytes.
type Generic struct {
	ICCID ident.ICCID
	IMSI  ident.IMSI // 15 digits; the network has a two-digit MNC
	Name  string     // profileType of the header, 1 to 100 bytes
	Size  int        // of the package in bytes; 0 is GenericSize

	// testKey makes K a key that a profile of class test may have: zero but for
	// its last 16 bits (SGP.22 section 2.4.5.3).
	testKey bool
}

// GenericProfile generates an unprotected profile package: file system, USIM
// with Milenage and test keys, PINs and PUKs, the operator's security domain
// and remote file management, filled up with operator files to at most size
// bytes (fewer than 48 less, or more where the profile itself is larger).
// Keys, PINs and PUKs derive from the ICCID; they are test values and protect
// nothing. Errors wrap [ErrGeneric].
func GenericProfile(iccid ident.ICCID, imsi ident.IMSI, name string, size int) ([]byte, error) {
	return Generic{ICCID: iccid, IMSI: imsi, Name: name, Size: size}.Package()
}

// Package generates the profile package; see [GenericProfile].
func (g Generic) Package() ([]byte, error) {
	if _, err := ident.ParseICCID(string(g.ICCID)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGeneric, err)
	}
	if imsi := g.IMSI.Reveal(); len(imsi) != 15 {
		return nil, fmt.Errorf("%w: the IMSI has not 15 digits", ErrGeneric)
	} else if _, err := ident.ParseIMSI(imsi); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGeneric, err)
	}
	if len(g.Name) == 0 || len(g.Name) > 100 || !utf8.ValidString(g.Name) {
		return nil, fmt.Errorf("%w: the name has not 1 to 100 bytes of UTF-8", ErrGeneric)
	}
	if g.Size == 0 {
		g.Size = GenericSize
	}
	if g.Size < 0 || g.Size > MaxPackage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrGeneric, g.Size, MaxPackage)
	}
	b := &builder{g: g}
	return b.fitted(), nil
}

// fitted is the package with as many operator files as fit. The overhead of a
// file depends on its size, so the right amount is approached in a few steps;
// what came nearest without being too much is kept.
func (b *builder) fitted() []byte {
	b.elements = b.all()
	best := b.join(nil)
	for fill, step := b.g.Size-len(best), 0; step < 16; step++ {
		out := b.join(b.operatorFiles(fill))
		missing := b.g.Size - len(out)
		if missing >= 0 && len(out) > len(best) {
			best = out
		}
		if missing >= 0 && missing < 4 {
			break
		}
		fill += missing
	}
	return best
}

// builder makes the profile elements. Identification numbers of elements are
// given by join.
type builder struct {
	g        Generic
	elements []element
}

type element struct {
	tag  wire.Tag
	body []byte
}

// all are the elements behind the header, that of the operator's files empty.
func (b *builder) all() []element {
	return []element{
		{peMF, b.mf()},
		{pePUK, b.puks()},
		{pePIN, b.pins()},
		{peCD, b.cd()},
		{peTelecom, b.telecom()},
		{peUSIM, b.usim()},
		{peOptUSIM, b.optUSIM()},
		{pePIN, b.localPINs()},
		{peAKA, b.aka()},
		{peFileManagement, nil},
		{peSecurityDomain, b.securityDomain()},
		{peRFM, b.rfm(0xA0000005591010, 1, tarUICC, nil)},
		{peRFM, b.rfm(0xA0000005591010, 2, tarUSIM, aidUSIM)},
		{peEnd, nil},
	}
}

// join is the package with the operator's files, or without where there are none.
func (b *builder) join(operatorFiles []byte) []byte {
	out := make([]byte, 0, b.g.Size+1024)
	out = append(out, b.header()...)
	for i, e := range b.elements {
		if e.tag == peFileManagement {
			if e.body = operatorFiles; operatorFiles == nil {
				continue
			}
		}
		out = append(out, wire.TLV(e.tag, wire.TLV(0xA0, wire.TLV(0x80), wire.Integer(0x81, int64(i+1))), e.body)...)
	}
	return out
}

// Template identifiers: 2.23.143.1.2.n (SAIP annex A).
const (
	templateMF      = 1
	templateCD      = 2
	templateTelecom = 3
	templateUSIM    = 4
	templateOptUSIM = 5
)

func templateOID(n byte) []byte { return []byte{0x67, 0x81, 0x0F, 0x01, 0x02, n} }

func template(n byte) []byte { return wire.TLV(0x81, templateOID(n)) }

func (b *builder) header() []byte {
	var templates []byte
	for _, n := range []byte{templateMF, templateCD, templateTelecom, templateUSIM, templateOptUSIM} {
		templates = append(templates, wire.TLV(0x06, templateOID(n))...)
	}
	return wire.TLV(peHeader,
		wire.Integer(0x80, 2), wire.Integer(0x81, 3), // SAIP 2.3
		wire.TLV(0x82, []byte(b.g.Name)),
		wire.TLV(0x83, plainICCID(b.g.ICCID)),
		wire.TLV(0xA5, wire.TLV(0x81), wire.TLV(0x84)), // USIM, Milenage
		wire.TLV(0xA6, templates))
}

// secret derives test key material from the ICCID.
func (b *builder) secret(label string, size int) []byte {
	block := []byte("linefit test profile " + label + " " + string(b.g.ICCID) + "     ")
	out := make([]byte, 0, size+sha256.Size)
	for i := uint32(0); len(out) < size; i++ {
		binary.BigEndian.PutUint32(block[len(block)-4:], i)
		sum := sha256.Sum256(block)
		out = append(out, sum[:]...)
	}
	return out[:size]
}

// code is a secret of decimal digits, padded with FF to eight bytes.
func (b *builder) code(label string, digits int) []byte {
	out := b.secret(label, 8)
	for i := range out {
		if i < digits {
			out[i] = '0' + out[i]%10
		} else {
			out[i] = 0xFF
		}
	}
	return out
}

// operatorFiles is a file management element that creates transparent EFs with
// about fill bytes of content under a DF of the operator; nil when fill is too
// small to hold one.
func (b *builder) operatorFiles(fill int) []byte {
	const perFile, overhead, largest = 40, 80, 2048
	if fill <= overhead+perFile {
		return nil
	}
	fill -= overhead
	commands := wire.TLV(0x80, nil) // path of the MF
	commands = append(commands, wire.TLV(0x62, wire.TLV(0x82, []byte{0x78, 0x21}), wire.TLV(0x83, []byte{0x7F, 0x66}),
		wire.TLV(0x8B, []byte{0x2F, 0x06, 0x01}), wire.TLV(0xC6, []byte{0x01, 0x0A, 0x0B}))...)
	commands = append(commands, wire.TLV(0x80, []byte{0x7F, 0x66})...)
	for i := 0; fill > perFile && i < 0x100; i++ {
		n := min(fill-perFile, largest)
		fill -= n + perFile
		commands = append(commands, wire.TLV(0x62, wire.TLV(0x82, transparent), wire.TLV(0x83, []byte{0x6F, byte(i)}),
			wire.TLV(0x8B, []byte{0x2F, 0x06, 0x02}), wire.TLV(0x80, shortest(n)), wire.TLV(0x88))...)
		commands = append(commands, wire.TLV(0x81, b.secret(fmt.Sprint("operator file ", i), n))...)
	}
	return wire.TLV(0xA1, wire.TLV(0x30, commands))
}

// shortest is an unsigned number without leading zero bytes.
func shortest(n int) []byte {
	if n < 0x100 {
		return []byte{byte(n)}
	}
	return []byte{byte(n >> 8), byte(n)}
}

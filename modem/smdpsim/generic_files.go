package smdpsim

import (
	"bytes"

	"linefit/modem/wire"
)

// File descriptors (ETSI TS 102 222 section 6.3.2.2.1).
var (
	transparent = []byte{0x41, 0x21}
	aidUSIM     = []byte{0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02, 0xFF, 0x49, 0xFF, 0x05, 0x89}
)

func linear(record byte) []byte { return []byte{0x42, 0x21, 0x00, record} }

// ef is one elementary file of a template (SAIP section 8.3.3).
type ef struct {
	index   int    // of the file in the PE's SEQUENCE
	fid     uint16 // file identifier
	desc    []byte
	arr     uint16 // EF.ARR
	rule    byte   // record of EF.ARR
	size    int    // 0: fixed by the template
	sfi     []byte // short file identifier, nil: by the template
	content []byte
	fill    byte // byte that the rest is filled with, 0: the template's
}

func (f ef) bytes() []byte {
	fcp := [][]byte{
		wire.TLV(0x82, f.desc),
		wire.TLV(0x83, []byte{byte(f.fid >> 8), byte(f.fid)}),
		wire.TLV(0x8B, []byte{byte(f.arr >> 8), byte(f.arr), f.rule}),
	}
	if f.size > 0 {
		fcp = append(fcp, wire.TLV(0x80, shortest(f.size)))
	}
	if f.sfi != nil {
		fcp = append(fcp, wire.TLV(0x88, f.sfi))
	}
	if f.fill != 0 {
		fcp = append(fcp, wire.TLV(0xA5, wire.TLV(0xC1, []byte{f.fill})))
	}
	parts := [][]byte{wire.TLV(0xA1, fcp...)}
	if f.content != nil {
		parts = append(parts, wire.TLV(0x83, f.content))
	}
	return wire.TLV(member(f.index), parts...)
}

// member is the tag of a constructed member of a SEQUENCE with automatic tags.
func member(index int) wire.Tag {
	if index < 31 {
		return wire.Tag(0xA0 | index)
	}
	return wire.Tag(0xBF00 | index)
}

// records is the content of a record-oriented file with each record padded
// with FF to size.
func records(size int, list ...[]byte) []byte {
	var out []byte
	for _, r := range list {
		for len(r) < size {
			r = append(r, 0xFF)
		}
		out = append(out, r...)
	}
	return out
}

func blank(n int) []byte { return bytes.Repeat([]byte{0xFF}, n) }

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func efs(list ...ef) []byte {
	var out []byte
	for _, f := range list {
		out = append(out, f.bytes()...)
	}
	return out
}

// df is a dedicated file of a template: file id, access rule, PIN status.
func df(index int, fcp ...[]byte) []byte {
	return wire.TLV(member(index), wire.TLV(0xA1, fcp...))
}

func access(arr uint16, rule byte) []byte {
	return wire.TLV(0x8B, []byte{byte(arr >> 8), byte(arr), rule})
}

// Access rules in expanded format (ETSI TS 102 221 section 9.2.4): read always,
// update ADM1; read PIN, update ADM1; read and update PIN; all ADM1.
var (
	always    = []byte{0x80, 0x01, 0x01, 0x90, 0x00}
	updateADM = []byte{0x80, 0x01, 0x5A, 0xA4, 0x06, 0x83, 0x01, 0x0A, 0x95, 0x01, 0x08}
	readPIN   = []byte{0x80, 0x01, 0x01, 0xA4, 0x06, 0x83, 0x01, 0x01, 0x95, 0x01, 0x08}
	writePIN  = []byte{0x80, 0x01, 0x03, 0xA4, 0x06, 0x83, 0x01, 0x01, 0x95, 0x01, 0x08}
	adminADM  = []byte{0x80, 0x01, 0x58, 0xA4, 0x06, 0x83, 0x01, 0x0A, 0x95, 0x01, 0x08}
	allADM    = []byte{0x80, 0x01, 0x5B, 0xA4, 0x06, 0x83, 0x01, 0x0A, 0x95, 0x01, 0x08}
)

const arrRecord = 0x20

func rules() []byte {
	return records(arrRecord, join(always, updateADM), join(readPIN, updateADM), join(writePIN, adminADM), allADM)
}

func (b *builder) mf() []byte {
	const arr = 0x2F06
	dir := wire.TLV(0x61, wire.TLV(0x4F, aidUSIM), wire.TLV(0x50, []byte("USIM")))
	return join(template(templateMF),
		df(2, access(arr, 1), wire.TLV(0xC6, []byte{0x01, 0x0A, 0x0B})),
		efs(
			ef{index: 3, fid: 0x2F05, desc: transparent, arr: arr, rule: 3, size: 6, content: []byte("enzhde")},
			ef{index: 4, fid: 0x2FE2, desc: transparent, arr: arr, rule: 1, content: b.g.ICCID.Bytes()},
			ef{index: 5, fid: 0x2F00, desc: linear(0x26), arr: arr, rule: 1, size: 2 * 0x26, content: records(0x26, dir)},
			ef{index: 6, fid: arr, desc: linear(arrRecord), arr: arr, rule: 1, size: 4 * arrRecord, content: rules()},
		))
}

func (b *builder) cd() []byte {
	return join(template(templateCD), df(2, wire.TLV(0x83, []byte{0x7F, 0x11}), access(0x2F06, 1), wire.TLV(0xC6, []byte{0x01, 0x0A, 0x0B})))
}

func (b *builder) telecom() []byte {
	const arr = 0x6F06
	return join(template(templateTelecom),
		df(2, wire.TLV(0x83, []byte{0x7F, 0x10}), access(0x2F06, 1), wire.TLV(0xC6, []byte{0x01, 0x0A, 0x0B})),
		efs(ef{index: 3, fid: arr, desc: linear(arrRecord), arr: arr, rule: 1, size: 4 * arrRecord, content: rules()}))
}

// imsi is EF.IMSI (3GPP TS 31.102 section 4.2.2): length, parity, digits.
func (b *builder) imsi() []byte {
	digits := "9" + b.g.IMSI.Reveal() // 9: an odd number of digits
	out := []byte{8}
	for i := 0; i < len(digits); i += 2 {
		out = append(out, (digits[i+1]-'0')<<4|(digits[i]-'0'))
	}
	return out
}

// plmn is the home network as 3GPP TS 24.008 section 10.5.1.3 codes it, with a
// two-digit MNC.
func (b *builder) plmn() []byte {
	d := []byte(b.g.IMSI.Reveal())
	for i := range d {
		d[i] -= '0'
	}
	return []byte{d[1]<<4 | d[0], 0xF0 | d[2], d[4]<<4 | d[3]}
}

// services is EF.UST with the given service numbers (3GPP TS 31.102 section 4.2.8).
func services(size int, numbers ...int) []byte {
	out := make([]byte, size)
	for _, n := range numbers {
		out[(n-1)/8] |= 1 << ((n - 1) % 8)
	}
	return out
}

package smdpsim

import (
	"encoding/binary"

	"linefit/modem/wire"
)

// References of PINs and PUKs (SAIP section 8.4, PINKeyReferenceValue).
const (
	refPIN1      = 0x01
	refADM1      = 0x0A
	refSecondPIN = 0x81
)

func (b *builder) puks() []byte {
	return wire.TLV(0xA1,
		wire.TLV(0x30, wire.Integer(0x80, refPIN1), wire.TLV(0x81, b.code("PUK1", 8))),
		wire.TLV(0x30, wire.Integer(0x80, refSecondPIN), wire.TLV(0x81, b.code("PUK2", 8))))
}

// pins are the PINs of the MF: PIN 1, disabled at delivery, and ADM 1.
func (b *builder) pins() []byte {
	return wire.TLV(0xA1, wire.TLV(0xA0,
		wire.TLV(0x30, wire.Integer(0x80, refPIN1), wire.TLV(0x81, b.code("PIN1", 4)),
			wire.Integer(0x82, refPIN1), wire.Integer(0x83, 6)),
		wire.TLV(0x30, wire.Integer(0x80, refADM1), wire.TLV(0x81, b.code("ADM1", 8)),
			wire.Integer(0x83, 3), wire.Integer(0x84, 0xAA))))
}

// localPINs is PIN 2 of the USIM.
func (b *builder) localPINs() []byte {
	return wire.TLV(0xA1, wire.TLV(0xA0,
		wire.TLV(0x30, wire.Integer(0x80, refSecondPIN), wire.TLV(0x81, b.code("PIN2", 4)),
			wire.Integer(0x82, refSecondPIN), wire.Integer(0x83, 3))))
}

// aka is PE-AKAParameter with Milenage (SAIP section 8.5).
func (b *builder) aka() []byte {
	k := b.secret("K", 16)
	if b.g.testKey {
		clear(k[:14])
	}
	return wire.TLV(0xA1, wire.TLV(0xA1,
		wire.Integer(0x80, 1), // Milenage
		wire.TLV(0x81, []byte{0x01}),
		wire.TLV(0x82, k),
		wire.TLV(0x83, b.secret("OPc", 16))))
}

// securityDomain is the operator's security domain with a key set for over the
// air updates (SAIP section 8.6; SCP80, GlobalPlatform UICC Configuration).
func (b *builder) securityDomain() []byte {
	instance := wire.TLV(0xA1,
		wire.TLV(0x4F, []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50}),
		wire.TLV(0x4F, []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41}),
		wire.TLV(0x4F, []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}),
		wire.TLV(0x82, []byte{0x82, 0xDC, 0x00}),
		wire.TLV(0x83, []byte{0x0F}),
		wire.TLV(0xC9, wire.TLV(0x81, []byte{0x80, 0x00}), wire.TLV(0x82, []byte{0xF0}), wire.TLV(0x87, []byte{0xF0})))
	var keys []byte
	for i, usage := range []byte{0x18, 0x14, 0x48} { // encryption, integrity, key encryption
		keys = append(keys, wire.TLV(0x30,
			wire.TLV(0x95, []byte{usage}),
			wire.TLV(0x82, []byte{byte(i + 1)}),
			wire.TLV(0x83, []byte{0x01}),
			wire.TLV(0x30, wire.TLV(0x30, wire.TLV(0x80, []byte{0x88}), wire.TLV(0x86, b.secret("OTA "+string(rune('1'+i)), 16)))))...)
	}
	return join(instance, wire.TLV(0xA2, keys))
}

// Toolkit application references of remote file management (ETSI TS 101 220
// annex D).
var (
	tarUICC = []byte{0xB0, 0x01, 0x20}
	tarUSIM = []byte{0xB0, 0x01, 0x40}
)

// rfm is a remote file management application (SAIP section 8.8) for the UICC's
// file system or, with adf, for the one of an application.
func (b *builder) rfm(prefix uint64, number uint16, tar, adf []byte) []byte {
	aid := binary.BigEndian.AppendUint64(nil, prefix)[1:]
	aid = binary.BigEndian.AppendUint16(aid, number)
	out := join(
		wire.TLV(0x4F, aid),
		wire.TLV(0xA0, wire.TLV(0x04, tar)),
		wire.TLV(0x81, []byte{0x16}), // integrity, ciphering, counter higher
		wire.TLV(0x04, []byte{0x02, 0x00, 0x00, 0x80}),
		wire.TLV(0x04, []byte{0x02, 0x00, 0x00, 0x80}))
	if adf != nil {
		out = append(out, wire.TLV(0x30, wire.TLV(0x80, adf), wire.TLV(0x81, []byte{0x00}), wire.TLV(0x82, []byte{0x00}))...)
	}
	return out
}

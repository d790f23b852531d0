package smdpsim

import (
	"crypto/ecdh"

	"linefit/modem/ident"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/wire"
)

// hostID is the SM-DP+'s value in the control reference template.
var hostID = []byte("linefit")

// binding is what makes a bound profile package (SGP.22 section 2.5.4).
type binding struct {
	transaction []byte
	own         *ecdh.PrivateKey // otSK.DP.ECKA
	peer        []byte           // otPK.EUICC.ECKA
	eid         ident.EID
	host        []byte
	metadata    []byte // BF25
	profile     []byte // unprotected profile package
	ppk         *bsp.Keys
	sign        func(parts ...[]byte) ([]byte, error) // SK.DPpb.ECDSA
}

// bytes is the BoundProfilePackage (BF36).
func (b *binding) bytes() ([]byte, error) {
	crt := bsp.CRT{KeyType: bsp.KeyTypeAES, KeyLength: bsp.KeyLengthAES, HostID: b.host}
	keys, err := bsp.Agree(b.own, b.peer, crt, b.eid.Bytes())
	if err != nil {
		return nil, err
	}
	channel, err := b.channel(crt)
	if err != nil {
		return nil, err
	}
	s := bsp.New(keys)
	configure, err := s.Seal(0x87, wire.TLV(0xBF24))
	if err != nil {
		return nil, err
	}
	metadata, err := s.AuthenticateAll(0x88, b.metadata)
	if err != nil {
		return nil, err
	}
	parts := [][]byte{channel, wire.TLV(0xA0, configure), wire.TLV(0xA1, metadata...)}
	if b.ppk != nil {
		replace, err := s.Seal(0x87, bsp.ReplaceRequest(*b.ppk))
		if err != nil {
			return nil, err
		}
		parts = append(parts, wire.TLV(0xA2, replace))
		s.Replace(*b.ppk)
	}
	profile, err := s.SealAll(0x86, b.profile)
	if err != nil {
		return nil, err
	}
	return wire.TLV(0xBF36, append(parts, wire.TLV(0xA3, profile...))...), nil
}

// channel is the InitialiseSecureChannel command (BF23, SGP.22 section 5.5.1).
// The signature also covers the eUICC's one-time key, which is not sent.
func (b *binding) channel(crt bsp.CRT) ([]byte, error) {
	signed := join(
		wire.Integer(0x82, 1), // installBoundProfilePackage
		wire.TLV(0x80, b.transaction),
		crt.Bytes(),
		wire.TLV(0x5F49, b.own.PublicKey().Bytes()))
	signature, err := b.sign(signed, wire.TLV(0x5F49, b.peer))
	if err != nil {
		return nil, err
	}
	return wire.TLV(0xBF23, signed, wire.TLV(0x5F37, signature)), nil
}

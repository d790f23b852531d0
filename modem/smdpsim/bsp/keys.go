package bsp

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"linefit/modem/wire"
)

// KeySize is the size of every key and chaining value: AES-128 is the only
// algorithm of SGP.22 version 2.
const KeySize = 16

// Values of the control reference template that SGP.22 version 2 allows
// (section 5.5.1, GlobalPlatform Card Specification table 11-16).
const (
	KeyTypeAES   = 0x88
	KeyLengthAES = 0x10
)

// Errors of key agreement and key replacement.
var (
	ErrCRT  = errors.New("control reference template is not key type 88, length 10, host id of 1 to 16 bytes")
	ErrKey  = errors.New("not an uncompressed point of P-256")
	ErrKeys = errors.New("not a set of three 16-byte session keys")
)

// CRT is the control reference template of InitialiseSecureChannel (tag A6).
type CRT struct {
	KeyType   byte
	KeyLength byte
	HostID    []byte // 1 to 16 bytes
}

// Bytes is the template as a TLV (A6).
func (c CRT) Bytes() []byte {
	return wire.TLV(0xA6, wire.TLV(0x80, []byte{c.KeyType}), wire.TLV(0x81, []byte{c.KeyLength}), wire.TLV(0x84, c.HostID))
}

// ParseCRT reads the template from its node (A6). Values outside of SGP.22
// version 2 are read; [Agree] refuses them, so that an eUICC can tell a wrong
// structure from unsupported values.
func ParseCRT(n wire.Node) (CRT, error) {
	var c CRT
	for _, f := range []struct {
		tag wire.Tag
		to  *byte
	}{{0x80, &c.KeyType}, {0x81, &c.KeyLength}} {
		v, err := n.Need(f.tag)
		if err != nil {
			return CRT{}, err
		}
		if len(v.Value) != 1 {
			return CRT{}, fmt.Errorf("%v: %w", f.tag, wire.ErrOutOfRange)
		}
		*f.to = v.Value[0]
	}
	host, err := n.Need(0x84)
	if err != nil {
		return CRT{}, err
	}
	c.HostID = host.Value
	return c, nil
}

func (c CRT) supported() bool {
	return c.KeyType == KeyTypeAES && c.KeyLength == KeyLengthAES && len(c.HostID) >= 1 && len(c.HostID) <= 16
}

// Keys is one set of session keys with the chaining value they start from.
type Keys struct {
	MCV, ENC, MAC [KeySize]byte
}

// String redacts.
func (Keys) String() string { return "bsp.Keys(redacted)" }

// GoString redacts.
func (k Keys) GoString() string { return k.String() }

// MarshalText redacts.
func (k Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Agree derives session keys from one's own one-time private key, the other
// side's one-time public key (65 bytes, 04 first), the control reference
// template and the EID (16 bytes). Errors: [ErrCRT], [ErrKey].
func Agree(own *ecdh.PrivateKey, peer []byte, crt CRT, eid []byte) (Keys, error) {
	if !crt.supported() {
		return Keys{}, ErrCRT
	}
	if own.Curve() != ecdh.P256() {
		return Keys{}, ErrKey
	}
	pub, err := ecdh.P256().NewPublicKey(peer)
	if err != nil {
		return Keys{}, ErrKey
	}
	secret, err := own.ECDH(pub)
	if err != nil {
		return Keys{}, ErrKey
	}
	return Derive(secret, crt, eid)
}

// Derive is the key derivation of SGP.22 section 2.6.4.2 (annex G in version
// 2.0) on an ECDH secret of 32 bytes.
func Derive(secret []byte, crt CRT, eid []byte) (Keys, error) {
	if !crt.supported() || len(eid) == 0 || len(eid) > 0x7f {
		return Keys{}, ErrCRT
	}
	info := []byte{crt.KeyType, crt.KeyLength, byte(len(crt.HostID))}
	info = append(append(info, crt.HostID...), byte(len(eid)))
	info = append(info, eid...)
	out := x963(secret, info, 3*KeySize)
	var k Keys
	copy(k.MCV[:], out)
	copy(k.ENC[:], out[KeySize:])
	copy(k.MAC[:], out[2*KeySize:])
	return k, nil
}

// x963 is the key derivation function of ANSI X9.63 section 5.6.3 with SHA-256.
func x963(secret, info []byte, size int) []byte {
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		block := append([]byte{}, secret...)
		block = append(binary.BigEndian.AppendUint32(block, counter), info...)
		sum := sha256.Sum256(block)
		out = append(out, sum[:]...)
	}
	return out[:size]
}

// ReplaceRequest is the ReplaceSessionKeys command (BF26, SGP.22 section 5.5.4)
// that hands the eUICC the profile protection keys.
func ReplaceRequest(k Keys) []byte {
	return wire.TLV(0xBF26, wire.TLV(0x80, k.MCV[:]), wire.TLV(0x81, k.ENC[:]), wire.TLV(0x82, k.MAC[:]))
}

// ParseReplaceRequest reads a ReplaceSessionKeys command. Errors: [ErrKeys] for
// keys of another size, those of wire for a wrong structure.
func ParseReplaceRequest(b []byte) (Keys, error) {
	n, err := wire.ParseTag(b, 0xBF26)
	if err != nil {
		return Keys{}, err
	}
	var k Keys
	for _, f := range []struct {
		tag wire.Tag
		to  *[KeySize]byte
	}{{0x80, &k.MCV}, {0x81, &k.ENC}, {0x82, &k.MAC}} {
		v, err := n.Need(f.tag)
		if err != nil {
			return Keys{}, err
		}
		if len(v.Value) != KeySize {
			return Keys{}, ErrKeys
		}
		copy(f.to[:], v.Value)
	}
	return k, nil
}

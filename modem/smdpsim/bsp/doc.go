// Package bsp is the BPP Security Protocol that protects a Bound Profile
// Package on its way to the eUICC (SGP.22 section 2.6.4; called SCP03t before
// version 3). The virtual SM-DP+ protects with it, the virtual eUICC opens with
// it, and a package that a batch holds for a one-time key is made with it.
//
// # Keys
//
// Both sides agree on a secret by ECDH on P-256 between the one-time key pairs
// of the SM-DP+ and of the eUICC (BSI TR-03111 section 4.3.1: the x coordinate)
// and stretch it to 48 bytes by the X9.63 key derivation function with SHA-256:
//
//	SharedInfo = keyType (88) | keyLength (10) | LV(hostId) | LV(EID)
//	output     = initial MAC chaining value | S-ENC | S-MAC, 16 bytes each
//
// # Segments
//
// Data travel in TLVs of one-byte tags (86, 87, 88) that are at most
// [MaxSegment] bytes long with tag, length and MAC. Each segment is
//
//	tag | length | data | MAC (8 bytes)
//
// where the MAC is the head of AES-CMAC(S-MAC, chaining value | tag | length |
// data), and the whole CMAC is the next chaining value. In 86 and 87 the data
// are encrypted before: ISO/IEC 7816-4 padding (80 00 ...), AES-CBC under
// S-ENC, its initial vector the encryption of the segment's number as a block.
// The number starts at 1 and counts segments that are only authenticated (88)
// too. After ReplaceSessionKeys (BF26) numbers and chain start again under the
// profile protection keys.
//
// # Ownership and limits
//
// A [Session] belongs to one goroutine and one direction. The first failed
// check breaks it for good ([ErrBroken]): an eUICC answers one error and
// forgets the keys, and so does this. A session never allocates more than a
// segment; keys and sessions redact themselves when printed.
//
//	keys, err := bsp.Agree(otSK, otPKEUICC, bsp.CRT{KeyType: 0x88, KeyLength: 0x10, HostID: host}, eid.Bytes())
//	s := bsp.New(keys)
//	a0, err := s.Seal(0x87, configureISDP)     // one protected TLV
//	a1, err := s.AuthenticateAll(0x88, metadata)
//	a3, err := s.SealAll(0x86, profile)
package bsp

// Package wire holds what both ends of the card interface must agree on and
// nothing else: BER-TLV (ISO/IEC 8825-1, ISO/IEC 7816-4 section 5.2.2),
// command and response APDUs (ISO/IEC 7816-4 section 5), status words, and the
// application identifiers of SGP.02/SGP.22. The LPA and the virtual eUICC each
// build their own messages from it, so that a wrong tag on one side shows on
// the other.
//
// Reading never re-encodes: a [Node] keeps the very bytes it was read from in
// Raw, because signatures cover bytes and not meanings. Reading never
// allocates more than the input is long, never recurses deeper than
// [MaxDepth], and refuses indefinite lengths (the RSP interfaces are DER).
//
//	n, err := wire.Parse(response)            // one node, nothing behind it
//	iccid, ok := n.Find(0xA0, 0xE3, 0x5A)     // BF2D / A0 / E3 / 5A
//	b := wire.TLV(0xBF31, wire.TLV(0xA0, wire.TLV(0x5A, iccid.Value)), wire.TLV(0x81, []byte{0xFF}))
package wire

// Package euiccsim is a virtual eUICC: a card that is spoken to in APDUs and
// checks, decrypts, signs and remembers as a real one does. It is an
// independent reading of SGP.22 version 2.5, SGP.32 version 1.2, SGP.41 and
// ETSI TS 102 221: its acceptance means something, because every certificate,
// signature, MAC and profile element is checked and refused with the code that
// the specification gives.
//
// # One card
//
// [New] makes a card from certificates and an [Image], its non-volatile memory.
// [Card.Reset] powers it up, [Card.Transmit] runs one command APDU,
// [Card.PowerCut] takes the power away. Transmit never blocks: it reports the
// modelled processing time, and the module that holds the card charges it.
//
//	authority, _ := testpki.New([]byte("line 1"))
//	credentials, _ := authority.Card("89049032123451234512345678901235")
//	card, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}})
//	card.Reset()
//	response, busy := card.Transmit(apdu)
//
// # What survives
//
// The memory changes only at commit points, each of which replaces the whole
// image: what was committed stays, what was not is as if it had never been. An
// installation result lies in the memory before it is returned, in the same
// commit as the profile; a change of the enabled profile is one commit for both
// profiles and their notifications; the notification counter never goes back.
// A load that was cut off leaves no profile, and at the next power-up a result
// with errorReason 11 (unless the card is made without).
//
// # Who owns what
//
// The card owns its image from New on. Its methods may be called from any
// goroutine. It starts no goroutine and reads no clock but the one in its
// options.
//
// # Limits
//
// 2 to 20 logical channels; a STORE DATA chain of at most 65,280 bytes; one
// bound profile package at a time, never larger than the free memory; P-256 and
// AES-128 only; CRLs are not kept.
package euiccsim

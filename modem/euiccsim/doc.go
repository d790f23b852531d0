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
// # Generations
//
// [SGP22] is a consumer eUICC: ES10a, ES10b and ES10c of SGP.22. [SGP32] is an
// IoT eUICC: the same download, its own functions from BF51 to BF65 in the order
// that the specification asks for (ConfigureImmediateEnable while no eIM is
// associated, ImmediateEnable in the session of the download, AddInitialEim
// once), and no ES10c unless the options say so. [SGP02] is an M2M eUICC: it has
// an ISD-R and refuses every ES10 function with 6985. All give their EID from the
// ECASD to whoever asks. A card with Options.OneTimeKeys takes in-factory packages (SGP.41)
// and blocks LPA and IPA services until no key is left; see factory.go for the
// function tags, which are this card's own.
//
// # A change of the enabled profile
//
// Its commit is at the command, or with REFRESH ([Options.Effect]). What the
// module reads of the file system changes with REFRESH (91xx, FETCH, TERMINAL
// RESPONSE), at a reset, or at once when refreshFlag was not set. REFRESH is only
// asked of a terminal that sent TERMINAL PROFILE; until it was fetched and
// answered a further change gets catBusy. A load that is under way ends, with
// errorReason 11, at any other ES10 function and at power loss; selecting the
// ISD-R again or another channel does not end it.
//
// # Faults
//
// [Options.Faults] plans by name how often the card misbehaves; see the Fault
// constants. Slow cards are a matter of [Delays].
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

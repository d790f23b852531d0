// Package euicc speaks the functions of an eUICC's ISD-R: ES10a, ES10b and
// ES10c of SGP.22 (section 5.7; versions 2.x, and 3.x where the encoding is the
// same) and the functions that SGP.32 adds (section 5.9), each as one method of
// [Card]. It recognises SGP.02 eUICCs and reads their EID ([Identify]).
//
// # Bytes
//
// What a signature covers is kept as received: every decoded message has a Raw
// field, and what goes on to a server is Raw. Decoding tolerates fields it does
// not know and values that differ between versions; it refuses broken TLV.
//
// A request longer than one block travels as a chain of STORE DATA commands
// (P1 11, the last one 91; P2 counts from 00). [ParseBoundPackage] cuts a bound
// profile package into the segments of SGP.22 section 2.5.5, each of which is a
// chain of its own, and [Card.Load] stops at the first installation result.
//
// # Errors
//
//   - [*FunctionError]: the eUICC ran the function and its answer says no. Code
//     and Name are the specification's. It compares with the codeName values
//     such as [ErrCatBusy].
//   - [*StatusError]: the card refused a command by its status word.
//   - [*ResponseError]: the answer cannot be read. The function may have taken
//     effect, so it matches apdu.ErrUnknown.
//   - [*LoadError]: a load ended without a result. From its first block on it
//     matches apdu.ErrUnknown, whatever the cause: the caller reopens the
//     channel and reads profiles and notifications back before anything else.
//   - all else comes from the transmitter (apdu.Error).
//
// # Owner
//
// A Card has one user at a time and does not own the channel below.
package euicc

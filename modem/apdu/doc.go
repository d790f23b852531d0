// Package apdu carries command and response APDUs (ISO/IEC 7816-4) to an
// application on a card: over AT+CCHO/CGLA/CCHC and over AT+CSIM (3GPP TS
// 27.007 sections 8.17, 8.43 to 8.45), or over any raw [Transmitter] such as a
// card reader.
//
// # Who does what
//
// [Open] tries routes in the order given and returns a [Channel]: a logical
// channel on which the application is selected. A route is chosen by doing,
// never by a "=?" query, which many modules answer wrongly or not at all. The
// session that CCHO returns is an opaque string. A channel has one user at a
// time and is closed by [Channel.Close], which works under a deadline of its
// own even after the caller's context has ended.
//
// [Channel.Transmit] sends one command and returns the whole response: it
// fetches what waits behind 61xx, repeats a command refused with 6Cxx with the
// right Le (the card did not process it), puts the channel into the class byte
// where the module does not, and takes 91xx for the success it is. It never
// sends a command a second time for any other reason.
//
// # Errors
//
// A status word is an answer, not an error; what it means is for the caller.
// An [*Error] says that no usable answer came. It matches [ErrUnknown] when the
// card may have processed the command all the same: after a timeout, after
// ERROR or +CME ERROR to an APDU that was sent, after an answer whose length
// does not match or that is not hexadecimal. Who gets it reads the card's state
// back on a new channel before doing anything else. When it does not match,
// nothing was sent. A timeout also poisons the AT port; the port's owner
// resynchronises it before anything else is opened.
//
// A context that ends while an APDU is in flight does not cut it short at
// once: the answer gets [Deadlines.Grace] to come, so that an abort leaves a
// usable port and a closed channel in nearly all cases.
//
// # Bounds
//
// One response is at most [MaxResponse] bytes. Clearing leftovers touches at
// most [Route.MaxChannels] channels and happens only after an open has failed.
package apdu

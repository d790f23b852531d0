// Package atcmd is the AT command grammar and the transaction engine of one
// serial port (ITU-T V.250, 3GPP TS 27.007 and 27.005).
//
// # Ownership
//
// [Open] takes over an io.ReadWriteCloser; nobody else may read or write it. A
// [Port] has one reader and one writer goroutine, both gone when [Port.Close]
// returns. One command is in flight at a time; other callers of [Port.Do]
// wait their turn, or until their context ends. V.250 section 5.6.1 lets a
// module abort a command on any further byte, so nothing is ever sent before
// the final result of the command before.
//
// # Lines
//
// CR and LF each end a line and empty lines do not count, which covers echo on
// and off, V0, doubled and missing terminators, and bytes that arrive in any
// portions. NUL, 0xFF and other control characters are dropped, and so is
// anything but printable ASCII at the start of a line (boot noise). A line is,
// in this order:
//
//  1. the echo of the command in flight;
//  2. a final result, unless [Options.URCs] claims that very line;
//  3. the command's own: it starts with [Command.Prefix];
//  4. a known URC ([Options.URCs], [Options.Restarts]);
//  5. the command's own without prefix: [Command.Bare] accepts its shape;
//  6. else unknown: kept in [Response.Extra], or in the URC queue when no
//     command is in flight.
//
// Only a final result ends a command; silence does not. Lines and answers are
// bounded by [Options.MaxAnswer].
//
// # A timeout means unknown
//
// After a deadline, a cancelled context, an answer that is too long or an OK
// without the required answer, nobody knows what the module did and what it
// will still say. The error then matches [ErrUnknown] and the port is
// poisoned: commands fail with [ErrPoisoned] and are not sent.
// [Port.Resync] drains the line and asks a question whose answer cannot be
// mistaken, such as the module's known IMEI; [Port.Reset] is for a module that
// lost power.
//
//	resp, err := port.Do(ctx, atcmd.Command{
//		Text: "AT+CPIN?", Prefix: "+CPIN", Require: true, Timeout: 10 * time.Second,
//	})
//	var cme *atcmd.CMEError
//	switch {
//	case errors.As(err, &cme) && cme.Code == atcmd.CMESIMBusy: // ask again later
//	case errors.Is(err, atcmd.ErrUnknown):                     // resync, then read back
//	case err == nil:                                           // resp.Value() is READY
//	}
//
// # Limits
//
// A final result without a line end counts after [Options.TailQuiet], OK and
// ERROR only. A URC that splits a line of an answer in two breaks that answer;
// its length check finds it. Two answers to one command, of which the second
// comes while the next command is in flight, are caught only where that
// command sets [Command.Require].
package atcmd

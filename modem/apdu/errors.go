package apdu

import (
	"context"
	"errors"
	"fmt"

	"linefit/atcmd"
	"linefit/modem/wire"
)

// Sentinel errors; compare with errors.Is.
var (
	// ErrUnknown is matched by every error after which the card may or may not
	// have processed the command.
	ErrUnknown = errors.New("APDU outcome unknown")

	// ErrAnswer is matched when the module's answer is not the length and
	// hexadecimal string that TS 27.007 describes, or not a response APDU.
	ErrAnswer = errors.New("module's answer is malformed")

	// ErrTooLong ends a response of more than [MaxResponse] bytes.
	ErrTooLong = errors.New("response is too long")

	// ErrNoApplication says that the card answered and has no such application
	// (6A82 to SELECT). Behind CCHO this cannot be told from other failures.
	ErrNoApplication = errors.New("card has no such application")

	// ErrNoChannel says that the card has no free logical channel, also after
	// leftovers were closed.
	ErrNoChannel = errors.New("no free logical channel")

	// ErrRefused says that the module or card refused to open the channel.
	ErrRefused = errors.New("channel was refused")

	// ErrClosed refuses to use a channel that was closed.
	ErrClosed = errors.New("channel is closed")
)

// Error is a failure to carry an APDU or to open or close a channel.
type Error struct {
	Op      string // "open", "transmit", "close"
	Route   Kind
	Header  string // CLA INS P1 P2 of the APDU, where there is one
	Unknown bool   // the card may have processed it
	Err     error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("APDU %s over %v", e.Op, e.Route)
	if e.Header != "" {
		s += " (" + e.Header + ")"
	}
	s += ": " + e.Err.Error()
	if e.Unknown {
		s += " (outcome unknown)"
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches [ErrUnknown] when the outcome is unknown.
func (e *Error) Is(target error) bool { return target == ErrUnknown && e.Unknown }

// SWError is a status word that ended an open.
type SWError struct {
	What string
	SW   wire.SW
}

func (e *SWError) Error() string { return fmt.Sprintf("%s answered %v", e.What, e.SW) }

// Is matches [ErrNoApplication] and [ErrNoChannel].
func (e *SWError) Is(target error) bool {
	switch target {
	case ErrRefused:
		return true
	case ErrNoApplication:
		return e.What == whatSelect && (e.SW == wire.SWFileNotFound || e.SW == 0x6999)
	case ErrNoChannel:
		return e.What == whatManage && (e.SW == wire.SWFunctionNotSupported || e.SW == wire.SWChannelNotSupported || e.SW == wire.SWNotEnoughMemory)
	}
	return false
}

const (
	whatSelect = "SELECT"
	whatManage = "MANAGE CHANNEL"
)

// maybeProcessed says whether the card may have seen an APDU that ended with
// err: everything but a refusal before the first byte was sent.
func maybeProcessed(err error) bool {
	if errors.Is(err, atcmd.ErrUnknown) || refusedByModule(err) || errors.Is(err, ErrAnswer) || errors.Is(err, errFetch) {
		return true
	}
	notSent := errors.Is(err, atcmd.ErrPoisoned) || errors.Is(err, atcmd.ErrClosed) || errors.Is(err, atcmd.ErrGone) ||
		errors.Is(err, atcmd.ErrBadCommand) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	return !notSent
}

// refusedByModule: the module gave a final result that says no.
func refusedByModule(err error) bool {
	var cme *atcmd.CMEError
	var cms *atcmd.CMSError
	var result *atcmd.ResultError
	return errors.As(err, &cme) || errors.As(err, &cms) || errors.As(err, &result)
}

// RefusedByModule reports whether err is a final result of the module (ERROR,
// +CME ERROR and the like) and thus neither a timeout nor a status word of the
// card. The AT port stays usable after it.
func RefusedByModule(err error) bool { return refusedByModule(err) }

// RefusedLength reports whether err is a final result with which a module may
// refuse a command because it is too long. Results that tell of the card or of
// the session (+CME ERROR: 10 to 18, 21) say nothing about lengths.
func RefusedLength(err error) bool {
	var cme *atcmd.CMEError
	if errors.As(err, &cme) {
		return (cme.Code < atcmd.CMESIMNotInserted || cme.Code > 18) && cme.Code != atcmd.CMEInvalidIndex
	}
	return refusedByModule(err)
}

// NoAnswer reports whether err is that the module gave no final result in time.
func NoAnswer(err error) bool {
	var timeout *atcmd.TimeoutError
	return errors.As(err, &timeout) && errors.Is(timeout.Cause, context.DeadlineExceeded)
}

// SIMBusy reports whether the module said that it is reading its card
// (+CME ERROR: 14), as after a REFRESH: the same may work a moment later.
func SIMBusy(err error) bool {
	var cme *atcmd.CMEError
	return errors.As(err, &cme) && cme.Code == atcmd.CMESIMBusy
}

// unsupported: the module does not know the command at all.
func unsupported(err error) bool {
	var cme *atcmd.CMEError
	if errors.As(err, &cme) {
		return cme.Code == atcmd.CMENotSupported
	}
	var result *atcmd.ResultError
	return errors.As(err, &result) && (result.Result == "COMMAND NOT SUPPORT" || result.Result == "NA")
}

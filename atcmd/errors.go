package atcmd

import (
	"errors"
	"fmt"
	"time"
)

// Sentinel errors; compare with errors.Is.
var (
	// ErrError is a refusal without a reason: ERROR, COMMAND NOT SUPPORT or NA
	// (a *ResultError tells which).
	ErrError = errors.New("module answered ERROR")

	// ErrUnknown is matched by every error after which the command may or may
	// not have taken effect: the caller reads back before it decides. It is
	// never matched by an answer of the module.
	ErrUnknown = errors.New("outcome unknown")

	// ErrPoisoned refuses a command because the line may still carry an answer
	// to an earlier one; [Port.Resync] or [Port.Reset] comes first. Nothing
	// was sent.
	ErrPoisoned = errors.New("port is poisoned: resync or reset it first")

	// ErrClosed refuses a command on a port that was closed here.
	ErrClosed = errors.New("port is closed")

	// ErrGone says that the device below the port ended or failed (unplugged,
	// powered off, re-enumerated). The port does not come back; open another.
	ErrGone = errors.New("port is gone")

	// ErrBadCommand refuses a command that cannot be sent as given. Nothing
	// was sent.
	ErrBadCommand = errors.New("command cannot be sent")

	// ErrTooLong ends a command whose answer exceeds [Options.MaxAnswer].
	ErrTooLong = errors.New("answer is too long")

	// ErrNoAnswer ends a command with [Command.Require] that was answered by OK
	// alone. Either the module is odd or the OK belonged to something else;
	// the port is poisoned, since nobody can tell.
	ErrNoAnswer = errors.New("OK without the required answer")

	// ErrRestarted ends a command during which the module announced that it
	// booted ([Options.Restarts]).
	ErrRestarted = errors.New("module restarted during the command")

	// ErrStale ends a command during which an answer to the failed command
	// before it arrived.
	ErrStale = errors.New("answer of an earlier command arrived")

	// ErrNoSync says that the module did not answer the unique query. The port
	// stays poisoned.
	ErrNoSync = errors.New("module does not answer the synchronising query")
)

// ResultError is a final result code that is neither OK nor has a number:
// ERROR, NO CARRIER, BUSY, NO ANSWER, NO DIALTONE, ABORTED, COMMAND NOT
// SUPPORT, NA, or an unexpected CONNECT (ITU-T V.250 section 5.7).
type ResultError struct{ Result string }

func (e *ResultError) Error() string { return "module answered " + e.Result }

// Is matches [ErrError] for the codes that only say no.
func (e *ResultError) Is(target error) bool {
	if target != ErrError {
		return false
	}
	return e.Result == "ERROR" || e.Result == "COMMAND NOT SUPPORT" || e.Result == "NA"
}

// CMEError is "+CME ERROR: <err>" (3GPP TS 27.007 section 9.2). Code is -1 when
// the module sent a text that is not in that specification; Text is the
// module's own or the specification's.
type CMEError struct {
	Code int
	Text string
}

func (e *CMEError) Error() string { return numbered("+CME ERROR", e.Code, e.Text) }

// CMSError is "+CMS ERROR: <err>" (3GPP TS 27.005 section 3.2.5), as [CMEError].
type CMSError struct {
	Code int
	Text string
}

func (e *CMSError) Error() string { return numbered("+CMS ERROR", e.Code, e.Text) }

func numbered(kind string, code int, text string) string {
	switch {
	case code < 0:
		return kind + ": " + text
	case text == "":
		return fmt.Sprintf("%s: %d", kind, code)
	}
	return fmt.Sprintf("%s: %d (%s)", kind, code, text)
}

// TimeoutError says that no final result came before the command's deadline,
// or before its context ended. The outcome is unknown, and the port is
// poisoned if anything had been sent.
type TimeoutError struct {
	After time.Duration // since the first byte was offered to the port
	Cause error         // context.DeadlineExceeded for the command's own deadline, else the context's error
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("no final result after %v: %v", e.After.Round(time.Millisecond), e.Cause)
}

// Unwrap is the cause.
func (e *TimeoutError) Unwrap() error { return e.Cause }

// Is matches [ErrUnknown].
func (e *TimeoutError) Is(target error) bool { return target == ErrUnknown }

// unknown marks err as leaving the command's outcome open.
func unknown(err error) error { return &unknownError{err} }

type unknownError struct{ err error }

func (e *unknownError) Error() string        { return e.err.Error() + " (outcome unknown)" }
func (e *unknownError) Unwrap() error        { return e.err }
func (e *unknownError) Is(target error) bool { return target == ErrUnknown }

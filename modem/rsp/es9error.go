package rsp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Function is an ES9+ function, as in its path.
type Function string

// The ES9+ functions (SGP.22 section 5.6).
const (
	InitiateAuthentication Function = "initiateAuthentication"
	AuthenticateClient     Function = "authenticateClient"
	GetBoundProfilePackage Function = "getBoundProfilePackage"
	HandleNotification     Function = "handleNotification"
	CancelSession          Function = "cancelSession"
)

// Sentinel errors; compare with errors.Is.
var (
	// ErrNetwork is matched when no answer came: the server may or may not have
	// processed the call.
	ErrNetwork = errors.New("no answer from the SM-DP+")

	// ErrHost refuses a host that is not on the list of allowed servers.
	// Nothing was sent.
	ErrHost = errors.New("SM-DP+ is not allowed here")

	// ErrReply is matched when an answer came that cannot be read, or that
	// does not belong to what was asked.
	ErrReply = errors.New("SM-DP+ answer cannot be used")
)

// NetworkError is a call without an answer.
type NetworkError struct {
	Function Function
	Err      error
}

func (e *NetworkError) Error() string {
	return fmt.Sprintf("%s: %v: %v", e.Function, ErrNetwork, e.Err)
}

// Unwrap is the cause.
func (e *NetworkError) Unwrap() error { return e.Err }

// Is matches [ErrNetwork].
func (e *NetworkError) Is(target error) bool { return target == ErrNetwork }

// HTTPError is an HTTP status other than the one that the function has.
type HTTPError struct {
	Function Function
	Status   int
}

func (e *HTTPError) Error() string { return fmt.Sprintf("%s: HTTP status %d", e.Function, e.Status) }

// Is matches [ErrNetwork] for statuses that a server or proxy in trouble gives.
func (e *HTTPError) Is(target error) bool {
	return target == ErrNetwork && (e.Status >= 500 || e.Status == 429 || e.Status == 408)
}

// ReplyError is an answer that cannot be used.
type ReplyError struct {
	Function Function
	Err      error
}

func (e *ReplyError) Error() string { return fmt.Sprintf("%s: %v: %v", e.Function, ErrReply, e.Err) }

// Unwrap is the cause.
func (e *ReplyError) Unwrap() error { return e.Err }

// Is matches [ErrReply].
func (e *ReplyError) Is(target error) bool { return target == ErrReply }

// ServerError is a refusal by the SM-DP+: function execution status Failed with
// a status code (SGP.22 section 5.2.6).
type ServerError struct {
	Function   Function
	Status     string // "Failed" or "Expired"
	Subject    string // "8.2.6"
	Reason     string // "3.8"
	Identifier string // redacted
	Message    string // the server's own, redacted
}

func (e *ServerError) Error() string {
	s := fmt.Sprintf("%s refused: %s/%s", e.Function, e.Subject, e.Reason)
	if meaning := Meaning(e.Subject, e.Reason); meaning != "" {
		s += " (" + meaning + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

// Is matches another ServerError with the same codes, where the target names
// them.
func (e *ServerError) Is(target error) bool {
	t, ok := target.(*ServerError)
	return ok && (t.Subject == "" || t.Subject == e.Subject) && (t.Reason == "" || t.Reason == e.Reason)
}

// Meaning is what a status code says, in the words of SGP.22 section 5.2.6.
func Meaning(subject, reason string) string {
	if text, ok := statusCodes[subject+"/"+reason]; ok {
		return text
	}
	s, r := subjects[subject], reasons[reason]
	if s == "" || r == "" {
		return ""
	}
	return s + ": " + r
}

var subjects = map[string]string{
	"8.1": "eUICC", "8.1.1": "EID", "8.1.2": "EUM certificate", "8.1.3": "eUICC certificate", "8.2": "profile", "8.2.1": "ICCID",
	"8.2.5": "profile type", "8.2.6": "matching id", "8.2.7": "confirmation code", "8.8": "SM-DP+", "8.8.1": "SM-DP+ address",
	"8.8.2": "SM-DP+ security configuration", "8.8.3": "SM-DP+ specification version", "8.8.4": "SM-DP+ certificate",
	"8.8.5": "download order", "8.10.1": "transaction id", "8.11.1": "certificate issuer's public key", "1.2": "function caller", "1.6": "function",
}

var reasons = map[string]string{
	"1.1": "unknown", "1.2": "not allowed", "2.1": "invalid", "2.2": "mandatory element missing", "2.3": "conditional element missing",
	"3.1": "unsupported", "3.3": "already in use", "3.7": "unavailable", "3.8": "refused", "3.9": "unknown", "3.10": "invalid association",
	"3.11": "value has changed", "4.2": "execution error", "4.3": "stopped on warning", "4.8": "insufficient memory", "4.10": "time to live expired",
	"5.1": "inaccessible", "6.1": "verification failed", "6.3": "expired", "6.4": "maximum number of retries exceeded",
}

var statusCodes = map[string]string{
	"8.1/4.8":    "the eUICC has too little memory for this profile",
	"8.1/6.1":    "the eUICC's signature or the server challenge is invalid",
	"8.1.1/3.8":  "the EID is not the one the order is bound to",
	"8.2/1.2":    "the profile is not released yet",
	"8.2/3.7":    "the bound profile package is not available for a new binding",
	"8.2.5/4.3":  "no profile is eligible for this eUICC and device",
	"8.2.6/3.8":  "the matching id is refused",
	"8.2.7/2.2":  "a confirmation code is required",
	"8.2.7/3.8":  "the confirmation code is refused",
	"8.2.7/6.4":  "too many wrong confirmation codes",
	"8.8.1/3.8":  "the server has another SM-DP+ address",
	"8.8.2/3.1":  "the server has none of the eUICC's certificate issuers",
	"8.8.3/3.1":  "the server does not support the eUICC's specification version",
	"8.8.4/3.7":  "the server has no certificate of an issuer that the eUICC trusts",
	"8.8.5/4.10": "the download order has expired",
	"8.8.5/6.4":  "the download order was tried too often",
	"8.10.1/3.9": "the server does not know the transaction",
	"8.11.1/3.9": "the server does not know the issuer of the EUM's certificate",
}

// dotted is the form of subject and reason codes.
var dotted = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){1,4}$`)

// statusCode is a subject or reason code as the server wrote it: what follows
// from a refusal hangs on it, and a short confirmation code may be a part of it by
// chance. What is no such code is text.
func statusCode(text string, secrets []Secret) string {
	if dotted.MatchString(text) {
		return text
	}
	return scrub(text, secrets)
}

// scrub makes a server's text fit for a log: secrets replaced, control
// characters dropped, bounded.
func scrub(text string, secrets []Secret) string {
	const longest = 200
	text = strings.ToValidUTF8(text, "?")
	for _, s := range secrets {
		if s != "" {
			text = regexp.MustCompile("(?i)"+regexp.QuoteMeta(string(s))).ReplaceAllLiteralString(text, redacted)
		}
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}

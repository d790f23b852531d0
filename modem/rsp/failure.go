package rsp

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"

	"linefit/modem/euicc"
)

// Row names a case of the failure table in this package's comment.
type Row string

// The rows.
const (
	RowNone             Row = ""
	RowServerUnreached  Row = "1"  // network, TLS, or the server's own configuration
	RowServerRefused    Row = "2"  // the eUICC does not accept the server, or the server not the eUICC's certificate
	RowOrderRefused     Row = "3a" // another EID, or the matching id is refused
	RowOrderSpent       Row = "3b" // too many tries, or expired
	RowOrderNotReady    Row = "3c" // not released yet, or the eUICC has no room
	RowPrecheck         Row = "4"  // policy rules, ICCID there already, another profile than expected
	RowConfirmation     Row = "5"  // confirmation code missing or refused
	RowPrepare          Row = "6"  // PrepareDownload refused
	RowPackageLost      Row = "7"  // answer to getBoundProfilePackage lost or unusable
	RowStationDied      Row = "8"  // package held, station died before the first block
	RowLoadUnknown      Row = "9"  // AT error or timeout in the middle of a load
	RowPowerLost        Row = "10" // power lost in the middle of a load
	RowTemporary        Row = "11" // result 10 or 11: no memory, interrupted
	RowICCIDExists      Row = "12" // result 9
	RowInstallFailed    Row = "13" // any other result
	RowNotifyPending    Row = "14" // installed, notification not delivered
	RowNotifyStale      Row = "15" // delivered, not removed from the eUICC
	RowEnableFailed     Row = "16"
	RowStateUnclear     Row = "17" // REFRESH or reset, state to be read again
	RowScrapped         Row = "18"
	RowCancelledForGood Row = "19" // a terminal cancel was sent
	RowFactoryPackage   Row = "20" // a prepared package failed; its one-time key is consumed
)

// CodeUse is what becomes of the activation code.
type CodeUse string

// The uses.
const (
	CodeReusable  CodeUse = "reusable"  // as if nothing had happened
	CodeCounts    CodeUse = "counts"    // reusable, one attempt less
	CodeAfterFix  CodeUse = "after-fix" // reusable once the cause is mended
	CodeIfAbsent  CodeUse = "if-absent" // only after Reconcile said Absent
	CodeHold      CodeUse = "hold"      // not before a person has looked into it
	CodeSpent     CodeUse = "spent"     // never again
	CodeInstalled CodeUse = "installed" // it did its work
)

// Action is what to do next.
type Action string

// The actions.
const (
	ActionRetry     Action = "retry"     // the same again, later
	ActionFix       Action = "fix"       // something must be mended first
	ActionReconcile Action = "reconcile" // reopen the channel and read the eUICC back
	ActionResend    Action = "resend"    // deliver or remove the notification
	ActionStop      Action = "stop"      // this unit or this code goes no further
	ActionNone      Action = "none"      // all is done
)

// Halt is whether the lot should stop.
type Halt string

// The values of Halt.
const (
	HaltNo       Halt = "no"
	HaltRepeated Halt = "repeated" // when a second unit has the same
	HaltNow      Halt = "now"      // the next unit will fail in the same way
)

// Advice is what follows from a failure.
type Advice struct {
	Row    Row
	Code   CodeUse
	Action Action
	Halt   Halt
	Text   string // for an operator
}

// advices is the failure table.
var advices = map[Row]Advice{
	RowNone:             {RowNone, CodeReusable, ActionRetry, HaltNo, "nothing was changed; try again"},
	RowServerUnreached:  {RowServerUnreached, CodeReusable, ActionRetry, HaltNo, "check network and SM-DP+, then try again"},
	RowServerRefused:    {RowServerRefused, CodeReusable, ActionFix, HaltRepeated, "check certificate issuers (live or test), and the clock"},
	RowOrderRefused:     {RowOrderRefused, CodeHold, ActionStop, HaltRepeated, "check pairing of code and eUICC, and whether the code was used before"},
	RowOrderSpent:       {RowOrderSpent, CodeSpent, ActionStop, HaltRepeated, "the operator must reset or replace the order"},
	RowOrderNotReady:    {RowOrderNotReady, CodeAfterFix, ActionFix, HaltRepeated, "have the order released, or make room on the eUICC, then try again"},
	RowPrecheck:         {RowPrecheck, CodeAfterFix, ActionFix, HaltRepeated, "the session was postponed; mend what the check found"},
	RowConfirmation:     {RowConfirmation, CodeAfterFix, ActionFix, HaltRepeated, "a person must correct the confirmation code; each wrong one counts"},
	RowPrepare:          {RowPrepare, CodeReusable, ActionRetry, HaltRepeated, "the session was postponed; try again"},
	RowPackageLost:      {RowPackageLost, CodeCounts, ActionRetry, HaltNo, "begin a new session; the server binds again"},
	RowStationDied:      {RowStationDied, CodeCounts, ActionReconcile, HaltNo, "begin a new session after reading the eUICC"},
	RowLoadUnknown:      {RowLoadUnknown, CodeIfAbsent, ActionReconcile, HaltNo, "send nothing again; reopen and read the eUICC"},
	RowPowerLost:        {RowPowerLost, CodeIfAbsent, ActionReconcile, HaltNo, "read EID and eUICC again, deliver what it has to say"},
	RowTemporary:        {RowTemporary, CodeCounts, ActionRetry, HaltNo, "free memory if that was the cause; try again within the limit"},
	RowICCIDExists:      {RowICCIDExists, CodeSpent, ActionStop, HaltRepeated, "the profile is there from before: find out by whom"},
	RowInstallFailed:    {RowInstallFailed, CodeSpent, ActionStop, HaltRepeated, "the eUICC refused the package"},
	RowNotifyPending:    {RowNotifyPending, CodeInstalled, ActionResend, HaltNo, "deliver the notification; never download again"},
	RowNotifyStale:      {RowNotifyStale, CodeInstalled, ActionResend, HaltNo, "remove the notification again"},
	RowEnableFailed:     {RowEnableFailed, CodeInstalled, ActionReconcile, HaltNo, "reset the module, then read the state"},
	RowStateUnclear:     {RowStateUnclear, CodeInstalled, ActionReconcile, HaltNo, "let the module settle, then read the state"},
	RowScrapped:         {RowScrapped, CodeSpent, ActionResend, HaltNo, "delete and deliver the notification; a dead eUICC goes into the report"},
	RowCancelledForGood: {RowCancelledForGood, CodeSpent, ActionStop, HaltRepeated, "the operator must order again"},
	RowFactoryPackage:   {RowFactoryPackage, CodeSpent, ActionStop, HaltRepeated, "take the next package for this EID; never this one again"},
}

// Advise is the table's advice for a row.
func Advise(r Row) Advice { return advices[r] }

// Failure is why a download did not install a profile, or why that is not
// known. Ask Unknown, not the wrapped error: an APDU with an unknown outcome
// early in a session leaves the outcome of the download known.
type Failure struct {
	Step          string // the function or check that failed
	Advice        Advice
	Unknown       bool // only the eUICC knows whether the profile is installed
	TransactionID TransactionID
	Cancelled     bool               // the session was cancelled, with Reason
	Reason        euicc.CancelReason // valid when Cancelled
	CancelErr     error              // why cancelling failed
	Err           error
}

func (f *Failure) Error() string {
	s := f.Err.Error()
	if !strings.HasPrefix(s, f.Step) {
		s = f.Step + ": " + s
	}
	if f.Unknown {
		s += " (whether the profile is installed is not known)"
	}
	return s
}

// Unwrap is the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Errors of the checks; compare with errors.Is.
var (
	ErrICCIDPresent   = errors.New("a profile with this ICCID is on the eUICC already")
	ErrUnexpected     = errors.New("the server offers another profile than expected")
	ErrPolicyRules    = errors.New("the profile's policy rules are not allowed on this eUICC")
	ErrConsent        = errors.New("the profile's policy rules need a consent that was not declared")
	ErrMemory         = errors.New("the eUICC has too little free memory")
	ErrIssuer         = errors.New("the eUICC does not trust the server's certificate issuer")
	ErrConfirmation   = errors.New("the order needs a confirmation code")
	ErrPackageDiffers = errors.New("the package is for another profile than was offered")
	ErrRecord         = errors.New("the intent could not be recorded")
	ErrKeep           = errors.New("the package could not be kept")
	ErrEUICC          = errors.New("the eUICC's identity does not verify")
)

// rowOf finds the row of an error at a step before the load.
func rowOf(f Function, err error) Row {
	var refusal *ServerError
	if errors.As(err, &refusal) {
		return rowOfRefusal(refusal)
	}
	switch {
	case f == GetBoundProfilePackage:
		return RowPackageLost
	case errors.Is(err, ErrNetwork), errors.Is(err, ErrReply), errors.Is(err, ErrHost), f == InitiateAuthentication:
		return RowServerUnreached
	}
	return RowNone
}

func rowOfRefusal(e *ServerError) Row {
	switch code := e.Subject + "/" + e.Reason; code {
	case "8.1.1/3.8", "8.1.1/3.10", "8.1.1/2.2", "8.2.6/3.8", "8.2.6/3.10", "8.2.1/3.3", "8.2.1/3.9":
		return RowOrderRefused
	case "8.8.5/6.4", "8.8.5/4.10", "8.8.5/4.1", "8.2/3.7", "8.2.7/6.4", "8.2.5/3.7":
		return RowOrderSpent
	case "8.2/1.2", "8.1/4.8", "8.2.5/4.3":
		return RowOrderNotReady
	case "8.2.7/2.2", "8.2.7/3.8":
		return RowConfirmation
	case "8.1/6.1", "8.1.2/6.1", "8.1.2/6.3", "8.1.3/6.1", "8.1.3/6.3", "8.11.1/3.9", "8.8.2/3.1", "8.8.4/3.7":
		return RowServerRefused
	}
	if e.Function == GetBoundProfilePackage {
		return RowPackageLost
	}
	return RowServerUnreached
}

// adviceFor is the table's advice, sharpened by what the error says.
func adviceFor(row Row, err error) Advice {
	a := Advise(row)
	var refusal *ServerError
	var status *HTTPError
	switch {
	case errors.As(err, &refusal) && row == RowServerUnreached:
		// The server itself says that the address, version or session is wrong:
		// a matter of configuration that the next unit meets too.
		a.Action, a.Halt, a.Text = ActionFix, HaltNow, "the SM-DP+ refuses this station's configuration: check address and profile owner"
		if refusal.Subject == "8.10.1" {
			a.Action, a.Halt, a.Text = ActionRetry, HaltRepeated, "the SM-DP+ lost the session; try again"
		}
	case untrusted(err) && row == RowServerUnreached:
		a.Action, a.Halt, a.Text = ActionFix, HaltNow, "the SM-DP+'s TLS certificate is not accepted: check trust anchors, address and clock"
	case errors.As(err, &status) && !errors.Is(err, ErrNetwork) && row == RowServerUnreached:
		a.Action, a.Halt, a.Text = ActionFix, HaltRepeated, "the SM-DP+ does not serve this function: check its address"
	case errors.Is(err, ErrHost):
		a.Action, a.Halt, a.Text = ActionFix, HaltNow, "the SM-DP+ is not on this station's list"
	case errors.Is(err, ErrRecord), errors.Is(err, ErrKeep):
		a.Action, a.Halt, a.Text = ActionFix, HaltNow, "the station cannot write its records"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if row == RowNone {
			a.Text = "it was stopped before anything was changed"
		}
	}
	return a
}

// untrusted: the TLS certificate was refused, here.
func untrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}

// rowOfResult is the row of a failed installation.
func rowOfResult(f *euicc.InstallFailure) Row {
	switch {
	case f.Temporary():
		return RowTemporary
	case f.Reason == euicc.ReasonICCIDExists:
		return RowICCIDExists
	}
	return RowInstallFailed
}

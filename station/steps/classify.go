package steps

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/fixture"
	"linefit/station/stock"
)

// classify is the one place where an error becomes an outcome and a reason.
// final means that another try of the step cannot help. or is the reason's code
// where the error does not name one.
func classify(err error, or station.Code) (o station.Outcome, r *station.Reason, final bool) {
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		return station.Error, refusal.Reason, true
	}
	var failure *rsp.Failure
	if errors.As(err, &failure) {
		return classifyDownload(failure)
	}
	for _, rule := range rules {
		if rule.match(err) {
			code := rule.code
			if code == "" {
				code = or
			}
			return rule.outcome, station.NewReason(code, "%v", err), rule.final
		}
	}
	return station.Error, station.NewReason(or, "%v", err), false
}

type rule struct {
	match   func(error) bool
	outcome station.Outcome
	code    station.Code // empty: the step's own
	final   bool
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func as[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

// rules are tried in order; the first that matches counts.
var rules = []rule{
	{is(fixture.ErrHalted), station.Error, station.EmergencyStop, true},
	{is(fixture.ErrClosed), station.Error, station.FixtureFault, true},
	{as[*modem.OtherModuleError], station.Error, station.IdentityChanged, true},
	{is(modem.ErrMissing, modem.ErrBusy), station.Error, station.PortMissing, false},
	{is(modem.ErrPermission, modem.ErrNotSerial), station.Error, station.PortMissing, true},
	{as[*modem.RadioError], station.Fail, station.ModuleRadio, false},
	{as[*modem.IdentityError], station.Fail, station.ModuleIdentity, false},
	{is(modem.ErrSilent), station.Timeout, station.ModuleSilent, false},
	{is(modem.ErrRestarted, errNoModule, atcmd.ErrGone), station.Error, station.ModuleSilent, false},
	{as[*stock.ItemError], station.Error, station.VaultFault, true},
	{as[*keepError], station.Error, station.VaultFault, false},
	{is(apdu.ErrNoApplication), station.Fail, station.EUICCAbsent, false},
	{isSIM(atcmd.CMESIMNotInserted), station.Fail, station.SIMAbsent, false},
	{isSIM(atcmd.CMESIMFailure, atcmd.CMESIMWrong), station.Fail, station.SIMFault, false},
	{is(apdu.ErrRefused), station.Fail, station.EUICCAbsent, false},
	{is(euicc.ErrCatBusy), station.Error, station.EUICCRefused, false},
	{is(euicc.ErrPolicy), station.Error, station.ProfilePolicy, true}, // the rules of a profile that is there
	{as[*euicc.FunctionError], station.Fail, station.EUICCRefused, false},
	{as[*euicc.StatusError], station.Fail, station.EUICCRefused, false},
	{as[*euicc.ResponseError], station.Error, station.EUICCProtocol, false},
	{is(apdu.ErrUnknown, atcmd.ErrUnknown, context.DeadlineExceeded), station.Timeout, "", false},
}

func isSIM(codes ...int) func(error) bool {
	return func(err error) bool {
		var cme *atcmd.CMEError
		if !errors.As(err, &cme) {
			return false
		}
		for _, c := range codes {
			if cme.Code == c {
				return true
			}
		}
		return false
	}
}

// rowCodes are the reasons of the download's failure table.
var rowCodes = map[rsp.Row]station.Code{
	rsp.RowServerUnreached: station.SMDPUnreachable,
	rsp.RowServerRefused:   station.SMDPUntrusted,
	rsp.RowOrderRefused:    station.CodeRefused,
	rsp.RowOrderSpent:      station.CodeSpent,
	rsp.RowOrderNotReady:   station.SMDPRefused,
	rsp.RowConfirmation:    station.CodeRefused,
	rsp.RowPrepare:         station.EUICCRefused,
	rsp.RowPackageLost:     station.SMDPUnreachable,
	rsp.RowStationDied:     station.Interrupted,
	rsp.RowLoadUnknown:     station.ProfileUnknown,
	rsp.RowPowerLost:       station.ProfileUnknown,
	rsp.RowTemporary:       station.EUICCMemory,
	rsp.RowICCIDExists:     station.ProfileDuplicate,
	rsp.RowInstallFailed:   station.ProfileRefused,
}

// classifyDownload maps a failed download: what is unknown is a timeout, what
// can be tried again an error, what the eUICC refused for good a fail.
func classifyDownload(f *rsp.Failure) (station.Outcome, *station.Reason, bool) {
	code, known := rowCodes[f.Advice.Row]
	switch {
	case errors.Is(f, euicc.ErrNoSession): // the card was reset in between: another try finds it awake
		return station.Error, station.NewReason(station.EUICCProtocol, "%v", f), false
	case errors.Is(f, rsp.ErrRecord), errors.Is(f, rsp.ErrKeep):
		return station.Error, station.NewReason(station.LogStopped, "%v", f), true
	case f.Unknown:
		return station.Timeout, station.NewReason(station.ProfileUnknown, "%v", f), false
	case f.Advice.Row == rsp.RowPrecheck:
		return station.Error, station.NewReason(precheckCode(f), "%v", f), true
	case errors.Is(f, rsp.ErrHost): // refused here, before anything was asked
		return station.Error, station.NewReason(station.SMDPUntrusted, "%v", f), true
	case !known:
		_, r, final := classify(f.Err, station.EUICCProtocol)
		return station.Error, r, final
	}
	r := station.NewReason(refine(code, f), "%v", f)
	switch {
	case r.Class == station.ClassUnit && f.Advice.Row == rsp.RowInstallFailed:
		return station.Fail, r, true
	case f.Advice.Action == rsp.ActionRetry || f.Advice.Action == rsp.ActionReconcile:
		return station.Error, r, false
	}
	return station.Error, r, true
}

// refine says more of a row than the table's own code where the error does.
func refine(code station.Code, f *rsp.Failure) station.Code {
	var refusal *rsp.ServerError
	var certificate *tls.CertificateVerificationError
	refused := errors.As(f, &refusal)
	is := func(subject, reason string) bool {
		return refused && refusal.Subject == subject && refusal.Reason == reason
	}
	switch f.Advice.Row {
	case rsp.RowServerUnreached:
		switch {
		case errors.As(f, &certificate):
			return station.SMDPUntrusted
		case refused:
			return station.SMDPRefused
		case errors.Is(f, rsp.ErrReply):
			return station.SMDPProtocol
		}
	case rsp.RowServerRefused:
		if errors.Is(f, rsp.ErrIssuer) {
			return station.EUICCUntrusted
		}
	case rsp.RowOrderNotReady:
		switch {
		case errors.Is(f, rsp.ErrMemory), is("8.1", "4.8"):
			return station.EUICCMemory
		case is("8.2", "1.2"): // this order; the next one may be ready
			return station.CodeRefused
		}
	case rsp.RowPackageLost:
		switch {
		case errors.Is(f, rsp.ErrPackageDiffers):
			return station.ProfileMismatch
		case refused:
			return station.SMDPRefused
		case errors.Is(f, rsp.ErrReply):
			return station.SMDPProtocol
		}
	case rsp.RowInstallFailed:
		var result *euicc.InstallFailure
		if errors.As(f, &result) {
			return installCode(result)
		}
	case rsp.RowTemporary:
		var result *euicc.InstallFailure
		if errors.As(f, &result) && result.Reason == euicc.ReasonInterruption {
			return station.EUICCRefused
		}
	}
	return code
}

// installCode is the reason of an installation that failed for good (row 13 of
// the failure table): a package that was damaged on its way, in this station or
// before it, says nothing of the unit.
func installCode(f *euicc.InstallFailure) station.Code {
	switch f.Reason {
	case euicc.ReasonSCP03tStructure, euicc.ReasonSCP03tSecurity:
		return station.ProfileDamaged
	}
	return station.ProfileRefused
}

func precheckCode(f *rsp.Failure) station.Code {
	switch {
	case errors.Is(f, rsp.ErrICCIDPresent):
		return station.ProfileDuplicate
	case errors.Is(f, rsp.ErrUnexpected), errors.Is(f, rsp.ErrPackageDiffers):
		return station.ProfileMismatch
	case errors.Is(f, rsp.ErrPolicyRules), errors.Is(f, rsp.ErrConsent):
		return station.ProfilePolicy
	case errors.Is(f, rsp.ErrMemory):
		return station.EUICCMemory
	case errors.Is(f, rsp.ErrIssuer):
		return station.EUICCUntrusted
	case errors.Is(f, rsp.ErrConfirmation):
		return station.CodeRefused
	}
	return station.EUICCRefused
}

// code is the specification's error code of an eUICC's refusal, for the log.
func code(err error) string {
	var f *euicc.FunctionError
	if errors.As(err, &f) {
		return fmt.Sprintf("%s %d", f.Name, f.Code)
	}
	var s *euicc.StatusError
	if errors.As(err, &s) {
		return s.SW.String()
	}
	return ""
}

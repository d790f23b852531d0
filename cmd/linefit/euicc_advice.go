package main

import (
	"errors"
	"fmt"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/wire"
)

var (
	errNoProfile      = errors.New("no profile on this eUICC")
	errNoNotification = errors.New("no notification has the number")
)

// advice says what to do about an error by hand, "" when there is nothing to say.
func advice(err error) string {
	var function *euicc.FunctionError
	if errors.As(err, &function) {
		if function.Function == "DeleteProfile" && errors.Is(err, euicc.ErrNotDisabled) {
			return "it is enabled: disable it first"
		}
		if text, ok := codeAdvice[function.Name]; ok {
			return text
		}
		return noReason
	}
	if errors.Is(err, euicc.ErrShut) {
		return "terminal_capability in the module's quirks tells the card of an LPA, over +CSIM; in-factory keys go with the closing recipe"
	}
	var status *euicc.StatusError
	if errors.As(err, &status) {
		if text, ok := statusAdvice[status.SW]; ok {
			return text
		}
		return noReason
	}
	if simFailure(err) {
		return "bad contacts, no ISD-R, or an eUICC without an enabled profile behind a module that then refuses one of the routes: try --route cgla and --route csim"
	}
	for _, a := range causeAdvice {
		if errors.Is(err, a.cause) {
			return a.text
		}
	}
	return ""
}

// noReason is for a code or a status word that says no more than that it failed.
const noReason = "the eUICC gives no reason: reset the module and list the profiles, then try again"

// codeAdvice goes by the specification's names of result codes (SGP.22 section
// 5.7, SGP.32 section 5.9).
var codeAdvice = map[string]string{
	"iccidOrAidNotFound":         "list the profiles; some eUICCs take only the AID, some only the ICCID",
	"iccidNotFound":              "list the profiles",
	"profileNotInDisabledState":  "list the profiles: it is in that state already",
	"profileNotInEnabledState":   "list the profiles: it is in that state already",
	"disallowedByPolicy":         "the profile's policy rules forbid it",
	"wrongProfileReenabling":     "a test profile is enabled: behind it only the profile from before may come back",
	"catBusy":                    "the card waits for the module: reset the module, then try again",
	"disallowedByEnterpriseRule": "the rules of the enterprise whose profile is on the eUICC forbid it",
	"commandError":               "the eUICC could not do it: list the profiles, then try again",
	"disallowedForRpm":           "the profile is managed by its server alone",
	"noEsimPortAvailable":        "every port of the eUICC has an enabled profile: disable one first",
	"rollbackNotAvailable":       "there is no profile to go back to",
	"returnFallbackProfile":      "it is the fallback profile and in use: return from it first",
	"ecallActive":                "an emergency call is under way: try again when it is over",
	"nothingToDelete":            "there is nothing of that kind on the eUICC",
	"incorrectInputValues":       "the eUICC does not know something that was asked for",
	"profileChangeOngoing":       "a change of profile is under way: try again in a moment, or reset the module",
	"unsupportedCiPKId":          "the eUICC does not trust that server's issuer",
	"undefinedError":             noReason,
}

// statusAdvice goes by status words (ETSI TS 102 221 section 10.2.1).
var statusAdvice = map[wire.SW]string{
	wire.SWConditionsNotSatisfied: "an M2M eUICC, one that is locked for in-factory provisioning, or one that was not told of an LPA",
	wire.SWMemoryProblem:          "the card's memory does not take what is written: read the list again, and take another unit if it stays so",
	wire.SWNotEnoughMemory:        "no room on the eUICC: delete a profile that is not needed",
	wire.SWDataNotFound:           "the eUICC does not have this function",
	wire.SWInsNotSupported:        "the eUICC does not have this function",
	wire.SWClaNotSupported:        "the eUICC does not have this function, or the module changes class bytes: try the other --route",
	wire.SWFunctionNotSupported:   "the eUICC does not have this function",
	wire.SWWrongLength:            "the module or the eUICC does not take blocks of this size: try --block 120",
	wire.SWChannelNotSupported:    "the card was reset in the middle: try again",
}

// causeAdvice goes by what happened on the way to the eUICC; the first one that
// fits counts.
var causeAdvice = []struct {
	cause error
	text  string
}{
	{errNoProfile, "list the profiles"},
	{errNoNotification, "list what waits: notifications list"},
	{apdu.ErrNoChannel, "another program holds the card's channels: stop it, or reset the module"},
	{euicc.ErrNotEUICC, "a plain SIM, or an eUICC that another program works with"},
	{apdu.ErrUnknown, "the command may have taken effect: list the profiles before anything else"},
	{modem.ErrBusy, "another program has the port: ModemManager, a station, another linefit"},
	{modem.ErrPermission, "this user may not open the port: join the group that owns it, such as dialout"},
	{modem.ErrMissing, "is the module plugged in and powered? After each plug-in its port may have another name: /dev/serial/by-id has lasting ones"},
	{modem.ErrNotSerial, "name the module's AT port, such as /dev/ttyUSB2"},
	{modem.ErrSilent, "is this the module's AT port, is the module powered, has it another speed (--baud)?"},
	{atcmd.ErrGone, "the port went away: the module has restarted or was unplugged"},
}

func simFailure(err error) bool {
	var cme *atcmd.CMEError
	return errors.As(err, &cme) && cme.Code == atcmd.CMESIMFailure
}

// withAdvice adds what to do to an error.
func withAdvice(err error) error {
	if text := advice(err); text != "" {
		return fmt.Errorf("%w (%s)", err, text)
	}
	return err
}

package main

import (
	"errors"
	"fmt"
	"strings"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
)

// euiccCmd works on one eUICC by hand, on any port.
type euiccCmd struct {
	Port    string `required:"" placeholder:"DEV" help:"Serial port of the module, real or virtual."`
	Baud    int    `placeholder:"B" help:"Bits per second; the module's usual rate when it is not given."`
	Persona string `placeholder:"NAME" help:"Entry of the quirk table, for a module that does not tell what it is."`
	Route   string `enum:"auto,cgla,csim" default:"auto" help:"How APDUs go: by the quirk table, or over one route only."`
	Block   int    `placeholder:"N" help:"Data bytes in one STORE DATA, 1 to 255; without it what the quirk table knows of the module, or what it takes when tried."`
	Trace   string `placeholder:"FILE" help:"Append every APDU, redacted."`
	Record  string `placeholder:"FILE" help:"JSON Lines file that gets a record of every change (default: TRACE.jsonl, or linefit-euicc.jsonl here)."`
	JSON    bool   `name:"json" help:"Print one JSON document."`

	// On a port of a running station, which then does the work.
	who
	Address   string `placeholder:"ADDR" help:"On a port of a running station: its API, unix:/path or http://host:port (default: what the station announces)."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Bearer token for an address over TCP."`

	via *handSide // set in the station that does the work

	Info          euiccInfoCmd          `cmd:"" help:"What eUICC this is."`
	List          euiccListCmd          `cmd:"" help:"The profiles on it."`
	Download      euiccDownloadCmd      `cmd:"" help:"Download and install the profile of an activation code."`
	Enable        euiccEnableCmd        `cmd:"" help:"Enable a profile."`
	Disable       euiccDisableCmd       `cmd:"" help:"Disable a profile."`
	Delete        euiccDeleteCmd        `cmd:"" help:"Delete a disabled profile for good."`
	Nickname      euiccNicknameCmd      `cmd:"" help:"Give a profile a nickname."`
	Notifications euiccNotificationsCmd `cmd:"" help:"What the eUICC has to tell its servers."`
	Reset         euiccResetCmd         `cmd:"" help:"Delete profiles by a memory reset."`
	Reconcile     euiccReconcileCmd     `cmd:"" help:"Find out what became of an interrupted download."`
}

// cardExit gives an error of a module, card or server its exit code: a thing
// that is missing or busy, a lack of permission, or a bad verdict.
func cardExit(err error) error {
	var coded *exitError
	var refusal *station.Refusal
	var problems interface{ Unwrap() []error }
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.As(err, &refusal):
		return exit(refusalCode(refusal.Reason.Code), err)
	case errors.Is(err, modem.ErrPermission):
		return exit(exitRefused, err)
	case errors.Is(err, modem.ErrMissing), errors.Is(err, modem.ErrBusy), errors.Is(err, modem.ErrNotSerial), errors.Is(err, modem.ErrSilent),
		errors.Is(err, atcmd.ErrGone), errors.Is(err, rsp.ErrNetwork), errors.Is(err, rsp.ErrHost), errors.Is(err, rsp.ErrRecord):
		return exit(exitMissing, err)
	case errors.As(err, &problems) && errors.Is(err, euicc.ErrNotEUICC):
		return exit(exitMissing, err)
	}
	return exit(exitVerdict, err)
}

// failed is how a command ends that has printed nothing yet: with --json the
// document then says why.
func (e *euiccCmd) failed(a *app, err error) error {
	if err == nil {
		return nil
	}
	coded := cardExit(err)
	text := advice(err)
	if e.JSON && codeOf(coded) != exitUsage {
		if printErr := printJSON(a.stdout, map[string]any{"ok": false, "error": err.Error(), "advice": text}); printErr != nil {
			return printErr
		}
	}
	if text != "" {
		return exit(codeOf(coded), fmt.Errorf("%w (%s)", err, text))
	}
	return coded
}

// profileHandle reads an ICCID or the AID of an ISD-P, finds the profile, and
// names it as the card does.
func profileHandle(text string, profiles []euicc.Profile) (euicc.Profile, euicc.Handle, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	for _, p := range profiles {
		if text == string(p.ICCID) && text != "" || text == fmt.Sprintf("%X", p.RawICCID) {
			return p, euicc.Handle{ICCID: p.RawICCID}, nil
		}
		if text == fmt.Sprintf("%X", p.AID) && len(p.AID) > 0 {
			return p, euicc.Handle{AID: p.AID}, nil
		}
	}
	return euicc.Profile{}, euicc.Handle{}, exit(exitVerdict, fmt.Errorf("%w has the ICCID or AID %s", errNoProfile, text))
}

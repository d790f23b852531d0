package atcmd

import (
	"strconv"
	"strings"
)

// Final is a final result code, parsed.
type Final struct {
	Text string // as sent, numeric codes replaced by their words
	Err  error  // nil for OK; *CMEError, *CMSError or *ResultError

	worded bool
}

// ParseFinal recognises a final result code (ITU-T V.250 section 5.7.1, 3GPP
// TS 27.007 section 9, and the two vendor codes COMMAND NOT SUPPORT and NA).
// numeric also allows the V0 numbers.
func ParseFinal(line string, numeric bool) (Final, bool) {
	if code, ok := numericResult(line); numeric && ok {
		return code, true
	}
	f, ok := wordResult(line)
	f.worded = ok
	return f, ok
}

func wordResult(line string) (Final, bool) {
	switch line {
	case "OK":
		return Final{Text: line}, true
	case "ERROR", "NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "ABORTED", "CONNECT", "COMMAND NOT SUPPORT", "NA":
		return Final{Text: line, Err: &ResultError{line}}, true
	case "NO DIAL TONE":
		return Final{Text: line, Err: &ResultError{"NO DIALTONE"}}, true
	}
	if text, ok := afterKind(line, "CME ERROR"); ok {
		code, text := codeAndText(text, cmeTexts)
		return Final{Text: line, Err: &CMEError{code, text}}, true
	}
	if text, ok := afterKind(line, "CMS ERROR"); ok {
		code, text := codeAndText(text, cmsTexts)
		return Final{Text: line, Err: &CMSError{code, text}}, true
	}
	if strings.HasPrefix(line, "CONNECT ") {
		return Final{Text: line, Err: &ResultError{clip(line)}}, true
	}
	return Final{}, false
}

func numericResult(line string) (Final, bool) {
	switch line {
	case "0":
		return Final{Text: "OK"}, true
	case "1":
		return Final{Text: "CONNECT", Err: &ResultError{"CONNECT"}}, true
	case "3":
		return Final{Text: "NO CARRIER", Err: &ResultError{"NO CARRIER"}}, true
	case "4":
		return Final{Text: "ERROR", Err: &ResultError{"ERROR"}}, true
	case "6":
		return Final{Text: "NO DIALTONE", Err: &ResultError{"NO DIALTONE"}}, true
	case "7":
		return Final{Text: "BUSY", Err: &ResultError{"BUSY"}}, true
	case "8":
		return Final{Text: "NO ANSWER", Err: &ResultError{"NO ANSWER"}}, true
	}
	return Final{}, false
}

// afterKind accepts "+CME ERROR: x", "+CME ERROR:x", "+CME ERROR" and the form
// without the plus sign.
func afterKind(line, kind string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(line, "+"), kind)
	if !ok {
		return "", false
	}
	text, colon := strings.CutPrefix(rest, ":")
	if rest != "" && !colon {
		return "", false
	}
	return strings.TrimSpace(text), true
}

func codeAndText(s string, table map[int]string) (int, string) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return int(n), table[int(n)]
	}
	for code, text := range table {
		if strings.EqualFold(s, text) {
			return code, text
		}
	}
	return -1, clip(s)
}

// clip bounds foreign text that goes into an error.
func clip(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '�' {
			return '?'
		}
		return r
	}, s)
}

// Numbers of 3GPP TS 27.007 section 9.2.1 that a station acts on.
const (
	CMENotAllowed         = 3
	CMENotSupported       = 4
	CMESIMNotInserted     = 10
	CMESIMPINRequired     = 11
	CMESIMPUKRequired     = 12
	CMESIMFailure         = 13 // also: no enabled profile, no ISD-R, bad contacts
	CMESIMBusy            = 14 // try again later
	CMESIMWrong           = 15
	CMEIncorrectPassword  = 16
	CMESIMPIN2Required    = 17
	CMESIMPUK2Required    = 18
	CMEMemoryFull         = 20
	CMEInvalidIndex       = 21
	CMENotFound           = 22
	CMEUnknown            = 100
	CMEIncorrectParameter = 50
)

// cmeTexts are the verbose texts of 3GPP TS 27.007 section 9.2.1.
var cmeTexts = map[int]string{
	0: "phone failure", 1: "no connection to phone", 2: "phone-adaptor link reserved",
	3: "operation not allowed", 4: "operation not supported", 5: "PH-SIM PIN required",
	6: "PH-FSIM PIN required", 7: "PH-FSIM PUK required", 10: "SIM not inserted",
	11: "SIM PIN required", 12: "SIM PUK required", 13: "SIM failure", 14: "SIM busy",
	15: "SIM wrong", 16: "incorrect password", 17: "SIM PIN2 required", 18: "SIM PUK2 required",
	20: "memory full", 21: "invalid index", 22: "not found", 23: "memory failure",
	24: "text string too long", 25: "invalid characters in text string", 26: "dial string too long",
	27: "invalid characters in dial string", 30: "no network service", 31: "network timeout",
	32: "network not allowed - emergency calls only", 40: "network personalization PIN required",
	41: "network personalization PUK required", 42: "network subset personalization PIN required",
	43: "network subset personalization PUK required", 44: "service provider personalization PIN required",
	45: "service provider personalization PUK required", 46: "corporate personalization PIN required",
	47: "corporate personalization PUK required", 48: "hidden key required",
	49: "EAP method not supported", 50: "incorrect parameters", 51: "command implemented but currently disabled",
	52: "command aborted by user", 53: "not attached to network due to MT functionality restrictions",
	54: "modem not allowed - MT restricted to emergency calls only",
	55: "operation not allowed because of MT functionality restrictions",
	56: "fixed dial number only allowed - called number is not a fixed dial number",
	57: "temporarily out of service due to other MT usage", 58: "language/alphabet not supported",
	59: "unexpected data value", 60: "system failure", 61: "data missing", 62: "call barred",
	63: "message waiting indication subscription failure", 100: "unknown",
}

// cmsTexts are the texts of 3GPP TS 27.005 section 3.2.5 that concern the card.
var cmsTexts = map[int]string{
	300: "ME failure", 301: "SMS service of ME reserved", 302: "operation not allowed",
	303: "operation not supported", 304: "invalid PDU mode parameter", 305: "invalid text mode parameter",
	310: "(U)SIM not inserted", 311: "(U)SIM PIN required", 312: "PH-(U)SIM PIN required",
	313: "(U)SIM failure", 314: "(U)SIM busy", 315: "(U)SIM wrong", 316: "(U)SIM PUK required",
	317: "(U)SIM PIN2 required", 318: "(U)SIM PUK2 required", 320: "memory failure",
	321: "invalid memory index", 322: "memory full", 330: "SMSC address unknown", 331: "no network service",
	332: "network timeout", 500: "unknown error",
}

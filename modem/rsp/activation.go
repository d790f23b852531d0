package rsp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ActivationCode is an activation code (SGP.22 section 4.1):
//
//	LPA:1$SM-DP+ address$matching id[$SM-DP+ OID[$1]]
//
// Version 3 may add the issuer's key identifier and a flag behind it.
type ActivationCode struct {
	Address              string // host or host:port
	MatchingID           Secret // may be empty: the order is found by the EID
	OID                  string // of the SM-DP+, dotted; may be empty
	ConfirmationRequired bool
	CIPKID               string // hexadecimal, version 3
}

// ErrActivationCode is matched by every refusal of [ParseActivationCode].
var ErrActivationCode = errors.New("activation code is malformed")

// MaxActivationCode is the longest code in characters (SGP.22 section 4.1).
const MaxActivationCode = 255

// ParseActivationCode reads a code, with "LPA:" before it as QR codes have it or
// without as it is typed. A flag that says 0 and empty fields at the end, which
// lists of codes have, say nothing. Its errors say what is wrong and never quote
// the code.
func ParseActivationCode(s string) (ActivationCode, error) {
	fail := func(format string, args ...any) (ActivationCode, error) {
		return ActivationCode{}, fmt.Errorf("%w: %s", ErrActivationCode, fmt.Sprintf(format, args...))
	}
	if len(s) > MaxActivationCode {
		return fail("%d characters, at most %d", len(s), MaxActivationCode)
	}
	body := s
	if len(s) >= 4 && strings.EqualFold(s[:4], "LPA:") {
		body = s[4:]
	}
	fields := strings.Split(body, "$")
	if fields[0] != "1" {
		return fail("it does not begin with LPA:1$")
	}
	if len(fields) < 3 || len(fields) > 7 {
		return fail("%d fields between $ signs, 3 to 7 are right", len(fields))
	}
	a := ActivationCode{Address: fields[1], MatchingID: Secret(fields[2])}
	if err := CheckAddress(a.Address); err != nil {
		return fail("the SM-DP+ address: %v", err)
	}
	if !printable(fields[2]) {
		return fail("the matching id has a character that is not printable ASCII")
	}
	rest := append(fields[3:], "", "", "", "")
	if a.OID = rest[0]; a.OID != "" && !isOID(a.OID) {
		return fail("the SM-DP+ OID is no dotted number")
	}
	if rest[1] != "" && rest[1] != "0" && rest[1] != "1" {
		return fail("the confirmation code flag is neither 1 nor empty")
	}
	a.ConfirmationRequired = rest[1] == "1"
	if a.CIPKID = rest[2]; a.CIPKID != "" && !isHex(a.CIPKID) {
		return fail("the issuer's key identifier is not hexadecimal")
	}
	if rest[3] != "" && rest[3] != "0" && rest[3] != "1" {
		return fail("the last flag is neither 1 nor empty")
	}
	return a, nil
}

// String shows the address and redacts the rest.
func (a ActivationCode) String() string { return "LPA:1$" + a.Address + "$" + redacted }

// GoString is [ActivationCode.String].
func (a ActivationCode) GoString() string { return a.String() }

// Reveal is the code in clear.
func (a ActivationCode) Reveal() string {
	fields := []string{"LPA:1", a.Address, a.MatchingID.Reveal(), a.OID, "", a.CIPKID}
	if a.ConfirmationRequired {
		fields[4] = "1"
	}
	for len(fields) > 3 && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1]
	}
	return strings.Join(fields, "$")
}

// CheckAddress checks an SM-DP+ address: a host name or an IP address, with a
// port or without.
func CheckAddress(address string) error {
	host, port := splitAddress(address)
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return errors.New("the port is not a number from 1 to 65535")
		}
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return nil
	}
	if host == "" || len(host) > 253 {
		return errors.New("the host name is empty or too long")
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return errors.New("the host name has a label that is not letters, digits and hyphens")
		}
	}
	return nil
}

// splitAddress splits off the port, if there is one.
func splitAddress(address string) (host, port string) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 || strings.Contains(address[i:], "]") || strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "[") {
		return address, ""
	}
	if i == len(address)-1 {
		return address, "" // a colon without a port: not a host name
	}
	return address[:i], address[i+1:]
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func isOID(s string) bool {
	arcs := strings.Split(s, ".")
	if len(arcs) < 2 {
		return false
	}
	for _, arc := range arcs {
		if n, err := strconv.ParseUint(arc, 10, 56); err != nil || strconv.FormatUint(n, 10) != arc {
			return false
		}
	}
	return true
}

func isHex(s string) bool {
	return len(s)%2 == 0 && len(s) <= 128 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

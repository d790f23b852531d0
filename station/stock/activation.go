package stock

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"linefit/modem/ident"
	"linefit/station"
)

// maxCode bounds an activation code, in characters (SGP.22 section 4.1).
const maxCode = 255

// Activation is what it takes to download one profile: the activation code
// (SGP.22 section 4.1) and, where the order has one, the confirmation code.
// Only SMDP and OID may be shown.
type Activation struct {
	SMDP       string // host name, with a port where the code names one
	OID        string // of the SM-DP+, where the code names one
	MatchingID Secret // may be empty: the order is then found by the EID
	// NeedsConfirmation says that the code asks for a confirmation code.
	NeedsConfirmation bool
	Confirmation      Secret
	// Text is the whole code as it came, with "LPA:" in front.
	Text Secret
}

// ErrCode is the error of a text that is no activation code. What is wrapped
// around it shows no part of the text but the host.
var ErrCode = errors.New("no activation code")

// ParseActivationCode reads LPA:1$host$matching-id[$oid[$1]]; "LPA:" may be
// missing. What later versions append is kept in Text and not looked at.
func ParseActivationCode(text string) (Activation, error) {
	fail := func(format string, args ...any) (Activation, error) {
		return Activation{}, fmt.Errorf("%w: %s", ErrCode, fmt.Sprintf(format, args...))
	}
	text = strings.TrimSpace(text)
	if len(text) >= 4 && strings.EqualFold(text[:4], "LPA:") {
		text = text[4:]
	}
	if len(text) > maxCode {
		return fail("%d characters, more than %d", len(text), maxCode)
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return fail("character %d is no printable ASCII", i+1)
		}
	}
	parts := strings.Split(text, "$")
	switch {
	case parts[0] != "1":
		return fail("it does not begin with LPA:1$")
	case len(parts) < 3:
		return fail("it has %d parts between $, not 3 to 7: LPA:1$host$matching-id", len(parts))
	case len(parts) > 7:
		return fail("it has %d parts between $, not 3 to 7", len(parts))
	}
	if err := checkHost(parts[1]); err != nil {
		return fail("%v", err)
	}
	a := Activation{SMDP: strings.ToLower(parts[1]), MatchingID: NewSecret([]byte(parts[2])), Text: NewSecret([]byte("LPA:" + text))}
	if len(parts) > 3 {
		a.OID = parts[3]
		if strings.Trim(a.OID, "0123456789.") != "" {
			return fail("its fourth part is no object identifier")
		}
	}
	if len(parts) > 4 {
		switch parts[4] {
		case "1":
			a.NeedsConfirmation = true
		case "", "0":
		default:
			return fail("its fifth part, the confirmation code flag, is neither 1 nor empty")
		}
	}
	return a, nil
}

// ActivationFrom makes an activation code of its two parts.
func ActivationFrom(smdp, matchingID string) (Activation, error) {
	if strings.Contains(matchingID, "$") || strings.Contains(smdp, "$") {
		return Activation{}, fmt.Errorf("%w: a part contains $", ErrCode)
	}
	return ParseActivationCode("LPA:1$" + smdp + "$" + matchingID)
}

// checkHost takes a host name or IP address with an optional port.
func checkHost(s string) error {
	host, port, found := strings.Cut(s, ":")
	if found {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("the SM-DP+ address %q has no valid port", hostLike(s))
		}
	}
	if host == "" || len(host) > 253 {
		return errors.New("it names no SM-DP+")
	}
	for _, label := range strings.Split(host, ".") {
		ok := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for i := range len(label) {
			c := label[i]
			ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
		}
		if !ok {
			return fmt.Errorf("the SM-DP+ address %q is no host name", hostLike(s))
		}
	}
	return nil
}

// hostLike is the beginning of a text that may be a host name. Behind a sign that
// is none a person may have put the matching id.
func hostLike(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-')
	})
	if end < 0 {
		return s
	}
	return s[:end] + "…"
}

// sealedCode is an activation in the vault.
type sealedCode struct {
	Version      int    `json:"v"`
	Code         string `json:"code"`
	Confirmation string `json:"confirmation,omitempty"`
	EID          string `json:"eid,omitempty"` // that the profile is bound to
	// Issue is the fact that the log gets about a code which the MES has handed
	// out: a crash between the two is mended from here.
	Issue *station.StockImported `json:"issue,omitempty"`
}

// seal is the activation as a vault item of [KindCode].
func (a Activation) seal(bound ident.EID) (Secret, error) { return a.sealWith(bound, nil) }

func (a Activation) sealWith(bound ident.EID, issue *station.StockImported) (Secret, error) {
	b, err := json.Marshal(sealedCode{Version: 1, Code: a.Text.RevealText(), Confirmation: a.Confirmation.RevealText(), EID: string(bound), Issue: issue})
	if err != nil {
		return Secret{}, fmt.Errorf("activation code: %w", err)
	}
	return NewSecret(b), nil
}

// unsealActivation reads a vault item of [KindCode]. Its errors are ErrDamaged
// alone: another text could show the code.
func unsealActivation(s Secret) (Activation, ident.EID, error) {
	var c sealedCode
	if err := json.Unmarshal(s.Reveal(), &c); err != nil || c.Version != 1 {
		return Activation{}, "", ErrDamaged
	}
	a, err := ParseActivationCode(c.Code)
	if err != nil {
		return Activation{}, "", ErrDamaged
	}
	a.Confirmation = NewSecret([]byte(c.Confirmation))
	a.NeedsConfirmation = a.NeedsConfirmation || c.Confirmation != ""
	return a, ident.EID(c.EID), nil
}

// codeKey tells codes apart; it has the code in clear and stays in memory. The
// same host with and without HTTPS's port is the same, and so are matching ids
// that differ in the case of their letters: SGP.22 has none but capital ones
// (section 4.1), and nobody sells two codes that a person cannot tell apart.
func codeKey(a Activation, eid ident.EID) string {
	key := strings.TrimSuffix(a.SMDP, ":443") + "\x00" + strings.ToUpper(a.MatchingID.RevealText()) + "\x00"
	if a.MatchingID.Empty() {
		key += string(eid) // the order is found by the EID
	}
	return key
}

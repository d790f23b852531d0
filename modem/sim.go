package modem

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/atcmd"
	"linefit/modem/ident"
)

// SIMState is what the module says about its card (3GPP TS 27.007 sections 8.3
// and 9.2.1).
type SIMState string

// SIM states.
const (
	SIMReady      SIMState = "ready"
	SIMLocked     SIMState = "locked"      // a PIN or PUK is asked for; SIMStatus.Text names it
	SIMAbsent     SIMState = "absent"      // CME 10
	SIMFailure    SIMState = "failure"     // CME 13: bad contacts, but also an eUICC without an enabled profile
	SIMBusy       SIMState = "busy"        // CME 14: being read
	SIMWrong      SIMState = "wrong"       // CME 15
	SIMEmptyEUICC SIMState = "empty-euicc" // an eUICC without a profile, where the module says so
	SIMUnknown    SIMState = "unknown"     // anything else; SIMStatus.Text has it
)

// SIMStatus is a state and the words behind it.
type SIMStatus struct {
	State SIMState
	Text  string // the module's own: "SIM PIN", "+CME ERROR: 10 (SIM not inserted)"

	// Detect is the setting of the card detection input, where the family has
	// one and the card seems to be absent or to fail: with the wrong polarity a
	// present card vanishes. See [Module.DetectOff].
	Detect string
}

// SIM asks for the state of the card once.
func (m *Module) SIM(ctx context.Context) (SIMStatus, error) {
	resp, err := m.read(ctx, atcmd.Command{Text: "AT+CPIN?", Prefix: "+CPIN", Require: true})
	s, err := simStatus(resp, err)
	if err != nil || s.State != SIMAbsent && s.State != SIMFailure || m.quirks.SIM.Detect.Query.Command == "" {
		return s, err
	}
	detect, err := m.read(ctx, m.query(m.quirks.SIM.Detect.Query, nil))
	if err != nil && !answered(err) && !errors.Is(err, ErrAnswer) {
		return s, err
	}
	s.Detect = detect.Value()
	return s, nil
}

func simStatus(resp atcmd.Response, err error) (SIMStatus, error) {
	var cme *atcmd.CMEError
	switch {
	case errors.As(err, &cme):
		state, ok := map[int]SIMState{
			atcmd.CMESIMNotInserted: SIMAbsent, atcmd.CMESIMPINRequired: SIMLocked, atcmd.CMESIMPUKRequired: SIMLocked,
			atcmd.CMESIMFailure: SIMFailure, atcmd.CMESIMBusy: SIMBusy, atcmd.CMESIMWrong: SIMWrong,
		}[cme.Code]
		if !ok {
			state = SIMUnknown
		}
		return SIMStatus{State: state, Text: cme.Error()}, nil
	case err != nil && (answered(err) || errors.Is(err, ErrAnswer)):
		return SIMStatus{State: SIMUnknown, Text: resp.Final}, nil
	case err != nil:
		return SIMStatus{}, err
	}
	text := resp.Value()
	switch {
	case text == "READY":
		return SIMStatus{State: SIMReady, Text: text}, nil
	case text == "EMPTY_EUICC":
		return SIMStatus{State: SIMEmptyEUICC, Text: text}, nil
	case strings.HasSuffix(text, "PIN") || strings.HasSuffix(text, "PUK") || strings.HasSuffix(text, "PIN2") || strings.HasSuffix(text, "PUK2"):
		return SIMStatus{State: SIMLocked, Text: text}, nil
	case text == "NOT INSERTED":
		return SIMStatus{State: SIMAbsent, Text: text}, nil
	}
	return SIMStatus{State: SIMUnknown, Text: text}, nil
}

// AwaitSIM asks until the card is no longer busy, or the family's limit has
// passed; the last status is returned then, too.
func (m *Module) AwaitSIM(ctx context.Context) (SIMStatus, error) {
	for until := time.Now().Add(m.quirks.SIM.Limit); ; {
		s, err := m.SIM(ctx)
		if err != nil || s.State != SIMBusy || !time.Now().Before(until) {
			return s, err
		}
		if err := m.wait(ctx, m.quirks.SIM.Poll); err != nil {
			return s, err
		}
	}
}

// CardOn makes the card reachable on a module whose radio is off and which has
// switched the card off too, as at functionality level 0 (3GPP TS 27.007 section
// 8.2) and, on some, at every start: the family's way to radio off keeps the
// card on. It reports whether there was anything to do; a module whose radio is
// on is left alone. When it returns the card is no longer busy.
func (m *Module) CardOn(ctx context.Context) (bool, error) {
	level, err := m.FunctionalityLevel(ctx)
	if err != nil || slices.Contains(m.quirks.Radio.OnLevels, level) {
		return false, err
	}
	if s, err := m.SIM(ctx); err != nil || s.State == SIMReady {
		return false, err
	}
	if err := m.RadioOff(ctx); err != nil {
		return true, err
	}
	_, err = m.AwaitSIM(ctx)
	return true, err
}

// DetectOff switches the card detection input off, where the family can. It
// reports whether there was something to switch.
func (m *Module) DetectOff(ctx context.Context) (bool, error) {
	if m.quirks.SIM.Detect.Off == "" {
		return false, nil
	}
	return true, m.command(ctx, m.quirks.SIM.Detect.Off)
}

// ICCID reads EF_ICCID through the module, as the network will see it: the ICCID
// of the enabled profile. The family's own commands are tried in order; a
// module that is busy with its card is asked again.
//
// An *atcmd.CMEError is the module's word about the card: 10 absent, 13
// failure, which is also how some modules show an eUICC without an enabled
// profile.
func (m *Module) ICCID(ctx context.Context) (ident.ICCID, error) {
	for until := time.Now().Add(m.quirks.SIM.Limit); ; {
		iccid, err := m.readICCID(ctx)
		var cme *atcmd.CMEError
		if !errors.As(err, &cme) || cme.Code != atcmd.CMESIMBusy || !time.Now().Before(until) {
			return iccid, err
		}
		if err := m.wait(ctx, m.quirks.SIM.Poll); err != nil {
			return "", err
		}
	}
}

func (m *Module) readICCID(ctx context.Context) (ident.ICCID, error) {
	var last error
	for _, source := range m.quirks.SIM.ICCID {
		iccid, err := m.readICCIDFrom(ctx, source)
		if err == nil {
			return iccid, nil
		}
		if !refused(err) && !errors.Is(err, ErrAnswer) {
			return "", err
		}
		last = err
	}
	return "", last
}

func (m *Module) readICCIDFrom(ctx context.Context, source ICCIDSource) (ident.ICCID, error) {
	if source.Form == "crsm" {
		resp, err := m.read(ctx, m.query(source.Ask, nil))
		if err == nil && strings.HasPrefix(resp.Value(), "106,134") { // once, on some, right after a start
			resp, err = m.read(ctx, m.query(source.Ask, nil))
		}
		if err != nil {
			return "", err
		}
		return iccidFromCRSM(resp.Value())
	}
	resp, err := m.read(ctx, m.query(source.Ask, looksLikeICCID))
	if err != nil {
		return "", err
	}
	return iccidFromText(resp.Value())
}

func looksLikeICCID(s string) bool {
	s = strings.TrimRight(strings.Trim(s, `"`), "Ff")
	return len(s) >= 18 && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// iccidFromText takes the first field of a plain answer, quoted or not; F
// padding is dropped.
func iccidFromText(text string) (ident.ICCID, error) {
	field, _, _ := strings.Cut(text, ",")
	iccid, err := ident.ParseICCID(strings.Trim(field, `" `))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return iccid, nil
}

// iccidFromCRSM reads sw1,sw2,"data" (3GPP TS 27.007 section 8.18) with the ten
// nibble-swapped bytes of EF_ICCID (ETSI TS 102 221 section 13.2). Some modules
// swap them already; an ICCID starts with 89.
func iccidFromCRSM(text string) (ident.ICCID, error) {
	fields := strings.SplitN(text, ",", 3)
	if len(fields) < 2 || fields[0] != "144" && fields[0] != "145" && fields[0] != "159" {
		return "", fmt.Errorf("%w: status %.20q", ErrAnswer, text)
	}
	if len(fields) < 3 {
		return "", fmt.Errorf("%w: no data", ErrAnswer)
	}
	digits := strings.Trim(strings.TrimSpace(fields[2]), `"`)
	if strings.HasPrefix(digits, "89") {
		return iccidFromText(digits)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return "", fmt.Errorf("%w: %.40q is not hexadecimal", ErrAnswer, digits)
	}
	iccid, err := ident.ICCIDFromBytes(raw)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return iccid, nil
}

// IMSI reads the subscriber identity of the enabled profile (3GPP TS 27.007
// section 5.6). It never appears in the trace.
func (m *Module) IMSI(ctx context.Context) (ident.IMSI, error) {
	cmd := m.query(Ask{Command: "AT+CIMI"}, func(s string) bool {
		return len(s) >= 6 && len(s) <= 15 && strings.Trim(s, "0123456789") == ""
	})
	cmd.Secret = true
	resp, err := m.read(ctx, cmd)
	if err != nil {
		return "", err
	}
	imsi, err := ident.ParseIMSI(strings.Trim(resp.Value(), `" `))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return imsi, nil
}

// Refreshes counts the lines that followed a REFRESH of the card so far.
func (m *Module) Refreshes() int {
	m.absorb()
	return m.refresh
}

// AwaitRefresh is for the time after a command that asked for a REFRESH of the
// card. It returns when a REFRESH line has come since [Module.Refreshes] was
// since, or the family's settle time has passed without one, and the card is no
// longer busy. Until then an APDU may meet a card that is being reset. A family
// without such lines is only asked whether its card is busy; it may be a moment
// later.
func (m *Module) AwaitRefresh(ctx context.Context, since int) (SIMStatus, error) {
	if len(m.quirks.SIM.Refresh) > 0 && m.Refreshes() <= since && !m.lost {
		_, err := m.listen(ctx, m.quirks.SIM.RefreshSettle, func(atcmd.URC) bool { return m.refresh > since || m.lost })
		if err != nil {
			return SIMStatus{}, err
		}
	}
	return m.AwaitSIM(ctx)
}

// AwaitICCID waits until the module shows an ICCID, after a profile was enabled
// or disabled: until a REFRESH line came or the family's settle time passed, it
// may still show the old one. The last ICCID or error is returned.
func (m *Module) AwaitICCID(ctx context.Context, want ident.ICCID) (ident.ICCID, error) {
	for until := time.Now().Add(m.quirks.SIM.RefreshSettle); ; {
		iccid, err := m.ICCID(ctx)
		if err == nil && iccid == want || !time.Now().Before(until) || err != nil && !answered(err) && !errors.Is(err, ErrAnswer) {
			return iccid, err
		}
		if err := m.wait(ctx, m.quirks.SIM.Poll); err != nil {
			return iccid, err
		}
	}
}

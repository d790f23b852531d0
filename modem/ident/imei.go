package ident

import "fmt"

// IMEI is the identity of a mobile equipment: 15 digits, the last one a Luhn
// check digit (3GPP TS 23.003 sections 6.2.1 and B).
type IMEI string

// ParseIMEI checks length, digits and check digit.
func ParseIMEI(s string) (IMEI, error) {
	if err := digits("IMEI", s, 15); err != nil {
		return "", err
	}
	if !luhnValid(s) {
		return "", fmt.Errorf("IMEI %q: %w", s, ErrCheckDigit)
	}
	return IMEI(s), nil
}

// IMEIWithCheck completes TAC and serial number (14 digits) by the check digit.
func IMEIWithCheck(first14 string) (IMEI, error) {
	if err := digits("IMEI body", first14, 14); err != nil {
		return "", err
	}
	return IMEI(first14 + string(luhnDigit(first14))), nil
}

// TAC is the type allocation code, the first eight digits.
func (i IMEI) TAC() string {
	if len(i) < 8 {
		return ""
	}
	return string(i[:8])
}

// DeviceTAC is the TAC as SGP.22 DeviceInfo carries it: four nibble-swapped
// bytes (SGP.22 section 4.2, 3GPP TS 23.003).
func (i IMEI) DeviceTAC() []byte { return swap(i.TAC(), 4) }

// DeviceIMEI is the IMEI as SGP.22 DeviceInfo carries it: eight nibble-swapped
// bytes, except that the last one has the check digit in its high nibble and
// the filler F in its low one (SGP.22 annex H, comment on DeviceInfo.imei).
func (i IMEI) DeviceIMEI() []byte {
	b := swap(string(i), 8)
	b[7] = b[7]<<4 | 0x0f
	return b
}

// IMSI is a subscriber identity: 6 to 15 digits. It names a person's
// subscription: it is never written in clear to a log.
type IMSI string

// ParseIMSI checks length and digits.
func ParseIMSI(s string) (IMSI, error) {
	if len(s) < 6 || len(s) > 15 {
		return "", fmt.Errorf("IMSI: %w: %d characters, not 6 to 15", ErrLength, len(s))
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "", fmt.Errorf("IMSI: %w at character %d", ErrDigit, i+1)
		}
	}
	return IMSI(s), nil
}

// MarshalText redacts: an IMSI leaves the process only through an accessor.
func (i IMSI) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// String shows the country and network code's first five digits only.
func (i IMSI) String() string {
	if len(i) < 6 {
		return ""
	}
	return string(i[:5]) + "..."
}

// GoString is [IMSI.String], so that %#v shows no more.
func (i IMSI) GoString() string { return i.String() }

// Reveal is the IMSI in clear.
func (i IMSI) Reveal() string { return string(i) }

package ident

import (
	"encoding/hex"
	"fmt"
)

// EID is an eUICC identifier: 32 decimal digits, the number modulo 97 is 1
// (SGP.02 section 2.2.2, kept by SGP.29).
type EID string

// ParseEID checks length, digits and check digits.
func ParseEID(s string) (EID, error) {
	if err := digits("EID", s, 32); err != nil {
		return "", err
	}
	if mod97(s) != 1 {
		return "", fmt.Errorf("EID %q: %w", s, ErrCheckDigit)
	}
	return EID(s), nil
}

// EIDFromBytes reads the 16 bytes of an eUICC's answer (plain BCD, not
// nibble-swapped; SGP.22 section 5.7.20). The shape is checked, and the check
// digits too.
func EIDFromBytes(b []byte) (EID, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("EID of %d bytes: %w: 16 are needed", len(b), ErrLength)
	}
	return ParseEID(hex.EncodeToString(b))
}

// EIDWithCheck completes the first 30 digits of an EID by its check digits.
func EIDWithCheck(first30 string) (EID, error) {
	if err := digits("EID body", first30, 30); err != nil {
		return "", err
	}
	return ParseEID(fmt.Sprintf("%s%02d", first30, 98-mod97(first30+"00")))
}

// Bytes is the EID as 16 bytes of BCD.
func (e EID) Bytes() []byte {
	b, err := hex.DecodeString(string(e))
	if err != nil {
		return nil
	}
	return b
}

// EUM is the issuer prefix that an EUM certificate restricts: the first eight digits.
func (e EID) EUM() string {
	if len(e) < 8 {
		return ""
	}
	return string(e[:8])
}

func mod97(s string) int {
	m := 0
	for i := range len(s) {
		m = (m*10 + int(s[i]-'0')) % 97
	}
	return m
}

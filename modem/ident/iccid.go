package ident

import "fmt"

// ICCID is the identifier of a profile or card: 18 to 20 decimal digits, the
// last one as a rule a Luhn check digit (ITU-T E.118).
type ICCID string

// ParseICCID checks length and digits. A trailing F, the padding that some
// modules print, is dropped. The check digit is asked for by [ICCID.LuhnValid],
// since operators deviate from it.
func ParseICCID(s string) (ICCID, error) {
	for len(s) > 18 && (s[len(s)-1] == 'F' || s[len(s)-1] == 'f') {
		s = s[:len(s)-1]
	}
	if err := digits("ICCID", s, 18, 19, 20); err != nil {
		return "", err
	}
	return ICCID(s), nil
}

// ICCIDFromBytes reads the 10 bytes of EF_ICCID or of tag 5A (nibble-swapped,
// F-padded).
func ICCIDFromBytes(b []byte) (ICCID, error) {
	if len(b) != 10 {
		return "", fmt.Errorf("ICCID of %d bytes: %w: 10 are needed", len(b), ErrLength)
	}
	s, err := swapped(b)
	if err != nil {
		return "", fmt.Errorf("ICCID: %w", err)
	}
	return ParseICCID(s)
}

// LuhnValid reports whether the last digit is the check digit over the others.
func (i ICCID) LuhnValid() bool { return i != "" && luhnValid(string(i)) }

// Bytes is the ICCID as 10 nibble-swapped bytes.
func (i ICCID) Bytes() []byte { return swap(string(i), 10) }

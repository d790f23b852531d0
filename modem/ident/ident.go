// Package ident has the identifiers of a unit as distinct types, so that an
// ICCID is never compared with an EID: [EID] (SGP.02 section 2.2.2, SGP.29),
// [ICCID] (ITU-T E.118), [IMEI] (3GPP TS 23.003 section 6) and [IMSI] (3GPP TS
// 23.003 section 2.2). A value of one of these types made by its Parse
// function has a valid shape; a zero value is the empty string and means
// "not known". Check digits are part of the shape where the specification
// makes them binding (EID, IMEI) and a separate question where operators are
// known to deviate (ICCID).
package ident

import (
	"errors"
	"fmt"
)

// Errors of the Parse functions; they are wrapped with the value's kind and
// what is wrong, never with another unit's identifier.
var (
	ErrLength     = errors.New("wrong length")
	ErrDigit      = errors.New("not a decimal digit")
	ErrCheckDigit = errors.New("check digits do not match")
)

func digits(kind, s string, lengths ...int) error {
	ok := false
	for _, n := range lengths {
		ok = ok || len(s) == n
	}
	if !ok {
		return fmt.Errorf("%s %q: %w: %d characters, not %v", kind, s, ErrLength, len(s), lengths)
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return fmt.Errorf("%s %q: %w at character %d", kind, s, ErrDigit, i+1)
		}
	}
	return nil
}

// luhnValid is the check of ISO/IEC 7812-1 annex B over all digits.
func luhnValid(s string) bool { return luhnSum(s, false) == 0 }

// luhnDigit is the digit that makes s valid when it is appended.
func luhnDigit(s string) byte { return '0' + byte((10-luhnSum(s, true))%10) }

func luhnSum(s string, double bool) int {
	sum := 0
	for i := len(s) - 1; i >= 0; i-- {
		d := int(s[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum % 10
}

// swapped decodes nibble-swapped BCD with F padding at the end (3GPP TS 31.102
// section 4.2.2, SGP.22 Iccid).
func swapped(b []byte) (string, error) {
	out := make([]byte, 0, 2*len(b))
	padded := false
	for i, c := range b {
		for _, nibble := range [2]byte{c & 0x0f, c >> 4} {
			switch {
			case nibble == 0x0f:
				padded = true
			case nibble > 9 || padded:
				return "", fmt.Errorf("%w in byte %d", ErrDigit, i+1)
			default:
				out = append(out, '0'+nibble)
			}
		}
	}
	return string(out), nil
}

func swap(s string, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 0xff
	}
	for i := range len(s) {
		d := s[i] - '0'
		if i%2 == 0 {
			b[i/2] = b[i/2]&0xf0 | d
		} else {
			b[i/2] = b[i/2]&0x0f | d<<4
		}
	}
	return b
}

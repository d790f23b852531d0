package smdpsim

import (
	"fmt"

	"linefit/modem/ident"
)

// GeneratedICCID is the n-th ICCID of generated profiles (0 to 999,999,999): 19
// digits with a check digit, in a range of the shared country code 882 that is
// not assigned.
func GeneratedICCID(n int) ident.ICCID {
	body := fmt.Sprintf("89882998%010d", n)
	for digit := '0'; ; digit++ {
		if iccid := ident.ICCID(body + string(digit)); iccid.LuhnValid() {
			return iccid
		}
	}
}

// GeneratedProfile is the n-th generated profile in the test network 001-01.
func GeneratedProfile(n int) *Generic {
	return &Generic{
		ICCID: GeneratedICCID(n),
		IMSI:  ident.IMSI(fmt.Sprintf("00101%010d", n)),
		Name:  fmt.Sprintf("linefit generic %d", n),
	}
}

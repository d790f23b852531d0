package admission_test

import (
	"strings"
	"testing"

	"linefit/station/admission"
)

// Lists of units as spreadsheets write them.
func TestParseUnitsOfSpreadsheets(t *testing.T) {
	for name, text := range map[string]string{
		"BOM, semicolons, CRLF": "\xef\xbb\xbfserial;imei\r\nSN1;490154203237518\r\n",
		"CR alone":              "serial,imei\rSN1,490154203237518\r",
		"separator is said":     "sep=;\nserial;imei\nSN1;490154203237518\n",
	} {
		list, err := admission.ParseUnits("units.csv", strings.NewReader(text))
		if e, ok := list.Expect("SN1"); err != nil || !ok || e.IMEI != "490154203237518" {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
	if _, err := admission.ParseUnits("units.csv", strings.NewReader("serial,imei\nS\xf3,490154203237518\n")); err == nil || err.Error() != "units.csv:1:1: the file is not UTF-8: save it as CSV UTF-8" {
		t.Error(err)
	}
}

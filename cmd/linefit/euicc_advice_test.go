package main

import (
	"fmt"
	"strings"
	"testing"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
)

// Every error by hand names the specification's code and says what to do.
func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		err        error
		says, does string
	}{
		{&euicc.FunctionError{Function: "DeleteProfile", Code: 2, Name: "profileNotInDisabledState"}, "DeleteProfile: profileNotInDisabledState (2)", "disable it first"},
		{&euicc.FunctionError{Function: "EnableProfile", Code: 2, Name: "profileNotInDisabledState"}, "EnableProfile: profileNotInDisabledState (2)", "in that state already"},
		{&euicc.FunctionError{Function: "EnableProfile", Code: 5, Name: "catBusy"}, "catBusy (5)", "reset the module"},
		{&euicc.FunctionError{Function: "eUICCMemoryReset", Code: 1, Name: "nothingToDelete"}, "nothingToDelete (1)", "nothing of that kind"},
		{&euicc.FunctionError{Function: "DisableProfile", Code: 127, Name: "undefinedError"}, "undefinedError (127)", "gives no reason"},
		{&euicc.StatusError{Function: "GetEID", SW: 0x6985, Blocks: 1}, "6985", "M2M"},
		{&euicc.StatusError{Function: "GetEID", SW: 0x6A88, Blocks: 1}, "6A88", "does not have this function"},
		{&euicc.StatusError{Function: "GetEID", SW: 0x6F00, Blocks: 1}, "6F00", "gives no reason"},
		{&euicc.FunctionError{Function: "EnableProfile", Code: 99, Name: "99"}, "99", "gives no reason"},
		{fmt.Errorf("open: %w", modem.ErrSilent), "", "--baud"},
		{fmt.Errorf("open: %w", modem.ErrBusy), "", "another program"},
		{fmt.Errorf("open: %w", modem.ErrPermission), "", "dialout"},
		{fmt.Errorf("open: %w", modem.ErrMissing), "", "by-id"},
		{&apdu.Error{Op: "transmit", Unknown: true, Err: atcmd.ErrGone}, "", "list the profiles before anything else"},
		{fmt.Errorf("%w 7", errNoNotification), "7", "notifications list"},
	} {
		if text := withAdvice(c.err).Error(); !strings.Contains(text, c.says) || !strings.Contains(text, c.does) {
			t.Errorf("%v: %s", c.err, text)
		}
	}
	for name, text := range codeAdvice {
		if text == "" {
			t.Errorf("%s has no advice", name)
		}
	}
}

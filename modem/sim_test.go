package modem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/atcmd"
	"linefit/modem"
)

func TestSIM(t *testing.T) {
	for answer, want := range map[string]modem.SIMStatus{
		"< +CPIN: READY\n< OK\n":          {State: modem.SIMReady, Text: "READY"},
		"< +CPIN: SIM PIN\n< OK\n":        {State: modem.SIMLocked, Text: "SIM PIN"},
		"< +CPIN: EMPTY_EUICC\n< OK\n":    {State: modem.SIMEmptyEUICC, Text: "EMPTY_EUICC"},
		"< +CPIN: PH-X\n< OK\n":           {State: modem.SIMUnknown, Text: "PH-X"},
		"< +CME ERROR: 14\n":              {State: modem.SIMBusy, Text: "+CME ERROR: 14 (SIM busy)"},
		"< +CME ERROR: 11\n":              {State: modem.SIMLocked, Text: "+CME ERROR: 11 (SIM PIN required)"},
		"< +CME ERROR: SIM wrong\n":       {State: modem.SIMWrong, Text: "+CME ERROR: 15 (SIM wrong)"},
		"< +CME ERROR: 99\n":              {State: modem.SIMUnknown, Text: "+CME ERROR: 99"},
		"< ERROR\n":                       {State: modem.SIMUnknown, Text: "ERROR"},
		"< OK\n" + asked("AT+CGSN", imei): {State: modem.SIMUnknown, Text: "OK"},
		"< +CME ERROR: 10\n" + asked("AT+QSIMDET?", "+QSIMDET: 1,0"): {
			State: modem.SIMAbsent, Text: "+CME ERROR: 10 (SIM not inserted)", Detect: "1,0"},
		"< +CME ERROR: 13\n> AT+QSIMDET?\n< ERROR\n": {State: modem.SIMFailure, Text: "+CME ERROR: 13 (SIM failure)"},
	} {
		m := mustAttach(t, eg25("> AT+CPIN?\n"+answer), modem.Options{})
		if got, err := m.SIM(t.Context()); err != nil || got != want {
			t.Errorf("%q: %+v, %v", answer, got, err)
		}
	}
}

func TestAwaitSIM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25(strings.Repeat("> AT+CPIN?\n< +CME ERROR: 14\n", 3), asked("AT+CPIN?", "+CPIN: READY")), modem.Options{})
		if s, err := m.AwaitSIM(t.Context()); err != nil || s.State != modem.SIMReady {
			t.Error(s, err)
		}
	})
}

func TestICCID(t *testing.T) {
	const want = "89012345678901234568"
	for name, script := range map[string]string{
		"plain":        asked("AT+QCCID", "+QCCID: 89012345678901234568"),
		"padded":       asked("AT+QCCID", "+QCCID: 89012345678901234568F"),
		"bare, quoted": asked("AT+QCCID", `"89012345678901234568"`),
		"fallback":     "> AT+QCCID\n< +CME ERROR: 4\n" + asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"98103254769810325486"`),
		"nonsense first": asked("AT+QCCID", "+QCCID: nothing") +
			asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,98103254769810325486`),
		"OK alone":    "> AT+QCCID\n< OK\n" + asked("AT+CGSN", imei) + asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"98103254769810325486"`),
		"not swapped": "> AT+QCCID\n< ERROR\n" + asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"89012345678901234568"`),
		"second try": "> AT+QCCID\n< ERROR\n" + asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 106,134`) +
			asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 144,0,"98103254769810325486"`),
		"busy card": "> AT+QCCID\n< +CME ERROR: 14\n" + asked("AT+QCCID", "+QCCID: 89012345678901234568"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := mustAttach(t, eg25(script), modem.Options{})
				if got, err := m.ICCID(t.Context()); err != nil || got != want {
					t.Errorf("%q, %v", got, err)
				}
				_ = m.Close()
			})
		})
	}
	m := mustAttach(t, eg25("> AT+QCCID\n< +CME ERROR: 13\n"), modem.Options{})
	var cme *atcmd.CMEError
	if _, err := m.ICCID(t.Context()); !errors.As(err, &cme) || cme.Code != atcmd.CMESIMFailure {
		t.Errorf("%v", err)
	}
	m = mustAttach(t, eg25("> AT+QCCID\n< ERROR\n", asked("AT+CRSM=176,12258,0,0,10", `+CRSM: 106,130`)), modem.Options{})
	if got, err := m.ICCID(t.Context()); err == nil {
		t.Errorf("a missing file gave %q", got)
	}
}

func TestAwaitICCID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25(asked("AT+QCCID", "+QCCID: 89012345678901234568"), "> AT+QCCID\n< +CME ERROR: 13\n",
			asked("AT+QCCID", "+QUSIM: 1", "+QCCID: 8901234567890123450")), modem.Options{})
		if got, err := m.AwaitICCID(t.Context(), "8901234567890123450"); err != nil || got != "8901234567890123450" {
			t.Errorf("%q, %v", got, err)
		}
		if m.Refreshes() != 1 {
			t.Errorf("%d refreshes", m.Refreshes())
		}
	})
}

func TestIMSIStaysOutOfTheTrace(t *testing.T) {
	var trace strings.Builder
	m := mustAttach(t, eg25(asked("AT+CIMI", "001010123456789")), modem.Options{
		Trace: func(d atcmd.Direction, b []byte) { fmt.Fprintf(&trace, "%v %s\n", d, b) },
	})
	imsi, err := m.IMSI(t.Context())
	if err != nil || imsi.Reveal() != "001010123456789" || strings.Contains(trace.String(), "001010") || !strings.Contains(trace.String(), "AT+CIMI") {
		t.Errorf("%v, %v, %s", imsi, err, trace.String())
	}
}

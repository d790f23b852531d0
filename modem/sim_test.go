package modem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// After a REFRESH was asked for, the module's line is waited for, and then a
// card that is not busy; without a line, the family's settle time.
func TestAwaitRefresh(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		took   time.Duration
		seen   int
	}{
		"line": {"~ 800ms\n< +QUSIM: 1\n> AT+CPIN?\n< +CME ERROR: 14\n" + asked("AT+CPIN?", "+CPIN: READY"), 1050 * time.Millisecond, 1},
		"none": {asked("AT+CPIN?", "+CPIN: READY"), 5 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := mustAttach(t, eg25(c.script), modem.Options{})
				start := time.Now()
				s, err := m.AwaitRefresh(t.Context(), 0)
				if took := time.Since(start); err != nil || s.State != modem.SIMReady || m.Refreshes() != c.seen || took != c.took {
					t.Errorf("%+v, %v, %d lines, %v", s, err, m.Refreshes(), took)
				}
			})
		})
	}
}

// A module that has the card off at its start is told to switch it on, with the
// radio off; one whose card answers is left alone.
func TestCardOn(t *testing.T) {
	for persona, off := range map[string]bool{"nrf91": true, "sequans-gm02s": true, "quectel-eg25": false} {
		t.Run(persona, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, persona)
				port, err := b.link.Open()
				if err != nil {
					t.Fatal(err)
				}
				b.PowerOn()
				m, err := modem.Attach(t.Context(), port, virtualTable(t), modem.Options{Booting: true})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = m.Close() }()
				for _, want := range []bool{off, false} {
					if done, err := m.CardOn(t.Context()); err != nil || done != want {
						t.Errorf("done %v, want %v, %v", done, want, err)
					}
				}
				if s, err := m.SIM(t.Context()); err != nil || s.State != modem.SIMReady && !(!off && s.State == modem.SIMBusy) {
					t.Errorf("%+v, %v", s, err)
				}
				if off && b.Attempts() != 0 {
					t.Errorf("%d registration attempts", b.Attempts())
				}
			})
		})
	}
}

package modem_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
	"linefit/modem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const imei = "867698040000013"

// asked is a command and its answer as a script.
func asked(command string, answer ...string) string {
	s := "> " + command + "\n"
	for _, line := range append(answer, "OK") {
		s += "< " + line + "\n"
	}
	return s
}

func initScript() string { return asked("ATE0") + asked("AT+CMEE=1") }

// met is the beginning of a talk with a module of which nothing is known.
func met(maker ...string) string {
	return asked("ATE0") + asked("AT+CGMI", maker...) + asked("AT+CMEE=1")
}

// quiet is eg25 for a module whose radio is switched off before anything is asked,
// or whose family is known.
func quiet(off string, rest ...string) string {
	return strings.Replace(eg25(rest...), met("Quectel"), initScript()+off+asked("AT+CGMI", "Quectel"), 1)
}

func eg25(rest ...string) string {
	return met("Quectel") + asked("AT+CGMM", "EG25") +
		asked("AT+QGMR", "EG25GGBR07A08M2G_30.004.30.004") + asked("AT+CGSN", imei) + strings.Join(rest, "")
}

func attach(t *testing.T, script string, opt modem.Options) (*modem.Module, error) {
	t.Helper()
	m, err := modem.Attach(t.Context(), atcmdtest.Play(t, script, atcmdtest.Mode{}), table(t), opt)
	if err == nil {
		t.Cleanup(func() { _ = m.Close() })
	}
	return m, err
}

func mustAttach(t *testing.T, script string, opt modem.Options) *modem.Module {
	t.Helper()
	m, err := attach(t, script, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAttach(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		opt    modem.Options
		want   modem.Identity
		names  string
	}{
		"Quectel": {eg25(), modem.Options{}, modem.Identity{"Quectel", "EG25", "EG25GGBR07A08M2G_30.004.30.004", imei}, "generic quectel quectel-eg25"},
		"booting": {"! \"\\x00\\xff\\x00\"\n~ 4s\n< RDY\n" + quiet("", "< +CPIN: READY\n"), modem.Options{Booting: true, Quirk: "quectel-eg25"},
			modem.Identity{"Quectel", "EG25", "EG25GGBR07A08M2G_30.004.30.004", imei}, "generic quectel quectel-eg25"},
		"prefixed, V0, quoted": {
			"> ATE0\n! \"ATE0\\r0\\r\"\n" + asked("ATV1") + asked("AT+CMEE=1") + asked("AT+CGMI", "+CGMI: \"Acme\"") +
				asked("AT+CGMM", "+CGMM: X") + "> AT+CGMR\n< ERROR\n" + asked("AT+GMR", "Revision: 7") +
				asked("AT+CGSN", "12345678") + asked("AT+CGSN=1", `+CGSN: "`+imei+`"`),
			modem.Options{}, modem.Identity{"Acme", "X", "7", imei}, "generic",
		},
		"radio off first": {
			quiet(asked("AT+CFUN=4"), asked("AT+CFUN?", "+CFUN: 1"), asked("AT+CFUN?", "+CFUN: 4")), modem.Options{RadioOff: true},
			modem.Identity{"Quectel", "EG25", "EG25GGBR07A08M2G_30.004.30.004", imei}, "generic quectel quectel-eg25",
		},
		"no IMEI yet": {
			met("Acme") + asked("AT+CGMM", "X") + asked("AT+CGMR", "1") +
				asked("AT+CGSN", "867698040000014") + "> AT+CGSN=1\n< +CME ERROR: 50\n> AT+GSN\n< ERROR\n",
			modem.Options{AllowNoIMEI: true}, modem.Identity{"Acme", "X", "1", ""}, "generic",
		},
		"stray lines": {
			met("RING", "+CREG: 1", "Quectel") + asked("AT+CGMM", "EG25") +
				asked("AT+QGMR", "+QIND: SMS DONE", "F") + asked("AT+CGSN", "RDY", imei),
			modem.Options{}, modem.Identity{"Quectel", "EG25", "F", imei}, "generic quectel quectel-eg25",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := mustAttach(t, tt.script, tt.opt)
				if m.Identity() != tt.want || strings.Join(m.Quirks().Names, " ") != tt.names {
					t.Errorf("%+v %v", m.Identity(), m.Quirks().Names)
				}
				_ = m.Close()
			})
		})
	}
}

// A station that died left a CGLA under way: its answer must not shift all others.
func TestAttachBehindAnUnfinishedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, `
			> ATE0
			< +CGLA: 4,"9000"
			< OK
			> AT+CGMI
			< OK
			! "\r\nQuectel\r\n\r\nOK\r\n"
			`+asked("AT+CGSN", imei)+eg25(), modem.Options{})
		if m.Identity().Maker != "Quectel" {
			t.Errorf("%+v", m.Identity())
		}
	})
}

// A module that loses characters sent too soon is attached with a gap.
func TestAttachWithAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		mustAttach(t, met("u-blox")+"> AT+CGMM\n"+asked("AT+CGSN", imei)+
			met("u-blox")+asked("AT+CGMM", "SARA-R410M")+asked("AT+CGMR", "L0.0")+asked("AT+CGSN", imei)+
			asked("AT+USIMSTAT=7"), modem.Options{})
		if took := time.Since(start); took < 3*time.Second+700*time.Millisecond {
			t.Errorf("no gap: %v", took)
		}
	})
}

func TestAttachFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, silent := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, silent) }()
		start := time.Now()
		_, err := modem.Attach(t.Context(), host, table(t), modem.Options{})
		if !errors.Is(err, modem.ErrSilent) || time.Since(start) != 30*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err = attach(t, met("Acme")+asked("AT+CGMM", "X")+asked("AT+CGMR", "1")+
			asked("AT+CGSN", "867698040000014")+"> AT+CGSN=1\n< ERROR\n> AT+GSN\n< ERROR\n", modem.Options{})
		var id *modem.IdentityError
		if !errors.As(err, &id) || id.What != "IMEI" {
			t.Error(err)
		}
		var other *modem.OtherModuleError
		if _, err = attach(t, eg25(), modem.Options{IMEI: "867698040000021"}); !errors.As(err, &other) || other.Got != imei {
			t.Error(err)
		}
		if _, err = attach(t, "> ATE0\n* hangup\n", modem.Options{}); !errors.Is(err, atcmd.ErrGone) {
			t.Error(err)
		}
		if _, err = attach(t, "", modem.Options{Quirk: "nonesuch"}); err == nil {
			t.Error("an unknown entry was taken")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		_, err = modem.Attach(ctx, atcmdtest.Play(t, "> ATE0\n> ATE0\n", atcmdtest.Mode{}), table(t), modem.Options{})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, modem.ErrSilent) {
			t.Error(err)
		}
	})
}

func TestRadioReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25(asked("AT+CFUN=4"), strings.Repeat(asked("AT+CFUN?", "+CFUN: 1"), 41)), modem.Options{})
		var radio *modem.RadioError
		if err := m.RadioOff(t.Context()); !errors.As(err, &radio) || radio.Got != 1 {
			t.Error(err)
		}
		m = mustAttach(t, eg25(asked("AT+CFUN=1"), asked("AT+CFUN?", "+CFUN: 1,0")), modem.Options{})
		if err := m.RadioOn(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The module restarts by itself: whatever runs next is told, and settings are
// sent again before anything else.
func TestSpontaneousRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := quiet(asked("AT+CFUN=4"), asked("AT+CFUN?", "+CFUN: 4"),
			"> AT+QCCID\n~ 2s\n< RDY\n", initScript(), asked("AT+CFUN=4"), asked("AT+CGSN", imei), asked("AT+CFUN?", "+CFUN: 4"),
			asked("AT+QCCID", "+QCCID: 89012345678901234568"), "< RDY\n")
		m := mustAttach(t, script, modem.Options{RadioOff: true})
		start := time.Now()
		if _, err := m.ICCID(t.Context()); !errors.Is(err, modem.ErrRestarted) || time.Since(start) != 2*time.Second {
			t.Fatal(err)
		}
		if _, err := m.ICCID(t.Context()); !errors.Is(err, modem.ErrRestarted) {
			t.Fatal(err)
		}
		if err := m.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.ICCID(t.Context()); err != nil || m.Restarts() != 2 {
			t.Fatal(err, m.Restarts())
		}
		if _, err := m.ICCID(t.Context()); !errors.Is(err, modem.ErrRestarted) {
			t.Fatal(err)
		}
	})
}

func TestResetByCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25("> AT+CFUN=1,1\n< OK\n~ 8s\n! \"\\x00\\x00\"\n< RDY\n", initScript(), asked("AT+CGSN", imei), asked("AT+QCCID", "+QCCID: 89012345678901234568")), modem.Options{})
		if err := m.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.ICCID(t.Context()); err != nil || m.Restarts() != 0 {
			t.Fatal(err, m.Restarts())
		}
	})
}

// A family without ready lines may still answer before it goes down.
func TestResetWithoutReadyLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, met("u-blox")+asked("AT+CGMM", "SARA-R510S")+asked("AT+CGMR", "1")+asked("AT+CGSN", imei)+asked("AT+USIMSTAT=7")+
			asked("AT+CFUN=16")+"> ATE0\n> ATE0\n> ATE0\n"+"< OK\n"+asked("AT+CMEE=1")+asked("AT+CGSN", imei)+asked("AT+USIMSTAT=7"), modem.Options{})
		start := time.Now()
		if err := m.Reset(t.Context()); err != nil || time.Since(start) < 4*time.Second {
			t.Fatal(err, time.Since(start))
		}
	})
}

func TestPowerCycledIntoAnotherModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25("! \"\\x00\\x00\\r\\nRDY\\r\\n\"\n", initScript(), asked("AT+CGSN", "867698040000021")), modem.Options{})
		var other *modem.OtherModuleError
		if err := m.PowerCycled(t.Context()); !errors.As(err, &other) || other.Got != "867698040000021" {
			t.Fatal(err)
		}
	})
}

func TestResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, eg25("> AT+CPIN?\n~ 11s\n< +CPIN: SIM PIN\n< OK\n", asked("AT+CGSN", imei), asked("AT+CPIN?", "+CPIN: READY")), modem.Options{})
		if _, err := m.SIM(t.Context()); !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		if err := m.Resync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s, err := m.SIM(t.Context()); err != nil || s.State != modem.SIMReady {
			t.Fatal(s, err)
		}
	})
}

func TestPowerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			script string
			took   time.Duration
		}{
			"line":    {asked("AT+QPOWD=1") + "~ 3s\n< POWERED DOWN\n", 3 * time.Second},
			"at once": {"> AT+QPOWD=1\n! \"\\r\\nOK\\r\\n\\r\\nPOWERED DOWN\\r\\n\"\n", 0},
			"gone":    {asked("AT+QPOWD=1") + "~ 3s\n* hangup\n", 3 * time.Second},
			"silent":  {asked("AT+QPOWD=1"), 30 * time.Second},
		} {
			m := mustAttach(t, eg25(tt.script), modem.Options{})
			start := time.Now()
			if err := m.PowerDown(t.Context()); err != nil || time.Since(start) != tt.took {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
		}
	})
}

func TestSaveSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mustAttach(t, met("Nordic Semiconductor ASA")+asked("AT+CGMM", "nRF9160-SICA")+asked("AT+CGMR", "mfw_nrf9160_1.3.5")+
			asked("AT+CGSN", imei)+asked("AT%XSIM=1")+asked("AT+CFUN=0"), modem.Options{})
		if err := m.SaveSettings(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

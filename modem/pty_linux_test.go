package modem_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/modemsim"
)

// servePty puts a virtual module on a pty under a name that stays.
func servePty(t testing.TB, persona string, change func(*modemsim.Persona)) (*modemsim.Module, *modemsim.PTY, string) {
	t.Helper()
	personas, err := modemsim.LoadPersonas(os.DirFS("../configs"), "personas")
	if err != nil {
		t.Fatal(err)
	}
	p, err := personas.Get(persona)
	if err != nil {
		t.Fatal(err)
	}
	change(&p)
	sim, err := modemsim.New(modemsim.Options{Persona: p, Card: &card{}, IMEI: imei, Serial: "SN1", Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "slot1")
	port, err := modemsim.NewPTY(sim, modemsim.PTYOptions{Link: link})
	if err != nil {
		t.Skipf("no pty on this system: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := port.Run(ctx); err != nil {
			t.Errorf("virtual module: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return sim, port, link
}

// TestModuleOverPty is the way of the real line: a path, the serial stack, a
// module that takes its port away with its power and brings it back under
// another name.
func TestModuleOverPty(t *testing.T) {
	tbl, err := virtual()
	if err != nil {
		t.Fatal(err)
	}
	sim, port, link := servePty(t, "demo-eg25", func(p *modemsim.Persona) { p.Port.Enumerates = true })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a guard against hanging
	defer cancel()
	opt := modem.Options{Booting: true, RadioOff: true, Quirk: "quectel-eg25"}
	var before string
	for range 2 {
		sim.PowerOn()
		path, err := port.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if path == before {
			t.Logf("the port came back under its old name %s", path)
		}
		before = path
		serial, err := modem.OpenSerial(link, modem.SerialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := modem.OpenSerial(link, modem.SerialOptions{}); !errors.Is(err, modem.ErrBusy) {
			t.Errorf("second open: %v", err)
		}
		m, err := modem.Attach(ctx, serial, tbl, opt)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := m.AwaitSIM(ctx); err != nil || s.State != modem.SIMReady {
			t.Errorf("%+v, %v", s, err)
		}
		if got, err := m.ICCID(ctx); err != nil || got != simICCID {
			t.Errorf("ICCID %q, %v", got, err)
		}
		throughCard(t, m)
		sim.PowerOff()
		<-m.AT().Done()
		if _, err := m.SIM(ctx); !errors.Is(err, atcmd.ErrGone) || !errors.Is(err, modem.ErrMissing) {
			t.Errorf("without power: %v", err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if n := sim.Attempts(); n != 0 {
		t.Errorf("%d registration attempts", n)
	}
}

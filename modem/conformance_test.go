package modem_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/wire"
)

const simICCID ident.ICCID = "8949449999999990049"

// card is the least that a module needs of its card: EF_ICCID, logical channels
// and an application that answers its own class byte.
type card struct{ selected map[int][]byte }

func (c *card) Reset() []byte {
	c.selected = map[int][]byte{0: nil}
	return []byte{0x3B, 0x9F, 0x96, 0x80, 0x1F}
}

func (c *card) PowerCut() { c.selected = nil }

func (c *card) Transmit(b []byte) ([]byte, time.Duration) { return c.answer(b), 5 * time.Millisecond }

func (c *card) answer(b []byte) []byte {
	cmd, err := wire.ParseCommand(b)
	if err != nil {
		return wire.SWWrongLength.Append(nil)
	}
	channel := wire.ChannelOf(cmd.CLA)
	if _, open := c.selected[channel]; !open {
		return wire.SWChannelNotSupported.Append(nil)
	}
	switch {
	case cmd.INS == wire.InsManageChannel && cmd.P1 == 0:
		for n := 1; n < 4; n++ {
			if _, open := c.selected[n]; !open {
				c.selected[n] = nil
				return wire.SWOK.Append([]byte{byte(n)})
			}
		}
		return wire.SWFunctionNotSupported.Append(nil)
	case cmd.INS == wire.InsManageChannel:
		delete(c.selected, int(cmd.P2))
	case cmd.INS == wire.InsSelect:
		c.selected[channel] = bytes.Clone(cmd.Data)
	case cmd.INS == wire.InsReadBinary && bytes.Equal(c.selected[channel], []byte{0x2F, 0xE2}):
		return wire.SWOK.Append(simICCID.Bytes())
	case cmd.INS == wire.InsStoreData:
		return wire.SWOK.Append([]byte{cmd.CLA})
	}
	return wire.SWOK.Append(nil)
}

// bench is a virtual module on its in-memory port.
type bench struct {
	*modemsim.Module
	link *modemsim.Link
}

func newBench(t *testing.T, persona string) *bench {
	t.Helper()
	personas, err := modemsim.LoadPersonas(os.DirFS("../configs"), "personas")
	if err != nil {
		t.Fatal(err)
	}
	p, err := personas.Get(persona)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := modemsim.New(modemsim.Options{Persona: p, Card: &card{}, IMEI: imei, Serial: "SN1", Baud: p.Port.Baud})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{sim, modemsim.NewLink(sim)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.link.Run(ctx); err != nil {
			t.Errorf("virtual module: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	synctest.Wait()
	return b
}

func virtualTable(t *testing.T) *modem.Table {
	t.Helper()
	tbl, err := virtual()
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

var virtual = sync.OnceValues(func() (*modem.Table, error) { return modem.LoadQuirks(modem.VirtualOverlay()) })

// TestConformance takes every persona through what a recipe asks of a module,
// with and without knowing its family beforehand.
func TestConformance(t *testing.T) {
	for persona, entry := range map[string]string{
		"generic-3gpp": "generic", "quectel-eg25": "quectel-eg25", "ublox-sara-r5": "ublox-sara-r5", "telit-le910": "telit-le910",
		"nrf91": "nordic-nrf91", "sierra-em75": "sierra", "simcom-sim7600": "simcom", "quectel-rg650": "quectel-rg65", "fibocom-fm350": "fibocom-fm350",
		"demo-eg25": "quectel-eg25", "demo-generic": "generic", "demo-sara-r5": "ublox-sara-r5", "demo-le910": "telit-le910", "demo-nrf91": "nordic-nrf91",
	} {
		for name, hint := range map[string]string{"known": entry, "unknown": ""} {
			t.Run(persona+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { conform(t, persona, entry, hint) })
			})
		}
	}
}

func conform(t *testing.T, persona, entry, hint string) {
	b := newBench(t, persona)
	port, err := b.link.Open()
	if err != nil {
		t.Fatal(err)
	}
	b.PowerOn()
	start := time.Now()
	m, err := modem.Attach(t.Context(), port, virtualTable(t), modem.Options{Booting: true, RadioOff: true, Quirk: hint})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	alive, delay := b.Persona().Boot.Alive, b.Persona().AT.Delay
	limit := 500*time.Millisecond + 20*delay["default"] + 3*delay["+CFUN"]
	if hint == "" {
		limit += 10 * m.Quirks().Line.UnknownGap
	}
	if late := time.Since(start) - alive; late > limit {
		t.Errorf("attached %v after the module came alive at %v", late, alive)
	} else {
		t.Logf("attached %v after the module came alive at %v, %d characters", late, alive, m.AT().Stats().Sent)
	}
	if m.Identity().IMEI != imei || !slices.Contains(m.Quirks().Names, entry) {
		t.Errorf("%+v, %v", m.Identity(), m.Quirks().Names)
	}
	if strings.HasPrefix(persona, "demo-") != slices.Contains(m.Quirks().Names, "virtual-demo") {
		t.Errorf("%s with %v", persona, m.Quirks().Names)
	}
	check := func(when string) {
		t.Helper()
		if s, err := m.AwaitSIM(t.Context()); err != nil || s.State != modem.SIMReady {
			t.Errorf("%s: %+v, %v", when, s, err)
		}
		if got, err := m.ICCID(t.Context()); err != nil || got != simICCID {
			t.Errorf("%s: ICCID %q, %v", when, got, err)
		}
	}
	check("at first")
	throughCard(t, m)
	if err := m.Reset(t.Context()); err != nil {
		t.Fatalf("reset: %v", err)
	}
	check("after reset")
	b.PowerOff()
	b.PowerOn()
	if err := m.PowerCycled(t.Context()); err != nil {
		t.Fatalf("power cycle: %v", err)
	}
	check("after power cycle")
	if m.Restarts() != 0 {
		t.Errorf("%d restarts by itself", m.Restarts())
	}
	time.Sleep(30 * time.Second) // a module left alone with its radio off must stay quiet
	if n := b.Attempts(); n != 0 {
		t.Errorf("%d registration attempts", n)
	}
	b.ResetPin() // nobody told the Module
	time.Sleep(2 * time.Second)
	noticed(t, b, m)
	if err := m.SaveSettings(t.Context()); err != nil {
		t.Errorf("save: %v", err)
	}
	if err := m.PowerDown(t.Context()); err != nil {
		t.Errorf("power down: %v", err)
	}
}

// noticed: a family with a start line shows a restart by itself.
func noticed(t *testing.T, b *bench, m *modem.Module) {
	t.Helper()
	time.Sleep(b.Persona().Boot.Alive)
	_, err := m.RadioIsOff(t.Context())
	if seen := errors.Is(err, modem.ErrRestarted); seen != (len(m.Quirks().Boot.Restart) > 0) {
		t.Errorf("restart lines %v: %v", m.Quirks().Boot.Restart, err)
	}
	if err := m.Recover(t.Context()); err != nil {
		t.Fatalf("recover: %v", err)
	}
	if off, err := m.RadioIsOff(t.Context()); err != nil || !off {
		t.Errorf("radio after recovery: off %v, %v", off, err)
	}
}

// throughCard sends one APDU over the routes of the quirk table.
func throughCard(t *testing.T, m *modem.Module) {
	t.Helper()
	q := m.Quirks()
	aid := []byte{0xA0, 0x00, 0x00, 0x05, 0x59, 0x10, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x89, 0x00, 0x00, 0x01, 0x00}
	if _, err := m.UnlockISDR(t.Context()); err != nil {
		t.Fatalf("unlock: %v", err)
	}
	c, err := apdu.Open(t.Context(), m, aid, apdu.Options{}, q.Routes()...)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	r, err := c.Transmit(t.Context(), []byte{0x80, wire.InsStoreData, 0x91, 0x00, 0x01, 0x01, 0x00})
	if want := []byte{0x81, 0x90, 0x00}; err != nil || !bytes.Equal(r, want) {
		t.Errorf("transmit: %x, %v", r, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
}

package euiccsim_test

import (
	"bytes"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/wire"
)

func TestRefresh(t *testing.T) {
	read := func(c *euiccsim.Card) string {
		exchange(t, c, "00A40004022FE2")
		return exchange(t, c, "00B000000A")
	}
	for name, effect := range map[string]euiccsim.Effect{"at once": euiccsim.EffectAtOnce, "after refresh": euiccsim.EffectAfterRefresh} {
		t.Run(name, func(t *testing.T) {
			c := newCard(t, func(o *euiccsim.Options) { o.Effect = effect })
			exchange(t, c, "8010000003090300")
			install(t, c, iccidA)
			enabled := func() bool { return c.State().Profiles[0].Enabled }
			enable := wire.TLV(0xBF31, wire.TLV(0xA0, byICCID(iccidA)), wire.TLV(0x81, []byte{0xFF}))
			b, sw := try(t, c, enable)
			if sw != 0x910B || code(t, b, 0xBF31) != 0 {
				t.Fatalf("%X %v", b, sw)
			}
			if enabled() != (effect == euiccsim.EffectAtOnce) {
				t.Error("the profile's state")
			}
			if got := exchange(t, c, "00A40004022FE2"); got != "6A82" {
				t.Errorf("files before REFRESH: %s", got)
			}
			try(t, c, nil)
			exchange(t, c, "00A4040C10A0000005591010FFFFFFFF8900000100")
			if b, _ := try(t, c, wire.TLV(0xBF32, wire.TLV(0xA0, byICCID(iccidA)), wire.TLV(0x81, []byte{0xFF}))); effect == euiccsim.EffectAtOnce && code(t, b, 0xBF32) != 5 {
				t.Errorf("disable while REFRESH waits: %X", b)
			}
			for _, x := range []struct{ command, response string }{
				{"8012000005", "6C0B"},
				{"801200000B", "D009810301010482028182" + "9000"},
				{"801200000B", "6985"},
				{"801400000C810301010402028281830100", "9000"},
				{"801400000C810301010402028281830100", "6985"},
			} {
				if got := exchange(t, c, x.command); got != x.response {
					t.Fatalf("%s: %s, want %s", x.command, got, x.response)
				}
			}
			if got := read(c); got != iccidA+"9000" || !enabled() {
				t.Errorf("EF_ICCID: %s", got)
			}
		})
	}
	t.Run("the terminal cannot", func(t *testing.T) {
		c := newCard(t, func(o *euiccsim.Options) { o.Effect = euiccsim.EffectAfterRefresh })
		exchange(t, c, "8010000003090300")
		install(t, c, iccidA)
		change(t, c, 0xBF31, byICCID(iccidA), 0xFF)
		exchange(t, c, "801200000B")
		exchange(t, c, "801400000C810301010402028281830120")
		if c.State().Profiles[0].Enabled {
			t.Error("enabled")
		}
	})
	t.Run("power loss does it", func(t *testing.T) {
		c := newCard(t, func(o *euiccsim.Options) { o.Effect = euiccsim.EffectAfterRefresh })
		install(t, c, iccidA)
		change(t, c, 0xBF31, byICCID(iccidA), 0xFF)
		c.PowerCut()
		c.Reset()
		if !c.State().Profiles[0].Enabled || read(c) != iccidA+"9000" {
			t.Error("not enabled")
		}
	})
	t.Run("no toolkit", func(t *testing.T) {
		c := newCard(t, nil)
		install(t, c, iccidA)
		install(t, c, iccidB)
		if a, b := change(t, c, 0xBF31, byICCID(iccidA), 0xFF), change(t, c, 0xBF31, byICCID(iccidB), 0xFF); a != 0 || b != 0 {
			t.Errorf("%d, %d", a, b)
		}
		c.Reset()
		if got := read(c); got != iccidB+"9000" {
			t.Errorf("EF_ICCID: %s", got)
		}
	})
	t.Run("none", func(t *testing.T) {
		c := newCard(t, func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{euiccsim.FaultNoRefresh: 1} })
		exchange(t, c, "8010000003090300")
		install(t, c, iccidA)
		if _, sw := try(t, c, wire.TLV(0xBF31, wire.TLV(0xA0, byICCID(iccidA)), wire.TLV(0x81, []byte{0xFF}))); sw != wire.SWOK {
			t.Errorf("%v", sw)
		}
		if got := exchange(t, c, "00A40004022FE2"); got != "6A82" || !c.State().Profiles[0].Enabled {
			t.Errorf("files: %s", got)
		}
	})
}

// TestDefaultFileSystem: without an enabled profile there are the MF and EF_UMPC
// (SGP.22 section 3.4.3), and nothing that says whose card it is.
func TestDefaultFileSystem(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA)
	for _, x := range []struct{ command, response string }{
		{"00A40004023F00", "611D"},
		{"00C000001D", "621B8202782183023F00A5068001718701018A0105C6069001008301019000"},
		{"80F2000C00", "9000"},
		{"80F2000100", "6A86"},
		{"00A40004022FE2", "6A82"},
		{"00A40004022F00", "6A82"},
		{"00A4040C07A0000000871002", "6A82"},
		{"00A40004027FFF", "6A82"},
		{"00B000000A", "6986"},
		{"00A40004022F08", "6114"},
		{"00B0000005", "3CFF0000009000"},
		{"00B0880001", "3C9000"},
		{"00D60000019F", "6982"},
		{"0020000100", "6A88"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Errorf("%s: %s, want %s", x.command, got, x.response)
		}
	}
}

func TestFilesOfTheEnabledProfile(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA)
	change(t, c, 0xBF31, byICCID(iccidA), 0)
	for _, x := range []struct{ command, response string }{
		{"00A40004023F00", "6122"},
		{"00C0000022", "62208202782183023F00A5068001718701018A01058B032F060EC6069001008301019000"},
		{"00A40004022FE2", "6119"},
		{"00C0000019", "62178202412183022FE28A01058B032F060B8002000A8801109000"},
		{"00B000000A", iccidA + "9000"},
		{"00B0000000", iccidA + "9000"},
		{"00B000080A", "6C02"},
		{"00B0000802", "32149000"},
		{"00B0000A01", "6B00"},
		{"00B0820001", "989000"},
		{"00B0830001", "6A82"},
		{"00B2010410", "6981"},
		{"00A4000C022F00", "9000"},
		{"00B2010400", "610E4F0CFFFFFFFFFFFFFFFFFFFFFFFF9000"},
		{"00B2010405", "6C10"},
		{"00B2030410", "6A83"},
		{"00B2000210", "610E4F0CFFFFFFFFFFFFFFFFFFFFFFFF9000"},
		{"00B2000210", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF9000"},
		{"00B2000210", "6A83"},
		{"00B0000001", "6981"},
		{"00A40004026F07", "6A82"},
		{"00A4040407A0000000871002", "611F"},
		{"00A4000C026F07", "9000"},
		{"00B0000009", imsiA + "9000"},
		{"00A4080C047FFF6F07", "9000"},
		{"00B0000009", imsiA + "9000"},
		{"00A4030C", "9000"},
		{"00A4000C022FE2", "9000"},
		{"00D60000019F", "6982"},
		{"80F2000C00", "9000"},
		{"80F2000022", "62208202782183023F00A5068001718701018A01058B032F060EC6069001008301019000"},
		{"80F200010E", "840CA0000000871002FF49FF05899000"},
		{"0020000100", "63C3"},
		{"0020008100", "63C3"},
		{"002C000100", "63CA"},
		{"0020000A00", "6A88"},
		{"0020010100", "6A86"},
		{"002000010831323334FFFFFFFF", "6984"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Fatalf("%s: %s, want %s", x.command, got, x.response)
		}
	}
	if !bytes.Equal(c.State().Profiles[0].ICCID.Bytes(), hexBytes(iccidA)) {
		t.Error("ICCID")
	}
}

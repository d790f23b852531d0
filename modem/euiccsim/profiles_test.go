package euiccsim_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// events is notificationConfigurationInfo for one address.
func events(address string, bits ...int) []byte {
	var entries []byte
	for _, bit := range bits {
		entries = append(entries, wire.TLV(0x30, wire.BitString(0x80, bit), wire.TLV(0x81, []byte(address)))...)
	}
	return wire.TLV(0xB6, entries)
}

// install puts a profile with metadata on the card.
func install(t testing.TB, c *euiccsim.Card, iccid string, more ...[]byte) {
	t.Helper()
	d := newDP(t, c)
	d.metadata, d.profile = metadata(iccid, more...), upp(iccid, imsiA)
	if o := d.download(); !o.ok {
		t.Fatalf("%+v", o)
	}
}

// change is an ES10c request for a profile; code is its result.
func change(t testing.TB, c *euiccsim.Card, tag wire.Tag, id []byte, refresh byte) int64 {
	t.Helper()
	request := wire.TLV(tag, wire.TLV(0xA0, id), wire.TLV(0x81, []byte{refresh}))
	if tag == 0xBF33 {
		request = wire.TLV(tag, id)
	}
	return code(t, call(t, c, request), tag)
}

func code(t testing.TB, b []byte, tag wire.Tag) int64 {
	t.Helper()
	n, err := wire.ParseTag(b, tag)
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Need(0x80)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Int()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func byICCID(iccid string) []byte { return wire.TLV(0x5A, hexBytes(iccid)) }

func byAID(n byte) []byte {
	return wire.TLV(0x4F, append(hexBytes("A0000005591010FFFFFFFF8900000F"), 0)[:14], []byte{0x0F + n, 0})
}

func TestStatesOfProfiles(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA)
	install(t, c, iccidB)
	unknown := byICCID("98001032547698103234")
	for i, step := range []struct {
		tag     wire.Tag
		id      []byte
		want    int64
		enabled string
	}{
		{0xBF31, unknown, 1, ""},
		{0xBF32, unknown, 1, ""},
		{0xBF33, unknown, 1, ""},
		{0xBF32, byICCID(iccidA), 2, ""},
		{0xBF31, byICCID(iccidA), 0, iccidA},
		{0xBF31, byICCID(iccidA), 2, iccidA},
		{0xBF33, byICCID(iccidA), 2, iccidA},
		{0xBF31, byAID(2), 0, iccidB},
		{0xBF33, byAID(1), 0, iccidB},
		{0xBF31, byAID(1), 1, iccidB},
		{0xBF32, byAID(2), 0, ""},
		{0xBF33, byICCID(iccidB), 0, ""},
	} {
		if got := change(t, c, step.tag, step.id, 0); got != step.want {
			t.Fatalf("step %d: %d, want %d", i, got, step.want)
		}
		enabled := ""
		for _, p := range c.State().Profiles {
			if p.Enabled {
				enabled += hex.EncodeToString(p.ICCID.Bytes())
			}
		}
		if enabled != step.enabled {
			t.Fatalf("step %d: %s is enabled", i, enabled)
		}
	}
	if s := c.State(); len(s.Profiles) != 0 || s.UsedNVM != 0 {
		t.Errorf("%+v", s)
	}
}

func TestPolicyRulesHold(t *testing.T) {
	c := newCard(t, nil)
	owner := wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110")))
	install(t, c, iccidA, owner, wire.BitString(0x99, 1))
	install(t, c, iccidB, owner, wire.BitString(0x99, 2))
	for i, step := range []struct {
		tag  wire.Tag
		id   string
		want int64
	}{
		{0xBF33, iccidB, 3},
		{0xBF31, iccidA, 0},
		{0xBF32, iccidA, 3},
		{0xBF31, iccidB, 3},
	} {
		if got := change(t, c, step.tag, byICCID(step.id), 0); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	if got := code(t, call(t, c, hexBytes("BF340482020780")), 0xBF34); got != 0 || len(c.State().Profiles) != 0 {
		t.Errorf("memory reset: %d", got)
	}
}

func TestNickname(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA)
	set := func(iccid, name string) int64 {
		return code(t, call(t, c, wire.TLV(0xBF29, byICCID(iccid), wire.TLV(0x90, []byte(name)))), 0xBF29)
	}
	if set(iccidB, "x") != 1 || set(iccidA, string(make([]byte, 65))) != 127 || set(iccidA, "\xFF") != 127 || set(iccidA, "Otto") != 0 {
		t.Error("results")
	}
	if got := c.State().Profiles[0].Nickname; got != "Otto" {
		t.Errorf("%q", got)
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF2D035C0190"))); got != "bf2d0aa008e30690044f74746f" {
		t.Error(got)
	}
	if set(iccidA, "") != 0 || c.State().Profiles[0].Nickname != "" {
		t.Error("an empty name does not remove it")
	}
}

func TestMemoryReset(t *testing.T) {
	for name, step := range map[string]struct {
		bits []int
		want int64
		left int
	}{
		"nothing":     {nil, 1, 3},
		"operational": {[]int{0}, 0, 2},
		"test":        {[]int{1}, 0, 2},
		"both":        {[]int{0, 1}, 0, 1},
		"address":     {[]int{2}, 0, 3},
	} {
		c := newCard(t, func(o *euiccsim.Options) { o.DefaultDP = "factory.example" })
		install(t, c, iccidA)
		install(t, c, iccidB, wire.TLV(0x95, []byte{0}))
		install(t, c, "98001032547698103234", wire.TLV(0x95, []byte{1}))
		call(t, c, wire.TLV(0xBF3F, wire.TLV(0x80, []byte("other.example"))))
		if got := code(t, call(t, c, wire.TLV(0xBF34, wire.BitString(0x82, step.bits...))), 0xBF34); got != step.want {
			t.Errorf("%s: %d, want %d", name, got, step.want)
		}
		s := c.State()
		if len(s.Profiles) != step.left || (s.DefaultDP == "factory.example") != (name == "address") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	c := newCard(t, nil)
	if got := code(t, call(t, c, hexBytes("BF340482020560")), 0xBF34); got != 1 {
		t.Errorf("an empty card: %d", got)
	}
}

func TestNotifications(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA, events("a.example", 0, 1, 2, 3))
	install(t, c, iccidB, events("b.example", 1, 2))
	change(t, c, 0xBF31, byICCID(iccidA), 0)
	change(t, c, 0xBF31, byICCID(iccidB), 0) // two at once
	change(t, c, 0xBF33, byICCID(iccidA), 0)
	var got []string
	for _, n := range c.State().Notifications {
		got = append(got, fmt.Sprintf("%d %s %s", n.Seq, n.Event, n.Address))
	}
	want := []string{
		"1 install " + address, "2 install a.example", "3 install " + address, "4 enable a.example",
		"5 disable a.example", "6 enable b.example", "7 delete a.example",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	seqs := func(request string) []int64 {
		n, err := wire.Parse(call(t, c, hexBytes(request)))
		if err != nil {
			t.Fatal(err)
		}
		list, err := n.Need(0xA0)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := list.Children()
		if err != nil {
			t.Fatal(err)
		}
		var out []int64
		for _, e := range entries {
			m := e
			switch e.Tag {
			case 0xBF37:
				m, _ = e.Find(0xBF27, 0xBF2F)
			case 0x30:
				m, _ = e.Find(0xBF2F)
			}
			seq, _ := m.Find(0x80)
			v, err := seq.Int()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
		return out
	}
	for request, want := range map[string][]int64{
		"BF2800":             {1, 2, 3, 4, 5, 6, 7},
		"BF280481020640":     {4, 6},
		"BF2804810204F0":     {1, 2, 3, 4, 5, 6, 7},
		"BF2B00":             {1, 2, 3, 4, 5, 6, 7},
		"BF2B05A003800106":   {6},
		"BF2B05A003800163":   nil,
		"BF2B06A00481020410": {7},
	} {
		if got := seqs(request); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", request, got, want)
		}
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF280481020900"))); got != "bf280381017f" {
		t.Errorf("a filter that is none: %s", got)
	}
	checkSigned(t, c)
	remove := func(seq byte) int64 { return code(t, call(t, c, []byte{0xBF, 0x30, 0x03, 0x80, 0x01, seq}), 0xBF30) }
	if remove(4) != 0 || remove(4) != 1 || remove(99) != 1 {
		t.Error("removal")
	}
	c.PowerCut()
	c.Reset()
	if got := seqs("BF2800"); !slices.Equal(got, []int64{1, 2, 3, 5, 6, 7}) || c.State().NextSeq != 8 {
		t.Errorf("after a restart: %v", got)
	}
}

// checkSigned checks the signature of notification 6.
func checkSigned(t *testing.T, c *euiccsim.Card) {
	t.Helper()
	n, err := wire.Parse(call(t, c, hexBytes("BF2B05A003800106")))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := n.Need(0xA0, 0x30)
	if err != nil {
		t.Fatal(err)
	}
	list, err := signed.Children()
	if err != nil || len(list) != 4 {
		t.Fatalf("%d elements, %v", len(list), err)
	}
	chain, err := testpki.VerifyCard(list[2].Raw, list[3].Raw, authority(t).CardMaker().CIs, clock())
	if err != nil || !testpki.Verify(chain.CardKey, list[1].Value, list[0].Raw) {
		t.Errorf("signature: %v", err)
	}
}

func TestTestProfilesAreQuiet(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA, wire.TLV(0x95, []byte{0}), events("a.example", 1, 2))
	change(t, c, 0xBF31, byICCID(iccidA), 0)
	change(t, c, 0xBF32, byICCID(iccidA), 0)
	if n := c.State().Notifications; len(n) != 1 {
		t.Errorf("%+v", n)
	}
}

func TestAFullListLosesItsOldest(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) { o.Notifications = 3 })
	install(t, c, iccidA, events("a.example", 1, 2))
	for range 4 {
		change(t, c, 0xBF31, byICCID(iccidA), 0)
		change(t, c, 0xBF32, byICCID(iccidA), 0)
	}
	s := c.State()
	if len(s.Notifications) != 3 || s.Notifications[0].Seq != 7 || s.NextSeq != 10 {
		t.Errorf("%+v", s)
	}
}

func TestRefresh(t *testing.T) {
	read := func(c *euiccsim.Card) string {
		exchange(t, c, "00A40004022FE2")
		return exchange(t, c, "00B000000A")
	}
	for name, effect := range map[string]euiccsim.Effect{"at once": euiccsim.EffectAtOnce, "after refresh": euiccsim.EffectAfterRefresh} {
		t.Run(name, func(t *testing.T) {
			c := newCard(t, func(o *euiccsim.Options) { o.Effect = effect })
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
	t.Run("none", func(t *testing.T) {
		c := newCard(t, func(o *euiccsim.Options) { o.Faults = euiccsim.Faults{euiccsim.FaultNoRefresh: 1} })
		install(t, c, iccidA)
		if _, sw := try(t, c, wire.TLV(0xBF31, wire.TLV(0xA0, byICCID(iccidA)), wire.TLV(0x81, []byte{0xFF}))); sw != wire.SWOK {
			t.Errorf("%v", sw)
		}
		if got := exchange(t, c, "00A40004022FE2"); got != "6A82" || !c.State().Profiles[0].Enabled {
			t.Errorf("files: %s", got)
		}
	})
}

func TestFilesOfTheEnabledProfile(t *testing.T) {
	c := newCard(t, nil)
	install(t, c, iccidA)
	for _, command := range []string{"00A40004023F00", "00A40004022FE2", "00B000000A", "00A4040C07A0000000871002"} {
		if got := exchange(t, c, command); got != "6A82" && got != "6985" && got != "6D00" {
			t.Errorf("%s without an enabled profile: %s", command, got)
		}
	}
	change(t, c, 0xBF31, byICCID(iccidA), 0)
	for _, x := range []struct{ command, response string }{
		{"00A40004023F00", "611A"},
		{"00C000001A", "62188202782183023F00A5038001718A0105C6069001008301019000"},
		{"00A40004022FE2", "6114"},
		{"00C0000014", "62128202412183022FE28A01058002000A8801109000"},
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
		{"80F200001A", "62188202782183023F00A5038001718A0105C6069001008301019000"},
		{"0020000100", "6984"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Fatalf("%s: %s, want %s", x.command, got, x.response)
		}
	}
	if !bytes.Equal(c.State().Profiles[0].ICCID.Bytes(), hexBytes(iccidA)) {
		t.Error("ICCID")
	}
}

package euiccsim_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/wire"
)

func iotCard(t *testing.T, change func(*euiccsim.Options)) *euiccsim.Card {
	t.Helper()
	return newCard(t, func(o *euiccsim.Options) {
		o.Generation = euiccsim.SGP32
		if change != nil {
			change(o)
		}
	})
}

func TestIoTCardShowsItself(t *testing.T) {
	c := iotCard(t, func(o *euiccsim.Options) { o.IPAe = true })
	if info := call(t, c, hexBytes("BF2200")); !bytes.HasSuffix(info, hexBytes("900101B40BA005040301020081008200")) {
		t.Errorf("EUICCInfo2 ends %X", info[len(info)-24:])
	}
	exchange(t, c, "00A4040010A0000005591010FFFFFFFF8900000100")
	if got := exchange(t, c, "00C0000027"); got != "6F258410A0000005591010FFFFFFFF8900000100A5049F6501FFE0058203020500E104800207809000" {
		t.Errorf("FCI %s", got)
	}
	for _, request := range []string{"BF3108A0065A045A5A5A5A", "BF340482020780", "BF3F0780056C70612E65", "BF33035A0100"} {
		if _, sw := try(t, c, hexBytes(request)); sw != wire.SWDataNotFound {
			t.Errorf("%s: %v", request, sw)
		}
	}
	if got := hex.EncodeToString(call(t, c, wire.TLV(0xBF65, wire.TLV(0x80, []byte("dp.example"))))); got != "bf6503800100" || c.State().DefaultDP != "dp.example" {
		t.Error(got)
	}
	n, err := wire.ParseTag(call(t, c, hexBytes("BF5600")), 0xBF56)
	if err != nil {
		t.Fatal(err)
	}
	own, ok := n.Find(0xA0, 0xA6)
	if !ok || !bytes.Equal(wire.TLV(0x30, own.Value), credentials(t).Cert.Raw) {
		t.Error("CERT.EUICC")
	}
}

func TestConsumerCardsKnowNoIoT(t *testing.T) {
	c := newCard(t, nil)
	for _, tag := range []wire.Tag{0xBF51, 0xBF55, 0xBF56, 0xBF57, 0xBF58, 0xBF59, 0xBF5A, 0xBF5B, 0xBF5C, 0xBF5D, 0xBF5E, 0xBF5F, 0xBF64, 0xBF65, 0xBF70, 0xBF71, 0xBF72} {
		if _, sw := try(t, c, wire.TLV(tag)); sw != wire.SWDataNotFound {
			t.Errorf("%v: %v", tag, sw)
		}
	}
}

// The order in which a line brings an IoT eUICC up.
func TestIoTOrder(t *testing.T) {
	c := iotCard(t, nil)
	immediate := func() int64 { return code(t, call(t, c, hexBytes("BF5A03800100")), 0xBF5A) }
	if got := immediate(); got != 1 {
		t.Errorf("ImmediateEnable that is not configured: %d", got)
	}
	if got := code(t, call(t, c, hexBytes("BF59078000810388370A")), 0xBF59); got != 0 {
		t.Fatalf("ConfigureImmediateEnable: %d", got)
	}
	if got := immediate(); got != 4 {
		t.Errorf("ImmediateEnable without a download: %d", got)
	}
	install(t, c, iccidA)
	if got := immediate(); got != 0 || !c.State().Profiles[0].Enabled {
		t.Fatalf("ImmediateEnable: %d", got)
	}
	if got := immediate(); got != 4 {
		t.Errorf("ImmediateEnable again: %d", got)
	}
	r := newRemote(t, c)
	n := r.add(r.data(wire.Integer(0x84, -1)))
	token, ok := n.Find(0xA0, 0x84)
	if !ok || token.Value[0] != 1 {
		t.Fatalf("AddInitialEim: %X", n.Raw)
	}
	if e, ok := r.add(r.data()).Find(0x81); !ok || e.Value[0] != 2 {
		t.Error("a second AddInitialEim")
	}
	if got := code(t, call(t, c, hexBytes("BF59028000")), 0xBF59); got != 2 {
		t.Errorf("ConfigureImmediateEnable with an eIM: %d", got)
	}
	list, err := wire.ParseTag(call(t, c, hexBytes("BF5500")), 0xBF55)
	if err != nil {
		t.Fatal(err)
	}
	stored, ok := list.Find(0xA0, 0x30)
	if !ok {
		t.Fatalf("%X", list.Raw)
	}
	parts, err := stored.Children()
	if err != nil {
		t.Fatal(err)
	}
	var order []wire.Tag
	for _, p := range parts {
		order = append(order, p.Tag)
	}
	if !slices.Equal(order, []wire.Tag{0x80, 0x81, 0x82, 0x83, 0x84, 0xA5, 0x87, 0x88}) {
		t.Errorf("stored elements %v", order)
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF5505A003800178"))); got != "bf5502a000" {
		t.Errorf("an unknown eIM: %s", got)
	}
	if s := c.State(); !slices.Equal(s.EIMs, []string{"eim.example"}) {
		t.Errorf("%+v", s)
	}
}

func TestImmediateEnableOnlyForTheConfiguredServer(t *testing.T) {
	for request, want := range map[string]int64{
		"BF59028000":           0,
		"BF59078000810388370A": 0,
		"BF59078000810388370B": 1,
		"BF5900":               1,
		"BF590780008203782E79": 1,
	} {
		c := iotCard(t, nil)
		if got := code(t, call(t, c, hexBytes(request)), 0xBF59); got != 0 {
			t.Fatalf("%s: %d", request, got)
		}
		install(t, c, iccidA)
		if got := code(t, call(t, c, hexBytes("BF5A03800100")), 0xBF5A); got != want {
			t.Errorf("%s: %d, want %d", request, got, want)
		}
		if request != "BF59028000" {
			continue
		}
		c = iotCard(t, nil)
		call(t, c, hexBytes(request))
		install(t, c, iccidA)
		call(t, c, hexBytes("BF2E00"))
		if got := code(t, call(t, c, hexBytes("BF5A03800100")), 0xBF5A); got != 4 {
			t.Errorf("after a new session: %d", got)
		}
	}
}

func TestAddInitialEIMRefusals(t *testing.T) {
	c := iotCard(t, nil)
	r := newRemote(t, c)
	without := func(tag wire.Tag) []byte {
		parts, err := wire.ParseAll(r.data())
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, p := range parts {
			if p.Tag != tag {
				b = append(b, p.Raw...)
			}
		}
		return b
	}
	other := newRemote(t, c)
	other.id = "other.example"
	for name, x := range map[string]struct {
		entries [][]byte
		want    byte
	}{
		"nothing":        {nil, 7},
		"no id":          {[][]byte{without(0x80)}, 7},
		"no counter":     {[][]byte{without(0x83)}, 7},
		"no key":         {[][]byte{without(0xA5)}, 7},
		"token":          {[][]byte{r.data(wire.Integer(0x84, 5))}, 5},
		"counter":        {[][]byte{append(without(0x83), wire.Integer(0x83, 0x800000)...)}, 6},
		"root":           {[][]byte{append(r.data(), wire.TLV(0x88, make([]byte, 20))...)}, 3},
		"twice":          {[][]byte{r.data(), r.data()}, 2},
		"one bad of two": {[][]byte{other.data(), without(0xA5)}, 7},
		"five":           {[][]byte{r.data(), r.data(), r.data(), r.data(), r.data()}, 1},
	} {
		if e, ok := r.add(x.entries...).Find(0x81); !ok || e.Value[0] != x.want {
			t.Errorf("%s: %X, want %d", name, e.Value, x.want)
		}
		if s := c.State(); len(s.EIMs) != 0 {
			t.Fatalf("%s: %v", name, s.EIMs)
		}
	}
	if n := r.add(r.data(), other.data()); !bytes.Equal(n.Value, hexBytes("A00405000500")) {
		t.Errorf("%X", n.Raw)
	}
}

func TestEmergencyProfile(t *testing.T) {
	c := iotCard(t, nil)
	r := newRemote(t, c)
	r.add(r.data())
	install(t, c, iccidA, wire.TLV(0x9F7B, []byte{0xFF}))
	flag := func(tag wire.Tag) int64 { return code(t, call(t, c, wire.TLV(tag, wire.TLV(0x80, []byte{0}))), tag) }
	if flag(0xBF5B) != 0 || flag(0xBF5B) != 2 || flag(0xBF5D) != 104 {
		t.Error("emergency")
	}
	if e, ok := r.send(false, wire.TLV(0xA6)).Find(0xA1, 0x30, 0x02); !ok || e.Value[0] != 104 {
		t.Error("a package during an emergency call")
	}
	if got := code(t, call(t, c, hexBytes("BF640482020780")), 0xBF64); got != 104 {
		t.Errorf("memory reset: %d", got)
	}
	if flag(0xBF5C) != 0 || c.State().Profiles[0].Enabled {
		t.Error("end")
	}
}

func TestIoTMemoryReset(t *testing.T) {
	eimData := newRemote(t, nil).data()
	c := iotCard(t, func(o *euiccsim.Options) { o.EIMs = [][]byte{eimData} })
	install(t, c, iccidA, wire.TLV(0x95, []byte{1}))
	if s := c.State(); len(s.EIMs) != 1 {
		t.Fatalf("delivered with an eIM: %+v", s)
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF640482020780"))); got != "bf6403800101" {
		t.Errorf("nothing of SGP.22's: %s", got)
	}
	if got := hex.EncodeToString(call(t, c, wire.TLV(0xBF64, wire.BitString(0x82, 4, 5, 6)))); got != "bf6409800100810100820100" {
		t.Errorf("%s", got)
	}
	if s := c.State(); len(s.EIMs) != 0 || len(s.Profiles) != 0 {
		t.Errorf("%+v", s)
	}
	if got := hex.EncodeToString(call(t, c, wire.TLV(0xBF64, wire.BitString(0x82, 5)))); got != "bf6406800101810101" {
		t.Errorf("%s", got)
	}
	if got := code(t, call(t, c, hexBytes("BF59028000")), 0xBF59); got != 0 {
		t.Errorf("configuration after the reset: %d", got)
	}
}

func TestM2MCards(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) { o.Generation = euiccsim.SGP02 })
	for _, x := range []struct{ command, response string }{
		{"00A4040C10A0000005591010FFFFFFFF8900000100", "9000"},
		{"80E2910006BF3E035C015A00", "6985"},
		{"80CA005A00", "6A88"},
		{"00A4040010A0000005591010FFFFFFFF890000020000", "611A"},
		{"80CA005A12", "5A10890490321234512345123456789012359000"},
		{"80E2910003BF2000", "6D00"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Errorf("%s: %s, want %s", x.command, got, x.response)
		}
	}
}

// TestECASD: every eUICC gives its EID to whoever asks, whatever else it keeps shut.
func TestECASD(t *testing.T) {
	for name, change := range map[string]func(*euiccsim.Options){
		"consumer":   nil,
		"IoT":        func(o *euiccsim.Options) { o.Generation = euiccsim.SGP32 },
		"M2M":        func(o *euiccsim.Options) { o.Generation = euiccsim.SGP02 },
		"in-factory": func(o *euiccsim.Options) { o.OneTimeKeys = 1 },
		"shut":       func(o *euiccsim.Options) { o.NeedCapability = true },
	} {
		c := newCard(t, change)
		for _, x := range []struct{ command, response string }{
			{"80CA005A00", "6D00"}, // no application is selected
			{"0070000001", "019000"},
			{"01A4040010A0000005591010FFFFFFFF8900000200", "611A"},
			{"01C000001A", "6F188410A0000005591010FFFFFFFF8900000200A5049F6501FF9000"},
			{"81CA005A12", "5A10890490321234512345123456789012359000"},
			{"01CA005A00", "5A10890490321234512345123456789012359000"},
			{"81CA005A01", "6C12"},
			{"81CA7F2100", "6A88"},
			{"81CABF30045C027F2100", "6A88"},
			{"81CA006600", "6A88"},
			{"81E2910003BF2000", "6D00"},
			{"01A4040C10A0000005591010FFFFFFFF8900000100", "9000"},
			{"81CA005A00", "6A88"},
		} {
			if got := exchange(t, c, x.command); got != x.response {
				t.Errorf("%s: %s: %s, want %s", name, x.command, got, x.response)
			}
		}
	}
}

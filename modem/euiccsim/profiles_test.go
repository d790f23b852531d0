package euiccsim_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"linefit/modem/euiccsim"
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
	for _, s := range []struct {
		name string
		want int64
	}{{strings.Repeat("x", 64), 0}, {strings.Repeat("x", 65), 127}, {strings.Repeat("ä", 64), 0}, {strings.Repeat("ä", 65), 127}, {"Otto", 0}} {
		if got := set(iccidA, s.name); got != s.want {
			t.Errorf("%d characters: %d", utf8.RuneCountInString(s.name), got)
		}
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

// A test profile takes an operational one's place for a while: it overrides
// PPR1, and the same operational profile comes back.
func TestTestProfilesGiveTheirPlaceBack(t *testing.T) {
	const iccidC = "98001032547698103234"
	c := newCard(t, nil)
	install(t, c, iccidA, wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110"))), wire.BitString(0x99, 1))
	install(t, c, iccidB)
	install(t, c, iccidC, wire.TLV(0x95, []byte{0}))
	for i, step := range []struct {
		tag     wire.Tag
		id      string
		want    int64
		enabled int
	}{
		{0xBF31, iccidA, 0, 0},
		{0xBF31, iccidB, 3, 0},
		{0xBF31, iccidC, 0, 2},
		{0xBF31, iccidB, 4, 2},
		{0xBF32, iccidC, 0, 0},
		{0xBF31, iccidC, 0, 2},
		{0xBF31, iccidA, 0, 0},
	} {
		if got := change(t, c, step.tag, byICCID(step.id), 0); got != step.want {
			t.Fatalf("step %d: %d, want %d", i, got, step.want)
		}
		for n, p := range c.State().Profiles {
			if p.Enabled != (n == step.enabled) {
				t.Fatalf("step %d: profile %d is enabled: %v", i, n, p.Enabled)
			}
		}
	}
}

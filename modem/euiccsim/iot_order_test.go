package euiccsim_test

import (
	"reflect"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/wire"
)

// TestIoTWrongOrders tries every way to leave the order of an IoT eUICC by APDU:
// the card refuses with the specification's code, and is as it was before.
func TestIoTWrongOrders(t *testing.T) {
	do := func(request string, want int64) func(*testing.T, *euiccsim.Card) {
		return func(t *testing.T, c *euiccsim.Card) {
			t.Helper()
			b := hexBytes(request)
			tag, _, _, err := wire.ReadHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := code(t, call(t, c, b), tag); got != want {
				t.Errorf("%s: %d, want %d", request, got, want)
			}
		}
	}
	absent := func(request string) func(*testing.T, *euiccsim.Card) {
		return func(t *testing.T, c *euiccsim.Card) {
			t.Helper()
			if _, sw := try(t, c, hexBytes(request)); sw != wire.SWDataNotFound {
				t.Errorf("%s: %v", request, sw)
			}
		}
	}
	profile := func(t *testing.T, c *euiccsim.Card) { install(t, c, iccidA) }
	eim := func(t *testing.T, c *euiccsim.Card) {
		if _, failed := newRemote(t, c).add(newRemote(t, c).data()).Find(0x81); failed {
			t.Fatal("no eIM was added")
		}
	}
	cold := func(t *testing.T, c *euiccsim.Card) {
		c.PowerCut()
		c.Reset()
	}
	rollback := func(t *testing.T, c *euiccsim.Card) { // its result has a universal tag
		if b := call(t, c, hexBytes("BF5803800100")); b[len(b)-1] != 1 {
			t.Errorf("ProfileRollback: %X", b)
		}
	}
	const (
		allow     = "BF59028000"
		forbid    = "BF5900"
		immediate = "BF5A03800100"
	)
	for name, x := range map[string]struct {
		before []func(*testing.T, *euiccsim.Card)
		wrong  func(*testing.T, *euiccsim.Card)
	}{
		"enabled, and nothing allowed it":     {nil, do(immediate, 1)},
		"enabled, and it was forbidden again": {[]func(*testing.T, *euiccsim.Card){do(allow, 0), do(forbid, 0), profile}, do(immediate, 1)},
		"enabled before the download":         {[]func(*testing.T, *euiccsim.Card){do(allow, 0)}, do(immediate, 4)},
		"allowed after the download":          {[]func(*testing.T, *euiccsim.Card){profile, do(allow, 0)}, do(immediate, 1)},
		"enabled after a cold start":          {[]func(*testing.T, *euiccsim.Card){do(allow, 0), profile, cold}, do(immediate, 4)},
		"enabled twice":                       {[]func(*testing.T, *euiccsim.Card){do(allow, 0), profile, do(immediate, 0)}, do(immediate, 4)},
		"allowed with an eIM":                 {[]func(*testing.T, *euiccsim.Card){eim}, do(allow, 2)},
		"forbidden with an eIM":               {[]func(*testing.T, *euiccsim.Card){do(allow, 0), eim}, do(forbid, 2)},
		"rolled back, and nothing armed it":   {[]func(*testing.T, *euiccsim.Card){do(allow, 0), profile, do(immediate, 0)}, rollback},
		"fallback, and no profile is that":    {[]func(*testing.T, *euiccsim.Card){profile}, do("BF5D03800100", 6)},
		"back from a fallback that was not":   {[]func(*testing.T, *euiccsim.Card){profile}, do("BF5E03800100", 6)},
		"emergency, and no profile is for it": {[]func(*testing.T, *euiccsim.Card){profile}, do("BF5B03800100", 8)},
		"end of an emergency that was not":    {[]func(*testing.T, *euiccsim.Card){profile}, do("BF5C03800100", 2)},
		"ES10c enable, where there is none":   {[]func(*testing.T, *euiccsim.Card){profile}, absent("BF3111A00C5A0A98001032547698103214810100")},
		"SGP.22's memory reset, which moved":  {[]func(*testing.T, *euiccsim.Card){profile}, absent("BF340482020780")},
		"a second first eIM": {[]func(*testing.T, *euiccsim.Card){eim}, func(t *testing.T, c *euiccsim.Card) {
			r := newRemote(t, c)
			r.id = "other.example"
			if e, ok := r.add(r.data()).Find(0x81); !ok || e.Value[0] != 2 {
				t.Errorf("a second AddInitialEim: %X", e.Raw)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := iotCard(t, nil)
			for _, step := range x.before {
				step(t, c)
			}
			before := c.State()
			x.wrong(t, c)
			if after := c.State(); !reflect.DeepEqual(after, before) {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
		})
	}
}

package euiccsim_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

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

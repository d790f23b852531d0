package euiccsim_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

const testEID = "89049032123451234512345678901235"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return hexBytes(s)
}

func hexBytes(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// clock stands in the middle of the test certificates' validity.
func clock() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

// testAuthority and testCard are made once: they are the same every time.
var testAuthority = sync.OnceValues(func() (*testpki.Authority, error) { return testpki.New([]byte("euiccsim")) })

var testCard = sync.OnceValues(func() (*testpki.Card, error) {
	a, err := testAuthority()
	if err != nil {
		return nil, err
	}
	return a.Card(testEID)
})

func authority(t testing.TB) *testpki.Authority {
	t.Helper()
	a, err := testAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func credentials(t testing.TB) *testpki.Card {
	t.Helper()
	c, err := testCard()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newCard is a powered card on memory; change may set more options.
func newCard(t testing.TB, change func(*euiccsim.Options)) *euiccsim.Card {
	t.Helper()
	o := euiccsim.Options{PKI: credentials(t), Image: &euiccsim.MemoryImage{}}
	if change != nil {
		change(&o)
	}
	c, err := euiccsim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if atr := c.Reset(); len(atr) == 0 {
		t.Fatal("no ATR")
	}
	return c
}

// exchange is one APDU as hex, and its answer.
func exchange(t testing.TB, c *euiccsim.Card, apdu string) string {
	t.Helper()
	r, _ := c.Transmit(unhex(t, apdu))
	return strings.ToUpper(hex.EncodeToString(r))
}

func TestATR(t *testing.T) {
	c := newCard(t, nil)
	b := c.Reset()
	var sum byte
	for _, v := range b[1:] {
		sum ^= v
	}
	if b[0] != 0x3B || sum != 0 || len(b) != 7+15+1 {
		t.Errorf("ATR %X", b)
	}
	// Card capabilities: channels assigned by card or terminal, and their number.
	for channels, want := range map[int]byte{5: 0x1C, 8: 0x1F, 20: 0x1F} {
		b := newCard(t, func(o *euiccsim.Options) { o.Channels = channels }).Reset()
		if i := bytes.Index(b, []byte{0x73, 0xFE, 0x21}); i < 0 || b[i+3] != want {
			t.Errorf("%d channels: ATR %X", channels, b)
		}
	}
}

// The very exchanges that a real card was recorded with, save what is its own.
func TestChannelsLikeARealCard(t *testing.T) {
	c := newCard(t, nil)
	for _, x := range []struct{ command, response string }{
		{"00A4040010A0000005591010FFFFFFFF890000010000", "6121"},
		{"00C0000021", "6F1F8410A0000005591010FFFFFFFF8900000100A5049F6501FFE00582030205009000"},
		{"80E2910006BF3E035C015A00", "6115"},
		{"00C0000015", "BF3E125A10890490321234512345123456789012359000"},
		{"80E2910003BF2D0000", "6105"},
		{"00C0000005", "BF2D02A0009000"},
		{"80E2910003BF280000", "6105"},
		{"00C0000000", "BF2802A0009000"},
		{"00C0000000", "6985"},
		{"0070000001", "019000"},
		{"01A4040010A0000005591010FFFFFFFF8900000100", "6121"},
		{"81E2910006BF3E035C015A", "6115"},
		{"80E2910003BF3C00", "611D"},
		{"81C0000015", "BF3E125A10890490321234512345123456789012359000"},
		{"00C000001D", "BF3C1A8118" + strings.ToUpper(hex.EncodeToString([]byte("testrootsmds.example.com"))) + "9000"},
		{"02A4040010A0000005591010FFFFFFFF8900000100", "6881"},
		{"0070000000", "029000"},
		{"0070000000", "039000"},
		{"0070000000", "049000"},
		{"0070000000", "6A81"},
		{"41A4040010A0000005591010FFFFFFFF8900000100", "6881"},
		{"40A4040C10A0000005591010FFFFFFFF8900000100", "9000"},
		{"C0E2910003BF2000", "6138"},
		{"0070800400", "9000"},
		{"0070000400", "9000"},
		{"0070000400", "6985"},
		{"0070000500", "6A81"},
		{"0070800400", "9000"},
		{"C0E2910003BF2000", "6881"},
		{"0070800500", "6881"},
		{"80E2910103BF2000", "6A86"},
		{"80E2900003BF2000", "6A86"},
		{"80E2910004BF2FFF00", "6A80"},
		{"80E2910003BF2F00", "6A88"},
		{"81E2110002BF3E", "9000"},
		{"81E2110102035C", "9000"},
		{"81E2910202015A", "6115"},
		{"01C0000015", "BF3E125A10890490321234512345123456789012359000"},
		{"81E2110002BF3E", "9000"},
		{"81E2910202015A", "6A86"},
		{"81E2110002BF3E", "9000"}, // block 00 begins anew whatever was left
		{"81E2910003BF2000", "6138"},
		{"81E2910102015A", "6A86"},
		{"80FF000000", "6D00"},
		{"84E2910003BF2000", "6882"},
		{"90E2910003BF2000", "6884"},
		{"80A4000002", "6E00"},
		{"80A40000023F", "6700"},
		{"80A40000023F00", "6E00"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Fatalf("%s: %s, want %s", x.command, got, x.response)
		}
	}
}

func TestNoPowerNoAnswer(t *testing.T) {
	c := newCard(t, nil)
	exchange(t, c, "00A4040010A0000005591010FFFFFFFF890000010000")
	c.PowerCut()
	if r, busy := c.Transmit(unhex(t, "80E2910003BF2000")); r != nil || busy != 0 {
		t.Errorf("%X", r)
	}
	c.Reset()
	if got := exchange(t, c, "80E2910003BF2000"); got != "6D00" {
		t.Errorf("the selection survived a power cut: %s", got)
	}
}

func TestImageBelongsToOneCard(t *testing.T) {
	img := euiccsim.FileImage(filepath.Join(t.TempDir(), "card"))
	set := func(o *euiccsim.Options) { o.Image = img }
	c := newCard(t, set)
	exchange(t, c, "00A4040010A0000005591010FFFFFFFF890000010000")
	exchange(t, c, "80E291000ABF3F0780056C70612E65")
	if got := newCard(t, set).State().DefaultDP; got != "lpa.e" {
		t.Errorf("after reopening: %q", got)
	}
	eid, err := ident.EIDWithCheck(testpki.EUMPrefix + "0000000000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	other, err := authority(t).Card(eid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := euiccsim.New(euiccsim.Options{PKI: other, Image: img}); !errors.Is(err, euiccsim.ErrImage) {
		t.Errorf("another card's image: %v", err)
	}
	if err := img.Save([]byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := euiccsim.ReadState(img); !errors.Is(err, euiccsim.ErrImage) {
		t.Errorf("a broken image: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := euiccsim.New(euiccsim.Options{
		Generation: "sgp99", Channels: 1, SVN: "2", Faults: euiccsim.Faults{"no-such": 1}, Effect: "never", FreeNVM: -1,
	})
	for _, part := range []string{"certificates", "image", "sgp99", "channels", "version", "no-such", "never", "memory"} {
		if !errors.Is(err, euiccsim.ErrOptions) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
}

func TestDelaysAreReportedNotSlept(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) {
		o.Delays = euiccsim.Delays{APDU: time.Hour, Commit: time.Minute}
	})
	if _, busy := c.Transmit(unhex(t, "00A4040010A0000005591010FFFFFFFF890000010000")); busy != time.Hour {
		t.Error(busy)
	}
	if _, busy := c.Transmit(unhex(t, "80E291000ABF3F0780056C70612E65")); busy != time.Hour+time.Minute {
		t.Error(busy)
	}
}

// call runs one ES10 function on the basic channel and returns its response.
func call(t testing.TB, c *euiccsim.Card, request []byte) []byte {
	t.Helper()
	b, sw := try(t, c, request)
	if sw != wire.SWOK && sw>>8 != 0x91 {
		t.Fatalf("%X: %v", request[:2], sw)
	}
	return b
}

// try is call with any status word. It selects the ISD-R when it must.
func try(t testing.TB, c *euiccsim.Card, request []byte) ([]byte, wire.SW) {
	t.Helper()
	b, sw := segment(t, c, request)
	if sw == wire.SWInsNotSupported {
		exchange(t, c, "00A4040C10A0000005591010FFFFFFFF8900000100")
		b, sw = segment(t, c, request)
	}
	return b, sw
}

// segment sends one STORE DATA chain and collects the answer.
func segment(t testing.TB, c *euiccsim.Card, data []byte) ([]byte, wire.SW) {
	t.Helper()
	for block := 0; ; block++ {
		n := min(len(data), 255)
		cmd := wire.Command{CLA: 0x80, INS: wire.InsStoreData, P1: 0x11, P2: byte(block), Data: data[:n]}
		if n == len(data) {
			cmd.P1 = 0x91
		}
		r := transmit(t, c, cmd)
		if cmd.P1 == 0x11 && r.SW == wire.SWOK {
			data = data[n:]
			continue
		}
		return collect(t, c, r)
	}
}

func collect(t testing.TB, c *euiccsim.Card, r wire.Response) ([]byte, wire.SW) {
	t.Helper()
	out := bytes.Clone(r.Data)
	for {
		n, ok := r.SW.More()
		if !ok {
			return out, r.SW
		}
		r = transmit(t, c, wire.Command{CLA: 0x00, INS: wire.InsGetResponse, Ne: n})
		out = append(out, r.Data...)
	}
}

func transmit(t testing.TB, c *euiccsim.Card, cmd wire.Command) wire.Response {
	t.Helper()
	b, err := cmd.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := c.Transmit(b)
	r, err := wire.ParseResponse(raw)
	if err != nil {
		t.Fatalf("%X: %v", b, err)
	}
	return r
}

func TestInfo2(t *testing.T) {
	c := newCard(t, nil)
	n, err := wire.ParseTag(call(t, c, unhex(t, "BF2200")), 0xBF22)
	if err != nil {
		t.Fatal(err)
	}
	list, err := n.Children()
	if err != nil {
		t.Fatal(err)
	}
	var tags []wire.Tag
	for _, e := range list {
		tags = append(tags, e.Tag)
	}
	want := []wire.Tag{0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0xA9, 0xAA, 0x8B, 0x04, 0x0C, 0xAC}
	if len(tags) != len(want) {
		t.Fatalf("%v", tags)
	}
	for i := range want {
		if tags[i] != want[i] {
			t.Errorf("element %d is %v, want %v", i, tags[i], want[i])
		}
	}
	free, ok := n.Find(0x84, 0x82)
	if v, err := free.Uint(); !ok || err != nil || v != 512<<10 {
		t.Errorf("free memory %d, %v", v, err)
	}
	if got := hex.EncodeToString(call(t, c, unhex(t, "BF4300"))); got != "bf4315a013301180020560a10730058003eeeeee82020780" {
		t.Errorf("RAT %s", got)
	}
}

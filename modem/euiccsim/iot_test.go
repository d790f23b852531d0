package euiccsim_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// remote is an eIM: its key is the EUM's of another authority, for want of one.
type remote struct {
	t    *testing.T
	card *euiccsim.Card
	keys *testpki.Authority
	id   string
	tok  int64
	next int64
}

func newRemote(t *testing.T, c *euiccsim.Card) *remote {
	t.Helper()
	a, err := testpki.New([]byte("eim"))
	if err != nil {
		t.Fatal(err)
	}
	return &remote{t: t, card: c, keys: a, id: "eim.example", next: 1}
}

// data is EimConfigurationData's content.
func (r *remote) data(more ...[]byte) []byte {
	r.t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(r.keys.EUM.PublicKey())
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := wire.Parse(spki)
	if err != nil {
		r.t.Fatal(err)
	}
	parts := [][]byte{wire.TLV(0x80, []byte(r.id)), wire.TLV(0x81, []byte("eim.example.com")), wire.Integer(0x83, 0)}
	parts = append(parts, more...)
	return bytes.Join(append(parts, wire.TLV(0xA5, wire.TLV(0xA0, n.Value))), nil)
}

func (r *remote) add(entries ...[]byte) wire.Node {
	r.t.Helper()
	var list []byte
	for _, e := range entries {
		list = append(list, wire.TLV(0x30, e)...)
	}
	n, err := wire.ParseTag(call(r.t, r.card, wire.TLV(0xBF57, wire.TLV(0xA0, list))), 0xBF57)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// send loads a signed package and returns the response.
func (r *remote) send(configuration bool, operations ...[]byte) wire.Node {
	r.t.Helper()
	list := wire.Tag(0xA0)
	if configuration {
		list = 0xA1
	}
	signed := wire.TLV(0x30, wire.TLV(0x80, []byte(r.id)), wire.TLV(0x5A, r.card.EID().Bytes()), wire.Integer(0x81, r.next),
		wire.TLV(0x82, []byte{9}), wire.TLV(list, operations...))
	r.next++
	signature, err := testpki.Sign(r.keys.EUM.Key, signed, wire.Integer(0x84, r.tok))
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := wire.ParseTag(call(r.t, r.card, wire.TLV(0xBF51, signed, wire.TLV(0x5F37, signature))), 0xBF51)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, outcome := range []wire.Tag{0xA0, 0xA1} {
		data, ok := n.Find(outcome, 0x30)
		if !ok {
			continue
		}
		s, ok := n.Find(outcome, 0x5F37)
		if !ok || !testpki.Verify(testpki.Key(credentials(r.t).Cert.PublicKey), s.Value, data.Raw, wire.Integer(0x84, r.tok)) {
			r.t.Fatal("the result's signature")
		}
	}
	return n
}

// results are the operations' results as hexadecimal.
func (r *remote) results(n wire.Node) string {
	r.t.Helper()
	list, ok := n.Find(0xA0, 0x30, 0x30)
	if !ok {
		r.t.Fatalf("%X", n.Raw)
	}
	return hex.EncodeToString(list.Value)
}

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

func TestPackages(t *testing.T) {
	c := iotCard(t, nil)
	r := newRemote(t, c)
	install(t, c, iccidA, events("n.example", 1, 2))
	install(t, c, iccidB, wire.TLV(0x9F67, []byte{0xFF}))
	if n := r.send(false, wire.TLV(0xA6)); n.Value[0] != 0xA2 {
		t.Errorf("an eIM that is not associated: %X", n.Raw)
	}
	r.add(r.data())
	enableA := wire.TLV(0xA3, byICCID(iccidA))
	n := r.send(false, enableA)
	if got := r.results(n); got != "830100" || !c.State().Profiles[0].Enabled {
		t.Fatalf("enable: %s", got)
	}
	exchange(t, c, "801200000B")
	exchange(t, c, "801400000C810301010402028281830100")
	for _, x := range []struct {
		operations [][]byte
		want       string
	}{
		{[][]byte{enableA}, "830102"},
		{[][]byte{wire.TLV(0xA4, byICCID(iccidB))}, "840102"},
		{[][]byte{wire.TLV(0xA5, byICCID(iccidA))}, "850102"},
		{[][]byte{wire.TLV(0xA8, byICCID(iccidA)), wire.TLV(0xA8, byICCID(iccidB))}, "8d01028d0100"},
		{[][]byte{wire.TLV(0xA7, wire.TLV(0x80))}, "870100"},
		{[][]byte{wire.TLV(0xBF65, wire.TLV(0x80, []byte("x")))}, "bf6503800100"},
		{[][]byte{wire.TLV(0xBF2D, wire.TLV(0x5C, hexBytes("9F269F67")))}, "bf2d0ea00ce300e3089f2601ff9f6701ff"},
		{[][]byte{wire.TLV(0x8F)}, "020102"},
	} {
		n := r.send(false, x.operations...)
		got := r.results(n)
		if got != x.want {
			t.Errorf("%X: %s, want %s", x.operations, got, x.want)
		}
	}
	r.next = 1
	if e, ok := r.send(false, enableA).Find(0xA1, 0x30, 0x02); !ok || e.Value[0] != 4 {
		t.Error("a counter that was used")
	}
	r.next = 0x800000
	if e, ok := r.send(false, enableA).Find(0xA1, 0x30, 0x02); !ok || e.Value[0] != 6 {
		t.Error("a counter out of range")
	}
	r.next = 500
	signedByOther := *r
	signedByOther.tok = 77
	if n := signedByOther.send(false, enableA); n.Value[0] != 0xA2 {
		t.Error("a signature over another token")
	}
	fallbackAndBack(t, c, r)
	packageResults(t, c)
}

func fallbackAndBack(t *testing.T, c *euiccsim.Card, r *remote) {
	t.Helper()
	flag := func(tag wire.Tag) int64 { return code(t, call(t, c, wire.TLV(tag, wire.TLV(0x80, []byte{0}))), tag) }
	enabled := func() string {
		for _, p := range c.State().Profiles {
			if p.Enabled {
				return hex.EncodeToString(p.ICCID.Bytes())
			}
		}
		return ""
	}
	if flag(0xBF5E) != 6 {
		t.Error("return without fallback")
	}
	if got := flag(0xBF5D); got != 0 || enabled() != iccidB {
		t.Errorf("fallback: %d, %s", got, enabled())
	}
	if flag(0xBF5D) != 2 {
		t.Error("fallback twice")
	}
	if got := r.results(r.send(false, wire.TLV(0xA9))); got != "8e0103" {
		t.Errorf("the attribute during fallback: %s", got)
	}
	if got := flag(0xBF5E); got != 0 || enabled() != iccidA {
		t.Errorf("return: %d, %s", got, enabled())
	}
	universal := func() byte {
		b := call(t, c, hexBytes("BF5803800100"))
		return b[len(b)-1]
	}
	if universal() != 1 {
		t.Error("rollback that was not granted")
	}
	r.send(false, wire.TLV(0xA3, byICCID(iccidB), wire.TLV(0x05)))
	exchange(t, c, "801200000B")
	exchange(t, c, "801400000C810301010402028281830100")
	if got := universal(); got != 0 || enabled() != iccidA {
		t.Errorf("rollback: %d, %s", got, enabled())
	}
	if universal() != 1 {
		t.Error("rollback twice")
	}
	if flag(0xBF5B) != 8 || flag(0xBF5C) != 2 {
		t.Error("no emergency profile")
	}
	if got := hex.EncodeToString(call(t, c, hexBytes("BF5F00"))); got != "bf5f03810101" {
		t.Errorf("connectivity parameters: %s", got)
	}
}

func packageResults(t *testing.T, c *euiccsim.Card) {
	t.Helper()
	n, err := wire.ParseTag(call(t, c, hexBytes("BF2B04A0028200")), 0xBF2B)
	if err != nil {
		t.Fatal(err)
	}
	list, ok := n.Find(0xA2)
	if !ok {
		t.Fatalf("%X", n.Raw)
	}
	all, err := list.Children()
	if err != nil || len(all) < 8 {
		t.Fatalf("%d results, %v", len(all), err)
	}
	seq, _ := all[0].Find(0xA0, 0x30, 0x83)
	if got := code(t, call(t, c, wire.TLV(0xBF30, wire.TLV(0x80, seq.Value))), 0xBF30); got != 0 {
		t.Errorf("removal: %d", got)
	}
	if got := code(t, call(t, c, wire.TLV(0xBF30, wire.TLV(0x80, seq.Value))), 0xBF30); got != 1 {
		t.Errorf("removal again: %d", got)
	}
}

func TestEIMConfigurationOperations(t *testing.T) {
	c := iotCard(t, nil)
	r := newRemote(t, c)
	r.add(r.data(wire.Integer(0x84, -1)))
	r.tok = 1
	second := newRemote(t, c)
	second.id = "two"
	for _, x := range []struct {
		op   []byte
		want string
	}{
		{wire.TLV(0xAB), "list"},
		{wire.TLV(0xA8, second.data()), "a803020100"},
		{wire.TLV(0xA8, second.data()), "a803020102"},
		{wire.TLV(0xAA, second.data()), "8a0100"},
		{wire.TLV(0xA9, wire.TLV(0x80, []byte("two"))), "890100"},
		{wire.TLV(0xAA, second.data()), "8a0101"},
		{wire.TLV(0xA9, wire.TLV(0x80, []byte("two"))), "890101"},
	} {
		got := r.results(r.send(true, x.op))
		if x.want == "list" {
			x.want = hex.EncodeToString(wire.TLV(0xAB, wire.TLV(0xA0, wire.TLV(0x30, wire.TLV(0x80, []byte(r.id)), hexBytes("820103")))))
		}
		if got != x.want {
			t.Errorf("%X: %s, want %s", x.op[:2], got, x.want)
		}
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
		{"00A4040010A0000005591010FFFFFFFF890000020000", "6114"},
		{"80CA005A12", "5A10890490321234512345123456789012359000"},
		{"80CA005A00", "5A10890490321234512345123456789012359000"},
		{"80CA005A01", "6C12"},
		{"80E2910003BF2000", "6D00"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Errorf("%s: %s, want %s", x.command, got, x.response)
		}
	}
	if got := exchange(t, newCard(t, nil), "00A4040010A0000005591010FFFFFFFF890000020000"); got != "6A82" {
		t.Errorf("the ECASD of a consumer card: %s", got)
	}
}

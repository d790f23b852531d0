package euiccsim_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
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

package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"sync"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

const address = "smdp.example.com"

// dp is the server's side of a download, with a hand on every part of it.
type dp struct {
	t        testing.TB
	card     *euiccsim.Card
	keys     *testpki.Server
	id       []byte // transaction id
	profile  []byte // unprotected profile package
	metadata []byte
	dpData   []byte // BF24's content
	replace  bool   // profile protection keys of their own (BF26)
	cc       bool
	bound    []byte // bppEuiccOtpk to name

	// What a test may change before it is signed or sent.
	challenge []byte
	ciPKID    []byte
	operation int64
	crt       bsp.CRT
	boundID   []byte

	signature1 []byte // euiccSignature1 TLV
	otPK       []byte
	chain      *testpki.Chain
	otSK       *ecdh.PrivateKey
}

var transactions byte

var testServer = sync.OnceValues(func() (*testpki.Server, error) {
	a, err := testAuthority()
	if err != nil {
		return nil, err
	}
	return a.Server()
})

func newDP(t testing.TB, card *euiccsim.Card) *dp {
	t.Helper()
	made, err := testServer()
	if err != nil {
		t.Fatal(err)
	}
	keys := new(*made) // tests exchange its parts
	transactions++
	return &dp{
		t: t, card: card, keys: keys, id: bytes.Repeat([]byte{transactions}, 16),
		profile: upp(iccidA, imsiA), metadata: metadata(iccidA),
		operation: 1, crt: bsp.CRT{KeyType: 0x88, KeyLength: 0x10, HostID: []byte("host")},
	}
}

const (
	iccidA = "98001032547698103214"
	iccidB = "98001032547698103224"
	imsiA  = "080910101032547698" // 001 01 0123456789
)

// metadata is a StoreMetadataRequest with further elements in order.
func metadata(iccid string, more ...[]byte) []byte {
	parts := [][]byte{wire.TLV(0x5A, hexBytes(iccid)), wire.TLV(0x91, []byte("Provider")), wire.TLV(0x92, []byte("Name"))}
	return wire.TLV(0xBF25, append(parts, more...)...)
}

// upp is a small profile package: header, MF with EF_ICCID, USIM with EF_IMSI, end.
func upp(iccid, imsi string, more ...[]byte) []byte {
	element := func(n int64) []byte { return wire.TLV(0xA0, wire.Integer(0x81, n)) }
	template := wire.TLV(0x81, hexBytes("67810F010201"))
	fcp := func(parts ...[]byte) []byte { return wire.TLV(0xA1, parts...) }
	header := wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3), wire.TLV(0x83, swap(hexBytes(iccid))),
		wire.TLV(0xA5, wire.TLV(0x81)), wire.TLV(0xA6, wire.TLV(0x06, hexBytes("67810F010201"))))
	mf := wire.TLV(0xB0, element(1), template,
		wire.TLV(0xA2, fcp(wire.TLV(0x82, hexBytes("7821")), wire.TLV(0x83, hexBytes("3F00")))),
		wire.TLV(0xA4, fcp(wire.TLV(0x82, hexBytes("4121")), wire.TLV(0x83, hexBytes("2FE2")), wire.TLV(0x88, []byte{0x10})), wire.TLV(0x83, hexBytes(iccid))),
		wire.TLV(0xA5, fcp(wire.TLV(0x82, hexBytes("42210010")), wire.TLV(0x83, hexBytes("2F00")), wire.TLV(0x80, []byte{0x20})), wire.TLV(0x83, hexBytes("610E4F0C"))))
	usim := wire.TLV(0xB3, element(2), template,
		wire.TLV(0xA2, fcp(wire.TLV(0x82, hexBytes("7821")), wire.TLV(0x83, hexBytes("7FD0")), wire.TLV(0x84, hexBytes("A0000000871002FF49FF0589")))),
		wire.TLV(0xA3, fcp(wire.TLV(0x82, hexBytes("4121")), wire.TLV(0x83, hexBytes("6F07"))), wire.TLV(0x83, hexBytes(imsi))))
	b := append(append(header, mf...), usim...)
	for _, m := range more {
		b = append(b, m...)
	}
	return append(b, wire.TLV(0xAA, element(99))...)
}

func swap(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		out[i] = c<<4 | c>>4
	}
	return out
}

func (d *dp) sign(pair testpki.Pair, parts ...[]byte) []byte {
	d.t.Helper()
	s, err := testpki.Sign(pair.Key, parts...)
	if err != nil {
		d.t.Fatal(err)
	}
	return wire.TLV(0x5F37, s)
}

// authRequest is AuthenticateServerRequest for the challenge that the card gave.
func (d *dp) authRequest() []byte {
	d.t.Helper()
	if d.challenge == nil {
		n, err := wire.ParseTag(call(d.t, d.card, hexBytes("BF2E00")), 0xBF2E)
		if err != nil {
			d.t.Fatal(err)
		}
		c, err := n.Need(0x80)
		if err != nil {
			d.t.Fatal(err)
		}
		d.challenge = c.Value
	}
	if d.ciPKID == nil {
		d.ciPKID = d.keys.CI.Cert.SubjectKeyId
	}
	signed1 := wire.TLV(0x30, wire.TLV(0x80, d.id), wire.TLV(0x81, d.challenge), wire.TLV(0x83, []byte(address)), wire.TLV(0x84, bytes.Repeat([]byte{7}, 16)))
	context := wire.TLV(0xA0, wire.TLV(0x80, []byte("MATCH")), wire.TLV(0xA1, wire.TLV(0x80, hexBytes("35290611")), wire.TLV(0xA1)))
	return wire.TLV(0xBF38, signed1, d.sign(d.keys.Auth, signed1), wire.TLV(0x04, d.ciPKID), d.keys.Auth.Cert.Raw, context)
}

// authenticate runs AuthenticateServer and checks the card's answer as a
// server does. It returns the error code, 0 for none.
func (d *dp) authenticate() int64 {
	d.t.Helper()
	n, err := wire.ParseTag(call(d.t, d.card, d.authRequest()), 0xBF38)
	if err != nil {
		d.t.Fatal(err)
	}
	if e, ok := n.Find(0xA1); ok {
		return d.errorCode(e, 0x02)
	}
	ok, err := n.Need(0xA0)
	if err != nil {
		d.t.Fatal(err)
	}
	list, err := ok.Children()
	if err != nil || len(list) != 4 {
		d.t.Fatalf("%d elements, %v", len(list), err)
	}
	if d.chain, err = testpki.VerifyCard(list[2].Raw, list[3].Raw, authority(d.t).CardMaker().CIs, d.keys.CI.Cert.NotBefore.AddDate(1, 0, 0)); err != nil {
		d.t.Fatal(err)
	}
	if !testpki.Verify(d.chain.CardKey, list[1].Value, list[0].Raw) {
		d.t.Fatal("euiccSignature1")
	}
	if id, _ := list[0].Find(0x80); !bytes.Equal(id.Value, d.id) {
		d.t.Fatalf("transaction id %X", id.Value)
	}
	d.signature1 = list[1].Raw
	return 0
}

func (d *dp) errorCode(e wire.Node, tag wire.Tag) int64 {
	d.t.Helper()
	c, err := e.Need(tag)
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := c.Int()
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// prepareRequest is PrepareDownloadRequest.
func (d *dp) prepareRequest(hashCC []byte) []byte {
	d.t.Helper()
	parts := [][]byte{wire.TLV(0x80, d.id), wire.TLV(0x01, []byte{map[bool]byte{true: 0xFF}[d.cc]})}
	if d.bound != nil {
		parts = append(parts, wire.TLV(0x5F49, d.bound))
	}
	signed2 := wire.TLV(0x30, parts...)
	request := [][]byte{signed2, d.sign(d.keys.PB, signed2, d.signature1)}
	if hashCC != nil {
		request = append(request, wire.TLV(0x04, hashCC))
	}
	return wire.TLV(0xBF21, append(request, d.keys.PB.Cert.Raw)...)
}

// prepare runs PrepareDownload and returns the error code, 0 for none.
func (d *dp) prepare(hashCC []byte) int64 {
	d.t.Helper()
	request := d.prepareRequest(hashCC)
	n, err := wire.ParseTag(call(d.t, d.card, request), 0xBF21)
	if err != nil {
		d.t.Fatal(err)
	}
	if e, ok := n.Find(0xA1); ok {
		return d.errorCode(e, 0x02)
	}
	signed, err := n.Need(0xA0, 0x30)
	if err != nil {
		d.t.Fatal(err)
	}
	signature, err := n.Need(0xA0, 0x5F37)
	if err != nil {
		d.t.Fatal(err)
	}
	sent, err := wire.Parse(request)
	if err != nil {
		d.t.Fatal(err)
	}
	signature2, _ := sent.Find(0x5F37)
	if !testpki.Verify(d.chain.CardKey, signature.Value, signed.Raw, signature2.Raw) {
		d.t.Fatal("euiccSignature2")
	}
	if cc, ok := signed.Find(0x04); ok != (hashCC != nil) || ok && !bytes.Equal(cc.Value, hashCC) {
		d.t.Fatal("hashCc")
	}
	pk, err := signed.Need(0x5F49)
	if err != nil {
		d.t.Fatal(err)
	}
	d.otPK = pk.Value
	return 0
}

// segments binds the package and cuts it as SGP.22 section 2.5.5 says.
func (d *dp) segments() [][]byte {
	d.t.Helper()
	otSK, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	d.otSK = otSK
	id := d.id
	if d.boundID != nil {
		id = d.boundID
	}
	parts := [][]byte{wire.Integer(0x82, d.operation), wire.TLV(0x80, id), d.crt.Bytes(), wire.TLV(0x5F49, otSK.PublicKey().Bytes())}
	signature := d.sign(d.keys.PB, bytes.Join(parts, nil), wire.TLV(0x5F49, d.otPK))
	isc := wire.TLV(0xBF23, append(parts, signature)...)
	good := bsp.CRT{KeyType: 0x88, KeyLength: 0x10, HostID: d.crt.HostID}
	keys, err := bsp.Agree(otSK, d.otPK, good, d.card.EID().Bytes())
	if err != nil {
		d.t.Fatal(err)
	}
	s := bsp.New(keys)
	return cut(isc, d.protect(s))
}

// protect makes the sequences A0 to A3 as lists of TLVs.
func (d *dp) protect(s *bsp.Session) map[wire.Tag][][]byte {
	d.t.Helper()
	a0, err := s.SealAll(0x87, wire.TLV(0xBF24, d.dpData))
	if err != nil {
		d.t.Fatal(err)
	}
	a1, err := s.AuthenticateAll(0x88, d.metadata)
	if err != nil {
		d.t.Fatal(err)
	}
	sequences := map[wire.Tag][][]byte{0xA0: a0, 0xA1: a1}
	if d.replace {
		k := bsp.Keys{MCV: [16]byte{1}, ENC: [16]byte{2}, MAC: [16]byte{3}}
		if sequences[0xA2], err = s.SealAll(0x87, bsp.ReplaceRequest(k)); err != nil {
			d.t.Fatal(err)
		}
		s.Replace(k)
	}
	if sequences[0xA3], err = s.SealAll(0x86, d.profile); err != nil {
		d.t.Fatal(err)
	}
	return sequences
}

func cut(isc []byte, sequences map[wire.Tag][][]byte) [][]byte {
	total := len(isc)
	var out [][]byte
	for tag := wire.Tag(0xA0); tag <= 0xA3; tag++ {
		list, ok := sequences[tag]
		if !ok {
			continue
		}
		whole := wire.TLV(tag, list...)
		total += len(whole)
		header := whole[:len(whole)-len(bytes.Join(list, nil))]
		if tag == 0xA0 || tag == 0xA2 {
			out = append(out, append(bytes.Clone(header), list[0]...))
			list = list[1:]
		} else {
			out = append(out, header)
		}
		out = append(out, list...)
	}
	first := append(wire.AppendLength(wire.Tag(0xBF36).Append(nil), total), isc...)
	return append([][]byte{first}, out...)
}

// outcome is what an installation result says.
type outcome struct {
	ok              bool
	command, reason int64
	seq             int64
	raw             []byte
}

// readResult checks an installation result's signature and reads it.
func (d *dp) readResult(b []byte) outcome {
	d.t.Helper()
	n, err := wire.ParseTag(b, 0xBF37)
	if err != nil {
		d.t.Fatalf("%X: %v", b, err)
	}
	data, err := n.Need(0xBF27)
	if err != nil {
		d.t.Fatal(err)
	}
	signature, err := n.Need(0x5F37)
	if err != nil || !testpki.Verify(d.chain.CardKey, signature.Value, data.Raw) {
		d.t.Fatalf("euiccSignPIR: %v", err)
	}
	if id, _ := data.Find(0x80); !bytes.Equal(id.Value, d.id) {
		d.t.Fatalf("transaction id %X, want %X", id.Value, d.id)
	}
	if oid, _ := data.Find(0x06); !bytes.Equal(oid.Value, []byte{0x88, 0x37, 0x0A}) {
		d.t.Fatalf("smdpOid %X", oid.Value)
	}
	o := outcome{raw: b}
	about, err := data.Need(0xBF2F)
	if err != nil {
		d.t.Fatal(err)
	}
	o.seq = d.errorCode(about, 0x80)
	if where, _ := about.Find(0x0C); string(where.Value) != address {
		d.t.Fatalf("notification for %q", where.Value)
	}
	if success, ok := data.Find(0xA2, 0xA0); ok {
		aid, err := success.Need(0x4F)
		if err != nil || !bytes.HasPrefix(aid.Value, hexBytes("A0000005591010FFFFFFFF8900")) {
			d.t.Fatalf("ISD-P %X, %v", aid.Value, err)
		}
		o.ok = true
		return o
	}
	e, err := data.Need(0xA2, 0xA1)
	if err != nil {
		d.t.Fatal(err)
	}
	o.command, o.reason = d.errorCode(e, 0x80), d.errorCode(e, 0x81)
	return o
}

// load sends segments until the card answers with a result.
func (d *dp) load(segments [][]byte) outcome {
	d.t.Helper()
	for i, s := range segments {
		b, sw := try(d.t, d.card, s)
		if !sw.OK() {
			d.t.Fatalf("segment %d: %v", i, sw)
		}
		if len(b) > 0 {
			return d.readResult(b)
		}
	}
	d.t.Fatal("no installation result")
	return outcome{}
}

// ready runs a session up to the prepared download.
func (d *dp) ready() *dp {
	d.t.Helper()
	if code := d.authenticate(); code != 0 {
		d.t.Fatalf("AuthenticateServer: %d", code)
	}
	var hash []byte
	if d.cc {
		hash = bytes.Repeat([]byte{0xCC}, 32)
	}
	if code := d.prepare(hash); code != 0 {
		d.t.Fatalf("PrepareDownload: %d", code)
	}
	return d
}

// download is a whole one.
func (d *dp) download() outcome {
	d.t.Helper()
	d.ready()
	return d.load(d.segments())
}

func verified(d *dp, signature []byte, parts ...[]byte) bool {
	return testpki.Verify(d.chain.CardKey, signature, parts...)
}

package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
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

package smdpsim_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

const address = "smdp.example.com:8443"

type euicc struct {
	*testpki.Card
	free      int
	forbidden []int
	svn       byte
	wrong     string
	seq       int64
	otsk      *ecdh.PrivateKey // kept after a download that may be tried again
	installed ident.ICCID
}

func newCard(t testing.TB, a *testpki.Authority, number int) *euicc {
	t.Helper()
	eid, err := ident.EIDWithCheck(fmt.Sprintf("%s%022d", testpki.EUMPrefix, number))
	if err != nil {
		t.Fatal(err)
	}
	card, err := a.Card(eid)
	if err != nil {
		t.Fatal(err)
	}
	return &euicc{Card: card, free: 200_000, svn: 2}
}

func (e *euicc) sign(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	signature, err := testpki.Sign(e.Key, parts...)
	if err != nil {
		t.Fatal(err)
	}
	if e.wrong == "signature" {
		signature[7] ^= 0x10
	}
	return wire.TLV(0x5F37, signature)
}

func (e *euicc) ids(tag wire.Tag) []byte {
	return wire.TLV(tag, wire.TLV(0x04, e.CIs[0].SubjectKeyId))
}

func (e *euicc) info1() []byte {
	return wire.TLV(0xBF20, wire.TLV(0x82, []byte{e.svn, 2, 0}), e.ids(0xA9), e.ids(0xAA))
}

func (e *euicc) info2() []byte {
	free := []byte{byte(e.free >> 24), byte(e.free >> 16), byte(e.free >> 8), byte(e.free)}
	parts := [][]byte{
		wire.TLV(0x81, []byte{2, 3, 1}), wire.TLV(0x82, []byte{e.svn, 2, 0}), wire.TLV(0x83, []byte{1, 0, 0}),
		wire.TLV(0x84, wire.TLV(0x81, []byte{0}), wire.TLV(0x82, free), wire.TLV(0x83, []byte{0x40, 0})),
		wire.BitString(0x85, 1, 4), wire.BitString(0x88, 0), e.ids(0xA9), e.ids(0xAA),
	}
	if e.forbidden != nil {
		parts = append(parts, wire.BitString(0x99, e.forbidden...))
	}
	return wire.TLV(0xBF22, append(parts, wire.TLV(0x04, []byte{1, 0, 0}), wire.TLV(0x0C, []byte("TEST")))...)
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[0] ^= 1
	return b
}

func (e *euicc) authenticateServer(t testing.TB, r map[string][]byte, challenge []byte, matchingID smdpsim.MatchingID) ([]byte, error) {
	t.Helper()
	cert, _, err := testpki.VerifyServer(r["serverCertificate"], testpki.RoleDPAuth, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signed, signature := parse(t, r["serverSigned1"]), parse(t, r["serverSignature1"])
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature.Value, signed.Raw) {
		return nil, errors.New("invalidSignature")
	}
	if got := find(t, signed, 0x81); !bytes.Equal(got, challenge) {
		return nil, errors.New("euiccChallengeMismatch")
	}
	id, server, host := find(t, signed, 0x80), find(t, signed, 0x84), find(t, signed, 0x83)
	switch e.wrong {
	case "transaction":
		id = flip(id)
	case "challenge":
		server = flip(server)
	case "address":
		host = append(host, '0')
	}
	device := wire.TLV(0xA1, wire.TLV(0x80, []byte{0x53, 0x76, 0x14, 0x80}), wire.TLV(0xA1, wire.TLV(0x80, []byte{9, 0, 0})),
		wire.TLV(0x82, []byte{0x53, 0x76, 0x14, 0x80, 0x21, 0x43, 0x65, 0x7F}))
	params := wire.TLV(0xA0, wire.TLV(0x80, []byte(matchingID.Reveal())), device)
	if matchingID == "" {
		params = wire.TLV(0xA0, device)
	}
	signed1 := wire.TLV(0x30, wire.TLV(0x80, id), wire.TLV(0x83, host), wire.TLV(0x84, server), e.info2(), params)
	return wire.TLV(0xBF38, wire.TLV(0xA0, signed1, e.sign(t, signed1), e.Cert.Raw, e.EUM.Raw)), nil
}

func (e *euicc) prepareDownload(t testing.TB, r map[string][]byte, signature1 []byte, code smdpsim.ConfirmationCode) ([]byte, error) {
	t.Helper()
	cert, _, err := testpki.VerifyServer(r["smdpCertificate"], testpki.RoleDPPB, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signed, signature := parse(t, r["smdpSigned2"]), parse(t, r["smdpSignature2"])
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature.Value, signed.Raw, signature1) {
		return nil, errors.New("invalidSignature")
	}
	id := find(t, signed, 0x80)
	if !bytes.Equal(id, r["transactionId"]) {
		return nil, errors.New("invalidTransactionId")
	}
	asked, again := signed.Find(0x5F49)
	if e.otsk == nil || !again || !bytes.Equal(asked.Value, e.otsk.PublicKey().Bytes()) {
		if e.otsk, err = ecdh.P256().GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	point := e.otsk.PublicKey().Bytes()
	switch e.wrong {
	case "transaction":
		id = flip(id)
	case "otpk":
		point[64] ^= 1
	}
	parts := [][]byte{wire.TLV(0x80, id), wire.TLV(0x5F49, point)}
	if code != "" {
		inner := sha256.Sum256([]byte(code.Reveal()))
		outer := sha256.Sum256(append(inner[:], id...))
		parts = append(parts, wire.TLV(0x04, outer[:]))
	}
	signed2 := wire.TLV(0x30, parts...)
	return wire.TLV(0xBF21, wire.TLV(0xA0, signed2, e.sign(t, signed2, signature.Raw))), nil
}

type loaded struct {
	transaction, metadata, profile []byte
	replaced                       bool
}

func (e *euicc) load(t testing.TB, r map[string][]byte, pb []byte) (*loaded, error) {
	t.Helper()
	bpp := parse(t, r["boundProfilePackage"])
	if bpp.Tag != 0xBF36 {
		t.Fatalf("a package of tag %v", bpp.Tag)
	}
	channel, err := bpp.Need(0xBF23)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := testpki.VerifyServer(pb, testpki.RoleDPPB, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signature := find(t, channel, 0x5F37)
	covered := channel.Value[:len(channel.Value)-len(wire.TLV(0x5F37, signature))]
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature, covered, wire.TLV(0x5F49, e.otsk.PublicKey().Bytes())) {
		return nil, errors.New("invalidSignature")
	}
	template, err := channel.Need(0xA6)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := bsp.ParseCRT(template)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bsp.Agree(e.otsk, find(t, channel, 0x5F49), crt, e.EID.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out := &loaded{transaction: find(t, channel, 0x80)}
	s := bsp.New(keys)
	if configure, err := open(bpp, 0xA0, s.Open); err != nil || !bytes.Equal(configure, []byte{0xBF, 0x24, 0x00}) {
		return nil, fmt.Errorf("ConfigureISDP %x: %w", configure, err)
	}
	if out.metadata, err = open(bpp, 0xA1, s.Verify); err != nil {
		return nil, err
	}
	if replace, err := open(bpp, 0xA2, s.Open); err != nil {
		return nil, err
	} else if replace != nil {
		ppk, err := bsp.ParseReplaceRequest(replace)
		if err != nil {
			return nil, err
		}
		s.Replace(ppk)
		out.replaced = true
	}
	out.profile, err = open(bpp, 0xA3, s.Open)
	return out, err
}

func open(bpp wire.Node, seq wire.Tag, one func([]byte) ([]byte, error)) ([]byte, error) {
	n, ok := bpp.Find(seq)
	if !ok {
		return nil, nil
	}
	segments, err := n.Children()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, segment := range segments {
		if len(segment.Raw) > bsp.MaxSegment {
			return nil, fmt.Errorf("segment of %d bytes", len(segment.Raw))
		}
		plain, err := one(segment.Raw)
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
	}
	return out, nil
}

func (e *euicc) notification(event smdpsim.ProfileEvent, iccid ident.ICCID) []byte {
	e.seq++
	return wire.TLV(0xBF2F, wire.Integer(0x80, e.seq), wire.BitString(0x81, int(event)), wire.TLV(0x0C, []byte(address)), wire.TLV(0x5A, iccid.Bytes()))
}

func (e *euicc) result(t testing.TB, transaction []byte, iccid ident.ICCID, oid string, reason int64) []byte {
	t.Helper()
	final := wire.TLV(0xA0, wire.TLV(0x4F, append(bytes.Clone(wire.AIDISDR[:14]), 0x11, 0x00)), wire.TLV(0x04, []byte{0x30, 0x00}))
	if reason != 0 {
		final = wire.TLV(0xA1, wire.Integer(0x80, 5), wire.Integer(0x81, reason))
	} else {
		e.installed, e.otsk = iccid, nil
	}
	signed := wire.TLV(0xBF27, wire.TLV(0x80, transaction), e.notification(smdpsim.EventInstall, iccid), e.oid(t, 0x06, oid), wire.TLV(0xA2, final))
	return wire.TLV(0xBF37, signed, e.sign(t, signed))
}

func (e *euicc) oid(t testing.TB, tag wire.Tag, dotted string) []byte {
	t.Helper()
	if e.wrong == "oid" {
		dotted += ".1"
	}
	b, err := wire.OID(tag, dotted)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (e *euicc) event(t testing.TB, event smdpsim.ProfileEvent, iccid ident.ICCID) []byte {
	t.Helper()
	tbs := e.notification(event, iccid)
	return wire.TLV(0x30, tbs, e.sign(t, tbs), e.Cert.Raw, e.EUM.Raw)
}

func (e *euicc) cancelSession(t testing.TB, transaction []byte, oid string, reason smdpsim.CancelReason) []byte {
	t.Helper()
	if e.wrong == "transaction" {
		transaction = flip(transaction)
	}
	signed := wire.TLV(0x30, wire.TLV(0x80, transaction), e.oid(t, 0x81, oid), wire.Integer(0x82, int64(reason)))
	return wire.TLV(0xBF41, wire.TLV(0xA0, signed, e.sign(t, signed)))
}

func parse(t testing.TB, b []byte) wire.Node {
	t.Helper()
	n, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func find(t testing.TB, n wire.Node, path ...wire.Tag) []byte {
	t.Helper()
	found, err := n.Need(path...)
	if err != nil {
		t.Fatal(err)
	}
	return found.Value
}

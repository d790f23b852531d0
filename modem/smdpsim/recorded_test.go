package smdpsim

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// vector reads a file of the independent test vectors that lie beside the
// project, or skips.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("independent test vectors are not here: %v", err)
	}
	return b
}

// recorded is a server with the keys and in the place of the SM-DP+ library
// that made the recorded session.
func recorded(t *testing.T) *Server {
	t.Helper()
	vector(t, "sgp26/ci.der")
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	pki, err := testpki.LoadServer(filepath.Join(dir, "sgp26"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Address: "smdp.example.com", PKI: pki})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func node(t *testing.T, b []byte) wire.Node {
	t.Helper()
	n, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func value(t *testing.T, n wire.Node, path ...wire.Tag) wire.Node {
	t.Helper()
	found, err := n.Need(path...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The recorded session of an independent SM-DP+ library, message for message:
// what it signed is what this server signs, what its eUICC answered is
// accepted here, and its bound package is what this server makes.
func TestRecordedSession(t *testing.T) {
	s := recorded(t)
	transaction := vector(t, "session/transaction-id.bin")
	challenge := vector(t, "session/server-challenge.bin")
	euiccChallenge := vector(t, "session/euicc-challenge.bin")

	initiated := node(t, vector(t, "session/initiate-response.der"))
	if got := s.serverSigned1(transaction, euiccChallenge, challenge); !bytes.Equal(got, value(t, initiated, 0x30).Raw) {
		t.Errorf("serverSigned1 is %x", got)
	}
	if !testpki.Verify(s.cfg.PKI.Auth.PublicKey(), value(t, initiated, 0x5F37).Value, value(t, initiated, 0x30).Raw) {
		t.Error("its serverSignature1 is not under our DPauth key")
	}
	if got := wire.TLV(0x04, s.cis[0].SubjectKeyId); !bytes.Equal(got, value(t, initiated, 0x04).Raw) {
		t.Errorf("euiccCiPKIdToBeUsed is %x", got)
	}

	sess := &session{ID: hexUpper(transaction), Challenge: challenge, Stage: stageInitiated, At: time.Now()}
	ok := value(t, node(t, vector(t, "session/auth-server-response.der")), 0xA0)
	card, err := s.authenticated(ok, sess)
	if err != nil {
		t.Fatalf("its eUICC is refused: %v", err)
	}
	if card.chain.EID != "89049032123451234512345678901235" || card.matchingID != "" {
		t.Errorf("EID %s", card.chain.EID)
	}

	offered := value(t, node(t, vector(t, "session/authenticate-response.der")), 0xA0)
	signed2 := wire.TLV(0x30, wire.TLV(0x80, transaction), wire.TLV(0x01, []byte{0x00}))
	if !bytes.Equal(signed2, value(t, offered, 0x30).Raw) {
		t.Errorf("smdpSigned2 is %x", signed2)
	}
	signature2 := value(t, offered, 0x5F37)
	if !testpki.Verify(s.cfg.PKI.PB.PublicKey(), signature2.Value, signed2, card.signature1) {
		t.Error("its smdpSignature2 does not cover what ours covers")
	}

	if sess.Key, err = point(card.chain); err != nil {
		t.Fatal(err)
	}
	sess.EID, sess.Signature2, sess.Stage = card.chain.EID, signature2.Raw, stageAuthenticated
	signed, err := s.prepared(node(t, vector(t, "session/prepare-download-response.der")), sess)
	if err != nil {
		t.Fatalf("its PrepareDownloadResponse is refused: %v", err)
	}

	theirs := node(t, vector(t, "session/bound-profile-package.der"))
	own, err := ecdh.P256().NewPrivateKey(vector(t, "session/otsk-dp.bin"))
	if err != nil {
		t.Fatal(err)
	}
	b := &binding{
		transaction: transaction, own: own, peer: value(t, signed, 0x5F49).Value, eid: sess.EID,
		host:     value(t, theirs, 0xBF23, 0xA6, 0x84).Value,
		metadata: vector(t, "session/store-metadata.der"), profile: vector(t, "session/upp.der"),
		sign: func(parts ...[]byte) ([]byte, error) {
			signature := value(t, theirs, 0xBF23, 0x5F37).Value
			if !testpki.Verify(s.cfg.PKI.PB.PublicKey(), signature, parts...) {
				t.Error("its signature of InitialiseSecureChannel does not cover what ours covers")
			}
			return signature, nil
		},
	}
	if got, err := b.bytes(); err != nil || !bytes.Equal(got, theirs.Raw) {
		t.Errorf("the bound profile package is %x, %v", got, err)
	}

	result := node(t, vector(t, "session/pending-notification.der"))
	if !sess.verify(value(t, result, 0x5F37).Value, value(t, result, 0xBF27).Raw) {
		t.Error("its installation result is refused")
	}
	rec, err := receipt(&call{}, value(t, result, 0xBF27, 0xBF2F))
	if err != nil || rec.Seq != 1 || rec.Event != EventInstall || rec.ICCID != "89000123456789012341" {
		t.Errorf("%+v, %v", rec, err)
	}
	// The fixture names 2.999, its certificates 2.999.10: such a result is refused.
	if err := s.ownOID(value(t, result, 0xBF27), 0x06); err != statusOID {
		t.Error(err)
	}
}

func hexUpper(b []byte) string {
	return string(bytes.ToUpper([]byte(hex.EncodeToString(b))))
}

func BenchmarkBind(b *testing.B) {
	profile, err := GenericProfile("8988211000000123458", "001010123456789", "bench", 0)
	if err != nil {
		b.Fatal(err)
	}
	ca, err := testpki.New([]byte("bench"))
	if err != nil {
		b.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		b.Fatal(err)
	}
	own, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		b.Fatal(err)
	}
	peer, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		b.Fatal(err)
	}
	in := &binding{
		transaction: make([]byte, 16), own: own, peer: peer.PublicKey().Bytes(), eid: "89049032123451234512345678901235", host: hostID,
		metadata: storeMetadata("8988211000000123458", Metadata{}, "x"), profile: profile,
		sign: func(parts ...[]byte) ([]byte, error) { return testpki.Sign(pki.PB.Key, parts...) },
	}
	b.SetBytes(int64(len(profile)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := in.bytes(); err != nil {
			b.Fatal(err)
		}
	}
}

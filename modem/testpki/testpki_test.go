package testpki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"linefit/modem/ident"
	"linefit/modem/testpki"
)

const testEID = "89049032123451234512345678901235"

func authority(t testing.TB, seed string) *testpki.Authority {
	t.Helper()
	a, err := testpki.New([]byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func at(year int) time.Time { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC) }

func TestSameSeedSameCertificates(t *testing.T) {
	a, b, c := authority(t, "one"), authority(t, "one"), authority(t, "two")
	if !bytes.Equal(a.CI.Cert.Raw, b.CI.Cert.Raw) || !bytes.Equal(a.EUM.Cert.Raw, b.EUM.Cert.Raw) {
		t.Error("one seed made two authorities")
	}
	if bytes.Equal(a.CI.Cert.Raw, c.CI.Cert.Raw) {
		t.Error("two seeds made one authority")
	}
	random := authority(t, "")
	text, err := random.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back testpki.Authority
	if err := back.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	one, err1 := random.Card(testEID)
	two, err2 := back.Card(testEID)
	if err1 != nil || err2 != nil || !bytes.Equal(one.Cert.Raw, two.Cert.Raw) || !one.Key.Equal(two.Key) {
		t.Errorf("a stored authority came back different: %v, %v", err1, err2)
	}
	if err := back.UnmarshalText([]byte("00")); !errors.Is(err, testpki.ErrSeed) {
		t.Errorf("short seed: %v", err)
	}
}

func TestCardChain(t *testing.T) {
	a := authority(t, "chain")
	rapid.Check(t, func(t *rapid.T) {
		eid, err := ident.EIDWithCheck(testpki.EUMPrefix + rapid.StringMatching(`[0-9]{22}`).Draw(t, "eid"))
		if err != nil {
			t.Fatal(err)
		}
		card, err := a.Card(eid)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := testpki.VerifyCard(card.Cert.Raw, card.EUM.Raw, card.CIs, at(2000))
		if err != nil || chain.EID != eid || !card.Key.PublicKey.Equal(chain.CardKey) {
			t.Fatalf("%+v, %v", chain, err)
		}
		for _, c := range []*x509.Certificate{card.Cert, card.EUM} {
			if len(c.AuthorityKeyId) == 0 || len(c.SubjectKeyId) == 0 || c.NotBefore.Year() > 1999 {
				t.Fatalf("%s: key identifiers %X, %X from %v", c.Subject, c.AuthorityKeyId, c.SubjectKeyId, c.NotBefore)
			}
		}
	})
	if _, err := a.Card("89999999123451234512345678901235"); err == nil {
		t.Error("an EID outside the EUM's range was issued")
	}
}

func TestCardDefects(t *testing.T) {
	a := authority(t, "defects")
	for _, c := range []struct {
		role   testpki.Role
		defect testpki.Defect
		err    error
	}{
		{testpki.RoleEUICC, testpki.DefectNone, nil},
		{testpki.RoleEUICC, testpki.DefectExpired, testpki.ErrValidity},
		{testpki.RoleEUICC, testpki.DefectNotYetValid, testpki.ErrValidity},
		{testpki.RoleEUICC, testpki.DefectPolicy, testpki.ErrPolicy},
		{testpki.RoleEUICC, testpki.DefectUsage, testpki.ErrUsage},
		{testpki.RoleEUICC, testpki.DefectCurve, testpki.ErrCurve},
		{testpki.RoleEUICC, testpki.DefectSignature, testpki.ErrSignature},
		{testpki.RoleEUICC, testpki.DefectCI, testpki.ErrSignature},
		{testpki.RoleEUICC, testpki.DefectConstraint, testpki.ErrConstraint},
		{testpki.RoleEUM, testpki.DefectNone, nil},
		{testpki.RoleEUM, testpki.DefectExpired, testpki.ErrValidity},
		{testpki.RoleEUM, testpki.DefectPolicy, testpki.ErrPolicy},
		{testpki.RoleEUM, testpki.DefectUsage, testpki.ErrUsage},
		{testpki.RoleEUM, testpki.DefectCurve, testpki.ErrCurve},
		{testpki.RoleEUM, testpki.DefectCI, testpki.ErrSignature},
		{testpki.RoleEUM, testpki.DefectSignature, testpki.ErrSignature},
		{testpki.RoleEUM, testpki.DefectConstraint, testpki.ErrConstraint},
	} {
		card, err := a.CardWith(testEID, c.role, c.defect)
		if err != nil {
			t.Errorf("%v %v: %v", c.role, c.defect, err)
			continue
		}
		_, err = testpki.VerifyCard(card.Cert.Raw, card.EUM.Raw, card.CIs, at(2030))
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%v %v: %v, want %v", c.role, c.defect, err, c.err)
		}
	}
	card, err := a.CardWith(testEID, testpki.RoleEUICC, testpki.DefectSubjectEID)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := testpki.VerifyCard(card.Cert.Raw, card.EUM.Raw, card.CIs, at(2030))
	if err != nil || chain.EID == testEID {
		t.Errorf("another EID: %v", err)
	}
	stranger := authority(t, "stranger")
	if _, err := testpki.VerifyCard(card.Cert.Raw, card.EUM.Raw, stranger.CardMaker().CIs, at(2030)); !errors.Is(err, testpki.ErrUnknownCI) {
		t.Errorf("another root: %v", err)
	}
}

func TestServerDefects(t *testing.T) {
	a := authority(t, "server")
	for _, c := range []struct {
		defect testpki.Defect
		clock  time.Time
		err    error
	}{
		{testpki.DefectNone, at(2030), nil},
		{testpki.DefectExpired, at(2030), testpki.ErrValidity},
		{testpki.DefectExpired, time.Time{}, nil},
		{testpki.DefectPolicy, at(2030), testpki.ErrPolicy},
		{testpki.DefectUsage, at(2030), testpki.ErrUsage},
		{testpki.DefectCurve, at(2030), testpki.ErrCurve},
		{testpki.DefectCI, at(2030), testpki.ErrSignature},
		{testpki.DefectSignature, at(2030), testpki.ErrSignature},
		{testpki.DefectRegisteredID, at(2030), nil},
	} {
		for _, role := range []testpki.Role{testpki.RoleDPAuth, testpki.RoleDPPB} {
			s, err := a.ServerWith(role, c.defect)
			if err != nil {
				t.Fatal(err)
			}
			bad := s.Auth
			if role == testpki.RoleDPPB {
				bad = s.PB
			}
			_, _, err = testpki.VerifyServer(bad.Cert.Raw, role, a.CardMaker().CIs, c.clock)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("%v %v: %v, want %v", role, c.defect, err, c.err)
			}
		}
	}
	s, err := a.ServerWith(testpki.RoleDPPB, testpki.DefectRegisteredID)
	if err != nil || s.OID() != testpki.DPOID || testpki.RegisteredID(s.PB.Cert) == testpki.DPOID {
		t.Errorf("registeredID %q and %q, %v", s.OID(), testpki.RegisteredID(s.PB.Cert), err)
	}
	if _, _, err := testpki.VerifyServer(s.Auth.Cert.Raw, testpki.RoleDPPB, a.CardMaker().CIs, at(2030)); !errors.Is(err, testpki.ErrPolicy) {
		t.Errorf("CERT.DPauth as CERT.DPpb: %v", err)
	}
}

func TestTLSIsAcceptedByTheStandardLibrary(t *testing.T) {
	s, err := authority(t, "tls").Server()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := s.TLS("smdp.example.com", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"smdp.example.com", "127.0.0.1", "other.example.com"} {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() {
			err := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			done <- errors.Join(err, server.Close())
		}()
		err := tls.Client(client, &tls.Config{ServerName: name, RootCAs: s.Pool()}).Handshake()
		if e := client.Close(); e != nil {
			t.Error(e)
		}
		if e := <-done; err == nil && e != nil {
			t.Errorf("%s: server: %v", name, e)
		}
		if (err == nil) != (name != "other.example.com") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if testpki.RegisteredID(cert.Leaf) != testpki.DPOID {
		t.Errorf("registeredID %q", testpki.RegisteredID(cert.Leaf))
	}
}

func TestSignatures(t *testing.T) {
	a := authority(t, "sign")
	sig, err := testpki.Sign(a.EUM.Key, []byte("one"), []byte("two"))
	if err != nil || len(sig) != testpki.SignatureSize {
		t.Fatalf("%d bytes, %v", len(sig), err)
	}
	if !testpki.Verify(a.EUM.PublicKey(), sig, []byte("onetwo")) {
		t.Error("a good signature was refused")
	}
	sig[5] ^= 0x10
	if testpki.Verify(a.EUM.PublicKey(), sig, []byte("onetwo")) || testpki.Verify(nil, sig) || testpki.Verify(a.EUM.PublicKey(), sig[1:]) {
		t.Error("a bad signature was accepted")
	}
}

func FuzzVerify(f *testing.F) {
	a := authority(f, "fuzz")
	card, err := a.Card(testEID)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(card.Cert.Raw, card.EUM.Raw)
	f.Fuzz(func(t *testing.T, leaf, eum []byte) {
		chain, err := testpki.VerifyCard(leaf, eum, card.CIs, time.Time{})
		if err == nil && (!bytes.Equal(chain.EUICC.RawTBSCertificate, card.Cert.RawTBSCertificate) || !bytes.Equal(chain.EUM.RawTBSCertificate, card.EUM.RawTBSCertificate)) {
			t.Fatalf("accepted %s without the authority's key", chain.EID)
		}
		_, _, _ = testpki.VerifyServer(leaf, testpki.RoleDPAuth, card.CIs, time.Time{})
	})
}

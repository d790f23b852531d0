package testpki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"linefit/modem/testpki"
)

func vectors(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("independent test vectors are not there: %v", err)
	}
	return dir
}

func TestPublishedSGP26Set(t *testing.T) {
	dir := filepath.Join(vectors(t), "sgp26")
	m, err := testpki.LoadCard(dir)
	if err != nil {
		t.Fatal(err)
	}
	if m.Given.EID != testEID || m.CanMint() || m.Prefix() != "89049032" || len(m.CIs) != 2 {
		t.Errorf("EID %s, mint %v, prefix %q, %d roots", m.Given.EID, m.CanMint(), m.Prefix(), len(m.CIs))
	}
	if _, err := m.Card("89049032000000000000000000000077"); !errors.Is(err, testpki.ErrNoEUMKey) {
		t.Errorf("another card without the EUM's key: %v", err)
	}
	s, err := testpki.LoadServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.OID() != "2.999.10" {
		t.Errorf("OID %s", s.OID())
	}
	cert, err := s.TLS()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: "127.0.0.1", Roots: s.Pool(), CurrentTime: at(2027)}); err != nil {
		t.Error(err)
	}
}

func TestFoldersReportAllMistakesAtOnce(t *testing.T) {
	a := authority(t, "folders")
	dir := t.TempDir()
	card, err := a.Card(testEID)
	if err != nil {
		t.Fatal(err)
	}
	other, err := a.Card("89049032000000000000000000000077")
	if err == nil {
		t.Fatal("a wrong check digit was accepted")
	}
	_ = other
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = testpki.LoadCard(dir)
	for _, name := range []string{"ci.der", "eum.der", "euicc.der", "euicc-key.pem"} {
		if !mentions(err, filepath.Join(dir, name)) {
			t.Errorf("empty folder: %s is not named: %v", name, err)
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write("ci.der", a.CI.Cert.Raw)
	write("eum.der", []byte("nonsense"))
	write("euicc.der", card.Cert.Raw)
	eum, _ := a.EUM.Key.Bytes()
	write("euicc.d.hex", []byte(hex.EncodeToString(eum)))
	_, err = testpki.LoadCard(dir)
	if !mentions(err, filepath.Join(dir, "eum.der")) || !mentions(err, filepath.Join(dir, "euicc.d.hex")) || !errors.Is(err, testpki.ErrCertificate) {
		t.Errorf("wrong files: %v", err)
	}
	write("eum.der", a.EUM.Cert.Raw)
	d, _ := card.Key.Bytes()
	write("euicc.d.hex", []byte(hex.EncodeToString(d)+"\n"))
	write("eum.d.hex", []byte(hex.EncodeToString(eum)))
	m, err := testpki.LoadCard(dir)
	if err != nil || !m.CanMint() || m.Given.EID != testEID {
		t.Fatal(err)
	}
}

func mentions(err error, file string) bool {
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, e := range list.Unwrap() {
		var f *testpki.FileError
		if errors.As(e, &f) && f.File == file {
			return true
		}
	}
	return false
}

func TestBrainpoolIsRefusedByName(t *testing.T) {
	// A P-256 certificate whose curve identifier is replaced by brainpoolP256r1.
	der := authority(t, "brainpool").CI.Cert.Raw
	p256, _ := hex.DecodeString("06082A8648CE3D030107")
	i := bytes.Index(der, p256)
	if i < 0 {
		t.Fatal("no curve identifier")
	}
	// Both identifiers differ in length: shorten the outer lengths by rewriting
	// only the inner element is enough for the reader to fail and to name it.
	bad := bytes.Replace(der, p256, append([]byte{0x06, 0x09}, []byte{0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07}...), 1)
	if _, err := testpki.ParseCertificate(bad); !errors.Is(err, testpki.ErrCurve) {
		t.Errorf("%v", err)
	}
	if _, err := testpki.ParseCertificate([]byte{0x30, 0x00}); !errors.Is(err, testpki.ErrCertificate) {
		t.Errorf("%v", err)
	}
}

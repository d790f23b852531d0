package testpki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// ErrNoCIKey is the error of minting a TLS certificate without the CI's private key.
var ErrNoCIKey = errors.New("a TLS certificate needs the CI's private key (ci-key.pem or ci.d.hex)")

// Server is what an SM-DP+ holds (SGP.22 section 2.6.6).
type Server struct {
	CI   Pair // Key is nil when no TLS certificate can be minted
	Auth Pair // CERT.DPauth.ECDSA
	PB   Pair // CERT.DPpb.ECDSA

	tlsSecret []byte
	tlsDefect Defect
}

// OID is the SM-DP+'s object identifier in dotted form.
func (s *Server) OID() string { return RegisteredID(s.Auth.Cert) }

// RootPEM is the CI certificate for a TLS client's trust store.
func (s *Server) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.CI.Cert.Raw})
}

// TLS mints CERT.DP.TLS for hosts (names or IP addresses; none: localhost and
// the loopback addresses) under the CI. The key is the same at every call.
func (s *Server) TLS(hosts ...string) (tls.Certificate, error) {
	if s.CI.Key == nil {
		return tls.Certificate{}, ErrNoCIKey
	}
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	secret := s.tlsSecret
	if secret == nil {
		var err error
		if secret, err = s.CI.Key.Bytes(); err != nil {
			return tls.Certificate{}, err
		}
	}
	key, err := deriveKey(secret, "tls")
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := defective(request{
		role: RoleDPTLS, key: &key.PublicKey, issuer: s.CI.Cert, signer: s.CI.Key,
		name: "linefit Test SM-DP+ TLS", oid: s.OID(), hosts: hosts,
	}, s.tlsDefect)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

// Pool is the CI as a trust store for a TLS client.
func (s *Server) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.CI.Cert)
	return p
}

// PublicKey is the pair's public key.
func (p Pair) PublicKey() *ecdsa.PublicKey { return Key(p.Cert.PublicKey) }

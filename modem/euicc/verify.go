package euicc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"linefit/modem/wire"
)

// Errors of the checks below; compare with errors.Is.
var (
	ErrSignature   = errors.New("signature does not verify")
	ErrCertificate = errors.New("certificate cannot be used")
	ErrChain       = errors.New("certificate chain does not verify")
)

// ParseCertificate reads a DER certificate with a key on NIST P-256. Brainpool
// and other curves are refused with [ErrCertificate]: the standard library,
// and so this program, does not have them.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if _, err := publicKey(cert); err != nil {
		return nil, err
	}
	return cert, nil
}

// CertificateEID is the EID that an eUICC's certificate names (the serial
// number of its subject, SGP.22 section 4.5.2.1), whatever its curve.
func CertificateEID(der []byte) (string, error) {
	cert, err := wire.ParseTag(der, 0x30)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	tbs, ok := cert.Find(0x30)
	if !ok {
		return "", fmt.Errorf("%w: it has no content", ErrCertificate)
	}
	parts, err := tbs.Children() // [version], serial number, algorithm, issuer, validity, subject, ...
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if len(parts) > 0 && parts[0].Tag == 0xA0 {
		parts = parts[1:]
	}
	if len(parts) > 4 {
		if serials := serialNumbers(parts[4]); len(serials) == 1 {
			return serials[0], nil
		}
	}
	return "", fmt.Errorf("%w: its subject has no serial number", ErrCertificate)
}

// serialNumbers are the values of attribute 2.5.4.5 in a Name.
func serialNumbers(name wire.Node) []string {
	var out []string
	sets, _ := name.Children()
	for _, set := range sets {
		attribute, ok := set.Find(0x30)
		if !ok {
			continue
		}
		parts, err := attribute.Children()
		if err == nil && len(parts) == 2 && bytes.Equal(parts[0].Value, []byte{0x55, 0x04, 0x05}) {
			out = append(out, string(parts[1].Value))
		}
	}
	return out
}

func publicKey(cert *x509.Certificate) (*ecdsa.PublicKey, error) {
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: its key is not on NIST P-256", ErrCertificate)
	}
	return key, nil
}

// VerifySignature checks an ECDSA signature of 64 bytes, r and s, over SHA-256
// of data (SGP.22 section 2.6.7.2, BSI TR-03111).
func VerifySignature(cert *x509.Certificate, data, signature []byte) error {
	key, err := publicKey(cert)
	if err != nil {
		return err
	}
	if len(signature) != 64 {
		return fmt.Errorf("%w: %d bytes, not 64", ErrSignature, len(signature))
	}
	digest := sha256.Sum256(data)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return ErrSignature
	}
	return nil
}

// Verify checks the result's signature with the eUICC's certificate.
func (r *InstallationResult) Verify(cert *x509.Certificate) error {
	return VerifySignature(cert, r.Data, r.Signature)
}

// Verify checks the notification's signature with the certificate it carries
// and returns that certificate; whose it is, [VerifyChain] tells.
func (s *SignedNotification) Verify() (*x509.Certificate, error) {
	cert, err := ParseCertificate(s.Certificate)
	if err != nil {
		return nil, err
	}
	return cert, VerifySignature(cert, s.Data, s.Signature)
}

// Verify checks the eUICC's signature in an authentication and its certificate
// chain ([VerifyChain]). It returns the eUICC's certificate.
func (a Authentication) Verify(issuers []*x509.Certificate, eid []byte, at time.Time) (*x509.Certificate, error) {
	cert, err := ParseCertificate(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("eUICC: %w", err)
	}
	if err := VerifySignature(cert, a.Signed1, a.Signature); err != nil {
		return nil, fmt.Errorf("euiccSignature1: %w", err)
	}
	eum, err := ParseCertificate(a.EUM)
	if err != nil {
		return nil, fmt.Errorf("EUM: %w", err)
	}
	return cert, VerifyChain(cert, eum, issuers, eid, at)
}

// VerifyChain checks that the eUICC's certificate is signed by its maker's
// (EUM), names eid where eid is not empty, and lies within the EID prefixes
// that the EUM may use; and, where issuers are given, that one of them signed
// the EUM's. A zero time leaves validity periods unchecked.
func VerifyChain(cert, eum *x509.Certificate, issuers []*x509.Certificate, eid []byte, at time.Time) error {
	if err := cert.CheckSignatureFrom(eum); err != nil {
		return fmt.Errorf("%w: eUICC by EUM: %w", ErrChain, err)
	}
	named := cert.Subject.SerialNumber
	if len(eid) > 0 && fmt.Sprintf("%x", eid) != named {
		return fmt.Errorf("%w: certificate is for another EID", ErrChain)
	}
	if err := checkPrefix(eum, named); err != nil {
		return err
	}
	for _, c := range []*x509.Certificate{cert, eum} {
		if !at.IsZero() && (at.Before(c.NotBefore) || at.After(c.NotAfter)) {
			return fmt.Errorf("%w: certificate of %q is not valid at %s", ErrChain, c.Subject.CommonName, at.UTC().Format(time.RFC3339))
		}
	}
	if len(issuers) == 0 {
		return nil
	}
	for _, issuer := range issuers {
		if bytes.Equal(issuer.SubjectKeyId, eum.AuthorityKeyId) && eum.CheckSignatureFrom(issuer) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: EUM by none of %d issuers", ErrChain, len(issuers))
}

var (
	oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPermittedEINs   = asn1.ObjectIdentifier{2, 23, 146, 1, 2, 2, 0}
)

// checkPrefix holds an EID against the prefixes that an EUM certificate permits:
// by name constraints on the serial number (SGP.22 v2) or by permitted EINs
// (v3). A certificate with neither permits nothing that can be checked.
func checkPrefix(eum *x509.Certificate, eid string) error {
	var prefixes []string
	for _, ext := range eum.Extensions {
		switch {
		case ext.Id.Equal(oidNameConstraints):
			prefixes = append(prefixes, constrainedSerials(ext.Value)...)
		case ext.Id.Equal(oidPermittedEINs):
			if n, err := wire.ParseTag(ext.Value, 0x30); err == nil {
				children, _ := n.Children()
				for _, child := range children {
					prefixes = append(prefixes, string(child.Value))
				}
			}
		}
	}
	if len(prefixes) == 0 {
		return fmt.Errorf("%w: EUM certificate names no EID prefix", ErrChain)
	}
	for _, p := range prefixes {
		if p != "" && strings.HasPrefix(eid, p) {
			return nil
		}
	}
	return fmt.Errorf("%w: EID is outside the EUM's prefixes", ErrChain)
}

// constrainedSerials walks permittedSubtrees / directoryName / serialNumber.
func constrainedSerials(ext []byte) []string {
	constraints, err := wire.ParseTag(ext, 0x30)
	if err != nil {
		return nil
	}
	permitted, ok := constraints.Find(0xA0)
	if !ok {
		return nil
	}
	var serials []string
	subtrees, _ := permitted.Children()
	for _, subtree := range subtrees {
		name, ok := subtree.Find(0xA4, 0x30)
		if !ok {
			continue
		}
		serials = append(serials, serialNumbers(name)...)
	}
	return serials
}

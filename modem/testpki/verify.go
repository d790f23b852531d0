package testpki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/modem/ident"
)

// Reasons for which a certificate is refused. Errors of this package's checks
// wrap exactly one of them.
var (
	ErrCertificate = errors.New("not a readable X.509 certificate")
	ErrCurve       = errors.New("the key is on a curve that is not supported")
	ErrUnknownCI   = errors.New("no trusted root has this key identifier")
	ErrSignature   = errors.New("the signature is not the issuer's")
	ErrValidity    = errors.New("outside its validity period")
	ErrPolicy      = errors.New("the policy identifier is not the role's")
	ErrUsage       = errors.New("the key usage does not allow the role's work")
	ErrConstraint  = errors.New("outside the issuer's name constraint")
	ErrCritical    = errors.New("a critical extension is not understood")
	ErrSubject     = errors.New("the subject is not the one that was claimed")
)

// curves names the curves that eUICCs use and Go's standard library does not.
var curves = map[string]asn1.ObjectIdentifier{
	"brainpoolP256r1": {1, 3, 36, 3, 3, 2, 8, 1, 1, 7},
	"FRP256V1":        {1, 2, 250, 1, 223, 101, 256, 1},
}

// ParseCertificate reads one DER certificate. Of the curves of SGP.22 section
// 2.6.5 only P-256 is supported; the others are refused by name with [ErrCurve].
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		for name, oid := range curves {
			if enc, e := asn1.Marshal(oid); e == nil && bytes.Contains(der, enc) {
				return nil, fmt.Errorf("%w: %s (P-256 is)", ErrCurve, name)
			}
		}
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if k := Key(cert.PublicKey); k == nil || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: P-256 is", ErrCurve)
	}
	return cert, nil
}

// VerifyServer checks the certificate of an SM-DP+ for a role against the
// trusted roots and returns it with the root that it hangs from. now is the
// time of the check; a zero now leaves the validity period out, as an eUICC
// without a clock does.
func VerifyServer(der []byte, role Role, cis []*x509.Certificate, now time.Time) (cert, ci *x509.Certificate, err error) {
	if cert, err = ParseCertificate(der); err != nil {
		return nil, nil, fmt.Errorf("CERT.%v: %w", role, err)
	}
	if ci, err = root(cert, cis, now); err != nil {
		return nil, nil, fmt.Errorf("CERT.%v: %w", role, err)
	}
	if err = check(cert, role, ci, now); err != nil {
		return nil, nil, fmt.Errorf("CERT.%v: %w", role, err)
	}
	if role == RoleDPAuth || role == RoleDPPB {
		if RegisteredID(cert) == "" {
			return nil, nil, fmt.Errorf("CERT.%v: %w: no registeredID in the subjectAltName", role, ErrSubject)
		}
	}
	return cert, ci, nil
}

// Chain is a verified eUICC.
type Chain struct {
	EID      ident.EID
	EUICC    *x509.Certificate
	EUM      *x509.Certificate
	CI       *x509.Certificate
	CardKey  *ecdsa.PublicKey
	EUMName  string // organization of the EUM
	Prefixes []string
}

// VerifyCard checks CERT.EUICC and CERT.EUM against the trusted roots: SGP.22
// section 4.5.2.2. A zero now leaves the validity periods out.
func VerifyCard(euicc, eum []byte, cis []*x509.Certificate, now time.Time) (*Chain, error) {
	c := &Chain{}
	var err error
	if c.EUM, err = ParseCertificate(eum); err != nil {
		return nil, fmt.Errorf("CERT.EUM: %w", err)
	}
	if c.CI, err = root(c.EUM, cis, now); err != nil {
		return nil, fmt.Errorf("CERT.EUM: %w", err)
	}
	if err = check(c.EUM, RoleEUM, c.CI, now); err != nil {
		return nil, fmt.Errorf("CERT.EUM: %w", err)
	}
	if c.EUICC, err = ParseCertificate(euicc); err != nil {
		return nil, fmt.Errorf("CERT.EUICC: %w", err)
	}
	if err = check(c.EUICC, RoleEUICC, c.EUM, now); err != nil {
		return nil, fmt.Errorf("CERT.EUICC: %w", err)
	}
	if c.EID, err = ident.ParseEID(c.EUICC.Subject.SerialNumber); err != nil {
		return nil, fmt.Errorf("CERT.EUICC: %w: %w", ErrSubject, err)
	}
	if err = constrained(c.EUICC, c.EUM); err != nil {
		return nil, fmt.Errorf("CERT.EUICC: %w", err)
	}
	c.CardKey = Key(c.EUICC.PublicKey)
	if org := c.EUM.Subject.Organization; len(org) > 0 {
		c.EUMName = org[0]
	}
	for _, t := range permitted(c.EUM) {
		c.Prefixes = append(c.Prefixes, t.serial)
	}
	return c, nil
}

// root finds the trusted root that a certificate names by key identifier. Two
// roots may share a key (a renewed CI); the one whose name matches is taken,
// and where none matches, any: the key is what SGP.22 trusts.
func root(cert *x509.Certificate, cis []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	var found *x509.Certificate
	for _, ci := range cis {
		if len(cert.AuthorityKeyId) == 0 || !bytes.Equal(ci.SubjectKeyId, cert.AuthorityKeyId) {
			continue
		}
		if found == nil || bytes.Equal(ci.RawSubject, cert.RawIssuer) {
			found = ci
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %X", ErrUnknownCI, cert.AuthorityKeyId)
	}
	if err := check(found, RoleCI, found, now); err != nil {
		return nil, fmt.Errorf("CERT.CI: %w", err)
	}
	return found, nil
}

// check is everything about one certificate but its place in the tree.
func check(cert *x509.Certificate, role Role, issuer *x509.Certificate, now time.Time) error {
	if err := issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return ErrSignature
	}
	if !now.IsZero() && (now.Before(cert.NotBefore) || now.After(cert.NotAfter)) {
		return fmt.Errorf("%w: %s to %s", ErrValidity, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	}
	if !slices.ContainsFunc(cert.PolicyIdentifiers, role.Policy().Equal) {
		return fmt.Errorf("%w: %v, not %v", ErrPolicy, role.Policy(), cert.PolicyIdentifiers)
	}
	if cert.KeyUsage&role.needs() == 0 {
		return ErrUsage
	}
	if ca := role == RoleCI || role == RoleEUM; ca != cert.IsCA {
		return fmt.Errorf("%w: basicConstraints cA is %v", ErrUsage, cert.IsCA)
	}
	for _, id := range cert.UnhandledCriticalExtensions {
		if !id.Equal(oidNameConstraints) || role != RoleEUM || len(permitted(cert)) == 0 {
			return fmt.Errorf("%w: %v", ErrCritical, id)
		}
	}
	return nil
}

// subtree is one permitted directoryName of an EUM certificate.
type subtree struct{ org, serial string }

// permitted reads the name constraints of an EUM certificate.
func permitted(cert *x509.Certificate) []subtree {
	var trees []subtree
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(oidNameConstraints) {
			continue
		}
		for _, part := range sequence(ext.Value) {
			if part.Class != asn1.ClassContextSpecific || part.Tag != tagPermittedSubtrees {
				continue
			}
			for _, general := range elements(part.Bytes) {
				if t, ok := directory(general); ok {
					trees = append(trees, t)
				}
			}
		}
	}
	return trees
}

func directory(general asn1.RawValue) (subtree, bool) {
	base := elements(general.Bytes)
	if len(base) == 0 || base[0].Class != asn1.ClassContextSpecific || base[0].Tag != tagDirectoryName {
		return subtree{}, false
	}
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(base[0].Bytes, &rdns); err != nil || len(rest) != 0 {
		return subtree{}, false
	}
	var name pkix.Name
	name.FillFromRDNSequence(&rdns)
	t := subtree{serial: name.SerialNumber}
	if len(name.Organization) > 0 {
		t.org = name.Organization[0]
	}
	return t, t.org != "" || t.serial != ""
}

// constrained checks the eUICC's subject against its EUM's permitted names:
// the organization is equal and the EID starts with the permitted serialNumber
// (SGP.22 section 4.5.2.1.0.2). An EUM without such a constraint is refused.
func constrained(euicc, eum *x509.Certificate) error {
	trees := permitted(eum)
	for _, t := range trees {
		org := t.org == "" || slices.Contains(euicc.Subject.Organization, t.org)
		if org && t.serial != "" && strings.HasPrefix(euicc.Subject.SerialNumber, t.serial) {
			return nil
		}
	}
	return fmt.Errorf("%w: %v", ErrConstraint, trees)
}

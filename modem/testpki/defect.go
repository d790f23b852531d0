package testpki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"linefit/modem/ident"
)

// Defect is one thing wrong with a certificate, for negative tests.
type Defect int

// Defects.
const (
	DefectNone         Defect = iota
	DefectExpired             // ended on 1999-06-01
	DefectNotYetValid         // starts in 2098
	DefectPolicy              // the policy identifier of another role
	DefectUsage               // key usage without the role's bit
	DefectCurve               // key on P-384
	DefectCI                  // signed by another root with the same name and key identifier
	DefectSignature           // one bit of the signature flipped
	DefectConstraint          // eUICC: organization outside the EUM's name constraint; EUM: other prefix
	DefectSubjectEID          // eUICC: subject serialNumber of another EID
	DefectRegisteredID        // SM-DP+: another object identifier than its fellow's
)

// String names the defect in test output.
func (d Defect) String() string {
	names := []string{
		"none", "expired", "not yet valid", "wrong policy", "wrong usage", "other curve", "wrong CI",
		"bad signature", "outside the name constraint", "another EID", "another registeredID",
	}
	if d < 0 || int(d) >= len(names) {
		return fmt.Sprintf("defect %d", int(d))
	}
	return names[d]
}

// CardWith is an eUICC whose certificate of the given role (RoleEUICC or
// RoleEUM) has the defect.
func (a *Authority) CardWith(eid ident.EID, role Role, d Defect) (*Card, error) {
	m := a.CardMaker()
	switch role {
	case RoleEUM:
		var err error
		if m.EUM, err = a.eum(d); err != nil {
			return nil, err
		}
		return m.mint(eid, request{})
	case RoleEUICC:
		card, err := m.mint(eid, request{})
		if err != nil {
			return nil, err
		}
		card.Cert, err = defective(request{
			role: RoleEUICC, key: &card.Key.PublicKey, issuer: a.EUM.Cert, signer: a.EUM.Key,
			name: "linefit Test eUICC", eid: eid,
		}, d)
		return card, err
	}
	return nil, fmt.Errorf("an eUICC has no CERT.%v", role)
}

// ServerWith is an SM-DP+ whose certificate of the given role (RoleDPAuth,
// RoleDPPB or RoleDPTLS) has the defect.
func (a *Authority) ServerWith(role Role, d Defect) (*Server, error) {
	s := &Server{CI: a.CI, tlsSecret: a.seed}
	of := func(r Role) Defect {
		if r == role {
			return d
		}
		return DefectNone
	}
	var err error
	if s.Auth, err = a.serverPair(RoleDPAuth, of(RoleDPAuth)); err != nil {
		return nil, err
	}
	if s.PB, err = a.serverPair(RoleDPPB, of(RoleDPPB)); err != nil {
		return nil, err
	}
	s.tlsDefect = of(RoleDPTLS)
	return s, nil
}

func (a *Authority) defective(r request, d Defect) (*x509.Certificate, error) {
	return defective(r, d)
}

func defective(r request, d Defect) (*x509.Certificate, error) {
	switch d {
	case DefectExpired:
		r.from, r.to = notBefore, time.Date(1999, 6, 1, 0, 0, 0, 0, time.UTC)
	case DefectNotYetValid:
		r.from, r.to = time.Date(2098, 1, 1, 0, 0, 0, 0, time.UTC), notAfter
	case DefectPolicy:
		r.policy = Role(7).Policy()
	case DefectUsage:
		r.usage = x509.KeyUsageKeyAgreement
	case DefectCurve:
		other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			return nil, err
		}
		r.key = &other.PublicKey
	case DefectCI:
		var err error
		if r.signer, err = deriveKey(r.issuer.Raw, "impostor"); err != nil {
			return nil, err
		}
	case DefectConstraint:
		r.org, r.prefix = "someone else", "89999999"
	case DefectSubjectEID:
		var err error
		if r.eid, err = ident.EIDWithCheck(EUMPrefix + "9999999999999999999999"); err != nil {
			return nil, err
		}
	case DefectRegisteredID:
		r.oid = "2.999.11"
	}
	cert, err := issue(r)
	if err != nil || d != DefectSignature {
		return cert, err
	}
	der := slices.Clone(cert.Raw)
	der[len(der)-1] ^= 1
	return x509.ParseCertificate(der)
}

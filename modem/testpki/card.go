package testpki

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"linefit/modem/ident"
)

// ErrNoEUMKey is the error of asking for an eUICC other than the one whose
// certificate was given, without the EUM's private key.
var ErrNoEUMKey = errors.New("another eUICC needs the EUM's private key (eum-key.pem or eum.d.hex)")

// Card is what an eUICC maker puts into one eUICC (SGP.22 section 2.4.2, ECASD).
type Card struct {
	EID  ident.EID
	CIs  []*x509.Certificate // trusted roots, most wanted first
	EUM  *x509.Certificate   // CERT.EUM.ECDSA
	Cert *x509.Certificate   // CERT.EUICC.ECDSA
	Key  *ecdsa.PrivateKey   // SK.EUICC.ECDSA
}

// CardMaker makes eUICC credentials: from one given certificate, or, with the
// EUM's key, for any EID with the EUM's prefix.
type CardMaker struct {
	CIs   []*x509.Certificate
	EUM   Pair // Key is nil when only the given card can be made
	Given *Card
}

// Prefix is the EID prefix that the EUM certificate permits, "" when it names none.
func (m *CardMaker) Prefix() string {
	for _, tree := range permitted(m.EUM.Cert) {
		if tree.serial != "" {
			return tree.serial
		}
	}
	return ""
}

// CanMint reports whether other eUICCs than the given one can be made.
func (m *CardMaker) CanMint() bool { return m.EUM.Key != nil }

// Card gives the credentials of one eUICC; the same EID always gets the same
// key. An empty EID asks for the given card.
func (m *CardMaker) Card(eid ident.EID) (*Card, error) {
	if m.Given != nil && (eid == "" || eid == m.Given.EID) {
		return m.Given, nil
	}
	if !m.CanMint() {
		return nil, ErrNoEUMKey
	}
	if _, err := ident.ParseEID(string(eid)); err != nil {
		return nil, err
	}
	if p := m.Prefix(); !strings.HasPrefix(string(eid), p) {
		return nil, fmt.Errorf("EID %s: %w: the EUM may issue %s...", eid, ErrConstraint, p)
	}
	return m.mint(eid, request{})
}

// mint issues the card's certificate; r may change what it says.
func (m *CardMaker) mint(eid ident.EID, r request) (*Card, error) {
	secret, err := m.EUM.Key.Bytes()
	if err != nil {
		return nil, err
	}
	key, err := deriveKey(secret, "euicc "+string(eid))
	if err != nil {
		return nil, err
	}
	if r.key == nil {
		r.key = &key.PublicKey
	}
	if r.signer == nil {
		r.signer = m.EUM.Key
	}
	r.role, r.issuer, r.eid, r.name = RoleEUICC, m.EUM.Cert, eid, "linefit Test eUICC"
	if org := m.EUM.Cert.Subject.Organization; len(org) > 0 && r.org == "" {
		r.org = org[0]
	}
	cert, err := issue(r)
	if err != nil {
		return nil, err
	}
	return &Card{EID: eid, CIs: m.CIs, EUM: m.EUM.Cert, Cert: cert, Key: key}, nil
}

package testpki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"linefit/modem/ident"
)

const (
	// EUMPrefix is the issuer prefix of EIDs made by an [Authority]: the test
	// range that SGP.26 uses.
	EUMPrefix = "89049032"
	// DPOID is the SM-DP+'s object identifier, in the arc for examples.
	DPOID = "2.999.10"

	eumOID       = "2.999.5"
	ciOID        = "2.999.1"
	organization = "linefit test"
	seedSize     = 32
)

// ErrSeed is the error of a stored authority that cannot be read.
var ErrSeed = errors.New("test authority: the seed is 64 hexadecimal digits")

// Pair is a certificate and its private key.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// Authority is a test CI with its EUM. It is immutable after [New].
type Authority struct {
	seed []byte
	CI   Pair
	EUM  Pair
}

// New makes an authority. An empty seed is replaced by a random one; any other
// seed always gives the same certificates.
func New(seed []byte) (*Authority, error) {
	a := &Authority{}
	if len(seed) == 0 {
		a.seed = make([]byte, seedSize)
		if _, err := rand.Read(a.seed); err != nil {
			return nil, err
		}
	} else {
		sum := sha256.Sum256(append([]byte("linefit test authority "), seed...))
		a.seed = sum[:]
	}
	return a, a.mint()
}

// MarshalText stores the authority: its seed in hexadecimal.
func (a *Authority) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, a.seed), nil
}

// UnmarshalText restores a stored authority with the same keys and certificates.
func (a *Authority) UnmarshalText(text []byte) error {
	seed, err := hex.DecodeString(string(text))
	if err != nil || len(seed) != seedSize {
		return ErrSeed
	}
	a.seed = seed
	return a.mint()
}

func (a *Authority) mint() error {
	var err error
	if a.CI.Key, err = a.key("ci"); err != nil {
		return err
	}
	if a.CI.Cert, err = a.issue(request{role: RoleCI, key: &a.CI.Key.PublicKey, signer: a.CI.Key, name: "linefit Test CI", oid: ciOID}); err != nil {
		return err
	}
	a.EUM, err = a.eum(DefectNone)
	return err
}

// key derives a P-256 private key from the seed.
func (a *Authority) key(label string) (*ecdsa.PrivateKey, error) { return deriveKey(a.seed, label) }

func deriveKey(secret []byte, label string) (*ecdsa.PrivateKey, error) {
	for try := range 16 {
		d, err := hkdf.Key(sha256.New, secret, nil, fmt.Sprintf("linefit testpki %s %d", label, try), 32)
		if err != nil {
			return nil, err
		}
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d); err == nil {
			return k, nil // refused only when d is not below the group's order: once in 2^32
		}
	}
	return nil, fmt.Errorf("no key for %s", label)
}

func (a *Authority) eum(d Defect) (Pair, error) {
	key, err := a.key("eum")
	if err != nil {
		return Pair{}, err
	}
	r := request{
		role: RoleEUM, key: &key.PublicKey, issuer: a.CI.Cert, signer: a.CI.Key,
		name: "linefit Test EUM", oid: eumOID, prefix: EUMPrefix,
	}
	cert, err := a.defective(r, d)
	return Pair{cert, key}, err
}

// CardMaker gives eUICC credentials under this authority.
func (a *Authority) CardMaker() *CardMaker {
	return &CardMaker{CIs: []*x509.Certificate{a.CI.Cert}, EUM: a.EUM}
}

// Card is [Authority.CardMaker] for one EID.
func (a *Authority) Card(eid ident.EID) (*Card, error) { return a.CardMaker().Card(eid) }

// Server gives the SM-DP+'s credentials under this authority.
func (a *Authority) Server() (*Server, error) { return a.ServerWith(RoleDPAuth, DefectNone) }

func (a *Authority) serverPair(role Role, d Defect) (Pair, error) {
	key, err := a.key(role.String())
	if err != nil {
		return Pair{}, err
	}
	cert, err := a.defective(request{
		role: role, key: &key.PublicKey, issuer: a.CI.Cert, signer: a.CI.Key,
		name: "linefit Test SM-DP+", oid: DPOID,
	}, d)
	return Pair{cert, key}, err
}

// serial is a positive serial number that depends on what the certificate says.
func serial(parts ...string) *big.Int {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return new(big.Int).SetBytes(append([]byte{0x01}, h.Sum(nil)[:8]...))
}

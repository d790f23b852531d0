package testpki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// SignatureSize is the length of a signature in the plain format of BSI
// TR-03111 section 5.2.1 on P-256: r and s, 32 bytes each.
const SignatureSize = 64

// Sign makes a signature in plain format over the concatenation of parts
// (ECDSA with SHA-256, SGP.22 section 2.6.7.2).
func Sign(key *ecdsa.PrivateKey, parts ...[]byte) ([]byte, error) {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := make([]byte, SignatureSize)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out, nil
}

// Verify checks a signature in plain format over the concatenation of parts.
func Verify(key *ecdsa.PublicKey, signature []byte, parts ...[]byte) bool {
	if len(signature) != SignatureSize || key == nil {
		return false
	}
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, h.Sum(nil), r, s)
}

// Key is the public key of a certificate, nil when it is not on an elliptic
// curve that this package reads (P-256).
func Key(certPublicKey any) *ecdsa.PublicKey {
	k, _ := certPublicKey.(*ecdsa.PublicKey)
	return k
}

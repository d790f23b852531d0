package smdpsim

import (
	"crypto/rand"
	"crypto/sha256"
)

const redacted = "(redacted)"

// MatchingID is the token that finds an order (SGP.22 section 4.1). Whoever has
// it can take the profile, so it redacts itself wherever it is printed.
type MatchingID string

// Reveal is the matching id in clear.
func (m MatchingID) Reveal() string { return string(m) }

// String redacts.
func (m MatchingID) String() string { return redacted }

// GoString redacts.
func (m MatchingID) GoString() string { return redacted }

// MarshalText redacts.
func (m MatchingID) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ConfirmationCode is what the operator tells the user on another way (SGP.22
// section 4.7). It redacts itself wherever it is printed.
type ConfirmationCode string

// Reveal is the confirmation code in clear.
func (c ConfirmationCode) Reveal() string { return string(c) }

// String redacts.
func (c ConfirmationCode) String() string { return redacted }

// GoString redacts.
func (c ConfirmationCode) GoString() string { return redacted }

// MarshalText redacts.
func (c ConfirmationCode) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// hash is the hashed confirmation code of a session (SGP.22 section 4.7).
func (c ConfirmationCode) hash(transactionID []byte) []byte {
	inner := sha256.Sum256([]byte(c))
	outer := sha256.Sum256(append(inner[:], transactionID...))
	return outer[:]
}

// ActivationCode is a whole activation code (SGP.22 section 4.1). It holds a
// matching id and redacts itself wherever it is printed.
type ActivationCode string

// Reveal is the activation code in clear, LPA:1$...
func (a ActivationCode) Reveal() string { return string(a) }

// String redacts.
func (a ActivationCode) String() string { return redacted }

// GoString redacts.
func (a ActivationCode) GoString() string { return redacted }

// MarshalText redacts.
func (a ActivationCode) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewMatchingID makes a random matching id of 100 bits in the alphabet that
// SGP.22 section 4.1.1 allows, less what is easily misread.
func NewMatchingID() MatchingID {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	var b [20]byte
	random(b[:])
	out := make([]byte, 0, 24)
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			out = append(out, '-')
		}
		out = append(out, alphabet[c%32])
	}
	return MatchingID(out)
}

// random fills b. crypto/rand never fails on a running system: it ends the
// process where it cannot go on.
func random(b []byte) []byte {
	_, _ = rand.Read(b)
	return b
}

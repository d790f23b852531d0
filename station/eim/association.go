package eim

import (
	"encoding/json"
	"fmt"

	"linefit/modem/ident"
)

// NoToken is the Token of an [Association] whose eUICC gave none, or not yet.
const NoToken = -1

// Association is what the vault keeps of an eIM that this station has associated
// with an eUICC, or was about to: the mark by which a later run knows that it was
// this station, and the token that the eIM's operator needs (SGP.32 section
// 2.11.1.1.1, associationToken).
type Association struct {
	EIM     string    `json:"eim"`
	EID     ident.EID `json:"eid"`
	Counter int64     `json:"counter"`
	Token   int64     `json:"token"`
}

// ParseAssociation reads what [Association.Bytes] made.
func ParseAssociation(b []byte) (a Association, err error) {
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("association of an eIM: %w", err)
	}
	return a, nil
}

// Bytes is the association as it lies in the vault.
func (a Association) Bytes() []byte {
	b, err := json.Marshal(a)
	if err != nil { // plain data always marshals
		panic(err)
	}
	return b
}

package smdpsim

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"time"

	"linefit/modem/ident"
	"linefit/modem/testpki"
)

// Formats of the files of in-factory provisioning. SGP.41 leaves the interface
// to the factory open and SGP.42's formats are not public; these are linefit's
// own, each with a JSON Schema.
const (
	RequestFormat = "linefit-binding-request/1"
	BatchFormat   = "linefit-batch/1"
)

// RequestSchema is the JSON Schema (draft 2020-12) of a [BindingRequest].
//
//go:embed request.schema.json
var RequestSchema string

// BatchSchema is the JSON Schema of a [Batch].
//
//go:embed batch.schema.json
var BatchSchema string

// BindingRequest asks for packages that are bound to eUICCs before anyone can
// talk to them (SGP.41, steps 3 to 5): what the eUICC maker's data say of each.
type BindingRequest struct {
	Format string          `json:"format"`
	EUICCs []RequestedCard `json:"euiccs"`
}

// RequestedCard is one eUICC with its in-factory one-time public keys.
type RequestedCard struct {
	EID         ident.EID    `json:"eid"`
	Certificate []byte       `json:"euicc_certificate"` // CERT.EUICC.ECDSA, DER
	EUM         []byte       `json:"eum_certificate"`   // CERT.EUM.ECDSA, DER
	Keys        []OneTimeKey `json:"one_time_keys"`
	// Packages is how many are wanted for this eUICC; 0: as many as for all.
	Packages int `json:"packages,omitempty"`
}

// wanted is the number of packages for this eUICC.
func (c RequestedCard) wanted(perEID int) int {
	if c.Packages != 0 {
		return c.Packages
	}
	return perEID
}

// OneTimeKey is a public key that exactly one package may be bound to.
type OneTimeKey struct {
	Number    int    `json:"number"`
	PublicKey []byte `json:"public_key"` // uncompressed point on P-256, 65 bytes
}

// ParseRequest reads a binding request. Errors wrap [ErrRequest].
func ParseRequest(b []byte) (*BindingRequest, error) {
	var r BindingRequest
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if r.Format != RequestFormat {
		return nil, fmt.Errorf("%w: format %q, not %q", ErrRequest, r.Format, RequestFormat)
	}
	return &r, nil
}

// ErrRequest is the error of a binding request that cannot be met; nothing of
// it is.
var ErrRequest = errors.New("binding request")

// BoundPackage is a bound profile package. Whoever holds it and the eUICC can
// install it once: it redacts itself when printed, but not in JSON.
type BoundPackage []byte

// String redacts.
func (b BoundPackage) String() string {
	return fmt.Sprintf("bound profile package of %d bytes", len(b))
}

// GoString redacts.
func (b BoundPackage) GoString() string { return b.String() }

// Batch is what the SM-DPf delivers to the factory (SGP.41, step 7).
type Batch struct {
	Format      string         `json:"format"`
	ID          string         `json:"id"`
	Created     time.Time      `json:"created"`
	Address     string         `json:"smdp_address"` // where installation results go
	OID         string         `json:"smdp_oid"`
	Certificate []byte         `json:"pb_certificate"` // CERT.DPpb.ECDSA, DER
	Packages    []BatchPackage `json:"packages"`
	// Signature is by CERT.DPpb.ECDSA over the fields, see [Batch.Verify].
	Signature []byte `json:"signature"`
}

// BatchPackage is one package for exactly one eUICC.
type BatchPackage struct {
	EID         ident.EID    `json:"eid"`
	ICCID       ident.ICCID  `json:"iccid"`
	KeyNumber   int          `json:"key_number"`
	OneTimeKey  []byte       `json:"one_time_key"`   // the eUICC's, that the package is bound to
	Transaction string       `json:"transaction_id"` // upper-case hexadecimal
	Metadata    []byte       `json:"metadata"`       // StoreMetadataRequest (BF25)
	Package     BoundPackage `json:"bound_profile_package"`
}

// digest is SHA-256 over the signed fields in order, each as a length of four
// bytes (big-endian) and its bytes: format, id, smdp_address, smdp_oid; then of
// each package eid, iccid, one_time_key (raw), transaction_id, metadata (raw),
// bound_profile_package (raw).
func (b *Batch) digest() []byte {
	h := sha256.New()
	for _, s := range []string{b.Format, b.ID, b.Address, b.OID} {
		field(h, []byte(s))
	}
	for _, p := range b.Packages {
		for _, f := range [][]byte{[]byte(p.EID), []byte(p.ICCID), p.OneTimeKey, []byte(p.Transaction), p.Metadata, p.Package} {
			field(h, f)
		}
	}
	return h.Sum(nil)
}

func field(h hash.Hash, b []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(b)))
	h.Write(n[:])
	h.Write(b)
}

func (b *Batch) sign(pb testpki.Pair) error {
	var err error
	b.Signature, err = testpki.Sign(pb.Key, b.digest())
	return err
}

// Verify checks the batch's signature (ECDSA on P-256 with SHA-256 over the
// 32-byte digest, plain format of 64 bytes) with its own certificate; the
// certificate's chain is for the caller to check.
func (b *Batch) Verify() bool {
	cert, err := testpki.ParseCertificate(b.Certificate)
	return err == nil && testpki.Verify(testpki.Key(cert.PublicKey), b.Signature, b.digest())
}

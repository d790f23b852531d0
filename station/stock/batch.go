package stock

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
)

// BatchSchema is the JSON Schema of a batch of prepared packages, format
// linefit-batch/1. SGP.41 leaves this interface open and SGP.42's formats are
// not public: a provider's own format is brought into this one.
//
//go:embed batch.schema.json
var BatchSchema string

var batchSchema = sync.OnceValue(func() *jsonschema.Schema { return strictyaml.Compile("batch.schema.json", BatchSchema) })

// Prepared is a package that was bound to one eUICC's one-time key beforehand:
// for that eUICC alone and for one try.
type Prepared struct {
	EID         ident.EID
	ICCID       ident.ICCID
	KeyNumber   int
	OneTimeKey  []byte // the eUICC's, uncompressed point
	Transaction string // hexadecimal
	Address     string // of the SM-DP+ that the result is for
	Certificate []byte // CERT.DPpb, DER
	Package     Secret // BF36
}

// String names the package without showing it.
func (p Prepared) String() string {
	return fmt.Sprintf("package of %d bytes with ICCID %s for EID %s", p.Package.Len(), p.ICCID, p.EID)
}

// GoString is [Prepared.String].
func (p Prepared) GoString() string { return p.String() }

// batch is the file.
type batch struct {
	Format      string         `json:"format"`
	ID          string         `json:"id"`
	Created     string         `json:"created"`
	Address     string         `json:"smdp_address"`
	OID         string         `json:"smdp_oid"`
	Certificate []byte         `json:"pb_certificate"`
	Packages    []batchPackage `json:"packages"`
	Signature   []byte         `json:"signature"`
}

type batchPackage struct {
	EID         ident.EID   `json:"eid"`
	ICCID       ident.ICCID `json:"iccid"`
	KeyNumber   int         `json:"key_number"`
	OneTimeKey  []byte      `json:"one_time_key"`
	Transaction string      `json:"transaction_id"`
	Metadata    []byte      `json:"metadata"`
	Package     []byte      `json:"bound_profile_package"`
}

// sealedPackage is a prepared package in the vault.
type sealedPackage struct {
	Version     int         `json:"v"`
	EID         ident.EID   `json:"eid"`
	ICCID       ident.ICCID `json:"iccid"`
	KeyNumber   int         `json:"key_number"`
	OneTimeKey  []byte      `json:"one_time_key"`
	Transaction string      `json:"transaction_id"`
	Address     string      `json:"smdp_address"`
	Certificate []byte      `json:"pb_certificate"`
	Package     []byte      `json:"package"`
}

// maxBatch bounds a batch file, in bytes.
const maxBatch = 256 << 20

// linefitBatch is the format linefit-batch/1.
type linefitBatch struct{}

// Is implements PackageFormat.
func (linefitBatch) Is(data []byte) bool { return IsBatch(data) }

// Read implements PackageFormat.
func (linefitBatch) Read(name string, data []byte, trust func(*x509.Certificate) error) (PackageBatch, error) {
	var b batch
	if err := strictyaml.DecodeJSON(name, data, maxBatch, batchSchema(), "packages", &b); err != nil {
		return PackageBatch{}, err
	}
	out := PackageBatch{
		ID: b.ID, Address: b.Address, Doubt: b.verify(trust), Packages: make([]Prepared, len(b.Packages)),
		Lines: strictyaml.ElementLines(data, "packages"),
	}
	for i, p := range b.Packages {
		out.Packages[i] = Prepared{
			EID: p.EID, ICCID: p.ICCID, KeyNumber: p.KeyNumber, OneTimeKey: p.OneTimeKey, Transaction: p.Transaction,
			Address: b.Address, Certificate: b.Certificate, Package: NewSecret(p.Package),
		}
	}
	return out, nil
}

// verify checks the batch's signature with its certificate, and that the
// certificate counts.
func (b *batch) verify(trust func(*x509.Certificate) error) error {
	cert, err := x509.ParseCertificate(b.Certificate)
	if err != nil {
		return fmt.Errorf("%w: certificate: %w", ErrBatch, err)
	}
	if trust == nil {
		return fmt.Errorf("%w: nobody says whom to trust", ErrBatch)
	}
	if err := trust(cert); err != nil {
		return fmt.Errorf("%w: certificate: %w", ErrBatch, err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || len(b.Signature) != 64 {
		return fmt.Errorf("%w: the signature is not one on P-256", ErrBatch)
	}
	sum := sha256.Sum256(b.digest())
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(b.Signature[:32]), new(big.Int).SetBytes(b.Signature[32:])) {
		return fmt.Errorf("%w: the signature does not verify", ErrBatch)
	}
	return nil
}

// digest is what the signature covers; the schema says how it is made.
func (b *batch) digest() []byte {
	h := sha256.New()
	add := func(field []byte) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(field))))
		h.Write(field)
	}
	for _, s := range []string{b.Format, b.ID, b.Address, b.OID} {
		add([]byte(s))
	}
	for _, p := range b.Packages {
		for _, f := range [][]byte{[]byte(p.EID), []byte(p.ICCID), p.OneTimeKey, []byte(p.Transaction), p.Metadata, p.Package} {
			add(f)
		}
	}
	return h.Sum(nil)
}

// Package opens a prepared package that a run has reserved. A *station.Refusal
// with VaultFault says that it is not reserved, or that the vault has it not or
// damaged.
func (l *Ledger) Package(_ context.Context, handle string) (Prepared, error) {
	sealed, err := l.reserved(handle, station.KindPreparedPackage, KindPackage)
	if err != nil {
		return Prepared{}, err
	}
	var p sealedPackage
	if err := json.Unmarshal(sealed.Reveal(), &p); err != nil || p.Version != 1 {
		return Prepared{}, station.Refuse(station.VaultFault, "profile %s: %v", handle, ErrDamaged)
	}
	return Prepared{
		EID: p.EID, ICCID: p.ICCID, KeyNumber: p.KeyNumber, OneTimeKey: p.OneTimeKey, Transaction: p.Transaction,
		Address: p.Address, Certificate: p.Certificate, Package: NewSecret(p.Package),
	}, nil
}

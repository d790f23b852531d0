package stock

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/audit"
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

// ErrBatch is the error of a batch that was not signed by whom it names.
var ErrBatch = errors.New("batch")

// maxBatch bounds a batch file, in bytes.
const maxBatch = 256 << 20

// ImportBatch takes a batch of prepared packages in: all of it or nothing, as
// [Ledger.Import] does. trust says whether the certificate that signed the
// batch and its packages belongs to an SM-DP+ that counts here; it is needed.
// known, where it is not nil, says which eUICCs may be on this line. The error
// of a batch with mistakes is strictyaml.Problems, or wraps ErrBatch.
func (l *Ledger) ImportBatch(ctx context.Context, src Source, trust func(pb *x509.Certificate) error, known func(ident.EID) bool, at station.Scope, j Journal) (Imported, error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	if err := l.recover(ctx, j); err != nil {
		return Imported{}, err
	}
	b, err := readBatch(src.Name, src.Data)
	if err != nil {
		return Imported{}, err
	}
	if err := b.verify(trust); err != nil {
		return Imported{}, fmt.Errorf("%s: %w", src.Name, err)
	}
	if err := l.checkBatch(src, b, known); err != nil {
		return Imported{}, err
	}
	name := either(src.Batch.Batch, b.ID)
	var facts []station.Fact
	if stated(src.Batch) {
		terms := src.Batch
		terms.Batch = name
		facts = append(facts, terms)
	}
	items, secrets := make([]station.StockImported, len(b.Packages)), make([]Secret, len(b.Packages))
	for i, p := range b.Packages {
		items[i] = station.StockImported{
			Batch: name, Kind: station.KindPreparedPackage, SMDP: b.Address, ICCID: p.ICCID, EID: p.EID,
			Customer: src.Batch.Customer, SKU: src.Batch.SKU,
		}
		if secrets[i], err = b.seal(p); err != nil {
			return Imported{}, err
		}
	}
	facts, note, err := l.stage(KindPackage, items, secrets, facts, at)
	if err != nil {
		return Imported{}, err
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return Imported{}, fmt.Errorf("stock: the batch is in the vault; the log took it not or not whole, and gets the rest at the next start: %w", err)
	}
	return Imported{Batches: []string{name}, Profiles: len(items)}, l.unstage(note)
}

// readBatch reads a batch file and holds it against the schema.
func readBatch(name string, data []byte) (*batch, error) {
	problem := func(format string, args ...any) error {
		return strictyaml.Problems{{File: name, Line: 1, Column: 1, Text: fmt.Sprintf(format, args...)}}
	}
	if len(data) > maxBatch {
		return nil, problem("the file has %d bytes, more than %d", len(data), maxBatch)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, problem("this is not JSON")
	}
	if err := batchSchema().Validate(v); err != nil {
		var invalid *jsonschema.ValidationError
		if !errors.As(err, &invalid) {
			return nil, problem("%v", err)
		}
		return nil, batchProblems(name, invalid)
	}
	var b batch
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return nil, problem("a member cannot be read: base64 is needed where the schema says so")
	}
	return &b, nil
}

// batchProblems names every place of a batch that is not as the schema says. No
// value is shown: it may be a package.
func batchProblems(name string, e *jsonschema.ValidationError) error {
	var all strictyaml.Problems
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			all = append(all, strictyaml.Problem{File: name, Line: 1, Column: 1, Path: fmt.Sprint(e.InstanceLocation), Text: "is not as linefit-batch/1 wants it: " + fmt.Sprint(e.ErrorKind.KeywordPath())})
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	walk(e)
	return all.Err()
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

// checkBatch finds what is wrong with a batch that was signed rightly: all of
// it at once.
func (l *Ledger) checkBatch(src Source, b *batch, known func(ident.EID) bool) error {
	var all strictyaml.Problems
	add := func(i int, member, format string, args ...any) {
		all = append(all, strictyaml.Problem{File: src.Name, Line: 1, Column: 1, Path: fmt.Sprintf("packages[%d].%s", i, member), Text: fmt.Sprintf(format, args...)})
	}
	if err := checkHost(b.Address); err != nil {
		all = append(all, strictyaml.Problem{File: src.Name, Line: 1, Column: 1, Path: "smdp_address", Text: err.Error()})
	}
	if what := badText(b.ID); what != "" {
		all = append(all, strictyaml.Problem{File: src.Name, Line: 1, Column: 1, Path: "id", Text: what})
	}
	keys, iccids := map[string]int{}, map[ident.ICCID]int{}
	err := l.views(func(v audit.View) error {
		for i, p := range b.Packages {
			if _, err := ident.ParseEID(string(p.EID)); err != nil {
				add(i, "eid", "%v", err)
			} else if known != nil && !known(p.EID) {
				add(i, "eid", "%s is on no list of this line's eUICCs", p.EID)
			}
			if len(p.OneTimeKey) != 65 || p.OneTimeKey[0] != 4 {
				add(i, "one_time_key", "is no uncompressed point on P-256")
			}
			if len(p.Package) == 0 {
				add(i, "bound_profile_package", "is empty")
			}
			key := string(p.EID) + string(p.OneTimeKey)
			if first, double := keys[key]; double {
				add(i, "one_time_key", "is the key of package %d too", first)
			}
			if first, double := iccids[p.ICCID]; double {
				add(i, "iccid", "%s is that of package %d too", p.ICCID, first)
			}
			keys[key], iccids[p.ICCID] = i, i
			items, err := ByICCID(v, p.ICCID)
			if err != nil {
				return err
			}
			if len(items) > 0 {
				add(i, "iccid", "%s is in the stock already: batch %s, %s", p.ICCID, items[0].Batch, items[0].State)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return all.Err()
}

func (b *batch) seal(p batchPackage) (Secret, error) {
	s, err := json.Marshal(sealedPackage{
		Version: 1, EID: p.EID, ICCID: p.ICCID, KeyNumber: p.KeyNumber, OneTimeKey: p.OneTimeKey, Transaction: p.Transaction,
		Address: b.Address, Certificate: b.Certificate, Package: p.Package,
	})
	if err != nil {
		return Secret{}, fmt.Errorf("stock: %w", err)
	}
	return NewSecret(s), nil
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

// Unused lists the prepared packages that were never tried, by state: those of
// scrapped eUICCs go back to the provider in the loading report.
func Unused(v audit.View, batch string) ([]station.StockItem, error) {
	var out []station.StockItem
	err := List(v, Filter{Batch: batch, State: station.StockAvailable}, func(i station.StockItem) error {
		if i.Kind == station.KindPreparedPackage {
			out = append(out, i)
		}
		return nil
	})
	return out, err
}

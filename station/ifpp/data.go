package ifpp

import (
	"crypto/ecdh"
	"crypto/x509"
	"fmt"
	"time"

	"linefit/internal/strictyaml"
	"linefit/modem/euicc"
	"linefit/modem/ident"
)

// Data is what an eUICC maker says of delivered eUICCs.
type Data struct {
	Format   string  `json:"format"`
	Maker    string  `json:"maker,omitempty"`
	Delivery string  `json:"delivery,omitempty"`
	Created  string  `json:"created,omitempty"`
	Info2    []byte  `json:"euicc_info2,omitempty"`
	EUICCs   []EUICC `json:"euiccs"`

	byEID map[ident.EID]int
}

// EUICC is one of them.
type EUICC struct {
	EID         ident.EID    `json:"eid"`
	Certificate []byte       `json:"euicc_certificate"` // DER
	EUM         []byte       `json:"eum_certificate"`   // DER
	Keys        []OneTimeKey `json:"one_time_keys"`
}

// OneTimeKey is a public key that exactly one package may be bound to.
type OneTimeKey struct {
	Number    int    `json:"number"`
	PublicKey []byte `json:"public_key"` // uncompressed point on P-256
}

// Find is the data of one eUICC.
func (d *Data) Find(eid ident.EID) (EUICC, bool) {
	i, ok := d.byEID[eid]
	if !ok {
		return EUICC{}, false
	}
	return d.EUICCs[i], true
}

// ReadData reads a maker's data file. Each eUICC's certificate must name its EID
// and be signed by a maker that one of the issuers signed (with none given, the
// maker's own is as far as it goes), valid at that time; no key may be there
// twice. The error is strictyaml.Problems, with all mistakes.
func ReadData(name string, data []byte, issuers []*x509.Certificate, at time.Time) (*Data, error) {
	d := &Data{byEID: map[ident.EID]int{}}
	if err := strictyaml.DecodeJSON(name, data, maxFile, dataSchema(), "euiccs", d); err != nil {
		return nil, err
	}
	var found strictyaml.Problems
	lines := strictyaml.ElementLines(data, "euiccs")
	keys := map[string]int{}
	for i, e := range d.EUICCs {
		add := func(member, format string, args ...any) {
			found = append(found, strictyaml.Problem{File: name, Line: lines[i], Column: 1, Path: fmt.Sprintf("euiccs[%d].%s", i, member), Text: fmt.Sprintf(format, args...)})
		}
		if _, err := ident.ParseEID(string(e.EID)); err != nil {
			add("eid", "%v", err)
			continue
		}
		if first, double := d.byEID[e.EID]; double {
			add("eid", "%s is that of euiccs[%d] too", e.EID, first)
		}
		d.byEID[e.EID] = i
		if err := e.verify(issuers, at); err != nil {
			add("euicc_certificate", "%v", err)
		}
		for n, k := range e.Keys {
			if _, err := ecdh.P256().NewPublicKey(k.PublicKey); err != nil {
				add(fmt.Sprintf("one_time_keys[%d]", n), "key %d is no uncompressed point on P-256", k.Number)
			}
			if first, double := keys[string(k.PublicKey)]; double {
				add(fmt.Sprintf("one_time_keys[%d]", n), "key %d is a key of euiccs[%d] too", k.Number, first)
			}
			keys[string(k.PublicKey)] = i
		}
	}
	return d, found.Err()
}

// verify checks the chain from the eUICC to an issuer.
func (e EUICC) verify(issuers []*x509.Certificate, at time.Time) error {
	cert, err := euicc.ParseCertificate(e.Certificate)
	if err != nil {
		return err
	}
	maker, err := euicc.ParseCertificate(e.EUM)
	if err != nil {
		return fmt.Errorf("EUM: %w", err)
	}
	return euicc.VerifyChain(cert, maker, issuers, e.EID.Bytes(), at)
}

package stock

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// rolePB is id-rspRole-dp-pb (SGP.22 annex H): profile package binding.
var rolePB = asn1.ObjectIdentifier{2, 23, 146, 1, 2, 1, 5}

// TrustIssuers trusts certificates for profile package binding (SGP.22 section
// 4.5.2.1, CERT.DPpb.ECDSA) that one of the issuers signed and that are valid
// now. Without issuers it trusts nobody.
func TrustIssuers(issuers ...*x509.Certificate) func(*x509.Certificate) error {
	return func(pb *x509.Certificate) error {
		now := time.Now()
		switch {
		case now.Before(pb.NotBefore) || now.After(pb.NotAfter):
			return fmt.Errorf("it is valid from %s to %s", pb.NotBefore.Format(time.DateOnly), pb.NotAfter.Format(time.DateOnly))
		case pb.KeyUsage&x509.KeyUsageDigitalSignature == 0:
			return errors.New("its key is not for signatures")
		case !slices.ContainsFunc(pb.PolicyIdentifiers, rolePB.Equal):
			return errors.New("it is not one for profile package binding")
		}
		for _, ci := range issuers {
			if bytes.Equal(ci.RawSubject, pb.RawIssuer) && pb.CheckSignatureFrom(ci) == nil {
				return nil
			}
		}
		return errors.New("none of the issuers that count here signed it")
	}
}

// IsBatch reports whether a file says that it is a batch of prepared packages.
func IsBatch(data []byte) bool {
	var head struct {
		Format string `json:"format"`
	}
	return json.Unmarshal(data, &head) == nil && head.Format == "linefit-batch/1"
}

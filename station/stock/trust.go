package stock

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// IsBatch reports whether a file says that it is a batch of prepared packages, of
// whatever version, and be it cut short: then that is what is wrong with it, and
// not that it is no list of codes.
func IsBatch(data []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		if name == "format" {
			t, err := dec.Token()
			format, ok := t.(string)
			return err == nil && ok && strings.HasPrefix(format, "linefit-batch/")
		}
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return false
		}
	}
	return false
}

package testpki

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strconv"
	"strings"
)

// Role is what a certificate is for. Its number is the last arc of the policy
// identifier 2.23.146.1.2.1 (SGP.22 annex H, id-rspRole).
type Role int

// Roles of SGP.22 section 4.5.2.1.
const (
	RoleCI     Role = 0
	RoleEUICC  Role = 1
	RoleEUM    Role = 2
	RoleDPTLS  Role = 3
	RoleDPAuth Role = 4
	RoleDPPB   Role = 5
)

// String is the certificate's name as SGP.22 prints it: CERT.<String>.
func (r Role) String() string {
	switch r {
	case RoleCI:
		return "CI"
	case RoleEUICC:
		return "EUICC"
	case RoleEUM:
		return "EUM"
	case RoleDPTLS:
		return "DPtls"
	case RoleDPAuth:
		return "DPauth"
	case RoleDPPB:
		return "DPpb"
	}
	return "role " + strconv.Itoa(int(r))
}

// Policy is the role's certificate policy identifier.
func (r Role) Policy() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 23, 146, 1, 2, 1, int(r)}
}

func (r Role) usage() x509.KeyUsage {
	switch r {
	case RoleCI:
		return x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	case RoleEUM:
		return x509.KeyUsageCertSign
	}
	return x509.KeyUsageDigitalSignature
}

// needs is the key usage bit without which a certificate cannot do its role's work.
func (r Role) needs() x509.KeyUsage {
	if r == RoleCI || r == RoleEUM {
		return x509.KeyUsageCertSign
	}
	return x509.KeyUsageDigitalSignature
}

var (
	oidSubjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNameConstraints   = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidPolicies          = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidOrganization      = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidSerialNumber      = asn1.ObjectIdentifier{2, 5, 4, 5}
	tagRegisteredID      = 8
	tagDNSName           = 2
	tagIPAddress         = 7
	tagDirectoryName     = 4
	tagPermittedSubtrees = 0
)

// RegisteredID is the SM-DP+'s object identifier in dotted form, from the
// subjectAltName of a DPauth or DPpb certificate (SGP.22 section 4.5.2.1); it
// is empty when there is none.
func RegisteredID(c *x509.Certificate) string {
	for _, ext := range c.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		for _, name := range sequence(ext.Value) {
			if name.Class != asn1.ClassContextSpecific || name.Tag != tagRegisteredID {
				continue
			}
			universal := slices.Clone(name.FullBytes)
			universal[0] = asn1.TagOID
			var oid asn1.ObjectIdentifier
			if rest, err := asn1.Unmarshal(universal, &oid); err == nil && len(rest) == 0 {
				return oid.String()
			}
		}
	}
	return ""
}

// sequence reads the elements of a DER SEQUENCE; a syntax error ends the list.
func sequence(der []byte) []asn1.RawValue {
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) != 0 || !outer.IsCompound {
		return nil
	}
	return elements(outer.Bytes)
}

func elements(b []byte) []asn1.RawValue {
	var list []asn1.RawValue
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil {
			return list
		}
		list, b = append(list, v), rest
	}
	return list
}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for _, arc := range strings.Split(dotted, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil || n < 0 {
			return nil, asn1.StructuralError{Msg: "object identifier " + strconv.Quote(dotted)}
		}
		oid = append(oid, n)
	}
	if len(oid) < 2 {
		return nil, asn1.StructuralError{Msg: "object identifier " + strconv.Quote(dotted)}
	}
	return oid, nil
}

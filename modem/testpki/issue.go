package testpki

import (
	"crypto/ecdsa"
	"crypto/sha1" // RFC 5280 section 4.2.1.2 names key identifiers by SHA-1
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"time"

	"linefit/modem/ident"
)

var (
	notBefore = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC)
)

// request is what one certificate says.
type request struct {
	role   Role
	key    *ecdsa.PublicKey
	issuer *x509.Certificate // nil: self-signed
	signer *ecdsa.PrivateKey
	name   string
	org    string
	oid    string    // registeredID of the subjectAltName
	prefix string    // EUM: permitted EID prefix
	eid    ident.EID // EUICC
	hosts  []string  // DPTLS
	policy asn1.ObjectIdentifier
	usage  x509.KeyUsage
	from   time.Time
	to     time.Time
}

func (r *request) defaults() {
	if r.policy == nil {
		r.policy = r.role.Policy()
	}
	if r.usage == 0 {
		r.usage = r.role.usage()
	}
	if r.from.IsZero() {
		r.from, r.to = notBefore, notAfter
	}
	if r.org == "" {
		r.org = organization
	}
}

// issue signs one certificate. Signatures follow RFC 6979, so that the same
// request gives the same bytes.
func (a *Authority) issue(r request) (*x509.Certificate, error) { return issue(r) }

func issue(r request) (*x509.Certificate, error) {
	r.defaults()
	template := &x509.Certificate{
		SerialNumber: serial(r.role.String(), string(r.eid), r.name, fmt.Sprint(r.hosts, r.policy, r.usage, r.to)),
		Subject:      pkix.Name{Country: []string{"DE"}, Organization: []string{r.org}, SerialNumber: string(r.eid), CommonName: r.name},
		NotBefore:    r.from, NotAfter: r.to,
		KeyUsage:           r.usage,
		SubjectKeyId:       keyID(r.key),
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}
	if r.role == RoleCI || r.role == RoleEUM {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.MaxPathLenZero = r.role == RoleEUM
	}
	if r.role == RoleDPTLS {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if err := r.extensions(template); err != nil {
		return nil, err
	}
	issuer := template
	if r.issuer != nil {
		named := *r.issuer
		named.PublicKey = &r.signer.PublicKey // the name is the issuer's, the key the signer's: negative tests part them
		issuer = &named
	}
	der, err := x509.CreateCertificate(nil, template, issuer, r.key, r.signer)
	if err != nil {
		return nil, fmt.Errorf("issue CERT.%v: %w", r.role, err)
	}
	return x509.ParseCertificate(der)
}

// keyID is method 1 of RFC 5280 section 4.2.1.2.
func keyID(key *ecdsa.PublicKey) []byte {
	point, err := key.Bytes()
	if err != nil {
		return nil
	}
	sum := sha1.Sum(point)
	return sum[:]
}

func (r *request) extensions(template *x509.Certificate) error {
	policies, err := asn1.Marshal([]struct{ ID asn1.ObjectIdentifier }{{r.policy}})
	if err != nil {
		return err
	}
	template.ExtraExtensions = []pkix.Extension{{Id: oidPolicies, Critical: true, Value: policies}}
	names, err := r.altNames()
	if err != nil {
		return err
	}
	if names != nil {
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidSubjectAltName, Value: names})
	}
	if r.role != RoleEUM {
		return nil
	}
	constraint, err := eidConstraint(r.org, r.prefix)
	if err != nil {
		return err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidNameConstraints, Critical: true, Value: constraint})
	return nil
}

func (r *request) altNames() ([]byte, error) {
	var names []asn1.RawValue
	for _, h := range r.hosts {
		name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDNSName, Bytes: []byte(h)}
		if ip := net.ParseIP(h); ip != nil {
			name.Tag, name.Bytes = tagIPAddress, ip
			if v4 := ip.To4(); v4 != nil {
				name.Bytes = v4
			}
		}
		names = append(names, name)
	}
	if r.oid != "" {
		oid, err := parseOID(r.oid)
		if err != nil {
			return nil, err
		}
		der, err := asn1.Marshal(oid)
		if err != nil {
			return nil, err
		}
		var v asn1.RawValue
		if _, err := asn1.Unmarshal(der, &v); err != nil {
			return nil, err
		}
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagRegisteredID, Bytes: v.Bytes})
	}
	if names == nil {
		return nil, nil
	}
	return asn1.Marshal(names)
}

// eidConstraint permits subjects of one organization whose serialNumber starts
// with an EID prefix (SGP.22 section 4.5.2.1.0.2, RFC 5280 section 4.2.1.10).
func eidConstraint(org, prefix string) ([]byte, error) {
	dn, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: oidOrganization, Value: org}},
		{{Type: oidSerialNumber, Value: prefix}},
	})
	if err != nil {
		return nil, err
	}
	name := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagDirectoryName, IsCompound: true, Bytes: dn}
	subtrees, err := asn1.Marshal([]struct{ Base asn1.RawValue }{{name}})
	if err != nil {
		return nil, err
	}
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(subtrees, &v); err != nil {
		return nil, err
	}
	return asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: tagPermittedSubtrees, IsCompound: true, Bytes: v.Bytes}})
}

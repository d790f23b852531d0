package eim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"linefit/modem/wire"
)

// reader reads the elements of one configuration, whatever form it came in.
type reader struct {
	c     *Configuration
	at    int
	found []mistake
}

func (r *reader) bad(field, format string, args ...any) {
	r.found = append(r.found, mistake{r.at, field, fmt.Sprintf(format, args...)})
}

// hostName is a fully qualified domain name (RFC 1123) of two labels or more.
var hostName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// element reads one element and says what is wrong with it.
func (r *reader) element(n wire.Node) {
	field, c := nameOf(n.Tag), r.c
	switch n.Tag {
	case tagID:
		c.ID = string(n.Value)
		if len(c.ID) == 0 || len(c.ID) > MaxID || !printable(c.ID) {
			r.bad(field, "%d bytes; it has 1 to %d bytes of printable UTF-8", len(c.ID), MaxID)
		}
	case tagFQDN:
		c.FQDN = string(n.Value)
		if len(c.FQDN) > 255 || !hostName.MatchString(c.FQDN) {
			r.bad(field, "%.60q is no domain name", c.FQDN)
		}
	case tagIDType:
		v, err := n.Int()
		c.IDType = IDType(v)
		if err != nil || v < int64(TypeOID) || v > int64(TypeProprietary) {
			r.bad(field, "1 (OID), 2 (FQDN) or 3 (proprietary)")
		}
	case tagCounter:
		v, err := n.Int()
		c.Counter = v
		if err != nil || v < 0 || v > MaxCounter {
			r.bad(field, "0 to %d", MaxCounter)
		}
	case tagToken:
		v, err := n.Int()
		c.Token = true
		if err != nil || v != -1 {
			r.bad(field, "only -1, which asks the eUICC for a token: a first association has none yet")
		}
	case tagKey:
		key, err := publicKey(n)
		c.Key = key
		if err != nil {
			r.bad(field, "%v", err)
		}
	case tagTLS:
		if _, err := trusted(n); err != nil {
			r.bad(field, "%v", err)
		}
	case tagProtocol:
		bits, err := n.Bits()
		c.Protocol = bits
		if err != nil || slices.ContainsFunc(bits, func(b int) bool { return b >= len(protocols) }) {
			r.bad(field, "a BIT STRING of bits 0 to %d", len(protocols)-1)
		}
	case tagCI:
		c.CI = n.Value
		if len(n.Value) != 20 {
			r.bad(field, "%d bytes; a subject key identifier has 20", len(n.Value))
		}
	case tagIndirect:
		if len(n.Value) != 0 {
			r.bad(field, "NULL has no value")
		}
	}
}

// whole checks what concerns the configuration as a whole.
func (r *reader) whole(parts []wire.Node) {
	has := func(tag wire.Tag) bool {
		return slices.ContainsFunc(parts, func(p wire.Node) bool { return p.Tag == tag })
	}
	for _, tag := range []wire.Tag{tagID, tagCounter, tagKey} {
		if !has(tag) {
			r.bad(nameOf(tag), "is missing; AddInitialEim needs it")
		}
	}
	if r.c.IDType == TypeFQDN && r.c.ID != "" && !hostName.MatchString(r.c.ID) {
		r.bad("eimIdType", "says FQDN; eimId %.60q is no domain name", r.c.ID)
	}
	if r.c.IDType == TypeOID && r.c.ID != "" {
		if _, err := wire.OID(0x06, r.c.ID); err != nil {
			r.bad("eimIdType", "says OID; eimId %.60q is none", r.c.ID)
		}
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !slices.ContainsFunc([]rune(s), func(r rune) bool { return r < ' ' || r == 0x7F || r == utf8.RuneError })
}

var errNoKey = errors.New("neither a public key nor a certificate")

// inner is the SubjectPublicKeyInfo or certificate that a choice holds: with its
// implicit tag (A0, A1) or its own.
func inner(n wire.Node) ([]byte, error) {
	v, err := wire.Parse(n.Value)
	if err != nil {
		return nil, errNoKey
	}
	if v.Tag == 0xA0 || v.Tag == 0xA1 {
		// Explicit where a SEQUENCE stands inside and fills it, implicit else.
		if in, err := wire.Parse(v.Value); err == nil && in.Tag == 0x30 {
			if _, err := spki(in.Raw); err == nil {
				return in.Raw, nil
			}
		}
		return wire.TLV(0x30, v.Value), nil
	}
	return v.Raw, nil
}

// publicKey reads the eIM's key; the eUICC verifies packages with it.
func publicKey(n wire.Node) ([]byte, error) {
	der, err := inner(n)
	if err != nil {
		return nil, err
	}
	key, err := spki(der)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, errors.New("the key is not on the curve P-256: eUICCs of this line cannot verify with it")
	}
	return x509.MarshalPKIXPublicKey(public)
}

// trusted reads the trust anchor for TLS, of whatever curve.
func trusted(n wire.Node) (any, error) {
	der, err := inner(n)
	if err != nil {
		return nil, err
	}
	return spki(der)
}

// spki reads a SubjectPublicKeyInfo or a certificate's key.
func spki(der []byte) (any, error) {
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errNoKey
	}
	return cert.PublicKey, nil
}

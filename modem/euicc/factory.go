package euicc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"linefit/modem/wire"
)

// FactoryCoding are the function tags of in-factory provisioning. SGP.41 states
// what an eUICC does and leaves the coding of ES10f open, so that the tags are
// data; linefit's virtual eUICC has [LinefitFactory].
//
// The requests and answers under these tags:
//
//	Keys     {}                                                      -> {30 {5A EID, A0 {30 {80 number, 5F49 otPK}...}}, 5F37, eUICC cert, EUM cert}
//	Prepare  {80 transaction id, 5F49 otPK, 0C SM-DP+ address, cert} -> {80 result}
//	Delete   {}                                                      -> {80 result}
type FactoryCoding struct {
	Keys, Prepare, Delete wire.Tag
}

// LinefitFactory is the coding of linefit's virtual eUICC.
var LinefitFactory = FactoryCoding{Keys: 0xBF70, Prepare: 0xBF71, Delete: 0xBF72}

// Result codes of the factory functions.
var (
	factoryPrepareCodes = codes{1: "invalidCertificate", 2: "oneTimeKeyNotFound", 3: "unsupportedCurve", 127: "undefinedError"}
	factoryDeleteCodes  = codes{1: "nothingToDelete", 127: "undefinedError"}
)

// ErrKeySpent says that the eUICC has no such one-time key (any more).
const ErrKeySpent = codeName("oneTimeKeyNotFound")

// OneTimeKey is the public half of an in-factory one-time key pair.
type OneTimeKey struct {
	Number    int64
	PublicKey []byte // uncompressed point
}

// OneTimeKeys is an eUICC's signed list of the one-time keys it has left. While
// there is one, LPA services stay blocked.
type OneTimeKeys struct {
	EID         []byte
	Keys        []OneTimeKey
	Signed      []byte // covered by Signature
	Signature   []byte // r and s
	Certificate []byte // the eUICC's, DER
	EUM         []byte // its maker's, DER
}

// Verify checks the list's signature with the certificate it carries and
// returns that certificate; whose it is, [VerifyChain] tells.
func (k OneTimeKeys) Verify() (*x509.Certificate, error) {
	cert, err := ParseCertificate(k.Certificate)
	if err != nil {
		return nil, err
	}
	return cert, VerifySignature(cert, k.Signed, k.Signature)
}

// OneTimeKeys reads the list.
func (c *Card) OneTimeKeys(ctx context.Context, coding FactoryCoding) (OneTimeKeys, error) {
	return readAs(ctx, c, "GetOneTimeKeys", coding.Keys, wire.TLV(coding.Keys), parseOneTimeKeys)
}

func parseOneTimeKeys(n wire.Node) (OneTimeKeys, error) {
	parts, err := n.Children()
	if err != nil {
		return OneTimeKeys{}, err
	}
	if len(parts) < 4 || parts[0].Tag != 0x30 || parts[1].Tag != 0x5F37 || parts[2].Tag != 0x30 || parts[3].Tag != 0x30 {
		return OneTimeKeys{}, fmt.Errorf("%w: signed data, signature and two certificates", wire.ErrMissing)
	}
	k := OneTimeKeys{Signed: parts[0].Raw, Signature: parts[1].Value, Certificate: parts[2].Raw, EUM: parts[3].Raw}
	eid, err := parts[0].Need(0x5A)
	if err != nil {
		return OneTimeKeys{}, err
	}
	k.EID = eid.Value
	list, err := parts[0].Need(0xA0)
	if err != nil {
		return OneTimeKeys{}, err
	}
	entries, err := list.Children()
	if err != nil {
		return OneTimeKeys{}, err
	}
	for _, entry := range entries {
		point, err := entry.Need(0x5F49)
		if err != nil {
			return OneTimeKeys{}, err
		}
		k.Keys = append(k.Keys, OneTimeKey{Number: number(entry, 0x80), PublicKey: point.Value})
	}
	return k, nil
}

// PrepareFactoryLoad names the session, the one-time key and the server's
// certificate that a prepared package is bound with. It changes nothing; the
// first segment of the package spends the key.
func (c *Card) PrepareFactoryLoad(ctx context.Context, coding FactoryCoding, transactionID, oneTimeKey []byte, address string, certificate []byte) error {
	request := wire.TLV(coding.Prepare, wire.TLV(0x80, transactionID), wire.TLV(0x5F49, oneTimeKey), wire.TLV(0x0C, []byte(address)), certificate)
	return c.simple(ctx, "PrepareFactoryLoad", factoryPrepareCodes, request, 0x80)
}

// DeleteOneTimeKeys deletes the one-time keys that are left, for good, which
// opens LPA services. None left is success.
func (c *Card) DeleteOneTimeKeys(ctx context.Context, coding FactoryCoding) error {
	err := c.simple(ctx, "DeleteOneTimeKeys", factoryDeleteCodes, wire.TLV(coding.Delete), 0x80)
	if errors.Is(err, ErrNothingToDelete) {
		return nil
	}
	return err
}

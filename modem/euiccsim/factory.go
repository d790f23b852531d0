package euiccsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// In-factory provisioning (SGP.41). The requirements are public, the coding of
// ES10f is not: what follows keeps the requirements (one-time keys made before
// delivery, one package for one key, a spent key never again, no LPA or IPA
// service while a key is left, deletion of the rest) under three function tags
// of this card's own:
//
//	BF70 GetOneTimeKeys      {} -> {30 {5A EID, A0 {30 {80 number, 5F49 otPK}...}}, 5F37, CERT.EUICC, CERT.EUM}
//	BF71 PrepareFactoryLoad  {80 transactionId, 5F49 otPK, 0C address, 30 CERT.DPpb} -> {80 result}
//	BF72 DeleteOneTimeKeys   {} -> {80 0 ok, 1 nothingToDelete}
//
// A bound profile package is loaded by BF36 as ever. Its key is spent with the
// first segment, whatever comes of the load. Results of BF71: 0 ok,
// 1 invalidCertificate, 2 oneTimeKeyNotFound, 3 unsupportedCurve.
const (
	factoryInvalidCertificate = 1
	factoryNoKey              = 2
	factoryUnsupportedCurve   = 3
)

// OneTimeKey is the public half of an in-factory one-time key pair.
type OneTimeKey struct {
	Number    int
	PublicKey []byte // uncompressed point on P-256
}

// oneTimeKey is one key pair.
type oneTimeKey struct {
	Number int
	Key    []byte // private scalar
}

// String redacts.
func (k oneTimeKey) String() string { return "euiccsim.oneTimeKey(redacted)" }

// GoString redacts.
func (k oneTimeKey) GoString() string { return k.String() }

func newOneTimeKeys(n int) ([]oneTimeKey, error) {
	var keys []oneTimeKey
	for i := range n {
		k, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		keys = append(keys, oneTimeKey{Number: i + 1, Key: k.Bytes()})
	}
	return keys, nil
}

func (k oneTimeKey) private() (*ecdh.PrivateKey, error) { return ecdh.P256().NewPrivateKey(k.Key) }

// OneTimeKeys lists the in-factory one-time keys that are left, as the eUICC
// maker's data file would.
func (c *Card) OneTimeKeys() ([]OneTimeKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nv.publicKeys()
}

func (m *memory) publicKeys() ([]OneTimeKey, error) {
	var keys []OneTimeKey
	for _, k := range m.OneTime {
		p, err := k.private()
		if err != nil {
			return nil, err
		}
		keys = append(keys, OneTimeKey{Number: k.Number, PublicKey: p.PublicKey().Bytes()})
	}
	return keys, nil
}

// factoryGate reports whether LPA and IPA services are blocked (SGP.41,
// EUICCF03 and EUICCF04).
func (c *Card) factoryGate() bool { return len(c.nv.OneTime) > 0 }

func (c *Card) getOneTimeKeys(n wire.Node) ([]byte, wire.SW) {
	keys, err := c.nv.publicKeys()
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	var list []byte
	for _, k := range keys {
		list = append(list, wire.TLV(0x30, wire.Integer(0x80, int64(k.Number)), wire.TLV(0x5F49, k.PublicKey))...)
	}
	signed := wire.TLV(0x30, wire.TLV(0x5A, c.pki.EID.Bytes()), wire.TLV(0xA0, list))
	signature, err := c.sign(signed)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	return wire.TLV(n.Tag, signed, wire.TLV(0x5F37, signature), c.pki.Cert.Raw, c.pki.EUM.Raw), wire.SWOK
}

// prepareFactoryLoad makes a session for one package from the key that it is
// bound to and the certificate that it is signed with.
func (c *Card) prepareFactoryLoad(n wire.Node) ([]byte, wire.SW) {
	list, err := n.Children()
	if err != nil || !tags(list, 0x80, 0x5F49, 0x0C, 0x30) || len(list[0].Value) < 1 || len(list[0].Value) > 16 {
		return nil, wire.SWWrongData
	}
	c.busy += c.o.Delays.Verify
	pb, ci, err := testpki.VerifyServer(list[3].Raw, testpki.RoleDPPB, c.pki.CIs, c.now())
	switch {
	case errors.Is(err, testpki.ErrCurve):
		return result(n.Tag, factoryUnsupportedCurve), wire.SWOK
	case err != nil:
		return result(n.Tag, factoryInvalidCertificate), wire.SWOK
	}
	for _, k := range c.nv.OneTime {
		key, err := k.private()
		if err != nil || !bytes.Equal(key.PublicKey().Bytes(), list[1].Value) {
			continue
		}
		c.card.session = &session{
			stage: stagePrepared, transactionID: bytes.Clone(list[0].Value), address: string(list[2].Value),
			oid: testpki.RegisteredID(pb), ci: ci, pb: pb, otSK: key,
		}
		return result(n.Tag, resultOK), wire.SWOK
	}
	return result(n.Tag, factoryNoKey), wire.SWOK
}

// deleteOneTimeKeys ends the factory's services for good.
func (c *Card) deleteOneTimeKeys(n wire.Node) ([]byte, wire.SW) {
	if len(c.nv.OneTime) == 0 {
		return result(n.Tag, 1), wire.SWOK
	}
	if err := c.set(func(m *memory) { m.OneTime = nil }); err != nil {
		return nil, wire.SWMemoryProblem
	}
	c.card.session = nil
	return result(n.Tag, resultOK), wire.SWOK
}

// spend drops the in-factory one-time key that a session uses.
func (m *memory) spend(key *ecdh.PrivateKey) {
	kept := make([]oneTimeKey, 0, len(m.OneTime))
	for _, k := range m.OneTime {
		if !bytes.Equal(k.Key, key.Bytes()) {
			kept = append(kept, k)
		}
	}
	m.OneTime = kept
}

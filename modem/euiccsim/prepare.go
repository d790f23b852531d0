package euiccsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Codes of DownloadErrorCode (SGP.22 annex H).
const (
	downloadInvalidCertificate = 1
	downloadInvalidSignature   = 2
	downloadUnsupportedCurve   = 3
	downloadNoSessionContext   = 4
	downloadInvalidTransaction = 5
)

// maxRetryKeys bounds the one-time key pairs that are kept for retries; the
// oldest goes first.
const maxRetryKeys = 4

// retryKey is a one-time key pair that a package may have been bound to: it is
// kept until the package was loaded or the download was given up for good.
type retryKey struct {
	DPOID string
	Key   []byte // private scalar
}

// String redacts.
func (k retryKey) String() string { return "euiccsim.retryKey(" + k.DPOID + ", redacted)" }

// GoString redacts.
func (k retryKey) GoString() string { return k.String() }

// prepareRequest is PrepareDownloadRequest, its elements as received.
type prepareRequest struct {
	signed2, signature2, certificate wire.Node
	hashCC                           []byte
	transactionID                    []byte
	ccRequired                       bool
	otPK                             []byte // bppEuiccOtpk
}

func readPrepareRequest(n wire.Node) (r prepareRequest, ok bool) {
	list, err := n.Children()
	if err != nil {
		return r, false
	}
	switch {
	case tags(list, 0x30, 0x5F37, 0x30):
		r = prepareRequest{signed2: list[0], signature2: list[1], certificate: list[2]}
	case tags(list, 0x30, 0x5F37, 0x04, 0x30) && len(list[2].Value) == 32:
		r = prepareRequest{signed2: list[0], signature2: list[1], hashCC: list[2].Value, certificate: list[3]}
	default:
		return r, false
	}
	id, ok1 := r.signed2.Find(0x80)
	cc, ok2 := r.signed2.Find(0x01)
	if !ok1 || !ok2 || len(id.Value) < 1 || len(id.Value) > 16 || len(cc.Value) != 1 {
		return r, false
	}
	r.transactionID, r.ccRequired = id.Value, cc.Value[0] != 0
	if pk, found := r.signed2.Find(0x5F49); found {
		r.otPK = pk.Value
	}
	return r, true
}

// prepareDownload is ES10b.PrepareDownload (SGP.22 section 5.7.5).
func (c *Card) prepareDownload(n wire.Node) ([]byte, wire.SW) {
	r, ok := readPrepareRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	s := c.card.session
	pb, code := c.checkPrepare(s, r)
	if code != resultOK {
		return wire.TLV(n.Tag, wire.TLV(0xA1, wire.TLV(0x80, r.transactionID), wire.Integer(0x02, code))), wire.SWOK
	}
	if err := c.oneTimeKey(s, r.otPK); err != nil {
		return nil, wire.SWMemoryProblem
	}
	parts := [][]byte{wire.TLV(0x80, s.transactionID), wire.TLV(0x5F49, s.otPK())}
	if r.hashCC != nil {
		parts = append(parts, wire.TLV(0x04, r.hashCC))
	}
	signed := wire.TLV(0x30, parts...)
	signature, err := c.sign(signed, r.signature2.Raw)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	s.stage, s.pb = stagePrepared, pb
	return wire.TLV(n.Tag, wire.TLV(0xA0, signed, wire.TLV(0x5F37, signature))), wire.SWOK
}

// checkPrepare makes the checks of PrepareDownload.
func (c *Card) checkPrepare(s *session, r prepareRequest) (*x509.Certificate, int64) {
	if s == nil || s.stage == stageChallenged {
		return nil, downloadNoSessionContext
	}
	if !bytes.Equal(r.transactionID, s.transactionID) {
		return nil, downloadInvalidTransaction
	}
	c.busy += 2 * c.o.Delays.Verify
	pb, ci, err := testpki.VerifyServer(r.certificate.Raw, testpki.RoleDPPB, c.pki.CIs, c.now())
	switch {
	case errors.Is(err, testpki.ErrCurve):
		return nil, downloadUnsupportedCurve
	case err != nil, testpki.RegisteredID(pb) != s.oid, !bytes.Equal(ci.SubjectKeyId, s.ci.SubjectKeyId):
		return nil, downloadInvalidCertificate
	case !testpki.Verify(testpki.Key(pb.PublicKey), r.signature2.Value, r.signed2.Raw, s.signature1):
		return nil, downloadInvalidSignature
	case r.ccRequired && r.hashCC == nil:
		return nil, resultUndefined
	}
	return pb, resultOK
}

// oneTimeKey takes the key pair that the SM-DP+ names and the card still has,
// or makes a new one and keeps it for a retry.
func (c *Card) oneTimeKey(s *session, named []byte) error {
	if len(named) > 0 {
		for _, k := range c.nv.Keys {
			key, err := ecdh.P256().NewPrivateKey(k.Key)
			if err == nil && k.DPOID == s.oid && bytes.Equal(key.PublicKey().Bytes(), named) {
				s.otSK = key
				return nil
			}
		}
	}
	if s.otSK != nil && len(named) == 0 {
		return nil // PrepareDownload again in one session, as after a wrong confirmation code
	}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	c.busy += c.o.Delays.KeyPair
	err = c.set(func(m *memory) {
		m.Keys = append(m.Keys, retryKey{DPOID: s.oid, Key: key.Bytes()})
		if over := len(m.Keys) - maxRetryKeys; over > 0 {
			m.Keys = slices.Clone(m.Keys[over:])
		}
	})
	if err != nil {
		return err
	}
	s.otSK = key
	return nil
}

// forgetKey drops a one-time key pair.
func (m *memory) forgetKey(key *ecdh.PrivateKey) {
	if key == nil {
		return
	}
	kept := make([]retryKey, 0, len(m.Keys))
	for _, k := range m.Keys {
		if !bytes.Equal(k.Key, key.Bytes()) {
			kept = append(kept, k)
		}
	}
	m.Keys = kept
}

// Cancel reasons after which the one-time key pair is kept (SGP.22 section 5.7.14).
const (
	cancelPostponed = 1
	cancelTimeout   = 2
)

// cancelSession is ES10b.CancelSession (SGP.22 section 5.7.14). It ends the session.
func (c *Card) cancelSession(n wire.Node) ([]byte, wire.SW) {
	id, ok1 := n.Find(0x80)
	why, ok2 := n.Find(0x81)
	if !ok1 || !ok2 {
		return nil, wire.SWWrongData
	}
	reason, err := why.Int()
	if err != nil {
		return nil, wire.SWWrongData
	}
	s := c.card.session
	if s == nil || s.stage == stageChallenged || !bytes.Equal(id.Value, s.transactionID) {
		return wire.TLV(n.Tag, wire.Integer(0x81, downloadInvalidTransaction)), wire.SWOK
	}
	oid, err := wire.OID(0x81, s.oid)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	signed := wire.TLV(0x30, wire.TLV(0x80, s.transactionID), oid, wire.TLV(0x82, why.Value))
	signature, err := c.sign(signed)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	forget, err := c.strike(FaultForgetKeys)
	if err == nil && s.otSK != nil && (forget || reason != cancelPostponed && reason != cancelTimeout) {
		err = c.set(func(m *memory) { m.forgetKey(s.otSK) })
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	c.card.session = nil
	return wire.TLV(n.Tag, wire.TLV(0xA0, signed, wire.TLV(0x5F37, signature))), wire.SWOK
}

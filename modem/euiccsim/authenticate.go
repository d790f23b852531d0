package euiccsim

import (
	"bytes"
	"crypto/x509"
	"errors"
	"time"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Codes of AuthenticateErrorCode (SGP.22 annex H).
const (
	authInvalidCertificate = 1
	authInvalidSignature   = 2
	authUnsupportedCurve   = 3
	authNoSessionContext   = 4
	authInvalidOID         = 5
	authChallengeMismatch  = 6
	authCIPKUnknown        = 7
)

// authRequest is AuthenticateServerRequest, its elements as received.
type authRequest struct {
	signed1, signature1, ciPKID, certificate, context wire.Node

	transactionID, challenge, address, serverChallenge []byte
}

// readAuthRequest reads the elements in their order; SGP.22 fixes it. What
// version 3 has behind them (other certificates, CRLs) is passed over:
// extensibility is implied. A request that is no AuthenticateServerRequest gives
// false.
func readAuthRequest(n wire.Node) (r authRequest, ok bool) {
	list, err := n.Children()
	if err != nil || len(list) < 5 || !tags(list[:5], 0x30, 0x5F37, 0x04, 0x30, 0xA0) {
		return r, false
	}
	r = authRequest{signed1: list[0], signature1: list[1], ciPKID: list[2], certificate: list[3], context: list[4]}
	for _, f := range []struct {
		tag      wire.Tag
		to       *[]byte
		min, max int
	}{
		{0x80, &r.transactionID, 1, 16},
		{0x81, &r.challenge, 16, 16},
		{0x83, &r.address, 1, 255},
		{0x84, &r.serverChallenge, 16, 16},
	} {
		v, found := r.signed1.Find(f.tag)
		if !found || len(v.Value) < f.min || len(v.Value) > f.max {
			return r, false
		}
		*f.to = v.Value
	}
	_, device := r.context.Find(0xA1, 0x80) // DeviceInfo with its TAC
	return r, device
}

// tags reports whether the nodes have exactly these tags, in this order.
func tags(list []wire.Node, want ...wire.Tag) bool {
	if len(list) != len(want) {
		return false
	}
	for i := range want {
		if list[i].Tag != want[i] {
			return false
		}
	}
	return true
}

// authenticateServer is ES10b.AuthenticateServer (SGP.22 section 5.7.13). An
// error ends the session.
func (c *Card) authenticateServer(n wire.Node) ([]byte, wire.SW) {
	r, ok := readAuthRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	s := c.card.session
	cert, ci, code := c.checkServer(s, r)
	if code != resultOK {
		c.card.session = nil
		return wire.TLV(n.Tag, wire.TLV(0xA1, wire.TLV(0x80, r.transactionID), wire.Integer(0x02, code))), wire.SWOK
	}
	signed := wire.TLV(0x30,
		wire.TLV(0x80, r.transactionID),
		wire.TLV(0x83, r.address),
		wire.TLV(0x84, r.serverChallenge),
		c.euiccInfo2(),
		r.context.Raw)
	signature, err := c.sign(signed)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	s.stage = stageAuthenticated
	s.transactionID = bytes.Clone(r.transactionID)
	s.address = string(r.address)
	s.oid = testpki.RegisteredID(cert)
	s.ci = ci
	s.signature1 = wire.TLV(0x5F37, signature)
	return wire.TLV(n.Tag, wire.TLV(0xA0, signed, s.signature1, c.pki.Cert.Raw, c.pki.EUM.Raw)), wire.SWOK
}

// checkServer makes the checks of AuthenticateServer in the specification's
// order.
func (c *Card) checkServer(s *session, r authRequest) (cert, ci *x509.Certificate, code int64) {
	if s == nil || s.stage != stageChallenged {
		return nil, nil, authNoSessionContext
	}
	if !bytes.Equal(r.ciPKID.Value, c.signingID()) {
		return nil, nil, authCIPKUnknown
	}
	c.busy += 2 * c.o.Delays.Verify
	cert, ci, err := testpki.VerifyServer(r.certificate.Raw, testpki.RoleDPAuth, c.pki.CIs, c.now())
	switch {
	case errors.Is(err, testpki.ErrCurve):
		return nil, nil, authUnsupportedCurve
	case errors.Is(err, testpki.ErrPolicy):
		return nil, nil, authInvalidOID
	case err != nil:
		return nil, nil, authInvalidCertificate
	case !testpki.Verify(testpki.Key(cert.PublicKey), r.signature1.Value, r.signed1.Raw):
		return nil, nil, authInvalidSignature
	case !bytes.Equal(r.challenge, s.challenge[:]):
		return nil, nil, authChallengeMismatch
	}
	return cert, ci, resultOK
}

// now is the card's time, zero when it has no clock.
func (c *Card) now() time.Time {
	if c.o.Clock == nil {
		return time.Time{}
	}
	return c.o.Clock()
}

package smdpsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// getBoundProfilePackage is ES9+.GetBoundProfilePackage (SGP.22 section 5.6.2).
// Every answer with a package is one download attempt, also a repeated one.
func (s *Server) getBoundProfilePackage(c *call) (reply, error) {
	sess, err := s.session(c)
	if err != nil {
		return nil, err
	}
	response, err := object(c.req.PrepareDownloadResponse, "prepareDownloadResponse", 0xBF21)
	if err != nil {
		return nil, err
	}
	if sess.Stage == stageInitiated {
		return nil, statusTransaction.with("the eUICC is not authenticated in this session")
	}
	if failure, ok := response.Find(0xA1); ok {
		return nil, euiccError("PrepareDownload", failure)
	}
	signed, err := s.prepared(response, sess)
	if err != nil {
		return nil, err
	}
	r := s.store.orders[sess.Order]
	if r == nil || r.State != StateReleased && r.State != StateDownloaded || r.Linked != "" && r.Linked != sess.EID {
		return nil, statusNoBinding.with("another session has the profile")
	}
	if r.Deliveries >= r.attempts() {
		return nil, s.end(c, r, statusRetries, "download attempts used up")
	}
	if err := s.confirm(c, r, sess, signed); err != nil {
		return nil, err
	}
	otpk, err := sized(signed, 65, 0x5F49)
	if err != nil {
		return nil, err
	}
	return s.deliver(c, sess, r, otpk)
}

// prepared checks a PrepareDownloadResponseOk: the signature over the bytes as
// received, and that they belong to this session.
func (s *Server) prepared(response wire.Node, sess *session) (wire.Node, error) {
	ok, err := need(response, 0xA0)
	if err != nil {
		return wire.Node{}, err
	}
	signed, err := need(ok, 0x30)
	if err != nil {
		return wire.Node{}, err
	}
	signature, err := need(ok, 0x5F37)
	if err != nil {
		return wire.Node{}, err
	}
	if !sess.verify(signature.Value, signed.Raw, sess.Signature2) {
		return wire.Node{}, statusSignature.with("euiccSignature2 is invalid")
	}
	id, err := need(signed, 0x80)
	if err != nil {
		return wire.Node{}, err
	}
	if !bytes.Equal(id.Value, sess.transaction()) {
		return wire.Node{}, statusTransaction.with("the eUICC signed another transaction id")
	}
	return signed, nil
}

// verify checks a signature of the session's eUICC.
func (s *session) verify(signature []byte, parts ...[]byte) bool {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), s.Key)
	return err == nil && testpki.Verify(key, signature, parts...)
}

// confirm checks the confirmation code (SGP.22 section 4.7). A missing one
// counts for nothing, a wrong one is counted and ends the order at the limit.
func (s *Server) confirm(c *call, r *record, sess *session, signed wire.Node) error {
	if r.ConfirmationCode == "" {
		return nil
	}
	hash, ok := signed.Find(0x04)
	if !ok {
		return statusCodeMissing
	}
	if subtle.ConstantTimeCompare(hash.Value, r.ConfirmationCode.hash(sess.transaction())) == 1 {
		return nil
	}
	r = r.clone()
	r.WrongCodes++
	st := statusCodeRefused
	if r.WrongCodes >= r.confirmationAttempts() {
		st = statusCodeRetries
		r.fail(st, "the confirmation code was wrong too often")
	}
	if err := s.store.commit(change{orders: []*record{r}}); err != nil {
		return err
	}
	c.to = r.State
	return st
}

// deliver binds the profile to the eUICC's one-time key. The same key again
// gives the same protected profile under the new transaction id; another key is
// a new binding, where the order allows it. The delivery is counted and written
// before the package leaves.
func (s *Server) deliver(c *call, sess *session, r *record, otpk []byte) (reply, error) {
	reused := bytes.Equal(r.OTPK, otpk)
	if r.OTPK != nil && !reused && r.NoRebind {
		return nil, statusNoBinding
	}
	own, err := ownKey(r, reused)
	if err != nil {
		return nil, err
	}
	r = r.clone()
	b := s.binding(c, sess, r, own, otpk)
	if b.profile, err = r.profile(); err != nil {
		return nil, err
	}
	bpp, err := b.bytes()
	if err != nil {
		return nil, statusInvalid.with("euiccOtpk: %v", err)
	}
	r.State, r.Linked, r.OTPK, r.OTSK = StateDownloaded, sess.EID, bytes.Clone(otpk), own.Bytes()
	r.Deliveries++
	r.WrongCodes = 0
	r.Bindings = append(r.Bindings, Binding{TransactionID: sess.ID, EID: sess.EID, At: c.at.UTC(), Reused: reused})
	sess = sess.clone()
	sess.Stage = stageBound
	if err := s.store.commit(change{orders: []*record{r}, sessions: []*session{sess}}); err != nil {
		return nil, err
	}
	c.to = r.State
	if c.fault.Kind == FaultWrongMAC {
		bpp[len(bpp)-1] ^= 1
	}
	return reply{"transactionId": sess.ID, "boundProfilePackage": encode(bpp)}, nil
}

func ownKey(r *record, reused bool) (*ecdh.PrivateKey, error) {
	if reused {
		return ecdh.P256().NewPrivateKey(r.OTSK)
	}
	return ecdh.P256().GenerateKey(rand.Reader)
}

func (s *Server) binding(c *call, sess *session, r *record, own *ecdh.PrivateKey, otpk []byte) *binding {
	return &binding{
		transaction: signedID(sess.transaction(), c.fault),
		own:         own, peer: otpk, eid: sess.EID, host: hostID,
		metadata: storeMetadata(r.ICCID, r.Metadata, s.cfg.Address),
		ppk:      r.PPK,
		sign: func(parts ...[]byte) ([]byte, error) {
			signature, err := testpki.Sign(s.cfg.PKI.PB.Key, parts...)
			if err == nil && c.fault.Kind == FaultWrongSignature {
				signature[0] ^= 1
			}
			return signature, err
		},
	}
}

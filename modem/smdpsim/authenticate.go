package smdpsim

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// session finds the ongoing session of a request.
func (s *Server) session(c *call) (*session, error) {
	if c.req.TransactionID == nil {
		return nil, statusMissing.with("transactionId is missing")
	}
	sess, ok := s.store.sessions[strings.ToUpper(*c.req.TransactionID)]
	if !ok || sess.Stage == stageEnded {
		return nil, statusTransaction
	}
	c.transaction = sess.ID
	return sess, nil
}

// authenticate is ES9+.AuthenticateClient (SGP.22 section 5.6.3) for a profile
// download. Repeated in one session, it gives the same answer again.
func (s *Server) authenticate(c *call) (reply, error) {
	sess, err := s.session(c)
	if err != nil {
		return nil, err
	}
	response, err := object(c.req.AuthenticateServerResponse, "authenticateServerResponse", 0xBF38)
	if err != nil {
		return nil, err
	}
	if failure, ok := response.Find(0xA1); ok {
		return nil, euiccError("AuthenticateServer", failure)
	}
	ok, err := need(response, 0xA0)
	if err != nil {
		return nil, err
	}
	card, err := s.authenticated(ok, sess)
	if err != nil {
		return nil, err
	}
	if sess.EID != "" && sess.EID != card.chain.EID {
		return nil, statusSignature.with("the session is another eUICC's")
	}
	c.eid = card.chain.EID
	sess = sess.clone()
	sess.EID, sess.Device = card.chain.EID, card.device
	if sess.Key, err = point(card.chain); err != nil {
		return nil, err
	}
	if sess.Stage == stageInitiated {
		sess.Stage = stageAuthenticated
	}
	r, err := s.orderFor(c, card)
	if err != nil {
		// The eUICC is known from now on: it may cancel the session.
		if cerr := s.store.commit(change{sessions: []*session{sess}}); cerr != nil {
			return nil, cerr
		}
		return nil, err
	}
	return s.offer(c, sess, r, card)
}

// euiccError is the status for an error that the eUICC reported in place of a
// signed answer (AuthenticateResponseError, DownloadResponseError: the code is a
// plain INTEGER; automatic tags would make it 81).
func euiccError(function string, failure wire.Node) *Status {
	code := "?"
	for _, tag := range []wire.Tag{0x02, 0x81} {
		if n, ok := failure.Find(tag); ok {
			if v, err := n.Int(); err == nil {
				code = strconv.FormatInt(v, 10)
			}
			break
		}
	}
	return statusExecution.with("the eUICC answered %s with error %s", function, code)
}

// client is an authenticated eUICC.
type client struct {
	chain      *testpki.Chain
	info       wire.Node // EUICCInfo2
	matchingID MatchingID
	device     Device
	signature1 []byte // as a TLV
}

// authenticated checks an AuthenticateResponseOk: certificates, signature over
// the bytes as received, and that what is signed belongs to this session.
func (s *Server) authenticated(ok wire.Node, sess *session) (*client, error) {
	parts, err := ok.Children()
	if err != nil || len(parts) < 4 || parts[0].Tag != 0x30 || parts[1].Tag != 0x5F37 || parts[2].Tag != 0x30 || parts[3].Tag != 0x30 {
		return nil, statusInvalid.with("authenticateServerResponse: not signed data, signature and two certificates")
	}
	signed, signature := parts[0], parts[1]
	chain, err := s.verifyCard(parts[2].Raw, parts[3].Raw)
	if err != nil {
		return nil, err
	}
	if !testpki.Verify(chain.CardKey, signature.Value, signed.Raw) {
		return nil, statusSignature.with("euiccSignature1 is invalid")
	}
	id, err := need(signed, 0x80)
	if err != nil {
		return nil, err
	}
	address, err := need(signed, 0x83)
	if err != nil {
		return nil, err
	}
	challenge, err := need(signed, 0x84)
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(id.Value, sess.transaction()):
		return nil, statusTransaction.with("the eUICC signed another transaction id")
	case !bytes.Equal(challenge.Value, sess.Challenge):
		return nil, statusSignature.with("the eUICC signed another server challenge")
	case !s.isAddress(string(address.Value)):
		return nil, statusAddress.with("the eUICC signed another server address")
	}
	card := &client{chain: chain, signature1: signature.Raw}
	return card, card.context(signed)
}

// context reads what the eUICC signed about itself and its device.
func (card *client) context(signed wire.Node) error {
	var err error
	if card.info, err = need(signed, 0xBF22); err != nil {
		return err
	}
	params, err := need(signed, 0xA0)
	if err != nil {
		return err
	}
	if id, ok := params.Find(0x80); ok {
		card.matchingID = MatchingID(id.Value)
	}
	device, err := need(params, 0xA1)
	if err != nil {
		return err
	}
	tac, err := sized(device, 4, 0x80)
	if err != nil {
		return err
	}
	if _, err := need(device, 0xA1); err != nil { // deviceCapabilities
		return err
	}
	card.device.TAC = hex.EncodeToString(tac)
	if imei, ok := device.Find(0x82); ok {
		if len(imei.Value) != 8 {
			return statusInvalid.with("deviceInfo: IMEI of %d bytes", len(imei.Value))
		}
		card.device.IMEI = hex.EncodeToString(imei.Value)
	}
	return nil
}

// verifyCard checks an eUICC's chain and names what is wrong as SGP.22 does.
func (s *Server) verifyCard(euicc, eum []byte) (*testpki.Chain, error) {
	chain, err := testpki.VerifyCard(euicc, eum, s.cis, time.Now())
	if err == nil {
		return chain, nil
	}
	invalid, expired := statusEUICC, statusEUICCExpired
	if strings.HasPrefix(err.Error(), "CERT.EUM:") {
		invalid, expired = statusEUM, statusEUMExpired
	}
	switch {
	case errors.Is(err, testpki.ErrUnknownCI):
		return nil, statusCI.with("%v", err)
	case errors.Is(err, testpki.ErrValidity):
		return nil, expired.with("%v", err)
	}
	return nil, invalid.with("%v", err)
}

// orderFor finds the order that the eUICC asks for and decides whether it may
// have it (SGP.22 section 3.1.3.1). An order that has expired or was downloaded
// too often ends here.
func (s *Server) orderFor(c *call, card *client) (*record, error) {
	r := s.find(card)
	if r == nil {
		return nil, statusRefused
	}
	c.order, c.from, c.to = r.ID, r.State, r.State
	if r.Linked != "" && r.Linked != card.chain.EID {
		return nil, statusEID
	}
	switch r.State {
	case StateAvailable:
		return nil, statusNotReleased
	case StateError:
		if r.Refusal != nil {
			return nil, r.Refusal
		}
		return nil, statusRefused
	case StateInstalled, StateUnavailable:
		return nil, statusRefused
	}
	if !r.Expires.IsZero() && !c.at.Before(r.Expires) {
		return nil, s.end(c, r, statusExpired, "expired")
	}
	if r.Deliveries >= r.attempts() {
		return nil, s.end(c, r, statusRetries, "download attempts used up")
	}
	return r, r.eligible(card)
}

// find looks an order up by its matching id or, without one, takes the first
// pending order of the EID that can be downloaded.
func (s *Server) find(card *client) *record {
	if card.matchingID != "" {
		return s.store.orders[s.store.matching[card.matchingID]]
	}
	var found *record
	for _, r := range s.store.orders {
		if r.MatchingID != "" || r.Prepared || r.Linked != card.chain.EID {
			continue
		}
		open := r.State == StateReleased || r.State == StateDownloaded
		if open && (found == nil || r.ID < found.ID) {
			found = r
		}
	}
	return found
}

// end puts an order into error and returns the status, or what prevented it.
func (s *Server) end(c *call, r *record, st *Status, cause string) error {
	r = r.clone()
	r.fail(st, cause)
	if err := s.store.commit(change{orders: []*record{r}}); err != nil {
		return err
	}
	c.to = r.State
	return st
}

// offer answers with metadata and what the eUICC needs to prepare the download.
// It changes sess, which is not in the store yet.
func (s *Server) offer(c *call, sess *session, r *record, card *client) (reply, error) {
	required := byte(0x00)
	if r.ConfirmationCode != "" {
		required = 0xFF
	}
	parts := [][]byte{wire.TLV(0x80, signedID(sess.transaction(), c.fault)), wire.TLV(0x01, []byte{required})}
	if r.OTPK != nil {
		parts = append(parts, wire.TLV(0x5F49, r.OTPK)) // so that the eUICC may use it again
	}
	signed := wire.TLV(0x30, parts...)
	signature, err := s.sign(s.cfg.PKI.PB, c.fault, signed, card.signature1)
	if err != nil {
		return nil, err
	}
	sess.Order, sess.Signature2 = r.ID, signature
	if err := s.store.commit(change{sessions: []*session{sess}}); err != nil {
		return nil, err
	}
	return reply{
		"transactionId":   sess.ID,
		"profileMetadata": encode(storeMetadata(r.ICCID, r.Metadata, s.cfg.Address)),
		"smdpSigned2":     encode(signed),
		"smdpSignature2":  encode(signature),
		"smdpCertificate": encode(s.cfg.PKI.PB.Cert.Raw),
	}, nil
}

// point is the eUICC's public key as an uncompressed point.
func point(chain *testpki.Chain) ([]byte, error) {
	key, err := chain.CardKey.ECDH()
	if err != nil {
		return nil, err
	}
	return key.Bytes(), nil
}

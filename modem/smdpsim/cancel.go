package smdpsim

import (
	"bytes"
	"fmt"

	"linefit/modem/wire"
)

// CancelReason is why an LPA gave a session up (SGP.22 section 5.7.14).
type CancelReason int64

// Cancel reasons of SGP.22 version 2. Those of version 3 (16 and above) end the
// order like all that are not named here.
const (
	CancelEndUserRejection CancelReason = 0
	CancelPostponed        CancelReason = 1
	CancelTimeout          CancelReason = 2
	CancelPPRNotAllowed    CancelReason = 3
	CancelMetadataMismatch CancelReason = 4
	CancelLoadError        CancelReason = 5
	CancelUndefined        CancelReason = 127
)

// Final reports whether the reason ends the order. Only a postponed download
// and a timeout leave it alive (SGP.22 section 3.1.3.1).
func (r CancelReason) Final() bool { return r != CancelPostponed && r != CancelTimeout }

// String is the reason's name.
func (r CancelReason) String() string {
	names := map[CancelReason]string{
		CancelEndUserRejection: "end user rejection", CancelPostponed: "postponed", CancelTimeout: "timeout",
		CancelPPRNotAllowed: "PPR not allowed", CancelMetadataMismatch: "metadata mismatch",
		CancelLoadError: "load BPP execution error", CancelUndefined: "undefined reason",
	}
	if name, ok := names[r]; ok {
		return name
	}
	return fmt.Sprintf("reason %d", int64(r))
}

// cancelSession is ES9+.CancelSession (SGP.22 section 5.6.5). The session ends;
// the order ends too unless the reason leaves it alive.
func (s *Server) cancelSession(c *call) (reply, error) {
	sess, err := s.session(c)
	if err != nil {
		return nil, err
	}
	response, err := object(c.req.CancelSessionResponse, "cancelSessionResponse", 0xBF41)
	if err != nil {
		return nil, err
	}
	if sess.Stage == stageInitiated {
		return nil, statusTransaction.with("the eUICC is not authenticated in this session")
	}
	if failure, ok := response.Find(0x81); ok {
		// Nothing of this is signed: believing it would let anyone end an order.
		return nil, statusExecution.with("the eUICC answered CancelSession with error %x", failure.Value)
	}
	reason, err := s.cancelled(response, sess)
	if err != nil {
		return nil, err
	}
	c.detail = "cancelled: " + reason.String()
	sess = sess.clone()
	sess.Stage = stageEnded
	ch := change{sessions: []*session{sess}}
	r := s.store.orders[sess.Order]
	open := r != nil && (r.State == StateReleased || r.State == StateDownloaded)
	if open && reason.Final() {
		r = r.clone()
		r.fail(statusRefused, c.detail)
		c.to = r.State
		ch.orders = []*record{r}
	}
	if err := s.store.commit(ch); err != nil {
		return nil, err
	}
	return reply{"transactionId": sess.ID}, nil
}

// cancelled checks a CancelSessionResponseOk and returns its reason.
func (s *Server) cancelled(response wire.Node, sess *session) (CancelReason, error) {
	ok, err := need(response, 0xA0)
	if err != nil {
		return 0, err
	}
	signed, err := need(ok, 0x30)
	if err != nil {
		return 0, err
	}
	signature, err := need(ok, 0x5F37)
	if err != nil {
		return 0, err
	}
	if !sess.verify(signature.Value, signed.Raw) {
		return 0, statusSignature.with("euiccCancelSessionSignature is invalid")
	}
	id, err := need(signed, 0x80)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(id.Value, sess.transaction()) {
		return 0, statusTransaction.with("the eUICC signed another transaction id")
	}
	if err := s.ownOID(signed, 0x81); err != nil {
		return 0, err
	}
	reason, err := need(signed, 0x82)
	if err != nil {
		return 0, err
	}
	v, err := reason.Int()
	if err != nil {
		return 0, statusInvalid.with("reason: %v", err)
	}
	return CancelReason(v), nil
}

// ownOID checks an object identifier that the eUICC took from our certificate.
func (s *Server) ownOID(n wire.Node, tag wire.Tag) error {
	oid, err := need(n, tag)
	if err != nil {
		return err
	}
	if dotted, err := oid.OID(); err != nil || dotted != s.oid {
		return statusOID
	}
	return nil
}

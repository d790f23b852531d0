package smdpsim

import (
	"errors"
	"fmt"
	"slices"

	"linefit/modem/ident"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// maxForeign bounds the notifications kept for profiles that are no order's.
const maxForeign = 4096

// errorReason of SGP.22 annex H after which the download may be tried again.
const (
	reasonMemory       = 10
	reasonInterruption = 11
)

// handleNotification is ES9+.HandleNotification (SGP.22 section 5.6.4). Every
// notification with a good signature is acknowledged, a repeated one too; it
// counts once. One that is malformed or has a bad signature is refused, so that
// the LPA keeps it and somebody looks at it.
func (s *Server) handleNotification(c *call) error {
	b, err := data(c.req.PendingNotification, "pendingNotification")
	if err != nil {
		return err
	}
	n, err := wire.Parse(b)
	if err == nil {
		err = n.Check()
	}
	switch {
	case err != nil:
		err = statusInvalid.with("pendingNotification: %v", err)
	case n.Tag == 0xBF37:
		err = s.installationResult(c, n)
	case n.Tag == 0x30:
		err = s.otherNotification(c, n)
	default:
		err = statusInvalid.with("pendingNotification: tag %v", n.Tag)
	}
	if _, refused := statusOf(err); refused {
		if cerr := s.store.commit(change{refused: 1}); cerr != nil {
			return errors.Join(cerr, errors.New("refused notification")) // no status in it: 500
		}
	}
	return err
}

// receipt reads a NotificationMetadata (BF2F).
func receipt(c *call, n wire.Node) (Receipt, error) {
	rec := Receipt{At: c.at.UTC()}
	seq, err := need(n, 0x80)
	if err != nil {
		return rec, err
	}
	if rec.Seq, err = seq.Int(); err != nil {
		return rec, statusInvalid.with("seqNumber: %v", err)
	}
	operation, err := need(n, 0x81)
	if err != nil {
		return rec, err
	}
	events, err := operation.Bits()
	if err != nil || len(events) != 1 || events[0] > int(EventDelete) {
		return rec, statusInvalid.with("profileManagementOperation is not one event")
	}
	rec.Event = ProfileEvent(events[0])
	if _, err := need(n, 0x0C); err != nil { // notificationAddress
		return rec, err
	}
	if iccid, ok := n.Find(0x5A); ok {
		if rec.ICCID, err = ident.ICCIDFromBytes(iccid.Value); err != nil {
			return rec, statusInvalid.with("%v", err)
		}
	}
	return rec, nil
}

// installationResult takes a ProfileInstallationResult (BF37). It carries no
// certificate: only the session's eUICC can be the sender.
func (s *Server) installationResult(c *call, n wire.Node) error {
	signed, err := need(n, 0xBF27)
	if err != nil {
		return err
	}
	signature, err := need(n, 0x5F37)
	if err != nil {
		return err
	}
	id, err := need(signed, 0x80)
	if err != nil {
		return err
	}
	sess, ok := s.store.sessions[fmt.Sprintf("%X", id.Value)]
	if !ok || sess.Key == nil {
		c.detail = "no session has this transaction id"
		return nil // acknowledged: it can't be checked and is nothing of ours
	}
	c.transaction, c.eid, c.order = sess.ID, sess.EID, sess.Order
	if !sess.verify(signature.Value, signed.Raw) {
		return statusSignature.with("the signature of the installation result is invalid")
	}
	metadata, err := need(signed, 0xBF2F)
	if err != nil {
		return err
	}
	rec, err := receipt(c, metadata)
	if err != nil {
		return err
	}
	if rec.Event != EventInstall {
		return statusInvalid.with("an installation result is about %v", rec.Event)
	}
	if _, ok := signed.Find(0x06); ok {
		if err := s.ownOID(signed, 0x06); err != nil {
			return err
		}
	}
	rec.EID = sess.EID
	result, err := need(signed, 0xA2)
	if err != nil {
		return err
	}
	return s.installed(c, sess, rec, result)
}

// installed records the final result (A2) of an installation.
func (s *Server) installed(c *call, sess *session, rec Receipt, result wire.Node) error {
	r := s.store.orders[sess.Order]
	if r == nil || rec.ICCID != "" && rec.ICCID != r.ICCID {
		return statusInvalid.with("the installation result is about another profile")
	}
	rec.ICCID = r.ICCID
	c.from, c.to = r.State, r.State
	if known(r.Receipts, rec) {
		c.detail = "received before"
		return nil
	}
	r = r.clone()
	if success, ok := result.Find(0xA0); ok {
		aid, err := need(success, 0x4F)
		if err != nil {
			return err
		}
		r.State, r.Refusal, r.Cause, r.Linked = StateInstalled, nil, "", sess.EID
		if deletedSince(r.Receipts, rec) { // notifications may overtake each other
			r.deleted()
		}
		r.Installs = append(r.Installs, Install{TransactionID: sess.ID, EID: sess.EID, AID: fmt.Sprintf("%X", aid.Value), Seq: rec.Seq, At: rec.At})
	} else {
		reason, err := need(result, 0xA1, 0x81)
		if err != nil {
			return err
		}
		code, err := reason.Int()
		if err != nil || code < 1 || code > 127 {
			return statusInvalid.with("errorReason")
		}
		rec.Error = int(code)
		c.detail = fmt.Sprintf("installation failed with reason %d", code)
		temporary := code == reasonMemory || code == reasonInterruption
		if r.State == StateDownloaded && !temporary {
			r.fail(statusRefused, c.detail)
		}
	}
	c.to = r.State
	r.Receipts = append(r.Receipts, rec)
	sess = sess.clone()
	sess.Stage = stageEnded
	return s.store.commit(change{orders: []*record{r}, sessions: []*session{sess}})
}

func known(list []Receipt, rec Receipt) bool {
	return slices.ContainsFunc(list, func(have Receipt) bool {
		return have.EID == rec.EID && have.Seq == rec.Seq && have.Event == rec.Event
	})
}

// otherNotification takes an OtherSignedNotification: metadata, signature and
// the eUICC's certificates.
func (s *Server) otherNotification(c *call, n wire.Node) error {
	parts, err := n.Children()
	if err != nil || len(parts) < 4 || parts[0].Tag != 0xBF2F || parts[1].Tag != 0x5F37 || parts[2].Tag != 0x30 || parts[3].Tag != 0x30 {
		return statusInvalid.with("pendingNotification: not metadata, signature and two certificates")
	}
	chain, err := s.verifyCard(parts[2].Raw, parts[3].Raw)
	if err != nil {
		return err
	}
	c.eid = chain.EID
	if !testpki.Verify(chain.CardKey, parts[1].Value, parts[0].Raw) {
		return statusSignature.with("the signature of the notification is invalid")
	}
	rec, err := receipt(c, parts[0])
	if err != nil {
		return err
	}
	rec.EID = chain.EID
	return s.received(c, rec)
}

// received records a notification with the order that its eUICC installed.
func (s *Server) received(c *call, rec Receipt) error {
	r := s.holder(rec)
	if r == nil {
		c.detail = "no order of this eUICC has this profile"
		if known(s.store.foreign, rec) || len(s.store.foreign) >= maxForeign {
			return nil
		}
		return s.store.commit(change{foreign: []Receipt{rec}})
	}
	c.order, c.from, c.to = r.ID, r.State, r.State
	if known(r.Receipts, rec) {
		c.detail = "received before"
		return nil
	}
	r = r.clone()
	r.Receipts = append(r.Receipts, rec)
	if rec.Event == EventDelete && r.State == StateInstalled {
		r.deleted()
	}
	c.to = r.State
	return s.store.commit(change{orders: []*record{r}})
}

// deleted is what a deletion makes of an installed profile.
func (r *record) deleted() {
	r.State = StateUnavailable
	if r.Reusable {
		r.State, r.OTPK, r.OTSK = StateReleased, nil, nil
	}
}

func deletedSince(list []Receipt, install Receipt) bool {
	return slices.ContainsFunc(list, func(rec Receipt) bool {
		return rec.Event == EventDelete && rec.EID == install.EID && rec.Seq > install.Seq
	})
}

// holder is the order whose profile was delivered to the eUICC; with several,
// an installed one comes first.
func (s *Server) holder(rec Receipt) *record {
	var found *record
	for _, r := range s.store.orders {
		if r.ICCID != rec.ICCID || !slices.ContainsFunc(r.Bindings, func(b Binding) bool { return b.EID == rec.EID }) {
			continue
		}
		if found == nil || r.State == StateInstalled && found.State != StateInstalled || r.State == found.State && r.ID < found.ID {
			found = r
		}
	}
	return found
}

package smdpsim

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"linefit/modem/ident"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// identify finds out whose request this is, as far as that is possible without
// believing it: for faults and charges, not for decisions.
func (s *Server) identify(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.req.TransactionID != nil {
		c.transaction = strings.ToUpper(*c.req.TransactionID)
	}
	switch c.point {
	case AuthenticateClient:
		if n, err := object(c.req.AuthenticateServerResponse, "", 0xBF38); err == nil {
			if ok, found := n.Find(0xA0); found {
				c.eid = claimedEID(ok)
			}
		}
	case HandleNotification:
		c.transaction = ""
		if n, err := object(c.req.PendingNotification, "", 0xBF37); err == nil {
			if id, found := n.Find(0xBF27, 0x80); found {
				c.transaction = fmt.Sprintf("%X", id.Value)
			}
		} else if n, err := object(c.req.PendingNotification, "", 0x30); err == nil {
			c.eid = claimedEID(n)
		}
	}
	if len(c.transaction) > 32 || !isHex(c.transaction) {
		c.transaction = "" // never echoed, never a key
	}
	if sess, ok := s.store.sessions[c.transaction]; ok && sess.EID != "" {
		c.eid, c.order = sess.EID, sess.Order
	}
	if r, ok := s.store.orders[c.order]; ok {
		c.from, c.to = r.State, r.State
	}
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// claimedEID is the EID in the first certificate among a node's children that
// has one.
func claimedEID(n wire.Node) ident.EID {
	children, err := n.Children()
	if err != nil {
		return ""
	}
	for _, child := range children {
		if child.Tag != 0x30 {
			continue
		}
		if cert, err := testpki.ParseCertificate(child.Raw); err == nil {
			if eid, err := ident.ParseEID(cert.Subject.SerialNumber); err == nil {
				return eid
			}
		}
	}
	return ""
}

// draw asks for a fault and counts the attempt durably, so that a restart does
// not repeat it.
func (s *Server) draw(c *call) error {
	if s.cfg.Fault == nil {
		return nil
	}
	key := string(c.point) + " " + string(c.eid)
	s.mu.Lock()
	err := s.store.commit(change{try: key})
	p := FaultPoint{Point: c.point, EID: c.eid, Order: c.order, Attempt: s.store.tries[key]}
	s.mu.Unlock()
	if err == nil {
		c.fault = s.cfg.Fault(p)
	}
	return err
}

// charge reports the time of a request under its EID. Before authentication the
// EID is not known; that time waits for it under the transaction id.
func (s *Server) charge(c *call, due time.Time) {
	if s.cfg.Charge == nil || !due.After(c.at) {
		return
	}
	s.mu.Lock()
	waiting, ok := s.early[c.transaction]
	if c.eid == "" {
		if c.transaction != "" && len(s.early) < maxSessions {
			s.early[c.transaction] = interval{c.at, due}
		}
		s.mu.Unlock()
		return
	}
	delete(s.early, c.transaction)
	s.mu.Unlock()
	if ok {
		s.cfg.Charge(c.eid, waiting.start, waiting.due)
	}
	s.cfg.Charge(c.eid, c.at, due)
}

func (s *Server) observe(c *call, status string) {
	if s.cfg.Observe == nil {
		return
	}
	s.cfg.Observe(Event{
		At: c.at, Point: c.point, Transaction: c.transaction, EID: c.eid, Order: c.order, From: c.from, To: c.to,
		Status: status, Detail: c.detail, Fault: c.fault.Kind,
	})
}

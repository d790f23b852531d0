package smdpsim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"linefit/modem/ident"
)

// OrderInfo is what the SM-DP+ knows of an order; the accounting of a line is
// checked against it. It names no secret.
type OrderInfo struct {
	ID         string      `json:"id"`
	ICCID      ident.ICCID `json:"iccid"`
	State      State       `json:"state"`
	EID        ident.EID   `json:"eid,omitempty"` // who may download; "": whoever comes first
	Deliveries int         `json:"deliveries"`    // of the bound package: the download attempts
	Attempts   int         `json:"attempts"`      // their cap
	WrongCodes int         `json:"wrong_codes"`
	NeedsCode  bool        `json:"needs_code"`         // a confirmation code is asked for
	Prepared   bool        `json:"prepared,omitempty"` // delivered in a batch (SGP.41), never by ES9+
	Expires    time.Time   `json:"expires,omitzero"`
	Size       int         `json:"size"` // of memory asked for, in bytes
	Cause      string      `json:"cause,omitempty"`
	Bindings   []Binding   `json:"bindings,omitempty"`
	Installs   []Install   `json:"installs,omitempty"`
	Receipts   []Receipt   `json:"receipts,omitempty"`
}

func (r *record) info() OrderInfo {
	return OrderInfo{
		ID: r.ID, ICCID: r.ICCID, State: r.State, EID: r.Linked, Deliveries: r.Deliveries, Attempts: r.attempts(),
		WrongCodes: r.WrongCodes, NeedsCode: r.ConfirmationCode != "", Prepared: r.Prepared, Expires: r.Expires, Size: r.Memory, Cause: r.Cause,
		Bindings: slices.Clone(r.Bindings), Installs: slices.Clone(r.Installs), Receipts: slices.Clone(r.Receipts),
	}
}

// Consumers are the EIDs that the package was delivered to or that say that it
// is installed, each once, in order of time.
func (o OrderInfo) Consumers() []ident.EID {
	var out []ident.EID
	add := func(eid ident.EID) {
		if !slices.Contains(out, eid) {
			out = append(out, eid)
		}
	}
	for _, b := range o.Bindings {
		add(b.EID)
	}
	for _, i := range o.Installs {
		add(i.EID)
	}
	return out
}

// Orders are all orders, by id.
func (s *Server) Orders() []OrderInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]OrderInfo, 0, len(s.store.orders))
	for _, r := range s.store.orders {
		out = append(out, r.info())
	}
	slices.SortFunc(out, func(a, b OrderInfo) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Order is one order.
func (s *Server) Order(id string) (OrderInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.store.orders[id]
	if !ok {
		return OrderInfo{}, false
	}
	return r.info(), true
}

// ActivationCode is the order's activation code (SGP.22 section 4.1), with the
// flag for a confirmation code where one is asked for. Errors wrap [ErrUnknown].
func (s *Server) ActivationCode(id string) (ActivationCode, MatchingID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.store.orders[id]
	if !ok {
		return "", "", fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	code := "LPA:1$" + s.cfg.Address + "$" + r.MatchingID.Reveal()
	if r.ConfirmationCode != "" {
		code += "$$1"
	}
	return ActivationCode(code), r.MatchingID, nil
}

// Notifications are what was received: the sum over all orders, notifications
// with a good signature for profiles that are no order's, and how many were
// refused.
type Notifications struct {
	Accepted int       `json:"accepted"`
	Foreign  []Receipt `json:"foreign,omitempty"`
	Refused  int       `json:"refused"`
}

// Notifications counts the notifications received so far. A repeated one counts once.
func (s *Server) Notifications() Notifications {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := Notifications{Foreign: slices.Clone(s.store.foreign), Refused: s.store.refused}
	for _, r := range s.store.orders {
		n.Accepted += len(r.Receipts)
	}
	return n
}

// Devices are the DeviceInfos that eUICCs came with, by EID: what an LPA says
// of the unit it serves.
func (s *Server) Devices() map[ident.EID][]Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[ident.EID][]Device{}
	for _, sess := range s.store.sessions {
		if sess.EID != "" && !slices.Contains(out[sess.EID], sess.Device) {
			out[sess.EID] = append(out[sess.EID], sess.Device)
		}
	}
	return out
}

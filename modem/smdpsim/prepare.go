package smdpsim

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"linefit/modem/ident"
	"linefit/modem/testpki"
)

// PrepareOptions say what a batch holds.
type PrepareOptions struct {
	PerEID int // packages for each eUICC of which the request does not say it; 0: 1. Each needs a one-time key.
	// Profile is the order's profile and rules for the n-th package, from 0; the
	// server sets id, matching id and EID. nil: GeneratedProfile.
	Profile func(n int) (Order, error)
}

// Prepare binds profiles to the one-time keys of a request (SGP.41, step 6): one
// order and one delivery for each package. The installation results come back
// by ES9+.HandleNotification as ever. A key that was used before is refused.
// Errors wrap [ErrRequest] or [ErrOrder], joined; then nothing was prepared.
func (s *Server) Prepare(req *BindingRequest, opt PrepareOptions) (*Batch, error) {
	if opt.PerEID == 0 {
		opt.PerEID = 1
	}
	if opt.Profile == nil {
		opt.Profile = func(n int) (Order, error) { return Order{Generic: GeneratedProfile(n)}, nil }
	}
	cards, err := s.requested(req, opt.PerEID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.unusedKeys(req, opt.PerEID); err != nil {
		return nil, err
	}
	b := &Batch{
		Format: BatchFormat, ID: fmt.Sprintf("%x", random(make([]byte, 8))), Created: time.Now().UTC(),
		Address: s.cfg.Address, OID: s.oid, Certificate: s.cfg.PKI.PB.Cert.Raw,
	}
	var all change
	for i, card := range req.EUICCs {
		for _, key := range card.Keys[:card.wanted(opt.PerEID)] {
			p, r, sess, err := s.prepare(b.ID, len(b.Packages), opt, cards[i], key)
			if err != nil {
				return nil, fmt.Errorf("EID %s, key %d: %w", card.EID, key.Number, err)
			}
			b.Packages = append(b.Packages, *p)
			all.orders, all.sessions = append(all.orders, s.store.add(r).orders...), append(all.sessions, sess)
		}
	}
	if err := b.sign(s.cfg.PKI.PB); err != nil {
		return nil, err
	}
	if err := s.store.commit(all); err != nil {
		return nil, err
	}
	return b, nil
}

// requested checks a request on its own.
func (s *Server) requested(req *BindingRequest, perEID int) ([]*testpki.Chain, error) {
	var errs []error
	bad := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: euiccs[%d]: "+format, append([]any{ErrRequest, i}, args...)...))
	}
	if len(req.EUICCs) == 0 || perEID < 0 {
		return nil, fmt.Errorf("%w: no eUICC, or a negative number of packages", ErrRequest)
	}
	chains := make([]*testpki.Chain, len(req.EUICCs))
	eids, keys := map[ident.EID]bool{}, map[string]bool{}
	for i, card := range req.EUICCs {
		chain, err := s.verifyCard(card.Certificate, card.EUM)
		switch {
		case err != nil:
			bad(i, "%w", err)
		case chain.EID != card.EID:
			bad(i, "the certificate is of EID %s, not %s", chain.EID, card.EID)
		case eids[card.EID]:
			bad(i, "EID %s is there twice", card.EID)
		}
		if n := card.wanted(perEID); n < 1 || len(card.Keys) < n {
			bad(i, "%d one-time keys for %d packages", len(card.Keys), n)
		}
		for _, k := range card.Keys {
			if _, err := ecdh.P256().NewPublicKey(k.PublicKey); err != nil {
				bad(i, "key %d is not an uncompressed point on P-256", k.Number)
			} else if keys[string(k.PublicKey)] {
				bad(i, "key %d is there twice", k.Number)
			}
			keys[string(k.PublicKey)] = true
		}
		chains[i], eids[card.EID] = chain, true
	}
	return chains, errors.Join(errs...)
}

// unusedKeys refuses keys that any order is bound to.
func (s *Server) unusedKeys(req *BindingRequest, perEID int) error {
	used := map[string]string{}
	for _, r := range s.store.orders {
		if r.OTPK != nil {
			used[string(r.OTPK)] = r.ID
		}
	}
	var errs []error
	for i, card := range req.EUICCs {
		for _, k := range card.Keys[:card.wanted(perEID)] {
			if id, ok := used[string(k.PublicKey)]; ok {
				errs = append(errs, fmt.Errorf("%w: euiccs[%d]: key %d of EID %s was used for order %s", ErrRequest, i, k.Number, card.EID, id))
			}
		}
	}
	return errors.Join(errs...)
}

// prepare makes one package with its order and its session.
func (s *Server) prepare(batch string, n int, opt PrepareOptions, chain *testpki.Chain, key OneTimeKey) (*BatchPackage, *record, *session, error) {
	o, err := opt.Profile(n)
	if err != nil {
		return nil, nil, nil, err
	}
	o.ID, o.MatchingID, o.EID = fmt.Sprintf("%s-%d", batch, n), "", chain.EID
	if err := o.complete(); err != nil {
		return nil, nil, nil, err
	}
	point, err := point(chain)
	if err != nil {
		return nil, nil, nil, err
	}
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	now := time.Now().UTC()
	sess := &session{ID: fmt.Sprintf("%X", random(make([]byte, 16))), Stage: stageBound, At: now, EID: chain.EID, Key: point, Order: o.ID}
	r := &record{
		Order: o, Prepared: true, State: StateDownloaded, Linked: chain.EID, Deliveries: 1, OTPK: bytes.Clone(key.PublicKey), OTSK: own.Bytes(),
		Bindings: []Binding{{TransactionID: sess.ID, EID: chain.EID, At: now}},
	}
	if o.ProtectionKeys {
		r.PPK = newKeys()
	}
	b := s.binding(&call{}, sess, r, own, key.PublicKey)
	if b.profile, err = r.profile(); err != nil {
		return nil, nil, nil, err
	}
	bpp, err := b.bytes()
	if err != nil {
		return nil, nil, nil, err
	}
	return &BatchPackage{
		EID: chain.EID, ICCID: o.ICCID, KeyNumber: key.Number, OneTimeKey: r.OTPK, Transaction: sess.ID, Metadata: b.metadata, Package: bpp,
	}, r, sess, nil
}

package smdpsim

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"linefit/modem/ident"
	"linefit/modem/testpki"
)

// Config is what a [Server] needs to know. Callbacks are called from the
// goroutines of requests, several at once, and must not block; they may call
// the Server's query functions.
type Config struct {
	// Address is the SM-DP+ address: a host name, with the port where it is not
	// 443. It is compared with smdpAddress and serverAddress, ignoring case.
	Address string
	// PKI has the certificates; eUICCs are trusted under its CI.
	PKI *testpki.Server
	// State is the file that keeps the state; "": it ends with the process.
	State string

	// Delay is the modelled time of the server for a request; nil: none.
	Delay func(Point) time.Duration
	// Charge is told of the time that the server took for an EID: from start to
	// due, as modelled. Requests whose EID is learned later are charged then.
	Charge func(eid ident.EID, start, due time.Time)
	// Fault decides what goes wrong; nil: nothing.
	Fault func(FaultPoint) Fault
	// Observe is told of every request when its reply is ready.
	Observe func(Event)
	// Operator serves [Server.Admin] beside ES9+.
	Operator bool
}

// Event is one request and what became of it. It names no secret.
type Event struct {
	At          time.Time `json:"at"`
	Point       Point     `json:"point"`
	Transaction string    `json:"transaction,omitempty"`
	EID         ident.EID `json:"eid,omitempty"`
	Order       string    `json:"order,omitempty"`
	From        State     `json:"from,omitempty"` // state of the order before
	To          State     `json:"to,omitempty"`   // and after
	Status      string    `json:"status"`         // "ok", a subject and reason code, or "http 4xx"
	Detail      string    `json:"detail,omitempty"`
	Fault       FaultKind `json:"fault,omitempty"`
}

// Server is the SM-DP+. All of its methods may be called from any goroutine.
//
// Owner of the state file and of every goroutine that [Server.Serve] starts;
// mu guards store and early. A request holds mu from its first look at the
// state until its change is written, and never while it waits.
type Server struct {
	cfg Config
	cis []*x509.Certificate
	oid string
	ops http.Handler // nil: the operator's side is not served

	mu    sync.Mutex
	store *store
	early map[string]interval // by transaction id: charges whose EID is not known yet
}

type interval struct{ start, due time.Time }

// ErrConfig is the error of a Config that cannot be served.
var ErrConfig = errors.New("SM-DP+ configuration")

// New opens the state and makes a server. Errors wrap [ErrConfig], [ErrStore]
// or [ErrBusy].
func New(cfg Config) (*Server, error) {
	if cfg.Address == "" || cfg.PKI == nil || cfg.PKI.Auth.Key == nil || cfg.PKI.PB.Key == nil {
		return nil, fmt.Errorf("%w: address, DPauth and DPpb with their keys are needed", ErrConfig)
	}
	st, err := openStore(cfg.State)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, cis: []*x509.Certificate{cfg.PKI.CI.Cert}, oid: cfg.PKI.OID(),
		store: st, early: map[string]interval{},
	}
	if cfg.Operator {
		s.ops = s.Admin()
	}
	return s, nil
}

// Address is the SM-DP+ address.
func (s *Server) Address() string { return s.cfg.Address }

// Close gives the state file back. Requests after it fail.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.close()
}

// AddOrder takes an order in and returns what it became. Errors wrap
// [ErrOrder] (all mistakes joined), [ErrDuplicate] or [ErrStore].
func (s *Server) AddOrder(o Order) (OrderInfo, error) {
	if err := o.complete(); err != nil {
		return OrderInfo{}, err
	}
	r := &record{Order: o, State: StateReleased, Linked: o.EID}
	if o.Held {
		r.State = StateAvailable
	}
	if o.ProtectionKeys {
		r.PPK = newKeys()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.store.orders[o.ID]; ok {
		return OrderInfo{}, fmt.Errorf("%w: %s", ErrDuplicate, o.ID)
	}
	if _, ok := s.store.matching[o.MatchingID]; ok {
		return OrderInfo{}, fmt.Errorf("%w: the matching id of %s is another order's", ErrDuplicate, o.ID)
	}
	if err := s.store.commit(s.store.add(r)); err != nil {
		return OrderInfo{}, err
	}
	return r.info(), nil
}

// complete checks an order and fills in what it leaves open.
func (o *Order) complete() error {
	if err := o.validate(); err != nil {
		return err
	}
	if o.Metadata.ServiceProvider == "" {
		o.Metadata.ServiceProvider = "linefit test"
	}
	if o.Metadata.Name == "" {
		o.Metadata.Name = o.profileName()
	}
	return nil
}

func (o *Order) profileName() string {
	if o.Generic != nil {
		return truncate(o.Generic.Name, 64)
	}
	info, err := ParsePackage(o.Package)
	if err != nil || info.Type == "" {
		return string(o.ICCID)
	}
	return truncate(info.Type, 64)
}

func truncate(s string, n int) string {
	r := []rune(s)
	return string(r[:min(n, len(r))])
}

// change applies one operator action to an order.
func (s *Server) change(id string, act func(*record) error) (OrderInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.store.orders[id]
	if !ok {
		return OrderInfo{}, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	r = r.clone()
	if err := act(r); err != nil {
		return OrderInfo{}, fmt.Errorf("order %s: %w", id, err)
	}
	if err := s.store.commit(change{orders: []*record{r}}); err != nil {
		return OrderInfo{}, err
	}
	return r.info(), nil
}

// Release makes a held order ready for download (ES2+.ReleaseProfile).
func (s *Server) Release(id string) (OrderInfo, error) {
	return s.change(id, func(r *record) error {
		if r.State != StateAvailable {
			return fmt.Errorf("%w: release of a profile that is %s", ErrState, r.State)
		}
		r.State = StateReleased
		return nil
	})
}

// Withdraw makes an order unavailable (ES2+.CancelOrder). A profile that is
// installed stays so.
func (s *Server) Withdraw(id string) (OrderInfo, error) {
	return s.change(id, func(r *record) error {
		if r.State == StateInstalled {
			return fmt.Errorf("%w: the profile is installed", ErrState)
		}
		r.State, r.Refusal = StateUnavailable, nil
		return nil
	})
}

// Reset is the operator's answer to an order in error: released again with
// fresh counters, for the same EID if the order named one. A package of a batch
// is not reset: its one-time key is spent.
func (s *Server) Reset(id string) (OrderInfo, error) {
	return s.change(id, func(r *record) error {
		if r.State != StateError && r.State != StateUnavailable || r.Prepared {
			return fmt.Errorf("%w: reset of a profile that is %s", ErrState, r.State)
		}
		r.State, r.Refusal, r.Cause = StateReleased, nil, ""
		r.Deliveries, r.WrongCodes, r.Linked = 0, 0, r.EID
		r.OTPK, r.OTSK = nil, nil
		return nil
	})
}

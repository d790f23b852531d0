package smdpsim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"linefit/modem/ident"
	"linefit/modem/smdpsim/bsp"
)

// record is an order with what happened to it. A record in the store is never
// changed: changes are made to a clone, which replaces it once it is written.
type record struct {
	Order
	State      State
	Linked     ident.EID // who may download; set by the order or by the first delivery
	Deliveries int       // bound packages delivered, the download attempts
	WrongCodes int
	Refusal    *Status // why the order is in error
	Cause      string  // the same for people
	Prepared   bool    // delivered in a batch; never delivered by ES9+

	OTPK []byte    // the eUICC's one-time public key of the newest binding
	OTSK []byte    // ours, so that the same package can be delivered again
	PPK  *bsp.Keys // profile protection keys

	digest string // of Package, SHA-256 in hexadecimal

	Bindings []Binding
	Installs []Install
	Receipts []Receipt
}

// Binding is one delivery of a bound profile package.
type Binding struct {
	TransactionID string    `json:"transaction_id"`
	EID           ident.EID `json:"eid"`
	At            time.Time `json:"at"`
	Reused        bool      `json:"reused"` // the eUICC's one-time key was the one before
}

// Install is one signed statement of an eUICC that the profile is installed.
type Install struct {
	TransactionID string    `json:"transaction_id"`
	EID           ident.EID `json:"eid"`
	AID           string    `json:"aid"` // of the ISD-P, hexadecimal
	Seq           int64     `json:"seq"`
	At            time.Time `json:"at"`
}

// Receipt is one notification of an eUICC with a good signature.
type Receipt struct {
	EID   ident.EID    `json:"eid"`
	ICCID ident.ICCID  `json:"iccid"`
	Event ProfileEvent `json:"event"`
	Seq   int64        `json:"seq"`
	At    time.Time    `json:"at"`
	Error int          `json:"error,omitempty"` // errorReason of a failed installation
}

func (r *record) clone() *record {
	c := *r
	c.Bindings = slices.Clone(r.Bindings)
	c.Installs = slices.Clone(r.Installs)
	c.Receipts = slices.Clone(r.Receipts)
	return &c
}

// fail ends the order.
func (r *record) fail(s *Status, cause string) {
	r.State, r.Refusal, r.Cause = StateError, s, cause
}

// session is one run of the common mutual authentication with what follows.
// Like a record it is only ever replaced.
type session struct {
	ID        string    `json:"id"` // the transaction id, upper-case hexadecimal
	Challenge []byte    `json:"challenge"`
	Stage     stage     `json:"stage"`
	At        time.Time `json:"at"`

	EID        ident.EID `json:"eid,omitempty"`
	Key        []byte    `json:"key,omitempty"` // the eUICC's public key, an uncompressed point
	Order      string    `json:"order,omitempty"`
	Signature2 []byte    `json:"signature2,omitempty"` // smdpSignature2 as a TLV
	Device     Device    `json:"device"`
}

// Device is the DeviceInfo that the LPA gave (SGP.22 section 4.2).
type Device struct {
	TAC  string `json:"tac,omitempty"`
	IMEI string `json:"imei,omitempty"`
}

type stage string

const (
	stageInitiated     stage = "initiated"
	stageAuthenticated stage = "authenticated"
	stageBound         stage = "bound"
	stageEnded         stage = "ended" // cancelled, or the result has come
)

func (s *session) clone() *session {
	c := *s
	return &c
}

func (s *session) transaction() []byte {
	b, err := hex.DecodeString(s.ID)
	if err != nil {
		return nil // not reached: ids are made by this package
	}
	return b
}

// stored is a record as the state file has it: with secrets in clear, the
// package by its digest.
type stored struct {
	ID               string
	MatchingID       string
	ConfirmationCode string      `json:",omitempty"`
	EID              ident.EID   `json:",omitempty"`
	ICCID            ident.ICCID `json:",omitempty"`
	Package          string      `json:",omitempty"` // SHA-256 in hexadecimal
	Generic          *generic    `json:",omitempty"`

	Metadata             Metadata
	Memory               int
	Attempts             int       `json:",omitempty"`
	ConfirmationAttempts int       `json:",omitempty"`
	Expires              time.Time `json:",omitzero"`
	Held                 bool      `json:",omitempty"`
	NoRebind             bool      `json:",omitempty"`
	Reusable             bool      `json:",omitempty"`
	ProtectionKeys       bool      `json:",omitempty"`

	State      State
	Linked     ident.EID `json:",omitempty"`
	Deliveries int       `json:",omitempty"`
	WrongCodes int       `json:",omitempty"`
	Refusal    *Status   `json:",omitempty"`
	Cause      string    `json:",omitempty"`
	Prepared   bool      `json:",omitempty"`
	OTPK       []byte    `json:",omitempty"`
	OTSK       []byte    `json:",omitempty"`
	PPK        []byte    `json:",omitempty"`
	Bindings   []Binding `json:",omitempty"`
	Installs   []Install `json:",omitempty"`
	Receipts   []Receipt `json:",omitempty"`
}

// generic is [Generic] with the IMSI in clear.
type generic struct {
	ICCID ident.ICCID
	IMSI  string
	Name  string
	Size  int
}

func (r *record) store() *stored {
	s := &stored{
		ID: r.ID, MatchingID: r.MatchingID.Reveal(), ConfirmationCode: r.ConfirmationCode.Reveal(), EID: r.EID,
		ICCID: r.ICCID, Package: r.digest, Metadata: r.Metadata, Memory: r.Memory, Attempts: r.Attempts,
		ConfirmationAttempts: r.ConfirmationAttempts, Expires: r.Expires, Held: r.Held, NoRebind: r.NoRebind,
		Reusable: r.Reusable, ProtectionKeys: r.ProtectionKeys, State: r.State, Linked: r.Linked,
		Deliveries: r.Deliveries, WrongCodes: r.WrongCodes, Refusal: r.Refusal, Cause: r.Cause, Prepared: r.Prepared, OTPK: r.OTPK,
		OTSK: r.OTSK, Bindings: r.Bindings, Installs: r.Installs, Receipts: r.Receipts,
	}
	if g := r.Generic; g != nil {
		s.Generic = &generic{g.ICCID, g.IMSI.Reveal(), g.Name, g.Size}
	}
	if k := r.PPK; k != nil {
		s.PPK = slices.Concat(k.MCV[:], k.ENC[:], k.MAC[:])
	}
	return s
}

func (s *stored) record(packages map[string][]byte) (*record, error) {
	r := &record{
		Order: Order{
			ID: s.ID, MatchingID: MatchingID(s.MatchingID), ConfirmationCode: ConfirmationCode(s.ConfirmationCode),
			EID: s.EID, ICCID: s.ICCID, Metadata: s.Metadata, Memory: s.Memory, Attempts: s.Attempts,
			ConfirmationAttempts: s.ConfirmationAttempts, Expires: s.Expires, Held: s.Held, NoRebind: s.NoRebind,
			Reusable: s.Reusable, ProtectionKeys: s.ProtectionKeys, Package: packages[s.Package],
		},
		digest: s.Package, State: s.State, Linked: s.Linked, Deliveries: s.Deliveries, WrongCodes: s.WrongCodes,
		Refusal: s.Refusal, Cause: s.Cause, Prepared: s.Prepared, OTPK: s.OTPK, OTSK: s.OTSK, Bindings: s.Bindings, Installs: s.Installs, Receipts: s.Receipts,
	}
	if g := s.Generic; g != nil {
		r.Generic = &Generic{ICCID: g.ICCID, IMSI: ident.IMSI(g.IMSI), Name: g.Name, Size: g.Size}
	}
	if (r.Generic == nil) == (r.Package == nil) {
		return nil, fmt.Errorf("order %s has no profile", s.ID)
	}
	if len(s.PPK) == 3*bsp.KeySize {
		r.PPK = &bsp.Keys{}
		copy(r.PPK.MCV[:], s.PPK)
		copy(r.PPK.ENC[:], s.PPK[bsp.KeySize:])
		copy(r.PPK.MAC[:], s.PPK[2*bsp.KeySize:])
	}
	return r, nil
}

// line is one transaction of the state file. A nil session is forgotten.
type line struct {
	Orders   map[string]*stored  `json:"orders,omitempty"`
	Sessions map[string]*session `json:"sessions,omitempty"`
	Packages map[string][]byte   `json:"packages,omitempty"`
	Tries    map[string]int      `json:"tries,omitempty"`
	Foreign  []Receipt           `json:"foreign,omitempty"` // notifications for no order of ours
	Refused  int                 `json:"refused,omitempty"` // notifications that were refused so far
}

func (l *line) encode() ([]byte, error) {
	b, err := json.Marshal(l)
	return append(b, '\n'), err
}

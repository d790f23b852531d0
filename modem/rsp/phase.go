package rsp

import (
	"context"
	"encoding/hex"

	"linefit/modem/euicc"
	"linefit/modem/ident"
)

// Phase is one effect that cannot be taken back. It is recorded before it
// happens, once, never per APDU.
type Phase string

// The phases. Those that this package does not pass through itself are here so
// that all recorders have one vocabulary.
const (
	PhaseGetPackage         Phase = "get-package"         // the server counts an attempt, the order may become Downloaded
	PhaseLoad               Phase = "load"                // the first block of a package
	PhaseCancel             Phase = "cancel-session"      // on the eUICC and on the server
	PhaseRemoveNotification Phase = "remove-notification" // from the eUICC's list
	PhaseEnable             Phase = "enable"
	PhaseDisable            Phase = "disable"
	PhaseDelete             Phase = "delete"
	PhaseMemoryReset        Phase = "memory-reset"
	PhaseSetDefaultAddress  Phase = "set-default-address"
	PhaseImmediateEnable    Phase = "immediate-enable"
	PhaseAddInitialEIM      Phase = "add-initial-eim"
)

// TransactionID names a session. It is no secret.
type TransactionID []byte

// String is the id in hexadecimal.
func (t TransactionID) String() string { return hex.EncodeToString(t) }

// MarshalText writes [TransactionID.String].
func (t TransactionID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads it back.
func (t *TransactionID) UnmarshalText(b []byte) (err error) {
	*t, err = hex.DecodeString(string(b))
	return err
}

// Detail is what is known when a phase begins. It has no secrets, and it is all
// that [Reconcile] needs besides the card.
type Detail struct {
	EID           string             `json:"eid,omitempty"` // 32 digits, as the eUICC's certificate names it
	SMDP          string             `json:"smdp,omitempty"`
	TransactionID TransactionID      `json:"transaction_id,omitempty"`
	ICCID         ident.ICCID        `json:"iccid,omitempty"`
	RawICCID      HexBytes           `json:"raw_iccid,omitempty"`
	Class         euicc.Class        `json:"class,omitempty"`
	WasPresent    bool               `json:"was_present,omitempty"` // a profile with this ICCID was there before
	HighWater     int64              `json:"high_water"`            // highest notification number seen before, -1 when the list was not read
	PackageBytes  int                `json:"package_bytes,omitempty"`
	Consent       string             `json:"consent,omitempty"` // contract by which policy rules are consented to
	Sequence      int64              `json:"sequence,omitempty"`
	Reason        euicc.CancelReason `json:"reason,omitempty"`
}

// HexBytes is bytes that print as hexadecimal.
type HexBytes []byte

// String is the bytes in hexadecimal.
func (h HexBytes) String() string { return hex.EncodeToString(h) }

// MarshalText writes [HexBytes.String].
func (h HexBytes) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads it back.
func (h *HexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// Recorder makes an intent durable. When Record returns nil the intent survives
// a loss of power; when it returns an error the effect does not happen.
type Recorder interface {
	Record(ctx context.Context, p Phase, d Detail) error
}

// RecorderFunc is a function as a [Recorder].
type RecorderFunc func(ctx context.Context, p Phase, d Detail) error

// Record calls f.
func (f RecorderFunc) Record(ctx context.Context, p Phase, d Detail) error { return f(ctx, p, d) }

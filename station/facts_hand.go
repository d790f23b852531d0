package station

import "linefit/modem/ident"

// HandStarted says that a person works on the eUICC in a slot by hand, through
// the station that owns its port. It is a gate: nothing is done before it is
// durable.
type HandStarted struct {
	Verb string    `json:"verb"` // as at the command line: enable, delete, "notifications send", ...
	Role Role      `json:"role"`
	From SlotState `json:"from"` // the slot's state, which it has again afterwards
}

// HandIntent is written, and durable, before an irreversible effect by hand.
type HandIntent struct {
	Effect      EffectName  `json:"effect"`
	Number      int         `json:"number"` // counts the intents of this work
	EID         ident.EID   `json:"eid,omitempty"`
	ICCID       ident.ICCID `json:"iccid,omitempty"`
	SMDP        string      `json:"smdp,omitempty"`
	Transaction string      `json:"transaction,omitempty"` // hexadecimal
	Watermark   int64       `json:"watermark,omitempty"`   // highest notification sequence number before
	Sequence    int64       `json:"sequence,omitempty"`    // of the notification that is removed
	Class       int         `json:"class,omitempty"`       // of the profile: 0 test, 1 provisioning, 2 operational
	Present     string      `json:"present,omitempty"`     // "yes": a profile with this ICCID was there before
	Cause       int         `json:"cause,omitempty"`       // CancelSessionReason
	Consent     string      `json:"consent,omitempty"`     // contract by which policy rules are consented to
}

// HandResult says what came of intents by hand: of the effect and of all before
// it.
type HandResult struct {
	Effect  EffectName  `json:"effect"`
	Number  int         `json:"number"`
	Outcome Outcome     `json:"outcome"`         // ok, fail, or timeout where it is unknown
	State   string      `json:"state,omitempty"` // installed, absent, unknown
	ICCID   ident.ICCID `json:"iccid,omitempty"`
	Detail  string      `json:"detail,omitempty"`
}

// HandEnded ends work by hand; the slot's supply is off.
type HandEnded struct {
	Outcome Outcome   `json:"outcome"` // ok, fail, or aborted where the station stopped in the middle
	Exit    int       `json:"exit"`    // what the person's command ended with
	EID     ident.EID `json:"eid,omitempty"`
	Unknown string    `json:"unknown,omitempty"` // effect that was begun and whose outcome nobody knows
	Detail  string    `json:"detail,omitempty"`
}

// Fact types.
func (HandStarted) FactType() string { return "hand.started/1" }
func (HandIntent) FactType() string  { return "hand.intent/1" }
func (HandResult) FactType() string  { return "hand.result/1" }
func (HandEnded) FactType() string   { return "hand.ended/1" }

func (HandStarted) gate() {}
func (HandIntent) gate()  {}

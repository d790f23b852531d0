package station

// StationOpened is the first fact of a process: which software, on which
// equipment (ISA-95 path), with which rules.
type StationOpened struct {
	Software  string `json:"software"`
	Site      string `json:"site,omitempty"`
	Area      string `json:"area,omitempty"`
	Line      string `json:"line,omitempty"`
	Station   string `json:"station"`
	Slots     int    `json:"slots"`
	Config    string `json:"config,omitempty"` // digest of the configuration
	MES       string `json:"mes"`              // "none" is a setting that is stated
	Simulated string `json:"simulated,omitempty"`
	Next      uint64 `json:"next"` // sequence number with which this process began
}

// StationClosed is the last fact of a process that ended in order.
type StationClosed struct {
	Why string `json:"why,omitempty"`
}

// OperatorOn says that a person works at the station, under a pseudonym.
type OperatorOn struct {
	Operator string `json:"operator"`
	Role     string `json:"role"`
}

// OperatorNamed says that somebody was told who a pseudonym is.
type OperatorNamed struct {
	Operator string `json:"operator"`
	Why      string `json:"why"`
}

// OperatorForgotten says that who a pseudonym is was erased, or is about to be.
type OperatorForgotten struct {
	Operator string `json:"operator"`
	Why      string `json:"why"`
}

// OperatorOff ends it.
type OperatorOff struct {
	Operator string `json:"operator"`
}

// SlotFaulted takes a slot out of work until the fault is cleared.
type SlotFaulted struct {
	Reason Reason `json:"reason"`
}

// SlotCleared brings a slot back from Fault.
type SlotCleared struct {
	Why string `json:"why,omitempty"`
}

// SlotSwitched disables or enables a slot by a person's decision.
type SlotSwitched struct {
	To  SlotState `json:"to"` // disabled or empty
	Why string    `json:"why,omitempty"`
}

// ScanRefused is a request that changed nothing: a wrong barcode, a duplicate
// serial, a unit that is running.
type ScanRefused struct {
	Text   string `json:"text,omitempty"` // what was scanned, without secrets
	Reason Reason `json:"reason"`
}

// StationHalted is an emergency stop: every supply is off, and nothing starts
// until a person says so, also after a restart.
type StationHalted struct{}

// StationResumed ends an emergency stop, by a person's decision.
type StationResumed struct {
	Why string `json:"why,omitempty"`
}

// LotHalted stops admission because the same failure came up on several units.
type LotHalted struct {
	Cause Code     `json:"cause"`
	Units []Serial `json:"units"`
}

// LotCleared lets admission go on, by a person's decision.
type LotCleared struct {
	Why string `json:"why,omitempty"`
}

// OutboxDelivered says that the MES has taken a result, and what it answered.
type OutboxDelivered struct {
	Event   string `json:"event"`  // CloudEvents id
	Status  int    `json:"status"` // HTTP status
	Attempt int    `json:"attempt"`
	Answer  string `json:"answer,omitempty"` // confirmed, rejected_hold, rejected_pass, deferred
	Ref     string `json:"ref,omitempty"`    // the MES's reference
	Detail  string `json:"detail,omitempty"` // its reason
}

// OutboxRejected says that the MES has refused a result for good; it is parked.
type OutboxRejected struct {
	Event  string `json:"event"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// OutboxReplayed sends a parked result to the MES again, by a person's decision.
type OutboxReplayed struct {
	Event string `json:"event"`
	Why   string `json:"why,omitempty"`
}

// Fact types.
func (StationOpened) FactType() string     { return "station.opened/1" }
func (StationClosed) FactType() string     { return "station.closed/1" }
func (StationHalted) FactType() string     { return "station.halted/1" }
func (StationResumed) FactType() string    { return "station.resumed/1" }
func (OperatorOn) FactType() string        { return "operator.on/1" }
func (OperatorOff) FactType() string       { return "operator.off/1" }
func (OperatorNamed) FactType() string     { return "operator.named/1" }
func (OperatorForgotten) FactType() string { return "operator.forgotten/1" }
func (SlotFaulted) FactType() string       { return "slot.faulted/1" }
func (SlotCleared) FactType() string       { return "slot.cleared/1" }
func (SlotSwitched) FactType() string      { return "slot.switched/1" }
func (ScanRefused) FactType() string       { return "scan.refused/1" }
func (LotHalted) FactType() string         { return "lot.halted/1" }
func (LotCleared) FactType() string        { return "lot.cleared/1" }
func (OutboxDelivered) FactType() string   { return "outbox.delivered/1" }
func (OutboxRejected) FactType() string    { return "outbox.rejected/1" }
func (OutboxReplayed) FactType() string    { return "outbox.replayed/1" }

// What a person stops, switches off or lets go on is durable before the screen says
// so. So is the fact that says which station the others are of, and to which MES
// they go: a log that stopped would lose it for good.
func (StationOpened) gate()  {}
func (StationHalted) gate()  {}
func (StationResumed) gate() {}
func (SlotCleared) gate()    {}
func (SlotSwitched) gate()   {}
func (LotCleared) gate()     {}

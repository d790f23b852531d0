package station

import "linefit/modem/ident"

// Waiting says for what a slot needs a person or the unit.
type Waiting string

// What a slot may wait for.
const (
	WaitNothing  Waiting = ""
	WaitPresence Waiting = "presence" // put the unit in
	WaitBin      Waiting = "bin"      // acknowledge, or scan the unit into its bin
	WaitRemoval  Waiting = "removal"  // take the unit out
	WaitMES      Waiting = "mes"
	WaitLog      Waiting = "log" // the audit log cannot be written
)

// SlotView is what a client sees of a slot.
type SlotView struct {
	ID        int       `json:"id"`
	State     SlotState `json:"state"`
	Lamp      Lamp      `json:"lamp"`
	Unit      Serial    `json:"unit,omitempty"`
	Run       RunID     `json:"run,omitempty"`
	Recipe    string    `json:"recipe,omitempty"`
	Step      string    `json:"step,omitempty"`
	Kind      string    `json:"kind,omitempty"`
	Index     int       `json:"index"` // of the step, from 0
	Steps     int       `json:"steps"`
	Attempt   int       `json:"attempt,omitempty"`
	StartedAt string    `json:"started_at,omitempty"` // UTC, RFC 3339
	ElapsedMS int64     `json:"elapsed_ms,omitempty"`
	Progress  int       `json:"progress"` // percent, 0 to 100
	Waiting   Waiting   `json:"waiting,omitempty"`
	// Unwatched: the station was not there all the time since this unit's verdict,
	// so the unit in the slot may be another one. Its label says which.
	Unwatched bool        `json:"unwatched,omitempty"`
	IMEI      ident.IMEI  `json:"imei,omitempty"`
	EID       ident.EID   `json:"eid,omitempty"`
	ICCID     ident.ICCID `json:"iccid,omitempty"`
	Verdict   Verdict     `json:"verdict,omitempty"`
	Disposal  Disposition `json:"disposition,omitempty"`
	Reason    *Reason     `json:"reason,omitempty"`
	Fault     *Reason     `json:"fault,omitempty"`
	Last      *LastResult `json:"last,omitempty"`
}

// Health of the station as a whole.
type Health string

// Healths.
const (
	HealthOK       Health = "ok"
	HealthStopped  Health = "log_stopped" // nothing is admitted, slots stand
	HealthReadOnly Health = "read_only"   // the store did not open clean
	HealthHalted   Health = "lot_halted"  // the same failure on several units
	HealthStopping Health = "stopping"
	// HealthEmergency is an emergency stop: every supply is off.
	HealthEmergency Health = "emergency_stop"
)

// View is what a client sees of the station.
type View struct {
	Station   string     `json:"station"`
	Software  string     `json:"software"`
	Simulated bool       `json:"simulated"`
	Health    Health     `json:"health"`
	Detail    string     `json:"detail,omitempty"`
	Recipe    string     `json:"recipe"`
	MES       string     `json:"mes"`     // none, ok, unreachable
	Pending   int        `json:"pending"` // results not yet taken by the MES
	Stock     StockCount `json:"stock"`
	Counts    Counts     `json:"counts"`
	Lot       *LotView   `json:"lot,omitempty"` // while the lot is halted
	// Notifications of eUICCs that have not reached their servers.
	Notifications Notifications `json:"notifications"`
	Head          uint64        `json:"head"` // entries in the log
	// Witnesses cosign the log's checkpoints.
	Witnesses []Witness  `json:"witnesses,omitempty"`
	Slots     []SlotView `json:"slots"`
}

// Counts of units by what became of them last.
type Counts struct {
	Passed   int `json:"passed"`
	Failed   int `json:"failed"`
	Held     int `json:"held"`
	Scrapped int `json:"scrapped"`
	Runs     int `json:"runs"`
	Tickets  int `json:"tickets"` // open
}

// LotView says why the lot is halted.
type LotView struct {
	Cause Code     `json:"cause"`
	Units []Serial `json:"units"` // that met it
}

// A Witness is another machine that cosigns the log's checkpoints (C2SP
// tlog-witness).
type Witness struct {
	Name  string `json:"name"`
	Log   string `json:"log,omitempty"`   // shard that it has cosigned last
	Size  uint64 `json:"size,omitempty"`  // its entries under that checkpoint
	At    string `json:"at,omitempty"`    // when that was, UTC, RFC 3339
	Tries int    `json:"tries,omitempty"` // in vain since then
	Error string `json:"error,omitempty"` // of the last of them
	Fork  bool   `json:"fork,omitempty"`  // it has seen another history of the log
}

// Witnessed says whether a witness has seen another history of the log, and how
// often at most one was asked in vain since it has cosigned.
func (v View) Witnessed() (forked bool, tries int) {
	for _, w := range v.Witnesses {
		forked, tries = forked || w.Fork, max(tries, w.Tries)
	}
	return forked, tries
}

// Notifications are eUICCs' notifications on their way to their servers.
type Notifications struct {
	Pending    int         `json:"pending"` // without those that are held
	Held       int         `json:"held"`    // by the terms of their batch
	Missed     int         `json:"missed"`  // that eUICCs have lost before anybody saw them
	Recipients []Recipient `json:"recipients,omitempty"`
}

// Recipient is a server for which notifications wait.
type Recipient struct {
	Address string `json:"address"`
	Pending int    `json:"pending"`
	EUICCs  int    `json:"euiccs"`          // that they come from
	Since   string `json:"since,omitempty"` // the oldest one, UTC, RFC 3339
	Tries   int    `json:"tries,omitempty"` // in vain, since the station was started
	Error   string `json:"error,omitempty"` // of the last of them
}

// StuckAfter is the number of tries in vain after which a recipient is shown as
// one that does not take its notifications.
const StuckAfter = 3

// Stuck is the recipient that has refused longest, if one has.
func (n Notifications) Stuck() (Recipient, bool) {
	if len(n.Recipients) == 0 || n.Recipients[0].Tries < StuckAfter {
		return Recipient{}, false
	}
	return n.Recipients[0], true
}

// StockCount counts profiles by state.
type StockCount struct {
	Total       int `json:"total"`
	Available   int `json:"available"`
	Reserved    int `json:"reserved"`
	Installed   int `json:"installed"`
	Quarantined int `json:"quarantined"`
	Spent       int `json:"spent"`
	Released    int `json:"released"` // release events
	// Returned were handed out by the MES and went back to it: no part of Total.
	Returned int `json:"returned,omitempty"`
	// Alarms are open, see StockAlarm.
	Alarms int `json:"alarms,omitempty"`
	// Low is the number of kinds of which few are left, see StockLow.
	Low int `json:"low,omitempty"`
}

// Command is what a client asks of the station.
type Command struct {
	Kind     CommandKind `json:"kind"`
	Slot     int         `json:"slot,omitempty"`
	Text     string      `json:"text,omitempty"` // scanned text, or a bin
	Unit     Serial      `json:"unit,omitempty"`
	Why      string      `json:"why,omitempty"`
	Operator Actor       `json:"operator,omitempty"`
	Expect   Expect      `json:"expect"`
}

// CommandKind names a command.
type CommandKind string

// Commands.
const (
	CmdScan    CommandKind = "scan" // whatever the scanner read: a unit, a slot, a command barcode
	CmdStart   CommandKind = "start"
	CmdAbort   CommandKind = "abort"
	CmdAck     CommandKind = "ack"
	CmdDisable CommandKind = "disable"
	CmdEnable  CommandKind = "enable"
	CmdClear   CommandKind = "clear"  // a fault
	CmdHalt    CommandKind = "halt"   // emergency stop: all slots
	CmdResume  CommandKind = "resume" // after a halted lot or a stopped log
)

// Reply is the station's answer to a command that it took.
type Reply struct {
	Slot int    `json:"slot,omitempty"`
	Run  RunID  `json:"run,omitempty"`
	Text string `json:"text,omitempty"` // catalogue id of what to tell the operator
}

package station

import "linefit/modem/ident"

// StockBatch says under which terms the profiles of a batch were bought. It
// comes before the batch's first StockImported; a later one replaces it.
type StockBatch struct {
	Batch         string   `json:"batch"`
	Owner         string   `json:"owner,omitempty"`
	Customer      string   `json:"customer,omitempty"` // never offered to another customer's order
	SKU           string   `json:"sku,omitempty"`
	WorkOrder     string   `json:"work_order,omitempty"`
	Provider      string   `json:"provider,omitempty"`
	Purchase      string   `json:"purchase,omitempty"` // purchase reference
	Contract      string   `json:"contract,omitempty"`
	Contact       string   `json:"contact,omitempty"`       // whom to call when orders are stuck
	Countries     []string `json:"countries,omitempty"`     // ISO 3166-1 alpha-2
	Billing       string   `json:"billing,omitempty"`       // what starts it: release, download, notification, attach, data
	ShipState     string   `json:"ship_state,omitempty"`    // enabled or disabled
	Notifications string   `json:"notifications,omitempty"` // send or hold
	Cap           int      `json:"cap,omitempty"`           // downloads per profile
	Share         string   `json:"share,omitempty"`         // this station's share of a split batch
}

// StockImported brings one profile into the ledger. The code itself lies in
// the vault under Handle; neither it nor a hash of it is ever written here.
type StockImported struct {
	Handle   string      `json:"handle"`
	Batch    string      `json:"batch"`
	Kind     string      `json:"kind,omitempty"` // package for a prepared bound profile package, else an activation code
	SMDP     string      `json:"smdp"`
	ICCID    ident.ICCID `json:"iccid,omitempty"`
	Operator string      `json:"operator,omitempty"`
	Region   string      `json:"region,omitempty"`
	EID      ident.EID   `json:"eid,omitempty"` // bound to this eUICC
	Cap      int         `json:"cap,omitempty"` // downloads that the operator allows
	Customer string      `json:"customer,omitempty"`
	SKU      string      `json:"sku,omitempty"`
	Expires  string      `json:"expires,omitempty"` // last day on which it can be used, UTC, YYYY-MM-DD
	// Of a prepared package: the one-time key of the eUICC that it is bound to
	// (its number, and the first 16 bytes of the SHA-256 over its public point,
	// hexadecimal), and the session in which it was bound.
	Key         string `json:"key,omitempty"`
	KeyNumber   int    `json:"key_number,omitempty"`
	Transaction string `json:"transaction,omitempty"`
	// Of a code that the MES has handed out with a route check: the MES's name of
	// this handing-out, and the unit and run for which it was. Such a profile is
	// reserved from the beginning, and is never offered to anyone else.
	Issue string `json:"issue,omitempty"`
	Unit  Serial `json:"unit,omitempty"`
	Run   RunID  `json:"run,omitempty"`
}

// ProfileReserved takes a profile out of the stock for a run: the gate before
// its code leaves the ledger.
type ProfileReserved struct {
	Handle    string      `json:"handle"`
	Kind      string      `json:"kind,omitempty"` // as imported
	ICCID     ident.ICCID `json:"iccid,omitempty"`
	SMDP      string      `json:"smdp"`
	EID       ident.EID   `json:"eid,omitempty"`
	Cap       int         `json:"cap,omitempty"`       // downloads that the operator allows
	Downloads int         `json:"downloads,omitempty"` // bound packages that earlier runs asked for; Run.Downloads counts this one's
	Was       string      `json:"was,omitempty"`       // what earlier runs left on this eUICC: installed, absent, unknown
}

// ProfileCommitted says that the profile is installed on the unit.
type ProfileCommitted struct {
	Handle string      `json:"handle"`
	ICCID  ident.ICCID `json:"iccid"`
	EID    ident.EID   `json:"eid"`
}

// ProfileReleased puts a reserved profile back: nothing of it was used.
type ProfileReleased struct {
	Handle string `json:"handle"`
	Why    string `json:"why,omitempty"`
}

// ProfileQuarantined keeps a profile from being used until someone has found
// out what became of it.
type ProfileQuarantined struct {
	Handle string  `json:"handle"`
	Reason *Reason `json:"reason,omitempty"`
}

// ProfileSpent says that the order is used up without being installed here.
type ProfileSpent struct {
	Handle string  `json:"handle"`
	Reason *Reason `json:"reason,omitempty"`
}

// StockErased says that the codes of profiles that are used up leave the vault.
type StockErased struct {
	Handles []string `json:"handles"` // at most 500
}

// StockSecured says that every profile that could have been used without this
// log knowing it was put into quarantine, after people went on with a log that
// is not what it must be.
type StockSecured struct {
	Accepted uint64 `json:"accepted"` // entry with that decision
	Profiles int    `json:"profiles"` // that were available or reserved
}

// StockRefused says that a code which the MES has handed out was not taken: it
// never came into the vault, and nothing was done with it here.
type StockRefused struct {
	Issue  string `json:"issue"`
	Run    RunID  `json:"run,omitempty"` // the run that was asked for; the unit is the entry's
	Reason Reason `json:"reason"`
}

// Kinds of alarms about the stock.
const (
	AlarmForeign = "foreign" // used by an eUICC that was never here
	AlarmRefused = "refused" // its SM-DP+ says that it is used up, and nobody here has tried it
	AlarmDoubled = "doubled" // handed out for two units
)

// StockAlarm says that a profile was used, or handed out, where it must not have
// been: somebody else has the code. It stands until a person has ended it.
type StockAlarm struct {
	ID       string      `json:"id"` // the same finding has the same one
	Kind     string      `json:"kind"`
	Handle   string      `json:"handle,omitempty"`
	ICCID    ident.ICCID `json:"iccid,omitempty"`
	EID      ident.EID   `json:"eid,omitempty"` // that used it
	Detail   string      `json:"detail"`
	Evidence []string    `json:"evidence,omitempty"`
}

// StockAlarmEnded says that a person has found out what an alarm was about.
type StockAlarmEnded struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// StockKind is what orders ask for: profiles that serve the same ones.
type StockKind struct {
	Customer string `json:"customer,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Operator string `json:"operator,omitempty"`
	Region   string `json:"region,omitempty"`
}

// StockLow says that profiles of a kind run out: once when fewer than the
// threshold are left, once when none is, and again after each time that the
// station file says.
type StockLow struct {
	Customer string `json:"customer,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Operator string `json:"operator,omitempty"`
	Region   string `json:"region,omitempty"`
	Left     int    `json:"left"`
	Low      int    `json:"low"`             // threshold
	Again    int    `json:"again,omitempty"` // repetitions since the first time
}

// Kind is of what few are left.
func (f StockLow) Kind() StockKind { return StockKind{f.Customer, f.SKU, f.Operator, f.Region} }

// StockEnough says that there are enough of a kind again.
type StockEnough struct {
	Customer string `json:"customer,omitempty"`
	SKU      string `json:"sku,omitempty"`
	Operator string `json:"operator,omitempty"`
	Region   string `json:"region,omitempty"`
	Left     int    `json:"left"`
}

// Kind is of what there are enough.
func (f StockEnough) Kind() StockKind { return StockKind{f.Customer, f.SKU, f.Operator, f.Region} }

// NotificationKept says that a pending notification lies in the outbox.
type NotificationKept struct {
	Handle    string      `json:"handle"` // vault handle of the signed notification
	Sequence  int64       `json:"sequence"`
	Operation string      `json:"operation"` // install, enable, disable, delete
	ICCID     ident.ICCID `json:"iccid,omitempty"`
	Recipient string      `json:"recipient"`
	EID       ident.EID   `json:"eid"`
}

// NotificationDelivered says that the recipient has acknowledged it.
type NotificationDelivered struct {
	Handle   string    `json:"handle"`
	Sequence int64     `json:"sequence"`
	EID      ident.EID `json:"eid"`
}

// NotificationMissed says that an eUICC has lost notifications that nobody has
// seen: its list was full, and their numbers are missing between those that it
// gave this run.
type NotificationMissed struct {
	EID       ident.EID `json:"eid"`
	Sequences []int64   `json:"sequences"`
}

// Fact types.
func (StockBatch) FactType() string            { return "stock.batch/1" }
func (StockImported) FactType() string         { return "stock.imported/1" }
func (ProfileReserved) FactType() string       { return "profile.reserved/1" }
func (ProfileCommitted) FactType() string      { return "profile.committed/1" }
func (ProfileReleased) FactType() string       { return "profile.released/1" }
func (ProfileQuarantined) FactType() string    { return "profile.quarantined/1" }
func (ProfileSpent) FactType() string          { return "profile.spent/1" }
func (StockErased) FactType() string           { return "stock.erased/1" }
func (StockSecured) FactType() string          { return "stock.secured/1" }
func (StockRefused) FactType() string          { return "stock.refused/1" }
func (StockAlarm) FactType() string            { return "stock.alarm/1" }
func (StockAlarmEnded) FactType() string       { return "stock.alarm_ended/1" }
func (StockLow) FactType() string              { return "stock.low/1" }
func (StockEnough) FactType() string           { return "stock.enough/1" }
func (NotificationKept) FactType() string      { return "notification.kept/1" }
func (NotificationDelivered) FactType() string { return "notification.delivered/1" }
func (NotificationMissed) FactType() string    { return "notification.missed/1" }

func (ProfileReserved) gate() {}

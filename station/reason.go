package station

import (
	"fmt"
	"strings"
)

// Class says whose fault a reason is. Only ClassUnit makes a run fail.
type Class string

// Classes of reasons.
const (
	ClassUnit     Class = "unit"     // the unit, its module or its eUICC
	ClassMaterial Class = "material" // the profile, its code or its order
	ClassStation  Class = "station"  // this station, its fixture, ports or store
	ClassBackend  Class = "backend"  // SM-DP+ or MES
	ClassOperator Class = "operator" // a wrong scan, an abort
)

// Code is a stable name of a reason: lower case, one dot. Codes are never
// renamed; texts and advice for operators live in station/text under
// "reason.<code>" and "advice.<code>".
type Code string

// Codes, by class. Classes() is the table that binds them.
const (
	// unit
	ModuleSilent      Code = "module.silent"       // no answer on the port within the boot time
	ModuleIdentity    Code = "module.identity"     // IMEI missing, malformed or wrong check digit
	ModuleFirmware    Code = "module.firmware"     // firmware outside the recipe's limits
	ModuleRadio       Code = "module.radio"        // the radio could not be kept quiet
	ModuleSettings    Code = "module.settings"     // a setting did not read back as written
	SIMAbsent         Code = "sim.absent"          // the module sees no card
	SIMFault          Code = "sim.fault"           // the module reports a card failure
	EUICCAbsent       Code = "euicc.absent"        // no ISD-R behind any route
	EUICCInvalidEID   Code = "euicc.eid"           // EID malformed or wrong check digits
	EUICCMemory       Code = "euicc.memory"        // not enough memory for the profile
	EUICCProtocol     Code = "euicc.protocol"      // the eUICC answered something malformed
	EUICCRefused      Code = "euicc.refused"       // the eUICC refused a function
	EUICCUntrusted    Code = "euicc.untrusted"     // the eUICC trusts none of the SM-DP+'s CIs
	EUICCTest         Code = "euicc.test"          // test eUICC on a production line
	EUICCLeftover     Code = "euicc.leftover"      // profiles are there that this run did not install
	EUICCGeneration   Code = "euicc.generation"    // a generation that the recipe does not accept
	EUICCMaker        Code = "euicc.maker"         // an EID of a maker that is not expected here
	EUICCM2M          Code = "euicc.m2m"           // SGP.02: profiles come from its SM-SR only
	EUICCTestProfile  Code = "euicc.testprofile"   // a test profile is enabled
	EUICCSession      Code = "euicc.session"       // somebody else's download was begun here
	EUICCPending      Code = "euicc.pending"       // somebody else's notifications wait on the eUICC
	EIMPresent        Code = "eim.present"         // delivered with an eIM
	EIMMissing        Code = "eim.missing"         // the eIM is not there as it should be
	EIMConfiguration  Code = "eim.configuration"   // eIM configuration data are missing, or the eUICC refuses them
	IPAEUICC          Code = "ipa.euicc"           // the IPA is in the eUICC
	IPAModule         Code = "ipa.module"          // the module has an IPA of its own
	EnableSession     Code = "enable.session"      // installed; the session in which it could be enabled is over
	EnableRoute       Code = "enable.route"        // the eUICC has none of the recipe's ways to enable
	BootstrapAbsent   Code = "bootstrap.absent"    // no profile is enabled
	UnitReused        Code = "unit.reused"         // another unit has had this module or eUICC
	ProfileDeleted    Code = "profile.deleted"     // deleted from its eUICC in rework
	ProfileRefused    Code = "profile.refused"     // installation result says error
	ProfileDamaged    Code = "profile.damaged"     // the eUICC found the package damaged: a fault of the station or its server
	ProfileReadback   Code = "profile.readback"    // state after the cold restart is not as it should be
	IdentityChanged   Code = "identity.changed"    // another IMEI or EID than before in this run
	LimitExceeded     Code = "limit.exceeded"      // a measurement outside its limits
	ProfileDuplicate  Code = "profile.duplicate"   // the eUICC already has this ICCID
	ProfilePolicy     Code = "profile.policy"      // policy rules are not allowed here
	ProfileUnknown    Code = "profile.unknown"     // the eUICC does not say whether it installed
	ProfileMismatch   Code = "profile.mismatch"    // metadata is not what was ordered
	CodeRefused       Code = "code.refused"        // matching id or confirmation code refused
	CodeSpent         Code = "code.spent"          // download attempts used up or order expired
	StockEmpty        Code = "stock.empty"         // no profile of this kind left
	StockForeign      Code = "stock.foreign"       // somebody else has used it
	MESProfile        Code = "mes.profile"         // what the MES has handed out cannot be used
	StockUnreconciled Code = "stock.unreconciled"  // not used until it was compared with the provider's list
	PackageNone       Code = "package.none"        // no prepared package is left for this eUICC
	PackageUnused     Code = "package.unused"      // never tried, and its one-time key is deleted
	KeysLeft          Code = "euicc.keys_left"     // in-factory one-time keys are left: LPA services stay shut
	PortMissing       Code = "port.missing"        // serial port gone or taken
	FixtureFault      Code = "fixture.fault"       // fixture input or output failed
	LogStopped        Code = "log.stopped"         // the audit log cannot be written
	StationFault      Code = "station.fault"       // a fault of linefit itself
	Interrupted       Code = "station.interrupted" // the station stopped in the middle and could not go on
	LotStopped        Code = "lot.stopped"         // the same failure on several units
	VaultFault        Code = "vault.fault"         // a sealed item is missing or cannot be opened
	SMDPUnreachable   Code = "smdp.unreachable"    // network or TLS fault before anything changed
	SMDPRefused       Code = "smdp.refused"        // the server refused
	SMDPUntrusted     Code = "smdp.untrusted"      // certificate or host is not allowed
	SMDPProtocol      Code = "smdp.protocol"       // the server answered something malformed
	MESUnreachable    Code = "mes.unreachable"     // no route decision
	MESRejected       Code = "mes.rejected"        // the MES says no
	OperatorAbort     Code = "operator.abort"      // aborted by a person
	EmergencyStop     Code = "operator.estop"      // emergency stop
	IdentityMismatch  Code = "identity.mismatch"   // device identity is not the label's or the list's
	UnitUnlisted      Code = "unit.unlisted"       // not in the list of expected units
	UnitDuplicate     Code = "unit.duplicate"      // serial already running or done
	UnitHeld          Code = "unit.held"           // on hold: only a lead or QA may let it go on
	UnitScrapped      Code = "unit.scrapped"       // was scrapped
	UnitAbsent        Code = "unit.absent"         // no unit in the slot
	UnitRemoved       Code = "unit.removed"        // the unit was lifted during the run
	ScanInvalid       Code = "scan.invalid"        // a barcode that means nothing here
	RetestLimit       Code = "retest.limit"        // no further run without repair
	SlotNotReady      Code = "slot.notready"       // the slot is not empty, or faulty or disabled
	PermissionMissing Code = "operator.permission" // the role may not do this
)

// classOf binds every code to its class.
var classOf = map[Code]Class{
	ModuleSilent: ClassUnit, ModuleIdentity: ClassUnit, ModuleFirmware: ClassUnit, ModuleRadio: ClassUnit,
	ModuleSettings: ClassUnit, SIMAbsent: ClassUnit, SIMFault: ClassUnit, EUICCAbsent: ClassUnit,
	EUICCInvalidEID: ClassUnit, EUICCMemory: ClassUnit, EUICCProtocol: ClassUnit, EUICCRefused: ClassUnit,
	EUICCGeneration: ClassUnit, ProfileRefused: ClassUnit, ProfileReadback: ClassUnit, LimitExceeded: ClassUnit,
	EUICCMaker: ClassUnit, EUICCM2M: ClassUnit, EIMMissing: ClassUnit, EnableRoute: ClassUnit, BootstrapAbsent: ClassUnit,
	EUICCTestProfile: ClassMaterial, EUICCSession: ClassMaterial, EUICCPending: ClassMaterial, EIMPresent: ClassMaterial, EIMConfiguration: ClassMaterial,
	IPAEUICC: ClassMaterial, IPAModule: ClassMaterial, EnableSession: ClassMaterial, ProfileDeleted: ClassMaterial, UnitReused: ClassOperator,
	ProfilePolicy: ClassMaterial, ProfileMismatch: ClassMaterial, CodeRefused: ClassMaterial,
	CodeSpent: ClassMaterial, StockEmpty: ClassMaterial, StockUnreconciled: ClassMaterial, StockForeign: ClassMaterial, MESProfile: ClassBackend, ProfileDuplicate: ClassMaterial, ProfileUnknown: ClassMaterial,
	EUICCUntrusted: ClassMaterial, EUICCTest: ClassMaterial, EUICCLeftover: ClassMaterial,
	PortMissing: ClassStation, FixtureFault: ClassStation, LogStopped: ClassStation, StationFault: ClassStation,
	Interrupted: ClassStation, LotStopped: ClassStation, ProfileDamaged: ClassStation, VaultFault: ClassStation,
	SMDPUnreachable: ClassBackend, SMDPRefused: ClassBackend, SMDPUntrusted: ClassBackend, SMDPProtocol: ClassBackend,
	MESUnreachable: ClassBackend, MESRejected: ClassBackend,
	OperatorAbort: ClassOperator, EmergencyStop: ClassOperator, IdentityMismatch: ClassOperator,
	IdentityChanged: ClassOperator, UnitUnlisted: ClassOperator, UnitDuplicate: ClassOperator, UnitAbsent: ClassOperator,
	UnitHeld: ClassOperator, UnitScrapped: ClassOperator,
	UnitRemoved: ClassOperator, ScanInvalid: ClassOperator, RetestLimit: ClassOperator, SlotNotReady: ClassOperator,
	PermissionMissing: ClassOperator, SameEUICCOnly: ClassMaterial,
	PackageNone: ClassMaterial, PackageUnused: ClassMaterial, KeysLeft: ClassUnit,
}

// Codes lists every code with its class, for catalogues and documentation.
func Codes() map[Code]Class {
	out := make(map[Code]Class, len(classOf))
	for c, class := range classOf {
		out[c] = class
	}
	return out
}

// Class is the class of a code. An unknown code is a station fault: it never
// makes a unit fail.
func (c Code) Class() Class {
	if class, ok := classOf[c]; ok {
		return class
	}
	return ClassStation
}

// Reason is why an attempt, a run or a request did not go well. Detail is for
// engineers: technical, short, without secrets.
type Reason struct {
	Code   Code   `json:"code"`
	Class  Class  `json:"class"`
	Detail string `json:"detail,omitempty"`
}

// NewReason makes a reason with the class of its code.
func NewReason(code Code, format string, args ...any) *Reason {
	detail := format
	if len(args) > 0 {
		detail = fmt.Sprintf(format, args...)
	}
	const limit = 300 // an entry stays small whatever a device answers
	if len(detail) > limit {
		detail = strings.ToValidUTF8(detail[:limit], "") + "…"
	}
	return &Reason{Code: code, Class: code.Class(), Detail: detail}
}

func (r *Reason) String() string {
	if r == nil {
		return ""
	}
	if r.Detail == "" {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.Detail
}

// Refusal is the error of a request that the state does not allow. Nothing changed.
type Refusal struct{ Reason *Reason }

func (e *Refusal) Error() string { return e.Reason.String() }

// Refuse makes a Refusal.
func Refuse(code Code, format string, args ...any) error {
	return &Refusal{Reason: NewReason(code, format, args...)}
}

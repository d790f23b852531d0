package station

import "linefit/modem/ident"

// RunStarted is the admission of a unit to a slot: the gate behind which the
// clamp closes.
type RunStarted struct {
	Recipe    string `json:"recipe"`
	Version   int    `json:"version"`
	Digest    string `json:"digest"`
	WorkOrder string `json:"work_order,omitempty"`
	SKU       string `json:"sku,omitempty"`
	Customer  string `json:"customer,omitempty"`  // whose order: another customer's profiles are not for it
	Route     string `json:"route"`               // confirmed, or "none" without an MES
	RouteRef  string `json:"route_ref,omitempty"` // the MES's reference
	Number    int    `json:"number"`              // 1 for a unit's first run here
	Batch     string `json:"batch,omitempty"`     // profile batch that the order asks for
	EIM       string `json:"eim,omitempty"`       // eIM configuration that the order asks for
	Profile   string `json:"profile,omitempty"`   // stock handle of the code that the MES has handed out for this run
	Expect    Expect `json:"expect"`
}

// Expect is what is known of a unit before it was powered: from its label, the
// pairing list or the MES.
type Expect struct {
	Source string     `json:"source,omitempty"` // pairing, label, scan, presence, mes, unlisted
	IMEI   ident.IMEI `json:"imei,omitempty"`
	EID    ident.EID  `json:"eid,omitempty"`
	// Sample marks a reference unit of the pairing list, SampleGolden or
	// SampleFailing: its runs show that the station is right and are no
	// production. Nothing but the list can say so.
	Sample string `json:"sample,omitempty"`
}

// SourceUnlisted is the Source of a unit that is not on the list of expected
// units: it is identified and held.
const SourceUnlisted = "unlisted"

// Reference units.
const (
	SampleGolden  = "golden"  // known to be good
	SampleFailing = "failing" // known to be bad
)

// RunResumed says that an interrupted run goes on: the attempt that was open
// closes Aborted, and the run starts again at a step.
type RunResumed struct {
	Step    string  `json:"step"`           // where it goes on
	Open    string  `json:"open,omitempty"` // the step that was interrupted
	Attempt int     `json:"attempt,omitempty"`
	Outcome Outcome `json:"outcome"`           // aborted
	Gave    string  `json:"gave_up,omitempty"` // "yes": interrupted too often, only closing steps follow
}

// Measurement is one value that a step saw.
type Measurement struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Bad   string `json:"bad,omitempty"` // the limit that it missed
}

// StepEnded is one attempt at a step.
type StepEnded struct {
	Step     string        `json:"step"`
	Kind     string        `json:"kind"`
	Attempt  int           `json:"attempt"`
	Outcome  Outcome       `json:"outcome"`
	Millis   int64         `json:"ms"`
	Reason   *Reason       `json:"reason,omitempty"`
	Measured []Measurement `json:"measured,omitempty"`
	Trace    string        `json:"trace,omitempty"` // redacted APDU trace of a failed attempt
	Then     string        `json:"then,omitempty"`  // step to go back to, or ThenClose; empty: the next step
}

// ThenClose sends a run to its closing steps.
const ThenClose = "-"

// Well reports whether an attempt ended well and led on to the next step. Nothing
// hangs on such an end alone: what a step has done that outlasts a loss of power
// has its own result, and a run that is interrupted goes on from its recipe's
// restart. So the ends of several such attempts may stand in one entry.
func (f StepEnded) Well() bool { return f.Outcome == OK && f.Then == "" && f.Trace == "" }

// StepsEnded are attempts that ended well one after another, with nothing to
// record between them. A lone one is a StepEnded.
type StepsEnded struct {
	Steps []PastStep `json:"steps"`
}

// PastStep is an attempt that ended a while before its entry was made.
type PastStep struct {
	StepEnded
	Ago int64 `json:"ago,omitempty"` // ms from its end to the entry
}

// StepsOf are the attempts that a fact says have ended, in their order.
func StepsOf(f Fact) []StepEnded {
	switch f := f.(type) {
	case StepEnded:
		return []StepEnded{f}
	case StepsEnded:
		list := make([]StepEnded, len(f.Steps))
		for i, s := range f.Steps {
			list[i] = s.StepEnded
		}
		return list
	}
	return nil
}

// UnitIdentified is what the device said it is.
type UnitIdentified struct {
	Maker      string       `json:"maker,omitempty"`
	Model      string       `json:"model,omitempty"`
	Firmware   string       `json:"firmware,omitempty"`
	IMEI       ident.IMEI   `json:"imei,omitempty"`
	Route      string       `json:"route,omitempty"` // APDU route
	EID        ident.EID    `json:"eid,omitempty"`
	Platform   *Platform    `json:"platform,omitempty"`
	Profiles   []CardRecord `json:"profiles,omitempty"` // what was there before this run
	Generation string       `json:"generation,omitempty"`
	IPA        string       `json:"ipa,omitempty"`  // SGP.32: device, euicc or module
	EIMs       []string     `json:"eims,omitempty"` // SGP.32: with which the eUICC came to this run
	// Prepared is "yes" for an eUICC of in-factory provisioning (SGP.41): one with
	// one-time keys, or for which packages are or were in the stock. It is asked
	// for where the recipe takes such units beside others.
	Prepared string `json:"prepared,omitempty"`
}

// Where an IPA is, in UnitIdentified.IPA.
const (
	IPADevice   = "device" // in the device's software; on this fixture the station takes its place
	IPAInEUICC  = "euicc"
	IPAInModule = "module"
)

// Platform is what an eUICC says of itself, so that interoperability can be
// stated later from the station's own records.
type Platform struct {
	SVN      string `json:"svn,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	Profile  string `json:"pp_version,omitempty"` // profile package version
	SAS      string `json:"sas,omitempty"`
	EUM      string `json:"eum,omitempty"`
	Label    string `json:"label,omitempty"`
	FreeNVM  int64  `json:"free_nvm,omitempty"`
	IoT      string `json:"iot_version,omitempty"` // SGP.32
}

// CardRecord is a profile on an eUICC.
type CardRecord struct {
	ICCID ident.ICCID `json:"iccid"`
	State string      `json:"state"` // enabled or disabled
	Class string      `json:"class,omitempty"`
	// Attributes of SGP.32: fallback, fallback_allowed, emergency.
	Attributes []string `json:"attributes,omitempty"`
}

// Effect names an irreversible effect.
type EffectName string

// Irreversible effects: one intent each, never one per APDU.
const (
	EffectGetBPP     EffectName = "get_bpp" // the number of these is the attempt count
	EffectLoad       EffectName = "load"
	EffectEnable     EffectName = "enable"
	EffectDisable    EffectName = "disable"
	EffectDelete     EffectName = "delete"
	EffectReset      EffectName = "memory_reset"
	EffectCancel     EffectName = "cancel_session"
	EffectRemove     EffectName = "remove_notification"
	EffectSetDP      EffectName = "set_default_dp"
	EffectAddEIM     EffectName = "add_initial_eim"
	EffectDeleteKeys EffectName = "delete_one_time_keys"
	EffectNickname   EffectName = "set_nickname" // by hand only
)

// Intent is written, and durable, before an irreversible effect.
type Intent struct {
	Effect      EffectName  `json:"effect"`
	Number      int         `json:"number"` // counts the intents of this run
	ICCID       ident.ICCID `json:"iccid,omitempty"`
	Profile     string      `json:"profile,omitempty"` // stock handle
	SMDP        string      `json:"smdp,omitempty"`
	Transaction string      `json:"transaction,omitempty"` // hexadecimal
	Watermark   int64       `json:"watermark,omitempty"`   // highest notification sequence number before
	Sequences   []int64     `json:"sequences,omitempty"`   // of the notifications that are removed
	Class       int         `json:"class,omitempty"`       // of the profile: 0 test, 1 provisioning, 2 operational
	Present     string      `json:"present,omitempty"`     // "yes": a profile with this ICCID was there before
	Cause       int         `json:"cause,omitempty"`       // CancelSessionReason
	Consent     string      `json:"consent,omitempty"`     // contract by which policy rules are consented to
	EIMs        []string    `json:"eims,omitempty"`        // eIMs that are associated
	What        []string    `json:"what,omitempty"`        // of a memory reset
}

// Result closes an intent. An intent without one is unknown until it is
// reconciled with the eUICC.
type Result struct {
	Effect   EffectName  `json:"effect"`
	Number   int         `json:"number"`            // that of the intent; 0: found by reading the eUICC
	Outcome  Outcome     `json:"outcome"`           // ok, fail, or timeout where it stays unknown
	State    string      `json:"state,omitempty"`   // installed, absent, unknown
	By       string      `json:"by,omitempty"`      // answer, or reconcile
	Profile  string      `json:"profile,omitempty"` // stock handle, where one run loads several
	ICCID    ident.ICCID `json:"iccid,omitempty"`
	AID      string      `json:"aid,omitempty"`
	Sequence int64       `json:"sequence,omitempty"` // of the notification that says so
	Evidence string      `json:"evidence,omitempty"` // vault handle of the signed result
	Code     string      `json:"code,omitempty"`     // the specification's error code
}

// Evidence is what was read back after the cold restart.
type Evidence struct {
	ICCID ident.ICCID `json:"iccid,omitempty"` // through the module
	EID   ident.EID   `json:"eid,omitempty"`
	State string      `json:"state,omitempty"`
	Seen  ident.ICCID `json:"seen,omitempty"` // through the ISD-R
	Boots int         `json:"boots,omitempty"`
	// Keys is the number of in-factory one-time keys that are left, where the
	// recipe is one of in-factory provisioning (SGP.41). None are left on an
	// eUICC that ships.
	Keys string `json:"one_time_keys,omitempty"`
}

// RunVerdict is the gate behind which the lamp, the label and the MES's "pass" come.
type RunVerdict struct {
	Verdict  Verdict       `json:"verdict"`
	Step     string        `json:"step,omitempty"` // that decided
	Reason   *Reason       `json:"reason,omitempty"`
	IMEI     ident.IMEI    `json:"imei,omitempty"`
	EID      ident.EID     `json:"eid,omitempty"`
	ICCIDs   []ident.ICCID `json:"iccids,omitempty"`
	Evidence *Evidence     `json:"evidence,omitempty"`
	BoundBy  string        `json:"bound_by,omitempty"` // what tied the unit to the scan
	Millis   int64         `json:"ms"`
	// Generation of the eUICC, and the eIMs that a cold unit showed.
	Generation string   `json:"generation,omitempty"`
	EIMs       []string `json:"eims,omitempty"`
	// Factory is the state of in-factory provisioning on the unit's eUICC after a
	// run of such a recipe (SGP.41): FactoryClosed once it was read back that no
	// one-time key is left, else FactoryOpen.
	Factory string `json:"factory,omitempty"`
}

// UnitDisposed is the policy's choice, or a person's.
type UnitDisposed struct {
	Disposition Disposition `json:"disposition"`
	Reason      *Reason     `json:"reason,omitempty"`
	Rule        string      `json:"rule"` // the policy's rule
	Queue       string      `json:"queue,omitempty"`
}

// RunAccepted is the MES's answer to the result.
type RunAccepted struct {
	Answer string `json:"answer"` // confirmed, rejected_hold, rejected_pass, deferred, none
	Ref    string `json:"ref,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// UnitAcknowledged says that a person has seen FAIL or HOLD, or has scanned the
// unit into its bin.
type UnitAcknowledged struct {
	Bin string `json:"bin,omitempty"`
}

// UnitLeft ends a slot's work: the clamp is open and the unit gone.
type UnitLeft struct {
	Missing string `json:"missing,omitempty"` // "yes": nobody saw it go
}

// Overridden is a person's decision against the policy.
type Overridden struct {
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
	Why  string `json:"why"`
}

// Fact types.
func (RunStarted) FactType() string       { return "run.started/1" }
func (RunResumed) FactType() string       { return "run.resumed/1" }
func (StepEnded) FactType() string        { return "step.ended/1" }
func (StepsEnded) FactType() string       { return "steps.ended/1" }
func (UnitIdentified) FactType() string   { return "unit.identified/1" }
func (Intent) FactType() string           { return "intent/1" }
func (Result) FactType() string           { return "result/1" }
func (RunVerdict) FactType() string       { return "run.verdict/1" }
func (UnitDisposed) FactType() string     { return "unit.disposed/1" }
func (RunAccepted) FactType() string      { return "run.accepted/1" }
func (UnitAcknowledged) FactType() string { return "unit.acknowledged/1" }
func (UnitLeft) FactType() string         { return "unit.left/1" }
func (Overridden) FactType() string       { return "override/1" }

func (RunStarted) gate()   {}
func (Intent) gate()       {}
func (RunVerdict) gate()   {}
func (UnitDisposed) gate() {}
func (UnitLeft) gate()     {} // or a slot would speak of this unit while the next one stands in it
func (Overridden) gate()   {}

package station

import (
	"slices"

	"linefit/modem/ident"
)

// StockState is the state of one profile in the ledger.
type StockState string

// Stock states. The zero value is not a state.
const (
	StockAvailable   StockState = "available"
	StockReserved    StockState = "reserved"
	StockInstalled   StockState = "installed" // committed
	StockQuarantined StockState = "quarantined"
	StockSpent       StockState = "spent"
	StockReturned    StockState = "returned" // to the MES that had handed it out: no profile of this station any more
)

// StockItem is one profile: an activation code or a prepared package, without
// its secret.
type StockItem struct {
	Handle    string      `json:"handle"`
	Batch     string      `json:"batch"`
	Kind      string      `json:"kind,omitempty"` // package, else an activation code
	SMDP      string      `json:"smdp"`
	ICCID     ident.ICCID `json:"iccid,omitempty"`
	Operator  string      `json:"operator,omitempty"`
	Region    string      `json:"region,omitempty"`
	Customer  string      `json:"customer,omitempty"`
	SKU       string      `json:"sku,omitempty"`
	Bound     ident.EID   `json:"bound,omitempty"` // by its provider
	Cap       int         `json:"cap,omitempty"`
	Expires   string      `json:"expires,omitempty"` // last day of use, UTC, YYYY-MM-DD
	Key       string      `json:"key,omitempty"`     // of a prepared package, see StockImported
	KeyNumber int         `json:"key_number,omitempty"`
	Session   string      `json:"transaction,omitempty"`
	Issue     string      `json:"issue,omitempty"` // the MES's name of the handing-out, where the code came from there
	State     StockState  `json:"state"`
	Unit      Serial      `json:"unit,omitempty"`
	Run       RunID       `json:"run,omitempty"`
	EID       ident.EID   `json:"eid,omitempty"`       // of the unit that has or had it
	Downloads int         `json:"downloads,omitempty"` // tries: bound packages asked for, or the load of a prepared one
	Releases  int         `json:"releases,omitempty"`
	Reason    *Reason     `json:"reason,omitempty"`
}

// Usable reports whether the item may be reserved for an eUICC: available, or
// one that this very eUICC has or may have. An earlier run of the unit then
// installed it, or left it unknown, or asked for it in vain (the server knows
// this EID and no other one may try); the download step finds out by reading
// the eUICC before it asks for anything.
func (i StockItem) Usable(eid ident.EID) bool {
	if i.Bound != "" && i.Bound != eid {
		return false
	}
	own := eid != "" && i.EID == eid
	if i.Kind == KindPreparedPackage && i.State == StockAvailable {
		return i.Downloads == 0 // one try for one key
	}
	switch i.State {
	case StockInstalled:
		return own
	case StockQuarantined:
		return own && i.Reason != nil && (i.Reason.Code == SameEUICCOnly || i.Reason.Code == ProfileUnknown)
	case StockAvailable:
		return (i.EID == "" || own) && (i.Cap == 0 || i.Downloads < i.Cap)
	}
	return false
}

// Unreconciled reports whether the item is kept back because the log may not
// know what became of it: only a person's decision puts it back.
func (i StockItem) Unreconciled() bool {
	return i.State == StockQuarantined && i.Reason != nil && i.Reason.Code == StockUnreconciled
}

// SameEUICCOnly quarantines a profile whose order knows an EID but which is not
// installed: it can be used again for that eUICC only.
const SameEUICCOnly Code = "profile.same_euicc"

// Evolve applies a fact of the ledger to the item that it names.
func (i StockItem) Evolve(env Envelope, f Fact) StockItem {
	switch f := f.(type) {
	case StockImported:
		i := StockItem{
			Handle: f.Handle, Batch: f.Batch, Kind: f.Kind, SMDP: f.SMDP, ICCID: f.ICCID, Operator: f.Operator,
			Region: f.Region, Customer: f.Customer, SKU: f.SKU, Bound: f.EID, Cap: f.Cap, Expires: f.Expires,
			Key: f.Key, KeyNumber: f.KeyNumber, Session: f.Transaction, State: StockAvailable, Issue: f.Issue,
		}
		if f.Issue != "" {
			i.State, i.Unit, i.Run = StockReserved, f.Unit, f.Run
		}
		return i
	case ProfileReserved:
		i.State, i.Unit, i.Run, i.EID, i.Reason = StockReserved, env.Unit, env.Run, f.EID, nil
	case Intent:
		if f.Effect == EffectGetBPP || f.Effect == EffectLoad && i.Kind == KindPreparedPackage {
			i.Downloads++
		}
	case ProfileCommitted:
		i.State, i.ICCID, i.EID, i.Reason = StockInstalled, f.ICCID, f.EID, nil
	case ProfileReleased:
		switch {
		case i.State == StockReturned:
			return i
		case env.Run != "" && i.Unreconciled(): // a run does not know what the log has forgotten
			i.Releases++
			return i
		case i.Issue != "":
			i.State, i.EID, i.Reason = StockReturned, "", nil
			i.Releases++
			return i
		}
		i.State, i.Unit, i.Run, i.EID, i.Reason = StockAvailable, "", "", "", nil
		i.Releases++
	case ProfileQuarantined:
		i.State, i.Reason = StockQuarantined, f.Reason
	case ProfileSpent:
		i.State, i.Reason = StockSpent, f.Reason
	}
	return i
}

// StockHandle is the handle of the profile that a fact speaks of.
func StockHandle(f Fact) (string, bool) {
	switch f := f.(type) {
	case StockImported:
		return f.Handle, true
	case ProfileReserved:
		return f.Handle, true
	case Intent:
		return f.Profile, f.Profile != "" && (f.Effect == EffectGetBPP || f.Effect == EffectLoad)
	case ProfileCommitted:
		return f.Handle, true
	case ProfileReleased:
		return f.Handle, true
	case ProfileQuarantined:
		return f.Handle, true
	case ProfileSpent:
		return f.Handle, true
	}
	return "", false
}

// Left says what earlier runs left of this profile on the eUICC that has it
// now: the Was of its next reservation.
func (i StockItem) Left() string {
	switch {
	case i.State == StockInstalled:
		return StateInstalled
	case i.State == StockQuarantined && i.Reason != nil && i.Reason.Code == ProfileUnknown:
		return StateUnknown
	case i.Downloads > 0:
		return StateAbsent
	}
	return ""
}

// Settle says what becomes of a reservation at the end of a run. Nothing is
// put back into the stock of which the server or the eUICC may know something.
func Settle(r *Run) Fact {
	if r.Profile == nil || r.Settled { // what the MES has handed out was not even reserved for an eUICC
		return ProfileReleased{Handle: r.Issued, Why: "the run did not come to use it"}
	}
	h := r.Profile.Handle
	state, iccid := r.left()
	var cause *Reason
	if r.Failed != nil {
		cause = r.Failed.Reason
	}
	is := func(c Code) bool { return cause != nil && cause.Code == c }
	switch {
	case state == StateInstalled:
		return ProfileCommitted{Handle: h, ICCID: iccid, EID: r.Identity.EID}
	case state == StateUnknown:
		return ProfileQuarantined{Handle: h, Reason: NewReason(ProfileUnknown, "the eUICC has not said whether the profile is installed")}
	case r.Profile.Kind == KindPreparedPackage && (r.loaded() || r.Profile.Was != ""): // its one-time key is used up
		if cause == nil {
			cause = NewReason(CodeSpent, "a prepared package is for one try")
		}
		return ProfileSpent{Handle: h, Reason: cause}
	case is(CodeSpent) || is(ProfileRefused) || is(ProfileDamaged):
		return ProfileSpent{Handle: h, Reason: cause}
	case is(CodeRefused) || is(ProfileMismatch) || is(ProfileDuplicate) && r.asked():
		return ProfileQuarantined{Handle: h, Reason: cause}
	case !r.asked():
		return ProfileReleased{Handle: h, Why: "nothing was asked of the server"}
	}
	return ProfileQuarantined{Handle: h, Reason: NewReason(SameEUICCOnly, "asked for by this eUICC, not installed")}
}

// KindPreparedPackage is the kind of a profile that is a bound package with a
// one-time key (SGP.41) in place of an activation code.
const KindPreparedPackage = "package"

// loaded reports whether a load of the reserved profile was begun.
func (r *Run) loaded() bool {
	return slices.ContainsFunc(r.Intents, func(in Intent) bool { return in.Profile == r.Profile.Handle && in.Effect == EffectLoad })
}

// asked reports whether the server may know this eUICC for the reserved profile:
// an order is linked to an eUICC with its bound package. A session that was
// cancelled before that, which is done with reasons that leave the order alive,
// leaves nothing behind.
func (r *Run) asked() bool {
	if r.Profile.Downloads > 0 || r.Profile.Was != "" {
		return true
	}
	return slices.ContainsFunc(r.Intents, func(in Intent) bool { return in.Effect == EffectGetBPP && in.Profile == r.Profile.Handle })
}

// left is what is known of the reserved profile on the eUICC: the last load's
// result, or what earlier runs left.
func (r *Run) left() (state string, iccid ident.ICCID) {
	state, iccid = r.Profile.Was, r.Profile.ICCID
	for _, res := range r.Results {
		if res.Effect == EffectLoad && (res.Profile == "" || res.Profile == r.Profile.Handle) {
			state = res.State
			if res.ICCID != "" {
				iccid = res.ICCID
			}
		}
	}
	for _, in := range r.OpenIntents() {
		if in.Effect == EffectLoad && in.Profile == r.Profile.Handle {
			return StateUnknown, iccid
		}
	}
	return state, iccid
}

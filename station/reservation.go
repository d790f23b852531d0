package station

import "linefit/modem/ident"

// StockState is the state of one profile in the ledger.
type StockState string

// Stock states. The zero value is not a state.
const (
	StockAvailable   StockState = "available"
	StockReserved    StockState = "reserved"
	StockInstalled   StockState = "installed" // committed
	StockQuarantined StockState = "quarantined"
	StockSpent       StockState = "spent"
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
	State     StockState  `json:"state"`
	Unit      Serial      `json:"unit,omitempty"`
	Run       RunID       `json:"run,omitempty"`
	EID       ident.EID   `json:"eid,omitempty"` // of the unit that has or had it
	Downloads int         `json:"downloads,omitempty"`
	Releases  int         `json:"releases,omitempty"`
	Reason    *Reason     `json:"reason,omitempty"`
}

// Usable reports whether the item may be reserved for an eUICC: available, or
// quarantined for this very eUICC after a download that left no profile behind
// (the server then knows this EID and no other one may try).
func (i StockItem) Usable(eid ident.EID) bool {
	if i.Bound != "" && i.Bound != eid {
		return false
	}
	if i.Cap > 0 && i.Downloads >= i.Cap {
		return false
	}
	switch i.State {
	case StockAvailable:
		return i.EID == "" || i.EID == eid
	case StockQuarantined:
		return eid != "" && i.EID == eid && i.Reason != nil && i.Reason.Code == SameEUICCOnly
	}
	return false
}

// SameEUICCOnly quarantines a profile whose order knows an EID but which is not
// installed: it can be used again for that eUICC only.
const SameEUICCOnly Code = "profile.same_euicc"

// Evolve applies a fact of the ledger to the item that it names.
func (i StockItem) Evolve(env Envelope, f Fact) StockItem {
	switch f := f.(type) {
	case StockImported:
		return StockItem{
			Handle: f.Handle, Batch: f.Batch, Kind: f.Kind, SMDP: f.SMDP, ICCID: f.ICCID, Operator: f.Operator,
			Region: f.Region, Customer: f.Customer, SKU: f.SKU, Bound: f.EID, Cap: f.Cap, Expires: f.Expires,
			State: StockAvailable,
		}
	case ProfileReserved:
		i.State, i.Unit, i.Run, i.EID, i.Reason = StockReserved, env.Unit, env.Run, f.EID, nil
	case Intent:
		if f.Effect == EffectGetBPP {
			i.Downloads++
		}
	case ProfileCommitted:
		i.State, i.ICCID, i.EID, i.Reason = StockInstalled, f.ICCID, f.EID, nil
	case ProfileReleased:
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
		return f.Profile, f.Profile != "" && f.Effect == EffectGetBPP
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

// Settle says what becomes of a reservation at the end of a run. Nothing is
// put back into the stock of which the server or the eUICC may know something.
func Settle(r *Run) Fact {
	h := r.Profile.Handle
	if res, ok := r.Installed(); ok {
		iccid := res.ICCID
		if iccid == "" {
			iccid = r.Profile.ICCID
		}
		return ProfileCommitted{Handle: h, ICCID: iccid, EID: r.Identity.EID}
	}
	if r.Failed != nil && r.Failed.Reason != nil && r.Failed.Reason.Code == CodeSpent {
		return ProfileSpent{Handle: h, Reason: r.Failed.Reason}
	}
	asked, state := r.Profile.Downloads > 0, StateAbsent // an earlier run of this eUICC may have asked
	for _, in := range r.Intents {
		asked = asked || in.Profile == h
	}
	if len(r.OpenIntents()) > 0 {
		state = StateUnknown
	}
	for _, res := range r.Results {
		if res.Effect == EffectLoad {
			state = res.State
		}
	}
	var cause *Reason
	if r.Failed != nil {
		cause = r.Failed.Reason
	}
	switch {
	case cause != nil && cause.Code == CodeRefused:
		return ProfileQuarantined{Handle: h, Reason: cause}
	case !asked:
		return ProfileReleased{Handle: h, Why: "nothing was asked of the server"}
	case state == StateAbsent && (cause == nil || cause.Code != ProfileRefused):
		return ProfileQuarantined{Handle: h, Reason: NewReason(SameEUICCOnly, "asked for by this eUICC, not installed")}
	case state == StateAbsent:
		return ProfileSpent{Handle: h, Reason: cause}
	}
	return ProfileQuarantined{Handle: h, Reason: NewReason(ProfileUnknown, "the eUICC does not say whether the profile is installed")}
}

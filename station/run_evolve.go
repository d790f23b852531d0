package station

import (
	"slices"

	"linefit/modem/ident"
)

// Envelope is what an entry says beside its fact.
type Envelope struct {
	Run  RunID
	Unit Serial
}

// Scope is where and by whom a fact is written: what a journal needs beside it.
type Scope struct {
	Slot  int // 0 is the station itself
	Unit  Serial
	Run   RunID
	Actor Actor // empty means the station
}

// evolve applies a fact of this run.
func (r *Run) evolve(f Fact) {
	switch f := f.(type) {
	case RunResumed:
		r.Resumes++
		if r.Recipe != nil && f.Open != "" {
			r.Tries[f.Open]++
			r.Lost[f.Open]++
		}
		if f.Gave != "" {
			r.giveUp(f)
			return
		}
		if i := r.indexOf(f.Step); i >= 0 {
			if i < r.At {
				r.Evidence, r.EIMs = nil, nil
			}
			r.At = i
			r.advance()
		}
	case StepEnded, StepsEnded:
		for _, s := range StepsOf(f) {
			r.evolveStep(s)
		}
	case UnitIdentified:
		r.Identity = mergeIdentity(r.Identity, f)
	case Intent:
		r.Intents = append(r.Intents, f)
	case Result:
		r.Results = append(r.Results, f)
	case ProfileReserved:
		r.Profile, r.Settled = &f, false
	case ProfileCommitted:
		r.fit(f)
		r.settled(f.Handle)
	case ProfileReleased:
		r.settled(f.Handle)
	case ProfileQuarantined:
		r.settled(f.Handle)
	case ProfileSpent:
		r.settled(f.Handle)
	case NotificationKept:
		r.Kept = append(r.Kept, f)
	case EIMOnboarded:
		r.EIMs = f.eims()
	case RunVerdict:
		r.Verdict, r.Phase = &f, PhaseVerdict
	case UnitDisposed:
		r.Disposition, r.Phase = &f, PhaseDisposed
		if r.Accepted != nil { // the MES's own decision replaces the policy's
			r.Phase = PhaseAccepted
		}
	case RunAccepted:
		r.Accepted, r.Phase = &f, PhaseAccepted
	case UnitAcknowledged:
		r.Phase = PhaseAcknowledged
	}
}

func (r *Run) fit(f ProfileCommitted) {
	if !slices.ContainsFunc(r.Fitted, func(have Fitted) bool { return have.Handle == f.Handle }) {
		r.Fitted = append(r.Fitted, Fitted{Handle: f.Handle, ICCID: f.ICCID})
	}
}

// settled ends the reservation. Packages that are given up unused are settled
// beside it.
func (r *Run) settled(handle string) {
	r.Settled = r.Settled || r.Profile != nil && r.Profile.Handle == handle
	if r.Issued == handle {
		r.Issued = ""
	}
}

// giveUp ends a run that was interrupted too often: whatever interrupts it may
// be the unit itself.
func (r *Run) giveUp(f RunResumed) {
	r.Closing = true
	if r.Failed == nil {
		r.Failed = &Failure{Step: f.Open, Outcome: Aborted, Reason: NewReason(Interrupted, "interrupted %d times", r.Resumes)}
	}
	r.advance()
}

func (r *Run) indexOf(id string) int {
	if r.Recipe == nil {
		return -1
	}
	return r.Recipe.Index(id)
}

func (r *Run) evolveStep(f StepEnded) {
	r.Tries[f.Step]++
	r.Millis += f.Millis
	if f.Outcome != OK && f.Outcome != Skipped && f.Then == ThenClose && r.Failed == nil {
		r.Failed = &Failure{Step: f.Step, Outcome: f.Outcome, Reason: f.Reason}
	}
	switch {
	case f.Outcome != OK:
	case evident(f.Kind):
		r.Evidence = evidenceOf(f)
	case f.Kind == KindBind:
		r.BoundBy = measured(f, "bound_by")
	}
	switch i := r.indexOf(f.Then); {
	case f.Then == ThenClose:
		r.Closing = true
		r.At++
	case f.Then != "" && i >= 0:
		r.At = i
		r.Evidence, r.EIMs = nil, nil // what was read back before another try proves nothing
	default:
		r.At++
	}
	r.advance()
}

// evident reports whether a step's measurements are the evidence of a pass: the
// profile that was installed, or the one with which an M2M unit was delivered.
func evident(kind string) bool { return kind == KindReadback || kind == KindBootstrap }

// measured is a measurement of a step, empty where there is none.
func measured(f StepEnded, name string) string {
	for _, m := range f.Measured {
		if m.Name == name {
			return m.Value
		}
	}
	return ""
}

// evidenceOf takes the read-back step's measurements as evidence.
func evidenceOf(f StepEnded) *Evidence {
	return &Evidence{
		ICCID: ident.ICCID(measured(f, "iccid")), Seen: ident.ICCID(measured(f, "card_iccid")),
		EID: ident.EID(measured(f, "eid")), State: measured(f, "state"), Keys: measured(f, "one_time_keys"),
	}
}

func mergeIdentity(old, f UnitIdentified) UnitIdentified {
	set := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	set(&old.Maker, f.Maker)
	set(&old.Model, f.Model)
	set(&old.Firmware, f.Firmware)
	set(&old.Route, f.Route)
	set(&old.Generation, f.Generation)
	set(&old.IPA, f.IPA)
	set(&old.Prepared, f.Prepared)
	set((*string)(&old.IMEI), string(f.IMEI))
	set((*string)(&old.EID), string(f.EID))
	if f.Platform != nil {
		old.Platform = f.Platform
	}
	if f.Profiles != nil && old.Profiles == nil { // what was there first is what this run found
		old.Profiles = f.Profiles
	}
	if f.EIMs != nil && old.EIMs == nil {
		old.EIMs = f.EIMs
	}
	return old
}

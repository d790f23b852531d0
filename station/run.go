package station

import (
	"slices"

	"linefit/modem/ident"
)

// Phase is how far a run is.
type Phase string

// Phases, in order.
const (
	PhaseSteps        Phase = "steps"
	PhaseVerdict      Phase = "verdict"      // the verdict is durable
	PhaseDisposed     Phase = "disposed"     // the disposition is durable
	PhaseAccepted     Phase = "accepted"     // the MES has answered
	PhaseAcknowledged Phase = "acknowledged" // a person has seen it, where one must
)

// Failure is what decided a run that did not pass.
type Failure struct {
	Step    string
	Outcome Outcome
	Reason  *Reason
}

// Run is one unit going through one recipe in one slot. All of it follows from
// the run's facts.
type Run struct {
	ID      RunID
	Unit    Serial
	Recipe  *Recipe // nil where the recipe of an interrupted run is not known any more
	Started RunStarted
	Phase   Phase
	At      int            // index of the step that comes next or is running
	Tries   map[string]int // attempts that ended, by step
	Closing bool           // only steps marked Always are left
	Failed  *Failure
	Resumes int
	Lost    map[string]int // of the attempts, those that an interruption ended
	Millis  int64          // sum over the attempts

	Identity UnitIdentified
	BoundBy  string // what tied the unit to the scan
	Intents  []Intent
	Results  []Result
	Profile  *ProfileReserved
	Settled  bool   // the reservation is committed, released, quarantined or spent
	Issued   string // stock handle of what the MES has handed out for this run, until it is settled
	Fitted   []Fitted
	Kept     []NotificationKept
	Evidence *Evidence
	EIMs     []string // that the cold unit showed

	Verdict     *RunVerdict
	Disposition *UnitDisposed
	Accepted    *RunAccepted
}

// Fitted is a profile that this run installed, or found installed by an earlier
// run of the unit, in that order.
type Fitted struct {
	Handle string
	ICCID  ident.ICCID
}

// Primary is the profile that ships enabled where one does: of several the
// first.
func (r *Run) Primary() (ident.ICCID, bool) {
	if len(r.Fitted) > 0 {
		return r.Fitted[0].ICCID, true
	}
	return r.Installed()
}

// PrimaryHandle is its handle in the stock; empty where there is none.
func (r *Run) PrimaryHandle() string {
	switch {
	case len(r.Fitted) > 0:
		return r.Fitted[0].Handle
	case r.Profile != nil:
		return r.Profile.Handle
	}
	return ""
}

// OpenIntents are the intents without a result: what became of them is unknown.
func (r *Run) OpenIntents() []Intent {
	var open []Intent
	for _, in := range r.Intents {
		if _, closed := r.ResultOf(in.Number); !closed {
			open = append(open, in)
		}
	}
	return open
}

// ResultOf is the last result of an intent.
func (r *Run) ResultOf(number int) (Result, bool) {
	for _, res := range slices.Backward(r.Results) {
		if res.Number == number {
			return res, true
		}
	}
	return Result{}, false
}

// unsettled reports whether the run has a profile of which it is still to be said
// what became of it.
func (r *Run) unsettled() bool { return r.Profile != nil && !r.Settled || r.Issued != "" }

// NextIntent is the number of the next intent.
func (r *Run) NextIntent() int { return len(r.Intents) + 1 }

// Downloads counts the bound profile packages asked for with the profile that
// is reserved now.
func (r *Run) Downloads() int {
	n := 0
	for _, in := range r.Intents {
		if in.Effect == EffectGetBPP && r.Profile != nil && in.Profile == r.Profile.Handle {
			n++
		}
	}
	return n
}

// Installed reports whether the reserved profile is known to be installed.
func (r *Run) Installed() (ident.ICCID, bool) {
	if r.Profile == nil {
		return "", false
	}
	state, iccid := r.left()
	return iccid, state == StateInstalled
}

// States of a profile after a load, in Result.State.
const (
	StateInstalled = "installed"
	StateAbsent    = "absent"
	StateUnknown   = "unknown"
)

// step is the step at the run's position; false at the end.
func (r *Run) step() (Step, bool) {
	if r.Recipe == nil || r.At >= len(r.Recipe.Steps) {
		return Step{}, false
	}
	return r.Recipe.Steps[r.At], true
}

// advance moves to the next step that is to run.
func (r *Run) advance() {
	if r.Recipe == nil {
		return
	}
	for r.At < len(r.Recipe.Steps) && r.passes(r.Recipe.Steps[r.At]) {
		r.At++
	}
}

// passes reports whether a run passes a step by.
func (r *Run) passes(s Step) bool {
	return r.Closing && !s.Always || !s.For(r.Recipe.KindOf(r.Identity))
}

// ended decides what follows an attempt: the Then of its fact.
func (r *Run) ended(s Step, res StepResult) string {
	tries := r.Tries[s.ID] + 1 - r.Lost[s.ID] // an interruption is not the unit's failure
	limit, again := s.Attempts, s.Retries(res.Outcome)
	if r.loading() && s.RetryFrom != "" {
		// Nobody knows what became of the load, and the unit would be held: it is
		// restarted cold and asked twice as often.
		limit, again = 2*s.Attempts, true
	}
	switch {
	case res.Outcome == OK || res.Outcome == Skipped || r.Closing:
		return ""
	case res.Outcome != Aborted && !res.Final && tries < limit && again:
		if s.RetryFrom != "" {
			return s.RetryFrom
		}
		return s.ID
	case s.Optional:
		return ""
	}
	return ThenClose
}

// verdict judges a run whose steps are done. Pass needs every required step OK
// and, where the recipe touches profiles, what was read back.
func (r *Run) verdict() RunVerdict {
	v := RunVerdict{
		Verdict: Pass, IMEI: r.Identity.IMEI, EID: r.Identity.EID, Evidence: r.Evidence, BoundBy: r.BoundBy, Millis: r.Millis,
		Generation: r.Identity.Generation, EIMs: r.EIMs,
	}
	for _, f := range r.Fitted {
		v.ICCIDs = append(v.ICCIDs, f.ICCID)
	}
	if e := r.Evidence; len(v.ICCIDs) == 0 && e != nil && e.Seen == "" && e.ICCID != "" {
		v.ICCIDs = append(v.ICCIDs, e.ICCID) // of an M2M unit, delivered with it
	}
	v.Factory = r.factory()
	fail := r.Failed
	if fail == nil {
		fail = r.missing()
	}
	if fail == nil {
		return v
	}
	v.Verdict, v.Step, v.Reason = Inconclusive, fail.Step, fail.Reason
	if unknown := r.unknown(fail.Reason); unknown != nil {
		v.Reason = unknown
		return v
	}
	if fail.Reason != nil && fail.Reason.Class == ClassUnit {
		v.Verdict = Failed
	}
	return v
}

// loading: a load of the reserved profile was begun, and its outcome is unknown.
func (r *Run) loading() bool {
	if r.Profile == nil {
		return false
	}
	state, _ := r.left()
	return state == StateUnknown
}

// unknown is the reason of a run that ends while nobody knows what became of a
// load, whatever ended it: such a unit is held. nil: it is known.
func (r *Run) unknown(ended *Reason) *Reason {
	if !r.loading() || ended == nil || ended.Code == ProfileUnknown {
		return nil
	}
	_, iccid := r.left()
	return NewReason(ProfileUnknown, "profile %s; the run ended with %s", iccid, ended)
}

// missing finds what a Pass lacks although no step failed.
func (r *Run) missing() *Failure {
	if r.Recipe == nil {
		return &Failure{Outcome: Error, Reason: NewReason(Interrupted, "the recipe of this run is not known")}
	}
	touches, adds := false, false
	for _, s := range r.Recipe.Steps {
		if !s.For(r.Recipe.KindOf(r.Identity)) {
			continue
		}
		touches = touches || s.Kind == KindDownload || s.Kind == KindLoad || evident(s.Kind)
		adds = adds || s.Kind == KindAddEIM
		if !s.Optional && r.Tries[s.ID] == 0 {
			return &Failure{Step: s.ID, Outcome: Error, Reason: NewReason(StationFault, "step was not run")}
		}
	}
	if touches && (r.Evidence == nil || r.Evidence.EID != r.Identity.EID) {
		return &Failure{Outcome: Error, Reason: NewReason(StationFault, "no read-back evidence")}
	}
	if adds && len(r.EIMs) == 0 {
		return &Failure{Outcome: Error, Reason: NewReason(StationFault, "the eIM was not read back")}
	}
	return r.shipGate()
}

// InFactory reports whether the run is one of in-factory provisioning.
func (r *Run) InFactory() bool {
	return r.Recipe != nil && r.Recipe.Factory != "" && (!r.Recipe.Mixed() || r.Recipe.KindOf(r.Identity) == KindSGP41)
}

// factory says whether in-factory provisioning is open on the unit's eUICC;
// empty where the run has nothing to do with it.
func (r *Run) factory() string {
	switch {
	case !r.InFactory():
		return ""
	case r.Evidence != nil && r.Evidence.EID == r.Identity.EID && r.Evidence.Keys == "0":
		return FactoryClosed
	}
	return FactoryOpen
}

// ReadsAgain reports whether the run, if it goes on after an interruption, reads
// the unit's identity again before its verdict.
func (r *Run) ReadsAgain() bool {
	_, running := r.step()
	return r.Phase == PhaseSteps && running && !r.Closing
}

// Clamped reports whether the run has shut the clamp and goes on behind that.
func (r *Run) Clamped() bool {
	return r.ReadsAgain() && slices.ContainsFunc(r.Recipe.Steps[:r.At], func(s Step) bool { return s.Kind == KindClamp })
}

// shipGate lets no unit pass a recipe of in-factory provisioning with a result
// open, nor the closing one with one-time keys left: its LPA would stay shut.
func (r *Run) shipGate() *Failure {
	if !r.InFactory() {
		return nil
	}
	if open := r.OpenIntents(); len(open) > 0 {
		return &Failure{Outcome: Error, Reason: NewReason(ProfileUnknown, "what became of %s (intent %d) is not known", open[0].Effect, open[0].Number)}
	}
	if r.Recipe.Factory == FactoryClosing && (r.Evidence == nil || r.Evidence.Keys != "0") {
		return &Failure{Outcome: Fail, Reason: NewReason(KeysLeft, "that no one-time key is left was not read from the cold eUICC")}
	}
	return nil
}

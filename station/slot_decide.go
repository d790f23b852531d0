package station

import (
	"fmt"
	"slices"
)

// Decide says which facts follow from an event and what is to be done once
// they are in the log. It changes nothing. The error is a *Refusal.
func (s *Slot) Decide(ev Event) ([]Fact, []Effect, error) {
	switch ev := ev.(type) {
	case Admit:
		return s.admit(ev)
	case Faulted:
		return []Fact{SlotFaulted{Reason: *ev.Reason}}, []Effect{ShowLamp{LampFail}}, nil
	case Cleared:
		if s.Fault != nil && s.State != SlotFault {
			return nil, nil, Refuse(SlotNotReady, "slot %d is %s: its fault can be cleared when the unit has left", s.ID, s.State)
		}
		if s.State != SlotFault {
			return nil, nil, Refuse(SlotNotReady, "slot %d has no fault", s.ID)
		}
		return []Fact{SlotCleared{Why: ev.Why}}, []Effect{ShowLamp{LampOff}, Continue{}}, nil
	case Switch:
		return s.switchTo(ev)
	case HandBegin:
		return s.lend(ev)
	case HandEnd:
		return s.giveBack(ev)
	}
	if s.Run == nil {
		return nil, nil, Refuse(SlotNotReady, "slot %d has no run", s.ID)
	}
	switch ev := ev.(type) {
	case Proceed:
		return s.proceed()
	case StepDone:
		return s.stepDone(ev.Result)
	case Resume:
		return s.resume()
	case Dispose:
		return s.dispose(ev)
	case Accept:
		return s.accept(ev)
	case Acknowledge:
		if s.Run.Phase != PhaseAccepted {
			return nil, nil, Refuse(SlotNotReady, "slot %d has no result to acknowledge", s.ID)
		}
		return []Fact{UnitAcknowledged{Bin: ev.Bin}}, []Effect{OpenClamp{}}, nil
	case Left:
		if s.State != SlotDone || (s.Run.Phase != PhaseAccepted && s.Run.Phase != PhaseAcknowledged) {
			return nil, nil, Refuse(SlotNotReady, "slot %d has no unit that may leave", s.ID)
		}
		left := UnitLeft{}
		if ev.Missing {
			left.Missing = "yes"
		}
		return []Fact{left}, []Effect{ShowLamp{LampOff}}, nil
	}
	return nil, nil, fmt.Errorf("station: event %T is not known", ev)
}

func (s *Slot) admit(ev Admit) ([]Fact, []Effect, error) {
	if s.State != SlotEmpty {
		return nil, nil, Refuse(SlotNotReady, "slot %d is %s", s.ID, s.State)
	}
	started := ev.Started
	started.Recipe, started.Version, started.Digest = ev.Recipe.Name, ev.Recipe.Version, ev.Recipe.Digest()
	return append(slices.Clone(ev.Before), started), []Effect{ShowLamp{LampBusy}, Continue{}}, nil
}

func (s *Slot) switchTo(ev Switch) ([]Fact, []Effect, error) {
	ok := ev.To == SlotDisabled && (s.State == SlotEmpty || s.State == SlotFault) ||
		ev.To == SlotEmpty && s.State == SlotDisabled
	if !ok || s.Run != nil {
		return nil, nil, Refuse(SlotNotReady, "slot %d is %s", s.ID, s.State)
	}
	return []Fact{SlotSwitched{To: ev.To, Why: ev.Why}}, []Effect{ShowLamp{LampOff}}, nil
}

// proceed says what comes next, from the run's phase alone.
func (s *Slot) proceed() ([]Fact, []Effect, error) {
	r := s.Run
	switch r.Phase {
	case PhaseSteps:
		if step, ok := r.step(); ok {
			return nil, []Effect{ExecStep{Index: r.At, Step: step, Attempt: r.Tries[step.ID] + 1}}, nil
		}
		if r.unsettled() {
			return nil, []Effect{SettleProfile{}, Continue{}}, nil
		}
		return []Fact{r.verdict()}, []Effect{Continue{}}, nil
	case PhaseVerdict:
		return nil, []Effect{ChooseDisposition{}}, nil
	case PhaseDisposed:
		return nil, []Effect{AwaitAcceptance{}}, nil
	case PhaseAccepted:
		effects := []Effect{ShowLamp{LampOf(r.Verdict.Verdict, r.Disposition.Disposition)}}
		if r.Disposition.Disposition.Good() {
			effects = append(effects, OpenClamp{})
		}
		return nil, effects, nil
	case PhaseAcknowledged:
		return nil, []Effect{ShowLamp{LampOf(r.Verdict.Verdict, r.Disposition.Disposition)}, OpenClamp{}}, nil
	}
	return nil, nil, fmt.Errorf("station: phase %q is not known", r.Phase)
}

func (s *Slot) stepDone(res StepResult) ([]Fact, []Effect, error) {
	r := s.Run
	step, ok := r.step()
	if r.Phase != PhaseSteps || !ok {
		return nil, nil, Refuse(SlotNotReady, "slot %d runs no step", s.ID)
	}
	f := StepEnded{
		Step: step.ID, Kind: step.Kind, Attempt: r.Tries[step.ID] + 1, Outcome: res.Outcome,
		Millis: res.Millis, Reason: res.Reason, Measured: res.Measured, Then: r.ended(step, res),
	}
	if res.Outcome != OK && res.Outcome != Skipped {
		f.Trace = res.Trace
		if f.Reason == nil {
			f.Reason = NewReason(StationFault, "step ended %s without a reason", res.Outcome)
		}
	}
	return []Fact{f}, []Effect{Continue{}}, nil
}

// maxResumes bounds how often one run goes on after an interruption.
const maxResumes = 20

// resume goes on after a start of the station with whatever was not finished.
func (s *Slot) resume() ([]Fact, []Effect, error) {
	r := s.Run
	if r.Phase != PhaseSteps {
		return nil, []Effect{Continue{}}, nil
	}
	if r.Recipe == nil {
		return []Fact{r.verdict()}, []Effect{Continue{}}, nil
	}
	f := RunResumed{Step: r.Recipe.Restart, Outcome: Aborted}
	step, running := r.step()
	switch {
	case !running:
		return nil, []Effect{Continue{}}, nil
	case r.Closing || r.At <= r.Recipe.Index(r.Recipe.Restart):
		f.Step = step.ID // nothing that must be read again has happened, or nothing more will
	}
	f.Open, f.Attempt = step.ID, r.Tries[step.ID]+1
	if r.Resumes >= maxResumes && !r.Closing {
		f.Gave = "yes"
	}
	return []Fact{f}, []Effect{ShowLamp{LampBusy}, Continue{}}, nil
}

func (s *Slot) dispose(ev Dispose) ([]Fact, []Effect, error) {
	if s.Run.Phase != PhaseVerdict {
		return nil, nil, Refuse(SlotNotReady, "slot %d has no verdict to dispose of", s.ID)
	}
	return append(slices.Clone(ev.Before), ev.Disposition), []Effect{Continue{}}, nil // the gate comes last and covers the others
}

func (s *Slot) accept(ev Accept) ([]Fact, []Effect, error) {
	if s.Run.Phase != PhaseDisposed {
		return nil, nil, Refuse(SlotNotReady, "slot %d waits for no answer of the MES", s.ID)
	}
	return append([]Fact{ev.Answer}, ev.Then...), []Effect{Continue{}}, nil
}

package station

// Evolve applies a fact of this slot. It is the only mutation and all that
// replay calls.
func (s *Slot) Evolve(env Envelope, f Fact) {
	if s.evolveHand(f) {
		return
	}
	switch f := f.(type) {
	case SlotFaulted:
		reason := f.Reason
		s.Fault = &reason
		if s.Run == nil && s.Hand == nil {
			s.State = SlotFault
		}
		return
	case SlotCleared:
		s.Fault = nil
		if s.Run == nil {
			s.State = SlotEmpty
		}
		return
	case SlotSwitched:
		s.State, s.Fault = f.To, nil
		return
	case RunStarted:
		s.Run = &Run{ID: env.Run, Unit: env.Unit, Recipe: s.recipes(f.Digest), Started: f, Phase: PhaseSteps, Tries: map[string]int{}, Lost: map[string]int{}, Issued: f.Profile}
		s.State = SlotArmed
		return
	}
	if s.Run == nil || env.Run != s.Run.ID {
		return
	}
	s.Run.evolve(f)
	switch f := f.(type) {
	case StepEnded, StepsEnded, RunResumed:
		s.State = SlotRunning
	case UnitDisposed:
		s.State = SlotDone
		s.Last = &LastResult{
			Run: s.Run.ID, Unit: s.Run.Unit, Verdict: s.Run.Verdict.Verdict, Disposition: f.Disposition,
			Reason: s.Run.Verdict.Reason, Step: s.Run.Verdict.Step, Millis: s.Run.Millis,
		}
		if f.Reason != nil {
			s.Last.Reason = f.Reason
		}
	case UnitLeft:
		s.Run, s.State = nil, SlotEmpty
		if s.Fault != nil {
			s.State = SlotFault
		}
	}
}

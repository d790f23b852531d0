package station

// Events of work by hand.
type (
	// HandBegin lends a slot to a person.
	HandBegin struct {
		Verb string
		Role Role
	}
	// HandEnd gives it back.
	HandEnd struct{ Ended HandEnded }
)

func (HandBegin) event() {}
func (HandEnd) event()   {}

// lend decides on HandBegin: a slot is lent while no unit is at work in it.
func (s *Slot) lend(ev HandBegin) ([]Fact, []Effect, error) {
	if s.State != SlotEmpty && s.State != SlotDisabled {
		return nil, nil, Refuse(SlotNotReady, "slot %d is %s", s.ID, s.State)
	}
	return []Fact{HandStarted{Verb: ev.Verb, Role: ev.Role, From: s.State}}, []Effect{ShowLamp{LampBusy}}, nil
}

// giveBack decides on HandEnd. An intent without a result is unknown.
func (s *Slot) giveBack(ev HandEnd) ([]Fact, []Effect, error) {
	if s.Hand == nil {
		return nil, nil, Refuse(SlotNotReady, "nobody works by hand in slot %d", s.ID)
	}
	ended := ev.Ended
	if open := s.HandOpen; open != nil {
		ended.Unknown = string(open.Effect)
		if ended.EID == "" {
			ended.EID = open.EID
		}
	}
	lamp := LampOff
	if s.Fault != nil {
		lamp = LampFail
	}
	return []Fact{ended}, []Effect{ShowLamp{lamp}}, nil
}

// evolveHand applies a fact of work by hand; false for every other one.
func (s *Slot) evolveHand(f Fact) bool {
	switch f := f.(type) {
	case HandStarted:
		s.Hand, s.HandOpen, s.State = &f, nil, SlotHand
	case HandIntent:
		s.HandOpen = &f
	case HandResult:
		if f.Outcome != Timeout {
			s.HandOpen = nil
		}
	case HandEnded:
		s.State = SlotEmpty
		if s.Hand != nil {
			s.State = s.Hand.From
		}
		if s.Fault != nil {
			s.State = SlotFault
		}
		s.Hand, s.HandOpen = nil, nil
	default:
		return false
	}
	return true
}

package station

// LastResult is what a slot last decided; it stays on the screen.
type LastResult struct {
	Run         RunID       `json:"run"`
	Unit        Serial      `json:"unit"`
	Verdict     Verdict     `json:"verdict"`
	Disposition Disposition `json:"disposition"`
	Reason      *Reason     `json:"reason,omitempty"`
	Step        string      `json:"step,omitempty"`
	Millis      int64       `json:"ms"`
}

// Slot is the machine of one fixture slot. It is owned by the engine's
// goroutine of that slot; the fields are changed by Evolve only.
type Slot struct {
	ID    int
	State SlotState
	Fault *Reason
	Run   *Run // of the states Armed, Running and Done
	Last  *LastResult

	// Of the state Hand: what a person does, and what was begun and has no result
	// yet.
	Hand     *HandStarted
	HandOpen *HandIntent

	recipes func(digest string) *Recipe
}

// NewSlot makes an empty slot. recipes finds a recipe by its digest during
// replay; it may return nil.
func NewSlot(id int, recipes func(digest string) *Recipe) *Slot {
	return &Slot{ID: id, State: SlotEmpty, recipes: recipes}
}

// Event is what happened to a slot.
type Event interface{ event() }

// Events.
type (
	// Admit starts a run; the admission checks were made.
	Admit struct {
		Run     RunID
		Unit    Serial
		Recipe  *Recipe
		Started RunStarted
		Before  []Fact // facts of the same decision, such as a ticket's retest
	}
	// Proceed asks what comes next.
	Proceed struct{}
	// StepDone is the end of an attempt.
	StepDone struct{ Result StepResult }
	// Resume goes on with an interrupted run after a start.
	Resume struct{}
	// Dispose carries the policy's choice and the ticket facts that belong to it.
	Dispose struct {
		Disposition UnitDisposed
		Before      []Fact
	}
	// Accept carries the MES's answer; Then are the facts that replace the
	// disposition where the MES refuses the unit.
	Accept struct {
		Answer RunAccepted
		Then   []Fact
	}
	// Acknowledge says that a person has seen FAIL or HOLD.
	Acknowledge struct{ Bin string }
	// Left says that the unit is gone from the slot.
	Left struct{ Missing bool }
	// Faulted, Cleared and Switch change a slot's availability.
	Faulted struct{ Reason *Reason }
	Cleared struct{ Why string }
	Switch  struct {
		To  SlotState
		Why string
	}
)

func (Admit) event()       {}
func (Proceed) event()     {}
func (StepDone) event()    {}
func (Resume) event()      {}
func (Dispose) event()     {}
func (Accept) event()      {}
func (Acknowledge) event() {}
func (Left) event()        {}
func (Faulted) event()     {}
func (Cleared) event()     {}
func (Switch) event()      {}

// StepResult is what an attempt at a step came to.
type StepResult struct {
	Outcome  Outcome
	Reason   *Reason
	Measured []Measurement
	Millis   int64
	Trace    string
	Final    bool // another try cannot help
}

// Effect is what is to be done after the facts are in the log.
type Effect interface{ effect() }

// Effects.
type (
	// ExecStep runs an attempt at a step.
	ExecStep struct {
		Index   int
		Step    Step
		Attempt int
	}
	// SettleProfile decides what becomes of a reservation that is still open.
	SettleProfile struct{}
	// ChooseDisposition asks the policy.
	ChooseDisposition struct{}
	// AwaitAcceptance asks the MES, or does not where there is none.
	AwaitAcceptance struct{}
	// ShowLamp switches the slot's lamps.
	ShowLamp struct{ Lamp Lamp }
	// OpenClamp lets the unit go.
	OpenClamp struct{}
	// Continue means that Proceed is to be asked again.
	Continue struct{}
)

func (ExecStep) effect()          {}
func (SettleProfile) effect()     {}
func (ChooseDisposition) effect() {}
func (AwaitAcceptance) effect()   {}
func (ShowLamp) effect()          {}
func (OpenClamp) effect()         {}
func (Continue) effect()          {}

// LampOf is what the lamps show for a disposition.
func LampOf(v Verdict, d Disposition) Lamp {
	switch {
	case v == Pass && d.Good():
		return LampPass
	case d == Hold || v == Inconclusive || v == Pass:
		return LampHold
	}
	return LampFail
}

package station

import "fmt"

// Outcome of an attempt at a step.
type Outcome string

// Outcomes. The zero value means that the attempt has not ended.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"    // the unit did not do what it should
	Error   Outcome = "error"   // the attempt could not be carried out
	Timeout Outcome = "timeout" // no answer in time: what the device did is unknown
	Aborted Outcome = "aborted" // ended by an operator, an emergency stop or a crash
	Skipped Outcome = "skipped" // not asked for by this recipe or unit
)

// Verdict of a run. The zero value is Unset and never means Pass.
type Verdict string

// Verdicts.
const (
	Unset        Verdict = ""
	Pass         Verdict = "pass"
	Failed       Verdict = "fail"
	Inconclusive Verdict = "inconclusive" // the fault is not known to be the unit's
)

// Disposition says where a unit goes after a run.
type Disposition string

// Dispositions. The zero value means that none was made.
const (
	Release Disposition = "release"
	Retest  Disposition = "retest"
	Rework  Disposition = "rework"
	Hold    Disposition = "hold"
	Scrap   Disposition = "scrap"
	// Next is that of a unit that passed, and is not done: in-factory
	// provisioning is open on it until a closing recipe has deleted its one-time
	// keys (SGP.41). It goes on to that recipe, perhaps days later, and never ships
	// before it.
	Next Disposition = "next"
)

// Good reports whether a unit leaves the slot as one that passed.
func (d Disposition) Good() bool { return d == Release || d == Next }

// SlotState is the state of a fixture slot.
type SlotState string

// Slot states; the zero value is not a state.
const (
	SlotEmpty    SlotState = "empty"
	SlotArmed    SlotState = "armed"
	SlotRunning  SlotState = "running"
	SlotDone     SlotState = "done"
	SlotFault    SlotState = "fault"
	SlotDisabled SlotState = "disabled"
	SlotHand     SlotState = "hand" // a person works on the eUICC in it by hand
)

// Lamp is what a slot's lamps show.
type Lamp string

// Lamps.
const (
	LampOff  Lamp = "off"
	LampBusy Lamp = "busy"
	LampPass Lamp = "pass"
	LampFail Lamp = "fail"
	LampHold Lamp = "hold"
)

// Serial is a unit's serial number as its label shows it: 1 to 64 printable
// ASCII characters without space.
type Serial string

// ParseSerial checks a scanned or configured serial number.
func ParseSerial(s string) (Serial, error) {
	if len(s) == 0 || len(s) > 64 {
		return "", fmt.Errorf("serial number of %d characters, not 1 to 64", len(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", fmt.Errorf("serial number has a character that is no printable ASCII at position %d", i+1)
		}
	}
	return Serial(s), nil
}

// RunID names one run, unique over all stations.
type RunID string

// Actor is who did something: an operator's pseudonym, "station" or "mes".
type Actor string

// ActorStation is the station acting by itself.
const ActorStation Actor = "station"

// ActorMES is the manufacturing execution system.
const ActorMES Actor = "mes"

package station

import "context"

// Attempt is what a step body gets: one try at one step, in the goroutine that
// owns the slot.
type Attempt struct {
	Slot   int
	Run    *Run // read only; it changes with what Record writes
	Step   Step
	Number int // 1 for the first try in this run
	// Record appends facts of this run in order. Where one of them is a gate it
	// returns when all are durable. After an error nothing irreversible may be
	// done.
	Record func(ctx context.Context, facts ...Fact) error
	// Progress shows how far a long step is, 0 to 100.
	Progress func(percent int)
}

// Bench carries out step bodies. It keeps what stays open between the steps of
// a slot (port, module, logical channel).
type Bench interface {
	// Execute runs one attempt and returns when it is over; it ends soon after
	// ctx is done.
	Execute(ctx context.Context, a *Attempt) StepResult
	// Forget closes whatever is open on a slot: its supply is off or its run over.
	Forget(slot int)
}

// Measure makes a measurement.
func Measure(name, value string) Measurement { return Measurement{Name: name, Value: value} }

// CheckLimits marks measurements outside of their limits; a limit whose
// measurement is missing is missed.
func CheckLimits(measured []Measurement, limits []Limit) []Measurement {
	for _, l := range limits {
		found := false
		for i := range measured {
			if measured[i].Name != l.Measure {
				continue
			}
			found = true
			if !l.Check(measured[i].Value) {
				measured[i].Bad = l.String()
			}
		}
		if !found {
			measured = append(measured, Measurement{Name: l.Measure, Bad: l.String()})
		}
	}
	return measured
}

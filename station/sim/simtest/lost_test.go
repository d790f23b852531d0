package simtest_test

import (
	"testing"
	"testing/synctest"

	"linefit/station/sim/simtest"
)

// TestNothingQueuedIsLostUnseen: facts that nobody waits for are lost with their
// batch, and the run goes back to what the log has.
func TestNothingQueuedIsLostUnseen(t *testing.T) {
	for _, at := range []string{"profile.committed/1", "result/1", "step.ended/1", "notification.kept/1"} {
		for skip := range 3 {
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{Units: 1})
				l.FaultLater(simtest.Fact(at), simtest.Failed, skip)
				l.RunUnit(1)
				l.Check()
			})
		}
	}
}

package simtest_test

import (
	"testing"
	"testing/synctest"

	"linefit/station"
	"linefit/station/sim/simtest"
)

func TestPass(t *testing.T) {
	for _, csim := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := simtest.New(t, simtest.Options{CSIM: csim})
			r := l.RunUnit(1)
			if r.Verdict == nil || r.Verdict.Verdict != station.Pass {
				t.Fatalf("%+v", r.Verdict)
			}
			for _, e := range l.Entries() {
				t.Logf("%d %s %.200s", e.Seq, e.Type, e.Data)
			}
		})
	}
}

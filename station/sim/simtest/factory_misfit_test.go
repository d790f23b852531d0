package simtest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"linefit/station"
	"linefit/station/sim/simtest"
)

// Packages that are there for an eUICC, and of another operator than the recipe's,
// are named: the lead must not order what is in stock.
func TestPackagesOfAnotherOperator(t *testing.T) {
	recipe := simtest.Recipe(t, "factory-manufacturing")
	synctest.Test(t, func(t *testing.T) {
		o := factoryOptions(recipe)
		o.Factory.Orders[0].Provider = "linefit other"
		l := simtest.New(t, o)
		r := l.RunUnit(1)
		if r.Verdict == nil || r.Verdict.Reason == nil || r.Verdict.Reason.Code != station.PackageNone ||
			!strings.Contains(r.Verdict.Reason.Detail, `: 3, of operator "linefit other" in batch `) {
			t.Errorf("%+v", r.Verdict)
		}
		l.Check()
	})
}

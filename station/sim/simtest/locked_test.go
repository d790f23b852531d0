package simtest_test

import (
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim/simtest"
)

// TestLockedForTheFactory: an eUICC with in-factory one-time keys in a recipe
// that loads no packages. Its LPA and IPA services are shut, which is no fault of
// the code: the reason says so, and the code goes back into the stock.
func TestLockedForTheFactory(t *testing.T) {
	for _, name := range []string{"consumer", "iot"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recipe := simtest.Recipe(t, name)
			synctest.Test(t, func(t *testing.T) {
				o := simtest.Options{Recipe: recipe}
				card(func(c *euiccsim.Options) { c.OneTimeKeys = 2 })(&o)
				l := simtest.New(t, o)
				before := l.OrdersAsked()
				r := l.RunUnit(1)
				if r.Verdict == nil || r.Verdict.Reason == nil || r.Verdict.Reason.Code != station.KeysLeft {
					t.Fatalf("verdict %+v", r.Verdict)
				}
				if r.Profile != nil && !r.Settled || l.OrdersAsked() != before {
					t.Errorf("profile %+v, settled %v, the SM-DP+ was asked %d times", r.Profile, r.Settled, l.OrdersAsked()-before)
				}
			})
		})
	}
}

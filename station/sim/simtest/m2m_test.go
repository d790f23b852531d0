package simtest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// TestM2M: what is looked at on an M2M unit, and that nothing is done to it.
func TestM2M(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*station.Recipe)
		options func(*simtest.Options)
		prepare func(*testing.T, *simtest.Line)
		want    station.Code
		to      station.Disposition
		detail  string
	}{
		{name: "good", to: station.Release},
		{name: "no profile", options: card(func(c *euiccsim.Options) { c.Preloaded = nil }), want: station.BootstrapAbsent, to: station.Rework, detail: "the module shows no ICCID"},
		{name: "of another issuer", change: limited("iccid", "8949"), want: station.LimitExceeded, to: station.Retest, detail: "iccid begins with 8949"},
		{name: "of another operator", change: limited("operator", "26201"), want: station.LimitExceeded, to: station.Retest, detail: "operator begins with 26201"},
		{name: "another profile than the maker lists", prepare: pairingList(withBootstrap), want: station.IdentityMismatch, to: station.Hold, detail: "bootstrap ICCID 8988000000000000025"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			recipe := simtest.Recipe(t, "m2m")
			if c.change != nil {
				c.change(recipe)
			}
			synctest.Test(t, func(t *testing.T) {
				o := simtest.Options{Recipe: recipe}
				if c.options != nil {
					c.options(&o)
				}
				l := simtest.New(t, o)
				if c.prepare != nil {
					c.prepare(t, l)
				}
				r := l.RunUnit(1)
				if r.Verdict == nil || r.Code() != c.want || r.Disposition.Disposition != c.to {
					t.Fatalf("%+v, %v; want %s, %s", r.Verdict, r.Disposition, c.want, c.to)
				}
				if c.want != "" && !strings.Contains(r.Verdict.Reason.Detail, c.detail) {
					t.Errorf("%q does not say %q", r.Verdict.Reason.Detail, c.detail)
				}
				if r.Profile != nil || len(r.Intents) > 0 || l.OrdersAsked() > 0 {
					t.Errorf("reserved %v, intents %v, %d requests", r.Profile, r.Intents, l.OrdersAsked())
				}
				if c.want == "" && (len(r.Verdict.ICCIDs) != 1 || r.Verdict.Evidence.State != "enabled") {
					t.Errorf("%+v", r.Verdict)
				}
				l.Check()
			})
		})
	}
}

// limited changes the bootstrap step's limit of a measurement.
func limited(measure, prefix string) func(*station.Recipe) {
	return func(r *station.Recipe) {
		for i, s := range r.Steps {
			if s.Kind == station.KindBootstrap {
				r.Steps[i].Limits = []station.Limit{{Measure: measure, Prefix: []string{prefix}}}
			}
		}
	}
}

func withBootstrap(u sim.UnitState) string {
	return string(u.IMEI) + "," + string(u.EID) + ",,8988000000000000025\n"
}

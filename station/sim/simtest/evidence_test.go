package simtest_test

import (
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/modem/euicc"
	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// What an eUICC signed about a load that power loss has ended is kept for the claim
// at the provider, also when it was found at the next try only, and is long sent.
func TestFailedLoadKeepsItsEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{})
		l.Fault(simtest.Load(3), simtest.PowerAfter)
		pass(t, l, 1)
		l.Drain()
		kept := 0
		if err := l.Store().View(func(v audit.View) error {
			for e, err := range v.Entries(1, v.Last()) {
				if err != nil {
					return err
				}
				if e.Type != (station.Result{}).FactType() {
					continue
				}
				f, err := station.Decode(e.Type, e.Data)
				if err != nil {
					return err
				}
				res := f.(station.Result)
				if res.Effect != station.EffectLoad || res.Outcome != station.Fail {
					continue
				}
				raw, err := l.Station.Ledger.Vault().Get(stock.KindResult, res.Evidence)
				if err != nil {
					return err
				}
				p, err := euicc.ParseInstallationResult(raw.Reveal())
				if err != nil || p.OK() || p.Notification.Sequence != res.Sequence {
					t.Errorf("%+v, %v", p, err)
				}
				kept++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if kept != 1 {
			t.Errorf("%d results of failed loads", kept)
		}
		l.Check()
	})
}

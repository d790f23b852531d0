package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/station"
)

// picky is a projection that cannot take one type of fact of slot 1.
type picky struct{ cannot *string }

func (picky) Name() string { return "picky/1" }

func (p picky) Apply(_ audit.Txn, e audit.Entry) error {
	if e.Slot == 1 && e.Type == *p.cannot {
		return errors.New("it does not fit")
	}
	return nil
}

// A fact that the log does not take holds its slot: safe, with its reason, without
// a verdict. The other slots go on, and so does the station; after the next start,
// with a linefit that takes it, the run goes to its end.
func TestLogRefusesAFact(t *testing.T) {
	for _, cannot := range []station.Fact{
		station.RunStarted{}, station.StepsEnded{}, station.RunVerdict{}, station.UnitDisposed{},
	} {
		t.Run(cannot.FactType(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, 2)
				refused := cannot.FactType()
				l.more = []audit.Projection{picky{&refused}}
				l.start()
				defer func() { l.stop() }()
				for slot, unit := range map[int]station.Serial{1: "SN1", 2: "SN2"} {
					l.jigs[slot].put(true)
					err := l.do(station.Command{Kind: station.CmdStart, Slot: slot, Unit: unit})
					if err != nil && (slot == 2 || refused != "run.started/1") {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				v := l.view(1)
				if v.State != station.SlotFault || v.Fault == nil || v.Fault.Code != station.LogStopped || v.Verdict != "" || v.Lamp != station.LampFail || !l.jigs[1].showed(station.LampFail) {
					t.Errorf("slot 1: %+v", v)
				}
				if v := l.view(2); v.Verdict != station.Pass {
					t.Errorf("slot 2: %+v", v)
				}
				if h := l.eng.View().Health; h != station.HealthOK {
					t.Errorf("health %s", h)
				}
				var refusal *station.Refusal
				if err := l.do(station.Command{Kind: station.CmdClear, Slot: 1, Why: "try"}); !errors.As(err, &refusal) || refusal.Reason.Code != station.LogStopped {
					t.Errorf("cleared: %v", err)
				}
				l.stop()
				refused = ""
				l.start()
				if _, begins := cannot.(station.RunStarted); begins {
					if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if v := l.view(1); v.Verdict != station.Pass {
					t.Errorf("slot 1 afterwards: %+v", v)
				}
			})
		})
	}
}

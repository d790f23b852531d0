package rework_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
)

var ctx = context.Background()

// floor is a station's log with a desk, and what the engine does with units.
type floor struct {
	t      testing.TB
	log    *memlog.Log
	desk   *rework.Desk
	policy *rework.Policy
	runs   int
}

func newFloor(t testing.TB) *floor {
	f := &floor{t: t, log: memlog.New(rework.Projection{}), policy: defaultPolicy(t)}
	f.desk = rework.NewDesk(f.log.View, f.log)
	return f
}

func (f *floor) crash() {
	f.t.Helper()
	log, err := f.log.Reopen()
	if err != nil {
		f.t.Fatal(err)
	}
	if a, b := f.log.Dump(), log.Dump(); a != b {
		f.t.Fatalf("rebuilt state differs:\n%s\n---\n%s", a, b)
	}
	f.log, f.desk = log, rework.NewDesk(log.View, log)
}

func (f *floor) unit(serial string) (u rework.Unit, open *station.Ticket) {
	f.t.Helper()
	err := f.log.View(func(v audit.View) (err error) {
		u, open, err = rework.UnitAndTicket(v, station.Serial(serial))
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return u, open
}

func (f *floor) write(serial string, run station.RunID, facts ...station.Fact) {
	f.t.Helper()
	if err := f.log.Gate(ctx, station.Scope{Slot: 3, Unit: station.Serial(serial), Run: run}, facts...); err != nil {
		f.t.Fatal(err)
	}
}

// start admits a unit as the engine does.
func (f *floor) start(serial string) (station.RunID, error) {
	f.t.Helper()
	u, open := f.unit(serial)
	run := station.RunID(fmt.Sprintf("r%d", f.runs+1))
	before, err := f.policy.Admit(u, open, "consumer", run)
	if err != nil {
		return "", err
	}
	f.runs++
	f.write(serial, run, append(before, station.RunStarted{Recipe: "consumer", Version: 1})...)
	return run, nil
}

// end gives a run its verdict and disposition, and the unit leaves.
func (f *floor) end(serial string, run station.RunID, code station.Code) station.Disposition {
	f.t.Helper()
	r := &station.Run{ID: run, Unit: station.Serial(serial), Started: station.RunStarted{Recipe: "consumer"}}
	verdict := station.RunVerdict{Verdict: station.Pass, EID: eidOf(f.t, serial)}
	if code != "" {
		verdict.Verdict, verdict.Reason, verdict.Step = station.Inconclusive, station.NewReason(code, "x"), "step"
		if code.Class() == station.ClassUnit {
			verdict.Verdict = station.Failed
		}
	}
	r.Verdict = &verdict
	f.write(serial, run, verdict)
	u, open := f.unit(serial)
	d := f.policy.Dispose(r, u, open)
	f.write(serial, run, append(d.Before, d.Disposition)...)
	f.write(serial, run, station.UnitLeft{})
	return d.Disposition.Disposition
}

func eidOf(t testing.TB, serial string) ident.EID {
	n := 0
	for _, c := range serial {
		n = (n*31 + int(c)) % 100
	}
	e, err := ident.EIDWithCheck(fmt.Sprintf("8904903212345123451234567891%02d", n))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (f *floor) run(serial string, code station.Code) station.Disposition {
	f.t.Helper()
	run, err := f.start(serial)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.end(serial, run, code)
}

func (f *floor) counts() (n rework.Counts) {
	f.t.Helper()
	if err := f.log.View(func(v audit.View) (err error) { n, err = rework.Count(v); return err }); err != nil {
		f.t.Fatal(err)
	}
	return n
}

func wantRefusal(t *testing.T, err error, code station.Code) {
	t.Helper()
	var r *station.Refusal
	if !errors.As(err, &r) || r.Reason.Code != code {
		t.Errorf("%v, not a refusal %s", err, code)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

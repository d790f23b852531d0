package rework_test

import (
	"testing"

	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
)

// recipe runs a unit through another recipe than the consumer one, which leaves
// in-factory provisioning as factory says.
func (f *floor) recipe(name, serial string, verdict station.Verdict, factory string) station.Disposition {
	f.t.Helper()
	u, open := f.unit(serial)
	run := station.RunID(name + serial)
	before, err := f.policy.Admit(u, open, name, run)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(serial, run, append(before, station.RunStarted{Recipe: name, Version: 1})...)
	v := station.RunVerdict{Verdict: verdict, EID: eidOf(f.t, serial), Factory: factory}
	if verdict != station.Pass {
		v.Reason = station.NewReason(station.EUICCUntrusted, "x")
	}
	f.write(serial, run, v)
	u, open = f.unit(serial)
	d := f.policy.Dispose(&station.Run{ID: run, Unit: station.Serial(serial), Started: station.RunStarted{Recipe: name}, Verdict: &v}, u, open)
	f.write(serial, run, append(d.Before, d.Disposition)...)
	f.write(serial, run, station.UnitLeft{})
	return d.Disposition.Disposition
}

// A unit ships after its closing recipe only: what passes before goes on to it,
// without a ticket; nobody releases it by hand; and a crash forgets none of it.
func TestShipGate(t *testing.T) {
	f := newFloor(t)
	if d := f.recipe("manufacturing", "SN1", station.Pass, station.FactoryOpen); d != station.Next {
		t.Fatalf("%s", d)
	}
	f.crash()
	u, open := f.unit("SN1")
	if u.Factory != station.FactoryOpen || open != nil {
		t.Errorf("%+v, %+v", u, open)
	}
	if n := f.counts(); n.Passed != 1 || n.Held != 0 || n.Tickets != 0 {
		t.Errorf("%+v", n)
	}
	// A recipe that has nothing to do with it changes nothing.
	if d := f.recipe("test", "SN1", station.Pass, ""); d != station.Next {
		t.Errorf("%s", d)
	}
	_, err := f.policy.Admit(u, open, "manufacturing", "again")
	wantRefusal(t, err, station.UnitDuplicate)
	if d := f.recipe("configuration", "SN1", station.Pass, station.FactoryClosed); d != station.Release {
		t.Errorf("%s", d)
	}
	if d := f.recipe("manufacturing", "SN2", station.Inconclusive, station.FactoryOpen); d != station.Hold {
		t.Fatalf("%s", d)
	}
	qa := rework.Person{Actor: "qa-1", Role: rework.RoleQA}
	_, err = f.desk.Dispose(ctx, qa, "SN2", station.Release, "it looks fine")
	wantRefusal(t, err, station.KeysLeft)
	if _, err := f.desk.Dispose(ctx, qa, "SN2", station.Retest, "run it again"); err != nil {
		t.Fatal(err)
	}
	if d := f.recipe("combined", "SN2", station.Pass, station.FactoryClosed); d != station.Release {
		t.Errorf("%s", d)
	}
}

// The verdict says how far in-factory provisioning is, from what a cold eUICC
// showed and never from what was done.
func TestVerdictSaysFactory(t *testing.T) {
	eid := ident.EID("89049032123451234512345678901235")
	for name, c := range map[string]struct {
		factory string
		keys    string
		verdict station.Verdict
		want    string
	}{
		"no such recipe":      {"", "", station.Pass, ""},
		"open":                {station.FactoryOpen, "3", station.Pass, station.FactoryOpen},
		"open, no key left":   {station.FactoryOpen, "0", station.Pass, station.FactoryClosed},
		"closing":             {station.FactoryClosing, "0", station.Pass, station.FactoryClosed},
		"closing, keys left":  {station.FactoryClosing, "1", station.Failed, station.FactoryOpen},
		"closing, not looked": {station.FactoryClosing, "", station.Failed, station.FactoryOpen},
	} {
		recipe := &station.Recipe{Name: "r", Factory: c.factory, Steps: []station.Step{{ID: "readback", Kind: station.KindReadback, Attempts: 1}}}
		s := station.NewSlot(1, func(string) *station.Recipe { return recipe })
		env := station.Envelope{Run: "r1", Unit: "SN1"}
		for _, f := range []station.Fact{
			station.RunStarted{Recipe: "r", Version: 1, Digest: recipe.Digest()},
			station.UnitIdentified{EID: eid, Generation: "sgp22"},
			station.StepEnded{Step: "readback", Kind: station.KindReadback, Attempt: 1, Outcome: station.OK, Measured: []station.Measurement{
				station.Measure("eid", string(eid)), station.Measure("state", "disabled"), station.Measure("one_time_keys", c.keys),
			}},
		} {
			s.Evolve(env, f)
		}
		facts, _, err := s.Decide(station.Proceed{})
		if err != nil || len(facts) != 1 {
			t.Fatalf("%s: %v, %v", name, facts, err)
		}
		if v, ok := facts[0].(station.RunVerdict); !ok || v.Verdict != c.verdict || v.Factory != c.want {
			t.Errorf("%s: %+v", name, facts[0])
		}
	}
}

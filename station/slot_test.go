package station_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"linefit/station"
)

func recipe() *station.Recipe {
	retry := []station.Outcome{station.Error, station.Timeout}
	return &station.Recipe{
		Name: "test", Version: 1, Restart: "power", Steps: []station.Step{
			{ID: "clamp", Kind: station.KindClamp, Attempts: 1},
			{ID: "power", Kind: station.KindPower, Attempts: 1},
			{ID: "boot", Kind: station.KindBoot, Attempts: 3, RetryFrom: "power", RetryOn: append(retry, station.Fail)},
			{ID: "download", Kind: station.KindDownload, Attempts: 2, RetryFrom: "power", RetryOn: retry, Irreversible: true},
			{ID: "extra", Kind: station.KindShipState, Attempts: 1, Optional: true},
			{ID: "readback", Kind: station.KindReadback, Attempts: 1},
			{ID: "off", Kind: station.KindPower, Attempts: 1, Always: true},
		},
	}
}

// bed runs a slot as the engine does, with scripted step results.
type bed struct {
	t     interface{ Fatalf(string, ...any) }
	slot  *station.Slot
	facts []station.Fact
	env   station.Envelope
	ran   []string
	next  func(s station.Step, attempt int) station.StepResult
}

func newBed(t interface{ Fatalf(string, ...any) }, r *station.Recipe) *bed {
	return &bed{
		t: t, slot: station.NewSlot(1, func(string) *station.Recipe { return r }), env: station.Envelope{Run: "r1", Unit: "SN1"},
		next: func(s station.Step, _ int) station.StepResult {
			if s.Kind == station.KindReadback {
				return station.StepResult{Outcome: station.OK, Measured: []station.Measurement{station.Measure("state", "enabled")}}
			}
			return station.StepResult{Outcome: station.OK}
		},
	}
}

func (b *bed) handle(ev station.Event) {
	facts, effects, err := b.slot.Decide(ev)
	if err != nil {
		b.t.Fatalf("%T: %v", ev, err)
	}
	for _, f := range facts {
		b.facts = append(b.facts, f)
		b.slot.Evolve(b.env, f)
	}
	for _, e := range effects {
		switch e := e.(type) {
		case station.Continue:
			b.handle(station.Proceed{})
		case station.ExecStep:
			b.ran = append(b.ran, e.Step.ID)
			if len(b.ran) > 100 {
				b.t.Fatalf("a run without end: %v", b.ran)
			}
			b.handle(station.StepDone{Result: b.next(e.Step, e.Attempt)})
		case station.SettleProfile:
			f := station.Settle(b.slot.Run)
			b.facts = append(b.facts, f)
			b.slot.Evolve(b.env, f)
		case station.ChooseDisposition:
			d := station.Hold
			if b.slot.Run.Verdict.Verdict == station.Pass {
				d = station.Release
			}
			b.handle(station.Dispose{Disposition: station.UnitDisposed{Disposition: d}})
		case station.AwaitAcceptance:
			b.handle(station.Accept{Answer: station.RunAccepted{Answer: "none"}})
		}
	}
}

func (b *bed) start() {
	b.handle(station.Admit{Run: "r1", Unit: "SN1", Recipe: recipe(), Started: station.RunStarted{Route: "none"}})
}

func (b *bed) verdict() station.RunVerdict {
	if b.slot.Run == nil || b.slot.Run.Verdict == nil {
		b.t.Fatalf("no verdict")
	}
	return *b.slot.Run.Verdict
}

func TestPassingRun(t *testing.T) {
	b := newBed(t, recipe())
	b.start()
	if v := b.verdict(); v.Verdict != station.Pass || v.Evidence == nil || v.Evidence.State != "enabled" {
		t.Errorf("verdict %+v", v)
	}
	if b.slot.State != station.SlotDone || b.slot.Last.Disposition != station.Release {
		t.Errorf("slot %s, last %+v", b.slot.State, b.slot.Last)
	}
	b.handle(station.Left{})
	if b.slot.State != station.SlotEmpty || b.slot.Last == nil {
		t.Errorf("after leaving: %s", b.slot.State)
	}
}

// at makes the n-th try at a step end in some way.
func (b *bed) at(step string, try int, res station.StepResult) {
	before := b.next
	b.next = func(s station.Step, n int) station.StepResult {
		if s.ID == step && n == try {
			return res
		}
		return before(s, n)
	}
}

func result(o station.Outcome, c station.Code) station.StepResult {
	return station.StepResult{Outcome: o, Reason: station.NewReason(c, "test")}
}

func TestRuns(t *testing.T) {
	for _, c := range []struct {
		name    string
		script  func(*bed)
		verdict station.Verdict
		step    string
		ran     string
	}{
		{"retry goes back to the group's first step", func(b *bed) { b.at("boot", 1, result(station.Timeout, station.ModuleSilent)) },
			station.Pass, "", "clamp power boot power boot download extra readback off"},
		{"attempts are used up", func(b *bed) {
			for n := 1; n < 4; n++ {
				b.at("boot", n, result(station.Timeout, station.ModuleSilent))
			}
		}, station.Failed, "boot", "clamp power boot power boot power boot off"},
		{"fail is not tried again where the step says so", func(b *bed) { b.at("download", 1, result(station.Fail, station.ProfileRefused)) },
			station.Failed, "download", "clamp power boot download off"},
		{"a backend's fault is not the unit's", func(b *bed) {
			b.at("download", 1, result(station.Error, station.SMDPUnreachable))
			b.at("download", 2, result(station.Error, station.SMDPUnreachable))
		}, station.Inconclusive, "download", "clamp power boot download power boot download off"},
		{"an optional step decides nothing", func(b *bed) { b.at("extra", 1, result(station.Fail, station.ModuleSettings)) },
			station.Pass, "", "clamp power boot download extra readback off"},
		{"final means no other try", func(b *bed) {
			r := result(station.Error, station.CodeRefused)
			r.Final = true
			b.at("download", 1, r)
		}, station.Inconclusive, "download", "clamp power boot download off"},
		{"aborted", func(b *bed) { b.at("boot", 1, result(station.Aborted, station.OperatorAbort)) },
			station.Inconclusive, "boot", "clamp power boot off"},
		{"an outcome without a reason", func(b *bed) { b.at("readback", 1, station.StepResult{Outcome: station.Fail}) },
			station.Inconclusive, "readback", "clamp power boot download extra readback off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, recipe())
			c.script(b)
			b.start()
			v := b.verdict()
			if v.Verdict != c.verdict || v.Step != c.step {
				t.Errorf("verdict %s at %q (%v), want %s at %q", v.Verdict, v.Step, v.Reason, c.verdict, c.step)
			}
			if got := join(b.ran); got != c.ran {
				t.Errorf("ran  %s\nwant %s", got, c.ran)
			}
		})
	}
}

func join(s []string) string {
	out := ""
	for i, x := range s {
		if i > 0 {
			out += " "
		}
		out += x
	}
	return out
}

// TestNoPassWithoutEvidence: whatever the steps do, a pass means that every
// required step was OK and that the read-back was the last word.
func TestNoPassWithoutEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBed(t, recipe())
		outcomes := rapid.SampledFrom([]station.Outcome{station.OK, station.OK, station.OK, station.Fail, station.Error, station.Timeout, station.Aborted, station.Skipped})
		last := map[string]station.Outcome{}
		ok := b.next
		b.next = func(s station.Step, n int) station.StepResult {
			res := ok(s, n)
			if o := outcomes.Draw(t, s.ID); o != station.OK {
				res = result(o, rapid.SampledFrom([]station.Code{station.ModuleSilent, station.SMDPUnreachable, station.OperatorAbort}).Draw(t, "code"))
			}
			last[s.ID] = res.Outcome
			return res
		}
		b.start()
		v := b.verdict()
		if v.Verdict == station.Unset {
			t.Fatal("no verdict")
		}
		if v.Verdict != station.Pass {
			if v.Reason == nil {
				t.Fatal("no reason")
			}
			return
		}
		for _, s := range recipe().Steps {
			if o := last[s.ID]; !s.Optional && !s.Always && o != station.OK && o != station.Skipped {
				t.Fatalf("passed although %s ended %q", s.ID, o)
			}
		}
		if last["readback"] != station.OK || v.Evidence == nil {
			t.Fatal("passed without evidence")
		}
	})
}

// TestReplayFollowsFactsOnly: replaying a run's facts, cut anywhere, gives the
// state from which the run ends as it would have, with every step before the
// restart point done again.
func TestReplayFollowsFactsOnly(t *testing.T) {
	whole := newBed(t, recipe())
	whole.start()
	for cut := 1; cut <= len(whole.facts); cut++ {
		b := newBed(t, recipe())
		for _, f := range whole.facts[:cut] {
			name, data, err := station.Encode(f)
			if err != nil {
				t.Fatal(err)
			}
			back, err := station.Decode(name, data)
			if err != nil {
				t.Fatal(err)
			}
			b.slot.Evolve(b.env, back)
		}
		b.handle(station.Resume{})
		if v := b.verdict(); v.Verdict != station.Pass {
			t.Errorf("cut after fact %d: %s %v", cut, v.Verdict, v.Reason)
		}
		if b.slot.State != station.SlotDone {
			t.Errorf("cut after fact %d: slot is %s", cut, b.slot.State)
		}
		if started := len(b.ran) > 0 && b.ran[0] != "clamp" && b.ran[0] != "power" && b.ran[0] != "off"; started {
			t.Errorf("cut after fact %d: went on at %s", cut, b.ran[0])
		}
	}
}

func TestRefusals(t *testing.T) {
	s := station.NewSlot(1, func(string) *station.Recipe { return nil })
	for _, ev := range []station.Event{
		station.Proceed{}, station.Resume{}, station.Left{}, station.Acknowledge{}, station.Cleared{},
		station.Switch{To: station.SlotEmpty}, station.Dispose{}, station.Accept{}, station.StepDone{},
	} {
		_, _, err := s.Decide(ev)
		var refusal *station.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("%T on an empty slot: %v", ev, err)
		}
	}
}

func TestUnknownRecipeAfterACrash(t *testing.T) {
	b := newBed(t, nil)
	b.slot.Evolve(b.env, station.RunStarted{Digest: "gone"})
	b.handle(station.Resume{})
	if v := b.verdict(); v.Verdict != station.Inconclusive || v.Reason.Code != station.Interrupted {
		t.Errorf("%+v", v)
	}
}

func TestLimits(t *testing.T) {
	lo, hi := int64(10), int64(20)
	for _, c := range []struct {
		limit station.Limit
		value string
		ok    bool
	}{
		{station.Limit{Min: &lo, Max: &hi}, "15", true},
		{station.Limit{Min: &lo, Max: &hi}, "21", false},
		{station.Limit{Min: &lo}, "x", false},
		{station.Limit{Max: &hi}, "", false},
		{station.Limit{In: []string{"A", "B"}}, "B", true},
		{station.Limit{In: []string{"A", "B"}}, "b", false},
		{station.Limit{Prefix: []string{"EG25G"}}, "EG25GGBR07", true},
		{station.Limit{Prefix: []string{"EG25G"}}, "EG2", false},
	} {
		if got := c.limit.Check(c.value); got != c.ok {
			t.Errorf("%v of %q: %v", c.limit, c.value, got)
		}
	}
	measured := station.CheckLimits([]station.Measurement{station.Measure("a", "5")}, []station.Limit{{Measure: "b", Min: &lo}})
	if len(measured) != 2 || measured[1].Bad == "" {
		t.Errorf("a limit without a measurement: %+v", measured)
	}
}

func TestStepParameters(t *testing.T) {
	s := station.Step{Params: map[string][]string{"n": {"7"}, "d": {"300ms"}, "f": {"on"}, "t": {"true"}}}
	if s.Int("n", 1) != 7 || s.Int("x", 1) != 1 || s.Duration("d", 0) != 300*time.Millisecond || !s.Flag("t") || s.Flag("n") {
		t.Errorf("%+v", s)
	}
}

func TestInterruptionsDoNotUseUpAttempts(t *testing.T) {
	b := newBed(t, recipe())
	b.slot.Evolve(b.env, station.RunStarted{})
	b.slot.Evolve(b.env, station.StepEnded{Step: "clamp", Outcome: station.OK})
	for range 5 {
		facts, _, err := b.slot.Decide(station.Resume{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			b.slot.Evolve(b.env, f)
		}
	}
	b.at("power", 6, result(station.OK, "")) // the sixth attempt, after five interruptions
	b.at("download", 1, result(station.Error, station.SMDPUnreachable))
	b.handle(station.Proceed{})
	if v := b.verdict(); v.Verdict != station.Pass {
		t.Errorf("%s %v", v.Verdict, v.Reason)
	}
}

func TestInterruptedTooOften(t *testing.T) {
	b := newBed(t, recipe())
	b.slot.Evolve(b.env, station.RunStarted{})
	for range 25 {
		facts, _, err := b.slot.Decide(station.Resume{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range facts {
			b.slot.Evolve(b.env, f)
		}
	}
	b.handle(station.Proceed{})
	if v := b.verdict(); v.Verdict != station.Inconclusive || v.Reason.Code != station.Interrupted {
		t.Errorf("%s %v", v.Verdict, v.Reason)
	}
	if join(b.ran) != "off" {
		t.Errorf("ran %v", b.ran)
	}
}

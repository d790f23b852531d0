package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/engine"
	"linefit/station/fixture"
)

// bench answers steps from a script.
type bench struct {
	mu     sync.Mutex
	ran    []string
	script func(ctx context.Context, a *station.Attempt) (station.StepResult, bool)
}

func (b *bench) Execute(ctx context.Context, a *station.Attempt) station.StepResult {
	b.mu.Lock()
	b.ran = append(b.ran, a.Step.ID)
	script := b.script
	b.mu.Unlock()
	if script != nil {
		if res, ok := script(ctx, a); ok {
			return res
		}
	}
	if a.Step.Kind == station.KindReadback {
		return station.StepResult{Outcome: station.OK, Measured: []station.Measurement{station.Measure("state", "enabled")}}
	}
	return station.StepResult{Outcome: station.OK}
}

func (b *bench) Forget(int) {}

func (b *bench) steps() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.ran, " ")
}

// jig is a fixture in memory.
type jig struct {
	mu      sync.Mutex
	present bool
	power   bool
	clamped bool
	halted  bool
	lamps   []station.Lamp
	edges   chan struct{}
	onLamp  func(station.Lamp) // asked before a lamp is lit
}

func newJig() *jig { return &jig{edges: make(chan struct{}, 1)} }

func (j *jig) Power(_ context.Context, on bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if on && j.halted {
		return fixture.ErrHalted
	}
	j.power = on
	return nil
}
func (j *jig) Reset(context.Context, bool) error { return nil }
func (j *jig) Clamp(_ context.Context, shut bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.clamped = shut
	return nil
}
func (j *jig) Lamp(_ context.Context, l station.Lamp) error {
	if j.onLamp != nil {
		j.onLamp(l)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lamps = append(j.lamps, l)
	return nil
}
func (j *jig) Present(context.Context) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.present, nil
}
func (j *jig) Edges() <-chan struct{} { return j.edges }
func (j *jig) Halt() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.power, j.halted = false, true
	return nil
}
func (j *jig) Rearm() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.halted = false
	return nil
}
func (j *jig) Close() error { return j.Halt() }

func (j *jig) put(present bool) {
	j.mu.Lock()
	j.present = present
	j.mu.Unlock()
	select {
	case j.edges <- struct{}{}:
	default:
	}
}

func (j *jig) showed(l station.Lamp) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Contains(j.lamps, l)
}

// office is admission, policy and acceptance.
type office struct {
	recipe *station.Recipe
	refuse error
	answer string
	asked  chan struct{} // where it is not nil: an admission is answered when it is closed
	// accepting is called before a result is accepted; nil: nothing is.
	accepting func()
}

func (o *office) Admit(_ context.Context, _ station.RunID, ask engine.Ask) (engine.Grant, error) {
	if o.asked != nil {
		<-o.asked
	}
	return engine.Grant{Recipe: o.recipe, Started: station.RunStarted{Route: "none", Number: 1, Expect: ask.Expect}}, o.refuse
}

func (o *office) Dispose(_ context.Context, run *station.Run) (station.Dispose, error) {
	d := station.UnitDisposed{Disposition: station.Hold, Rule: "test", Reason: run.Verdict.Reason}
	if run.Verdict.Verdict == station.Pass {
		d.Disposition = station.Release
	}
	return station.Dispose{Disposition: d}, nil
}

func (o *office) Accept(context.Context, *station.Run) (station.Accept, error) {
	if o.accepting != nil {
		o.accepting()
	}
	return station.Accept{Answer: station.RunAccepted{Answer: o.answer}}, nil
}

// log adapts the store; wait says how it comes back.
type log struct {
	*store.Store
	await func(context.Context) error
}

func (l log) Await(ctx context.Context) error {
	if l.await != nil {
		return l.await(ctx)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (l log) AwaitStop(ctx context.Context) {
	for {
		changed := l.Changed()
		if l.State().State != store.OK {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// line is an engine on a real store, in a synctest bubble.
type line struct {
	t      *testing.T
	dir    string
	key    audit.Key
	bench  *bench
	office *office
	jigs   map[int]*jig
	eng    *engine.Engine
	store  *store.Store
	stop   func()
	// stopBefore: an emergency stop is in force when the engine starts.
	stopBefore bool
	more       []audit.Projection
}

func newLine(t *testing.T, slots int) *line {
	t.Helper()
	key, _, err := audit.NewKey("test.example/line/station")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, dir: filepath.Join(t.TempDir(), "log"), key: key, bench: &bench{}, office: &office{recipe: testRecipe(), answer: "none"}, jigs: map[int]*jig{}}
	for i := range slots {
		l.jigs[i+1] = newJig()
	}
	return l
}

func testRecipe() *station.Recipe {
	retry := []station.Outcome{station.Error, station.Timeout}
	step := func(id, kind string, attempts int) station.Step {
		return station.Step{ID: id, Kind: kind, Attempts: attempts, RetryOn: retry, Timeout: 10 * time.Second}
	}
	off := step("off", station.KindPower, 1)
	off.Always = true
	down := step("download", station.KindDownload, 2)
	down.Irreversible, down.RetryFrom = true, "power"
	return &station.Recipe{Name: "test", Version: 1, Restart: "power", Steps: []station.Step{
		step("clamp", station.KindClamp, 1), step("power", station.KindPower, 1), down, step("readback", station.KindReadback, 1), off,
	}}
}

// start opens the store and runs the engine until stop.
func (l *line) start() {
	l.t.Helper()
	s, err := store.Open(l.t.Context(), store.Options{Dir: l.dir, Key: l.key, Projections: append([]audit.Projection{engine.OpenRuns{}, admission.StopProjection{}}, l.more...)})
	if err != nil {
		l.t.Fatal(err)
	}
	fixtures := map[int]fixture.Fixture{}
	for id, j := range l.jigs {
		fixtures[id] = j
	}
	eng, err := engine.New(engine.Options{
		Log: log{Store: s}, Bench: l.bench, Fixtures: fixtures, Admission: l.office, Policy: l.office, Acceptance: l.office,
		Recipes: func(d string) *station.Recipe {
			if d == l.office.recipe.Digest() {
				return l.office.recipe
			}
			return nil
		},
		Opened: station.StationOpened{Station: "test", Slots: len(l.jigs), MES: "none"},
		Assign: engine.AssignPresence, AssignWithin: 10 * time.Second,
		Stopped: func() (bool, error) {
			stopped, err := (&admission.Office{Views: s.View}).Stopped()
			return stopped || l.stopBefore, err
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	sctx, scancel := context.WithCancel(context.Background())
	wg.Go(func() {
		if err := s.Run(sctx); err != nil {
			l.t.Errorf("store: %v", err)
		}
	})
	engineDone := make(chan struct{})
	wg.Go(func() {
		defer close(engineDone)
		if err := eng.Run(ctx); err != nil {
			l.t.Errorf("engine: %v", err)
		}
	})
	l.eng, l.store = eng, s
	l.stop = func() {
		cancel()
		<-engineDone
		scancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			l.t.Errorf("close: %v", err)
		}
	}
	synctest.Wait()
}

func (l *line) do(cmd station.Command) error {
	_, err := l.eng.Do(context.Background(), cmd)
	return err
}

// types lists the types of a slot's entries.
func (l *line) types(slot int) []string {
	l.t.Helper()
	var types []string
	err := l.store.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			if e.Slot == slot {
				types = append(types, e.Type)
			}
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return types
}

func (l *line) view(slot int) station.SlotView {
	for _, v := range l.eng.View().Slots {
		if v.ID == slot {
			return v
		}
	}
	l.t.Fatalf("no view of slot %d", slot)
	return station.SlotView{}
}

func TestScanToRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 2)
		l.start()
		defer func() { l.stop() }()
		if err := l.do(station.Command{Kind: station.CmdScan, Text: "LF:SLOT:2"}); err != nil {
			t.Fatal(err)
		}
		l.jigs[2].put(true)
		if err := l.do(station.Command{Kind: station.CmdScan, Text: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		v := l.view(2)
		if v.State != station.SlotDone || v.Verdict != station.Pass || v.Lamp != station.LampPass || v.Waiting != station.WaitRemoval {
			t.Fatalf("slot: %+v", v)
		}
		l.jigs[2].put(false)
		synctest.Wait()
		if v := l.view(2); v.State != station.SlotEmpty || v.Last == nil || v.Last.Unit != "SN1" {
			t.Errorf("after removal: %+v", v)
		}
		want := "run.started/1 steps.ended/1 steps.ended/1 run.verdict/1 unit.disposed/1 run.accepted/1 unit.left/1"
		if got := strings.Join(l.types(2), " "); got != want {
			t.Errorf("entries %s\nwant    %s", got, want)
		}
	})
}

// TestNobodyTakesTheNextUnitOut: from the moment on in which a unit has left, its
// slot asks nobody to take one out, also while its lamp is still lit.
func TestNobodyTakesTheNextUnitOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.start()
		defer func() { l.stop() }()
		synctest.Wait() // the lamp of an empty slot has been set
		dark := 0
		l.jigs[1].onLamp = func(lamp station.Lamp) {
			if v := l.view(1); lamp == station.LampOff && v.Last != nil {
				if dark++; v.Waiting != station.WaitNothing {
					t.Errorf("the unit has left: %+v", v)
				}
			}
		}
		l.jigs[1].put(true)
		if err := l.do(station.Command{Kind: station.CmdScan, Slot: 1, Text: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.jigs[1].put(false)
		synctest.Wait()
		if v := l.view(1); dark == 0 || v.State != station.SlotEmpty {
			t.Errorf("the lamp went out %d times, %+v", dark, v)
		}
	})
}

func TestPresenceBindsTheScannedUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 2)
		l.start()
		defer func() { l.stop() }()
		if err := l.do(station.Command{Kind: station.CmdScan, Text: "SN7"}); err != nil {
			t.Fatal(err)
		}
		l.jigs[1].put(true)
		synctest.Wait()
		if v := l.view(1); v.Unit != "SN7" || v.State != station.SlotDone {
			t.Errorf("slot 1: %+v", v)
		}
		// Too late is not bound at all.
		if err := l.do(station.Command{Kind: station.CmdScan, Text: "SN8"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Second)
		l.jigs[2].put(true)
		synctest.Wait()
		if v := l.view(2); v.State != station.SlotEmpty {
			t.Errorf("slot 2: %+v", v)
		}
	})
}

func TestFailWaitsForTheBin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.bench.script = func(_ context.Context, a *station.Attempt) (station.StepResult, bool) {
			return station.StepResult{Outcome: station.Fail, Reason: station.NewReason(station.ProfileReadback, "absent")}, a.Step.ID == "readback"
		}
		l.start()
		defer func() { l.stop() }()
		l.jigs[1].put(true)
		_ = l.jigs[1].Clamp(t.Context(), true)
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := l.view(1); v.Verdict != station.Failed || v.Waiting != station.WaitBin || !l.jigs[1].clamped {
			t.Fatalf("slot: %+v, clamped %v", v, l.jigs[1].clamped)
		}
		if l.jigs[1].showed(station.LampPass) {
			t.Error("the pass lamp was lit")
		}
		if err := l.do(station.Command{Kind: station.CmdScan, Text: "LF:BIN:rework"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if l.jigs[1].clamped {
			t.Error("the clamp stays shut after the bin was scanned")
		}
		l.jigs[1].put(false)
		synctest.Wait()
		if v := l.view(1); v.State != station.SlotEmpty {
			t.Errorf("slot: %+v", v)
		}
	})
}

// hangsInDownload is a script: the download ends when it is told to.
func hangsInDownload(ctx context.Context, a *station.Attempt) (station.StepResult, bool) {
	if a.Step.ID != "download" {
		return station.StepResult{}, false
	}
	<-ctx.Done()
	return station.StepResult{Outcome: station.Error, Reason: station.NewReason(station.ModuleSilent, "%v", ctx.Err())}, true
}

func TestAbortRemovalTimeoutAndPanic(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(context.Context, *station.Attempt) (station.StepResult, bool)
		act    func(l *line)
		want   station.Code
		ran    string
	}{
		{"abort", hangsInDownload, func(l *line) {
			if err := l.do(station.Command{Kind: station.CmdAbort, Slot: 1}); err != nil {
				l.t.Error(err)
			}
		}, station.OperatorAbort, "clamp power download off"},
		{"lifted", hangsInDownload, func(l *line) { l.jigs[1].put(false) }, station.UnitRemoved, "clamp power download off"},
		{"emergency stop", hangsInDownload, func(l *line) {
			if err := l.do(station.Command{Kind: station.CmdHalt}); err != nil {
				l.t.Error(err)
			}
		}, station.EmergencyStop, "clamp power download off"},
		{"timeout", hangsInDownload, func(*line) { time.Sleep(21 * time.Second) }, station.ModuleSilent, "clamp power download power download off"},
		{"panic", func(_ context.Context, a *station.Attempt) (station.StepResult, bool) {
			if a.Step.ID == "download" {
				panic("broken")
			}
			return station.StepResult{}, false
		}, func(*line) {}, station.StationFault, "clamp power download off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, 1)
				l.bench.script = c.script
				l.start()
				defer func() { l.stop() }()
				l.jigs[1].put(true)
				synctest.Wait()
				if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				c.act(l)
				synctest.Wait()
				v := l.view(1)
				if v.Reason == nil || v.Reason.Code != c.want || v.Verdict == station.Pass {
					t.Errorf("slot: %+v, reason %v", v, v.Reason)
				}
				if got := l.bench.steps(); got != c.ran {
					t.Errorf("ran  %s\nwant %s", got, c.ran)
				}
			})
		})
	}
}

func TestRefusalsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 2)
		l.start()
		defer func() { l.stop() }()
		l.jigs[1].put(true)
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, c := range []struct {
			cmd  station.Command
			code station.Code
		}{
			{station.Command{Kind: station.CmdStart, Slot: 2, Unit: "SN1"}, station.UnitDuplicate},
			{station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN2"}, station.SlotNotReady},
			{station.Command{Kind: station.CmdStart, Slot: 9, Unit: "SN2"}, station.ScanInvalid},
			{station.Command{Kind: station.CmdScan, Text: "LPA:1$smdp.example$SECRET-TOKEN"}, station.ScanInvalid},
			{station.Command{Kind: station.CmdScan, Text: "LF:NO"}, station.ScanInvalid},
			{station.Command{Kind: station.CmdAbort, Slot: 2}, station.SlotNotReady},
		} {
			var refusal *station.Refusal
			if err := l.do(c.cmd); !errors.As(err, &refusal) || refusal.Reason.Code != c.code {
				t.Errorf("%+v: %v", c.cmd, err)
			}
		}
		if _, err := l.store.Gate(context.Background()); err != nil {
			t.Fatal(err)
		}
		types := l.types(0)
		if n := len(slices.DeleteFunc(types, func(s string) bool { return s != "scan.refused/1" })); n != 6 {
			t.Errorf("%d refusals in the log, want 6", n)
		}
		err := l.store.View(func(v audit.View) error {
			for e := range v.Entries(1, v.Last()) {
				if strings.Contains(string(e.Data), "SECRET-TOKEN") {
					t.Errorf("entry %d has the scanned secret: %s", e.Seq, e.Data)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestInterruptedRunGoesOn stops the station in the middle of a step and starts
// it again on the same log.
func TestInterruptedRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.bench.script = func(ctx context.Context, a *station.Attempt) (station.StepResult, bool) {
			if a.Step.ID != "download" {
				return station.StepResult{}, false
			}
			if err := a.Record(ctx, station.Intent{Effect: station.EffectGetBPP, Number: a.Run.NextIntent()}); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return station.StepResult{Outcome: station.Error}, true
		}
		l.start()
		l.jigs[1].put(true)
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.stop()
		if l.jigs[1].power || !l.jigs[1].halted {
			t.Error("the fixture was not left safe")
		}
		var open []station.Intent
		l.bench.ran = nil
		l.bench.script = func(_ context.Context, a *station.Attempt) (station.StepResult, bool) {
			if a.Step.ID == "download" {
				open = a.Run.OpenIntents()
			}
			return station.StepResult{}, false
		}
		l.start()
		defer func() { l.stop() }()
		v := l.view(1)
		if v.State != station.SlotDone || v.Verdict != station.Pass || v.Unit != "SN1" {
			t.Fatalf("slot: %+v %v", v, v.Reason)
		}
		if got := l.bench.steps(); got != "power download readback off" {
			t.Errorf("went on with %s", got)
		}
		if len(open) != 1 || open[0].Effect != station.EffectGetBPP {
			t.Errorf("open intents: %+v", open)
		}
		if !slices.Contains(l.types(1), "run.resumed/1") {
			t.Errorf("entries %v", l.types(1))
		}
	})
}

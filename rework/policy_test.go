package rework_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/rework"
	"linefit/station"
)

func defaultPolicy(t testing.TB) *rework.Policy {
	t.Helper()
	path := filepath.Join("..", "configs", "policies", "default.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := rework.ParsePolicy(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func judged(verdict station.Verdict, code station.Code) *station.Run {
	r := &station.Run{ID: "r1", Unit: "SN1", Started: station.RunStarted{Recipe: "consumer"}, Verdict: &station.RunVerdict{Verdict: verdict}}
	if code != "" {
		r.Verdict.Reason, r.Verdict.Step = station.NewReason(code, "detail"), "step"
	}
	return r
}

func TestDefaultPolicy(t *testing.T) {
	p := defaultPolicy(t)
	for _, c := range []struct {
		name    string
		verdict station.Verdict
		code    station.Code
		unit    rework.Unit
		want    station.Disposition
		rule    string
		queue   string
	}{
		{"pass", station.Pass, "", rework.Unit{}, station.Release, "passed", ""},
		{"first failure", station.Failed, station.ModuleSilent, rework.Unit{}, station.Retest, "try-once-more", "retest"},
		{"second, another fault", station.Failed, station.SIMAbsent, rework.Unit{Failures: 1, Reason: station.NewReason(station.ModuleSilent, ""), Same: 1}, station.Rework, "retest-limit", "repair"},
		{"second, the same fault", station.Failed, station.ModuleSilent, rework.Unit{Failures: 1, Reason: station.NewReason(station.ModuleSilent, ""), Same: 1}, station.Rework, "same-again", "repair"},
		{"after a repair", station.Failed, station.ModuleSilent, rework.Unit{Repairs: 1}, station.Retest, "try-once-more", "retest"},
		{"wrong firmware", station.Failed, station.ModuleFirmware, rework.Unit{}, station.Rework, "wrong-part", "repair"},
		{"fails after two repairs", station.Failed, station.ModuleFirmware, rework.Unit{Repairs: 2}, station.Scrap, "scrap-after", "scrap"},
		{"fails the first time after two repairs", station.Failed, station.ModuleSilent, rework.Unit{Repairs: 2}, station.Retest, "try-once-more", "retest"},
		{"station fault", station.Inconclusive, station.FixtureFault, rework.Unit{}, station.Retest, "not-the-unit", "retest"},
		{"station fault of a unit that failed twice", station.Inconclusive, station.SMDPUnreachable, rework.Unit{Failures: 2}, station.Rework, "retest-limit", "repair"},
		{"fourth run without a verdict", station.Inconclusive, station.SMDPUnreachable, rework.Unit{Inconclusive: 3}, station.Hold, "inconclusive-limit", "qa"},
		{"station fault never scraps", station.Inconclusive, station.SMDPUnreachable, rework.Unit{Failures: 2, Repairs: 5}, station.Rework, "retest-limit", "repair"},
		{"leftover profile", station.Inconclusive, station.EUICCLeftover, rework.Unit{}, station.Hold, "euicc-content", "qa"},
		{"identity", station.Inconclusive, station.IdentityMismatch, rework.Unit{}, station.Hold, "always-hold", "qa"},
		{"identity after limits", station.Inconclusive, station.IdentityChanged, rework.Unit{Failures: 9, Repairs: 9}, station.Hold, "always-hold", "qa"},
		{"unknown profile", station.Inconclusive, station.ProfileUnknown, rework.Unit{}, station.Hold, "always-hold", "qa"},
		{"test eUICC", station.Inconclusive, station.EUICCTest, rework.Unit{}, station.Hold, "always-hold", "qa"},
		{"no reason", station.Inconclusive, "", rework.Unit{}, station.Hold, "anything-else", "qa"},
		{"scrapped meanwhile", station.Pass, "", rework.Unit{Disposition: station.Scrap}, station.Hold, "scrapped", "qa"},
	} {
		run := judged(c.verdict, c.code)
		c.unit.Serial = "SN1"
		got := p.Dispose(run, c.unit, nil)
		if got.Disposition.Disposition != c.want || got.Disposition.Rule != "default/1:"+c.rule || got.Disposition.Queue != c.queue {
			t.Errorf("%s: %+v", c.name, got.Disposition)
		}
		if opens := len(got.Before) == 1; opens != (c.want != station.Release) {
			t.Errorf("%s: facts %+v", c.name, got.Before)
		}
		for _, f := range got.Before {
			o, ok := f.(station.TicketOpened)
			if !ok || o.Ticket != "T-r1" || o.Wanted != c.want || o.Queue != c.queue || (c.code != "") != (o.Reason != nil && o.Step == "step") {
				t.Errorf("%s: ticket %+v", c.name, f)
			}
		}
	}
}

// Every reason that exists leads somewhere safe under the shipped policy:
// release takes a pass, and identity and unknown profiles are held.
func TestDefaultPolicyCoversEveryReason(t *testing.T) {
	p := defaultPolicy(t)
	for code, class := range station.Codes() {
		verdict := station.Inconclusive
		if class == station.ClassUnit {
			verdict = station.Failed
		}
		for failures := range 4 {
			u := rework.Unit{Serial: "SN1", Failures: failures, Inconclusive: failures, Repairs: failures}
			d := p.Dispose(judged(verdict, code), u, nil).Disposition
			if d.Disposition == station.Release || strings.HasSuffix(d.Rule, ":anything-else") || d.Disposition == station.Scrap && class != station.ClassUnit {
				t.Errorf("%s after %d: %+v", code, failures, d)
			}
		}
	}
}

// The verdict may be in the log's view already, or not: the choice is the same.
func TestDisposeCountsARunOnce(t *testing.T) {
	p := defaultPolicy(t)
	run := judged(station.Failed, station.ModuleSilent)
	before := p.Dispose(run, rework.Unit{Serial: "SN1"}, nil)
	after := p.Dispose(run, rework.Unit{Serial: "SN1", Run: "r1", Verdict: station.Failed, Reason: run.Verdict.Reason, Step: "step", Failures: 1, Same: 1}, nil)
	if before.Disposition.Rule != after.Disposition.Rule || before.Before[0].(station.TicketOpened) != after.Before[0].(station.TicketOpened) {
		t.Errorf("%+v\n%+v", before, after)
	}
}

func TestTicketsFollowTheirUnit(t *testing.T) {
	p := defaultPolicy(t)
	open := &station.Ticket{ID: "T-r0", Unit: "SN1", State: station.TicketInRetest, Wanted: station.Retest, Queue: "retest"}
	passed := p.Dispose(judged(station.Pass, ""), rework.Unit{Serial: "SN1", Ticket: "T-r0"}, open)
	if len(passed.Before) != 1 || passed.Before[0].(station.TicketClosed).Disposition != station.Release {
		t.Errorf("passed: %+v", passed)
	}
	failed := p.Dispose(judged(station.Failed, station.ModuleSilent), rework.Unit{Serial: "SN1", Ticket: "T-r0", Failures: 1}, open)
	if len(failed.Before) != 2 || failed.Before[0].(station.TicketClosed).Ticket != "T-r0" || failed.Before[1].(station.TicketOpened).Wanted != station.Rework {
		t.Errorf("failed: %+v", failed)
	}
	// Put on hold while it ran: a pass does not release it, and the hold's ticket stays.
	held := p.Dispose(judged(station.Pass, ""), rework.Unit{Serial: "SN1"}, &station.Ticket{ID: "T-h", Wanted: station.Hold, Queue: "qa"})
	if held.Disposition.Disposition != station.Hold || len(held.Before) != 0 || held.Disposition.Queue != "qa" {
		t.Errorf("held: %+v", held)
	}
	rejected := p.Reject(judged(station.Pass, ""), rework.Unit{Serial: "SN1"}, nil, station.NewReason(station.MESRejected, "no"))
	if len(rejected) != 2 || rejected[0].(station.TicketOpened).Ticket != "T-r1-mes" || rejected[1].(station.UnitDisposed).Disposition != station.Hold {
		t.Errorf("rejected: %+v", rejected)
	}
}

func TestMayRun(t *testing.T) {
	p := defaultPolicy(t)
	ticket := func(wanted station.Disposition, state station.TicketState) *station.Ticket {
		return &station.Ticket{ID: "T-1", Unit: "SN1", Wanted: wanted, State: state}
	}
	for _, c := range []struct {
		name string
		unit rework.Unit
		open *station.Ticket
		want station.Code
	}{
		{"never seen", rework.Unit{}, nil, ""},
		{"running", rework.Unit{Open: "r0", Slot: 3}, nil, station.UnitDuplicate},
		{"still standing", rework.Unit{Slot: 3, Verdict: station.Pass, Disposition: station.Release}, nil, station.UnitDuplicate},
		{"passed", rework.Unit{Passed: []string{"consumer"}, Disposition: station.Release}, nil, station.UnitDuplicate},
		{"passed another recipe", rework.Unit{Passed: []string{"manufacturing"}, Disposition: station.Release}, nil, ""},
		{"scrapped", rework.Unit{Disposition: station.Scrap}, nil, station.UnitScrapped},
		{"to be scrapped", rework.Unit{Disposition: station.Rework}, ticket(station.Scrap, station.TicketDone), station.UnitScrapped},
		{"held", rework.Unit{Disposition: station.Hold}, ticket(station.Hold, station.TicketOpen), station.UnitHeld},
		{"held and repaired", rework.Unit{Disposition: station.Hold}, ticket(station.Hold, station.TicketDone), station.UnitHeld},
		{"held without a ticket", rework.Unit{Disposition: station.Hold}, nil, station.UnitHeld},
		{"wants repair", rework.Unit{Disposition: station.Rework, Failures: 2}, ticket(station.Rework, station.TicketOpen), station.RetestLimit},
		{"being repaired", rework.Unit{Disposition: station.Rework, Failures: 2}, ticket(station.Rework, station.TicketTaken), station.RetestLimit},
		{"repaired", rework.Unit{Disposition: station.Rework}, ticket(station.Rework, station.TicketDone), ""},
		{"retest", rework.Unit{Disposition: station.Retest, Failures: 1}, ticket(station.Retest, station.TicketOpen), ""},
		{"retest over the limit", rework.Unit{Disposition: station.Retest, Failures: 2}, ticket(station.Retest, station.TicketOpen), station.RetestLimit},
		{"retest of an inconclusive one over the limit", rework.Unit{Disposition: station.Retest, Inconclusive: 4}, ticket(station.Retest, station.TicketOpen), station.RetestLimit},
		{"retest by a person", rework.Unit{Disposition: station.Retest, Failures: 5}, nil, ""},
		{"released by a person without a pass", rework.Unit{Disposition: station.Release, Verdict: station.Failed}, nil, ""},
	} {
		err := p.MayRun(c.unit, c.open, "consumer")
		var refusal *station.Refusal
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (!errors.As(err, &refusal) || refusal.Reason.Code != c.want):
			t.Errorf("%s: %v, not %s", c.name, err, c.want)
		}
		facts, aerr := p.Admit(c.unit, c.open, "consumer", "r9")
		if (aerr == nil) != (err == nil) || aerr == nil && (len(facts) == 1) != (c.open != nil) {
			t.Errorf("%s: admitted with %v, %v", c.name, facts, aerr)
		}
	}
	p.Rerun = true
	if err := p.MayRun(rework.Unit{Passed: []string{"consumer"}}, nil, "consumer"); err != nil {
		t.Errorf("rerun: allow: %v", err)
	}
}

const goodPolicy = `policy: p
version: 1
retest_limit: 1
inconclusive_limit: 1
scrap_after: 0
rules:
  - name: passed
    when: {verdict: [pass]}
    then: release
  - name: server
    when: {reason: ["smdp.*"]}
    then: retest
  - name: rest
    then: hold
`

func TestPolicyLint(t *testing.T) {
	if _, err := rework.ParsePolicy("p.yaml", []byte(goodPolicy)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"release without pass", "when: {verdict: [pass]}", "when: {class: [unit]}", "p.yaml:9:5: rules[0].then: release needs"},
		{"unknown code", "smdp.*", "smpd.*", `p.yaml:11:21: rules[1].when.reason[0]: "smpd.*" matches no reason code`},
		{"always held", `["smdp.*"]`, `[identity.mismatch]`, "is always held"},
		{"no last rule", "  - name: rest\n    then: hold\n", "", "the last rule must apply"},
		{"never applies", "  - name: server\n    when: {reason: [\"smdp.*\"]}\n", "  - name: server\n", "never applies"},
		{"twice", "name: server", "name: passed", "already the name of rule 1"},
		{"scrap for another's fault", "then: retest", "then: scrap", "scrap needs"},
		{"unknown key", "version: 1", "version: 1\nretests: 3", "retests: this key is not known here"},
		{"unknown verdict", "[pass]", "[passed]", "rules[0].when.verdict[0]"},
		{"missing limit", "retest_limit: 1\n", "", "retest_limit"},
		{"number too large", "retest_limit: 1", "retest_limit: 100", "retest_limit"},
		{"no YAML", "policy: p", "policy: [", "p.yaml:"},
	} {
		text := strings.Replace(goodPolicy, c.old, c.new, 1)
		if text == goodPolicy {
			t.Fatalf("%s: nothing was changed", c.name)
		}
		_, err := rework.ParsePolicy("p.yaml", []byte(text))
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// All mistakes at once.
	text := strings.NewReplacer("smdp.*", "nothing.*", "name: server", "name: passed", "when: {verdict: [pass]}", "when: {step: [x]}").Replace(goodPolicy)
	_, err := rework.ParsePolicy("p.yaml", []byte(text))
	var problems strictyaml.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("%d problems: %v", len(problems), err)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(goodPolicy))
	f.Add([]byte("policy: p\nrules: [{name: a, then: hold}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := rework.ParsePolicy("p.yaml", data)
		var problems strictyaml.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil && p.Dispose(judged(station.Failed, station.ModuleSilent), rework.Unit{}, nil).Disposition.Disposition == station.Release {
			t.Fatal("a failed run is released")
		}
	})
}

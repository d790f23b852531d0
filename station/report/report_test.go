package report_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"linefit/station"
	"linefit/station/report"
	"linefit/station/text"
)

func build(l *line, since, until time.Time) report.Report {
	b := report.NewBuilder(since, until)
	for _, e := range l.log.Entries {
		b.Add(e)
	}
	return b.Result()
}

// shift is a small shift with everything that counts and does not.
func shift(t testing.TB) *line {
	l := newLine(t)
	l.add(station.Scope{}, station.StationOpened{Software: "1.2", Site: "S", Line: "L", Station: "st-1", Slots: 4, MES: "none", Next: 1})
	l.run(run{unit: "A", slot: 1, fw: "F1", handle: "h1"})
	l.run(run{unit: "B", slot: 2, fw: "F1", reason: fails()})
	l.run(run{unit: "B", slot: 1, fw: "F1"})
	l.run(run{unit: "C", slot: 3, fw: "F2", reason: estop()}) // a neighbour of an emergency stop
	l.run(run{unit: "C", slot: 3, fw: "F2"})
	l.run(run{unit: "D", slot: 2, fw: "F2", reason: backend(), step: "download"})
	l.run(run{unit: "D", slot: 4, fw: "F2"})
	l.run(run{unit: "GOLD", slot: 1, fw: "F1", sample: station.SampleGolden})
	l.run(run{unit: "BAD", slot: 1, fw: "F1", sample: station.SampleFailing, reason: fails()})
	l.run(run{unit: "GOLD", slot: 2, fw: "F1", sample: station.SampleGolden, reason: fails()})
	l.run(run{unit: "E", slot: 4, fw: "F2", reason: fails()})
	l.add(station.Scope{Unit: "E", Actor: "lead"}, station.TicketClosed{Ticket: "T-1", Disposition: station.Scrap, Why: "burnt"})
	l.run(run{unit: "F", slot: 2, reason: station.NewReason(station.ModuleSilent, "no answer"), step: "boot"})
	l.add(station.Scope{Slot: 3}, station.SlotFaulted{Reason: *station.NewReason(station.PortMissing, "gone")})
	l.add(station.Scope{}, station.ScanRefused{Reason: *station.NewReason(station.ScanInvalid, "")})
	l.run(run{unit: "G", slot: 4, fw: "F2", open: true})
	return l
}

func TestYield(t *testing.T) {
	r := build(shift(t), time.Time{}, time.Time{})
	want := report.Yield{
		Runs: 8, Pass: 4, Fail: 3, Inconclusive: 1, Retests: 2, Units: 6,
		FirstPass: 2, FirstFail: 3, FirstOther: 1, FinalPass: 4, FinalFail: 2, Scrapped: 1, Held: 1,
		FPYPermille: 333, FinPermille: 666, FPYLow: 96, FPYHigh: 701,
	}
	if r.Yield != want {
		t.Errorf("yield\n%+v, want\n%+v", r.Yield, want)
	}
	if r.Excluded.Aborted[station.EmergencyStop] != 1 || r.Excluded.AbortedTotal() != 1 || r.Excluded.Samples != 3 || r.Excluded.Open != 1 {
		t.Errorf("excluded %+v", r.Excluded)
	}
	if len(r.Samples) != 3 || r.Samples[0].AsTold != 1 || r.Samples[1].AsTold != 1 || r.Samples[2].AsTold != 0 {
		t.Errorf("samples %+v", r.Samples)
	}
	if len(r.Failures) < 3 || r.Failures[0].Code != station.ProfileReadback || r.Failures[0].Runs != 2 || r.Failures[0].Step != "readback" {
		t.Errorf("failures %+v", r.Failures)
	}
	if len(r.Slots) != 4 || r.Slots[2].Faults != 1 || r.Slots[2].Aborted != 1 || r.Slots[0].Samples != 2 || r.Slots[1].Runs != 3 {
		t.Errorf("slots %+v", r.Slots)
	}
	if len(r.Waiting) != 2 || r.Waiting[0].Unit != "E" || r.Waiting[0].Disposal != station.Scrap || r.Waiting[1].Unit != "F" {
		t.Errorf("waiting %+v", r.Waiting)
	}
	if r.Steps[0].Step != "boot" || r.Steps[0].Times.P50 != 500 || r.Steps[0].Attempts != 10 || r.Steps[3].Decided != 2 {
		t.Errorf("steps %+v", r.Steps)
	}
	if len(r.Interop) != 4 || r.Interop[0].Runs != 4 || r.Interop[0].Firmware != "F2" || r.Interop[0].Reasons[0].Runs != 1 || r.Interop[0].EUM != "89049032" {
		t.Errorf("interoperability %+v", r.Interop)
	}
	if len(r.Refused) != 1 || r.Station.Starts != 1 || r.Unread != 0 || len(r.Capped) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestWindow: a unit's first run in the window is its first run.
func TestWindow(t *testing.T) {
	l := newLine(t)
	l.run(run{unit: "A", slot: 1, fw: "F", reason: fails()})
	from := l.now
	l.run(run{unit: "A", slot: 1, fw: "F"})
	l.run(run{unit: "B", slot: 1, fw: "F"})
	to := l.now
	l.run(run{unit: "B", slot: 1, fw: "F", reason: fails()})
	y := build(l, from, to).Yield
	if y.Units != 2 || y.FirstPass != 2 || y.FinalPass != 2 || y.Runs != 2 || y.Retests != 0 {
		t.Errorf("%+v", y)
	}
}

// TestRunsCutShort: the next run of a slot ends one that was never finished.
func TestRunsCutShort(t *testing.T) {
	l := newLine(t)
	l.run(run{unit: "A", slot: 1, open: true})
	l.run(run{unit: "B", slot: 1, fw: "F", stays: true})
	r := build(l, time.Time{}, time.Time{})
	if r.Excluded.Open != 1 || r.Yield.Units != 1 || r.Yield.Pass != 1 || r.Cycle.Slot.Count != 0 || r.Cycle.Work.Count != 1 {
		t.Errorf("%+v %+v %+v", r.Excluded, r.Yield, r.Cycle)
	}
}

// TestInstallsAreCountedOnce: a run may load several profiles; a retry or a later
// run finds them again.
func TestInstallsAreCountedOnce(t *testing.T) {
	l := newLine(t)
	at := l.run(run{unit: "A", slot: 1, fw: "F", handle: "h", open: true})
	l.add(at, station.Intent{Effect: station.EffectGetBPP, Number: 1}, station.Result{Effect: station.EffectGetBPP, Number: 1, Outcome: station.OK},
		station.Intent{Effect: station.EffectLoad, Number: 2, Profile: "h"}, station.Result{Effect: station.EffectLoad, Number: 2, Outcome: station.OK},
		station.ProfileCommitted{Handle: "h", ICCID: "89880000001000000023"}, station.ProfileCommitted{Handle: "h", ICCID: "89880000001000000023"},
		station.Intent{Effect: station.EffectLoad, Number: 3, Profile: "i"}, station.Result{Effect: station.EffectLoad, Number: 3, Outcome: station.OK},
		station.ProfileCommitted{Handle: "i", ICCID: "89880000001000000031"},
		station.Intent{Effect: station.EffectEnable, Number: 4}, station.RunVerdict{Verdict: station.Pass}, station.UnitLeft{})
	at = l.run(run{unit: "A", slot: 2, fw: "F", handle: "h", open: true})
	l.add(at, station.Result{Effect: station.EffectLoad, Outcome: station.OK, By: "reconcile"}, station.ProfileCommitted{Handle: "h", ICCID: "89880000001000000023"},
		station.RunVerdict{Verdict: station.Pass}, station.UnitLeft{})
	e := build(l, time.Time{}, time.Time{}).Effects
	if e.Downloads != 2 || e.Unanswered != 1 || e.Intents[station.EffectLoad] != 2 {
		t.Errorf("%+v", e)
	}
}

const nasty = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>` + "\u202eevil"

// hostile is a shift whose devices, servers and labels say what they must not.
func hostile(t testing.TB) *line {
	l := newLine(t)
	l.add(station.Scope{}, station.StationOpened{Software: nasty, Site: nasty, Station: nasty, MES: nasty})
	for i, unit := range []string{`<b>A</b>`, `"x='y'`, nasty} {
		l.run(run{unit: unit, slot: i + 1, fw: nasty, reason: station.NewReason(station.ProfileReadback, "%s", nasty), step: nasty, handle: "h"})
	}
	l.run(run{unit: "B", slot: 1, fw: nasty, reason: &station.Reason{Code: station.Code(nasty), Class: station.Class(nasty)}, step: nasty})
	l.run(run{unit: "C", slot: 1, fw: "F", sample: nasty})
	return l
}

func page(t testing.TB, r report.Report, lang text.Lang) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.HTML(&b, r, text.For(lang)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPageNeedsNothingElse: no script, no resource, nothing that a device said
// as markup, no text with a hole.
func TestPageNeedsNothingElse(t *testing.T) {
	hole := regexp.MustCompile(`\{[a-z0-9_]+\}|<no value>|ZgotmplZ|%!`)
	for _, lang := range text.Langs() {
		for name, l := range map[string]*line{"shift": shift(t), "hostile": hostile(t), "empty": newLine(t)} {
			r := build(l, time.Time{}, time.Time{})
			r.Log = report.Source{Origin: "factory.example/1", Sim: true, Checkpoint: "<script>", VKey: "<script>"}
			r.Capped, r.Unread = []string{nasty}, 3
			s := page(t, r, lang)
			_, body, _ := strings.Cut(s, "</style>")
			low := strings.ToLower(body)
			for _, bad := range []string{"<script", "<img", "onerror=alert(1)>", "<link", "<iframe", "url(", "javascript:", "\u202e", "<b>a</b>"} {
				if strings.Contains(low, bad) {
					t.Errorf("%s, %s: the page has %q", lang, name, bad)
				}
			}
			if m := hole.FindString(body); m != "" {
				t.Errorf("%s, %s: the page has a hole: %q", lang, name, m)
			}
			if !strings.Contains(s, `content="default-src 'none'`) || strings.Contains(s, "@import") || !strings.Contains(s, `lang="`+string(lang)+`"`) {
				t.Errorf("%s, %s: head", lang, name)
			}
			balanced(t, body)
		}
	}
}

// balanced holds that every element is closed where it must be.
func balanced(t *testing.T, body string) {
	t.Helper()
	var open []string
	void := map[string]bool{"br": true, "meta": true}
	for _, m := range regexp.MustCompile(`<(/?)([a-z0-9]+)((?:[^>"]|"[^"]*")*)>`).FindAllStringSubmatch(body, -1) {
		switch {
		case void[m[2]] || strings.HasSuffix(m[3], "/"):
		case m[1] == "":
			open = append(open, m[2])
		case len(open) == 0 && (m[2] == "head" || m[2] == "html"): // begun before the style
		case len(open) == 0 || open[len(open)-1] != m[2]:
			t.Fatalf("</%s> closes %v", m[2], open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("never closed: %v", open)
	}
}

func TestSameEntriesSameReport(t *testing.T) {
	a, err := json.Marshal(build(shift(t), time.Time{}, time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(build(shift(t), time.Time{}, time.Time{}))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("two reports of the same entries differ, %v", err)
	}
	if strings.Contains(string(a), "op1") {
		t.Error("the report names a person")
	}
}

// TestCaps: a device that names itself anew each time fills no memory.
func TestCaps(t *testing.T) {
	l := newLine(t)
	for i := range 1200 {
		l.run(run{unit: "A", slot: 1, fw: strings.Repeat("x", i%7) + time.Duration(i).String()})
	}
	r := build(l, time.Time{}, time.Time{})
	if len(r.Interop) != 1000 || len(r.Capped) != 1 || r.Yield.Runs != 1200 {
		t.Errorf("%d rows, capped %v", len(r.Interop), r.Capped)
	}
}

package report_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"linefit/station"
	"linefit/station/report"
)

func find(l *line, q report.Query) report.Found {
	f := report.NewFinder(q)
	for _, e := range l.log.Entries {
		f.See(e)
	}
	return f.Result()
}

// names are the units of runs, in order, those that are undetermined with "?".
func names(f report.Found) string {
	type one struct {
		first uint64
		name  string
	}
	var all []one
	for _, r := range f.Runs {
		all = append(all, one{r.First, string(r.Unit)})
	}
	for _, r := range f.Undetermined {
		all = append(all, one{r.First, string(r.Unit) + "?"})
	}
	slices.SortFunc(all, func(a, b one) int { return int(a.first) - int(b.first) })
	var out []string
	for _, o := range all {
		out = append(out, o.name)
	}
	return strings.Join(out, " ")
}

func TestFind(t *testing.T) {
	l := newLine(t)
	other := strings.Repeat("ab", 32)
	l.add(station.Scope{}, station.StationOpened{Software: "1.0", Station: "st", MES: "none"})
	l.add(station.Scope{}, station.StockImported{Handle: "h1", Batch: "B1"}, station.StockImported{Handle: "h2", Batch: "B2"})
	begin := l.now
	l.run(run{unit: "A", slot: 1, fw: "R01.1", handle: "h1", order: "WO-1"})
	l.run(run{unit: "GOLD", slot: 1, fw: "R01.1", sample: station.SampleGolden})
	l.run(run{unit: "B", slot: 1, fw: "R01.2", handle: "h2", order: "WO-1"})
	middle := l.now
	l.run(run{unit: "C", slot: 2, fw: "R02", handle: "gone", reason: fails(), digest: other})
	l.run(run{unit: "GOLD", slot: 1, fw: "R01.1", sample: station.SampleGolden, reason: fails()})
	l.add(station.Scope{}, station.StationOpened{Software: "1.1", Station: "st", MES: "none"})
	l.run(run{unit: "D", slot: 1, reason: station.NewReason(station.ModuleSilent, ""), step: "boot", order: "WO-2"})
	l.run(run{unit: "E", slot: 2, fw: "R01.9", open: true})
	for _, c := range []struct {
		q    report.Query
		want string
	}{
		{report.Query{}, "A GOLD B C GOLD D E"},
		{report.Query{Slots: []int{2}}, "C E"},
		{report.Query{Firmware: "R01*"}, "A GOLD B GOLD D? E"},
		{report.Query{Firmware: "R01.2"}, "B D?"},
		{report.Query{Firmware: "*2"}, "B C D?"},
		{report.Query{Firmware: "R01*", WorkOrder: "WO-1"}, "A B"},
		{report.Query{Since: middle}, "C GOLD D E"},
		{report.Query{Since: begin, Until: middle}, "A GOLD B"},
		{report.Query{Batch: "B1"}, "A C? E?"},
		{report.Query{Batch: "B*"}, "A B C? E?"},
		{report.Query{Digest: other[:8]}, "C"},
		{report.Query{Software: "1.1"}, "D E"},
		{report.Query{Platform: map[string]string{"firmware": "3.1", "svn": "2.3.*"}, Slots: []int{2}}, "C E"},
		{report.Query{Platform: map[string]string{"eum": "1"}}, "D?"},
		{report.Query{Verdict: "fail"}, "C GOLD D E?"},
		{report.Query{Reason: "module.*"}, "D E?"},
		{report.Query{SMDP: "smdp.*"}, "A B C E?"},
		{report.Query{SinceGolden: true, Slots: []int{1}}, "B D"},
		{report.Query{SinceGolden: true}, "B C D E"},
		{report.Query{SinceGolden: true, Firmware: "R01.2"}, "B D?"},
	} {
		if err := c.q.Check(); err != nil {
			t.Errorf("%+v: %v", c.q, err)
		}
		if got := names(find(l, c.q)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	f := find(l, report.Query{SinceGolden: true, Slots: []int{1}})
	if g := f.Golden["1"]; g.Unit != "GOLD" || g.Run != "run2" || g.Seq == 0 || len(f.Golden) != 1 {
		t.Errorf("golden %+v", f.Golden)
	}
	if f := find(l, report.Query{Firmware: "R01*"}); !slices.Equal(f.Units, []station.Serial{"A", "GOLD", "B", "D", "E"}) {
		t.Errorf("units %v", f.Units)
	}
}

func TestQueriesThatCannotBe(t *testing.T) {
	now := time.Now()
	for _, q := range []report.Query{
		{Platform: map[string]string{"colour": "red"}}, {Digest: "abc"}, {Since: now, Until: now},
	} {
		if q.Check() == nil {
			t.Errorf("%+v is taken", q)
		}
	}
}

// TestFindIsComplete holds the finder against looking at every run, on logs of
// any order.
func TestFindIsComplete(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := newLine(t)
		var all []run
		var scopes []station.Scope
		for range rapid.IntRange(0, 30).Draw(rt, "runs") {
			r := run{
				unit: fmt.Sprint("U", rapid.IntRange(0, 8).Draw(rt, "unit")), slot: rapid.IntRange(1, 3).Draw(rt, "slot"),
				fw: rapid.SampledFrom([]string{"", "F1", "F2"}).Draw(rt, "fw"), stays: rapid.Bool().Draw(rt, "stays"),
				open: rapid.Bool().Draw(rt, "open"),
			}
			if rapid.Bool().Draw(rt, "fails") {
				r.reason = fails()
			}
			if rapid.IntRange(0, 4).Draw(rt, "golden") == 0 {
				r.sample = station.SampleGolden
			}
			all, scopes = append(all, r), append(scopes, l.run(r))
		}
		slot, golden := rapid.IntRange(1, 3).Draw(rt, "asked slot"), rapid.Bool().Draw(rt, "since golden")
		var want []string
		for i, r := range all {
			passed := slices.ContainsFunc(all[i+1:], func(g run) bool {
				return g.slot == slot && g.sample == station.SampleGolden && g.reason == nil && !g.open
			})
			switch {
			case r.slot != slot, golden && (passed || r.sample != ""):
			case r.fw == "":
				want = append(want, string(scopes[i].Run)+"?")
			case r.fw == "F1":
				want = append(want, string(scopes[i].Run))
			}
		}
		f := find(l, report.Query{Slots: []int{slot}, Firmware: "F1", SinceGolden: golden})
		var got []string
		for _, r := range f.Runs {
			got = append(got, string(r.ID))
		}
		for _, r := range f.Undetermined {
			got = append(got, string(r.ID)+"?")
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("found %v, want %v", got, want)
		}
	})
}

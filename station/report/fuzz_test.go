package report_test

import (
	"io"
	"testing"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/report"
	"linefit/station/text"
)

// FuzzEntries: whatever an entry says, a report, a search and a story come out.
func FuzzEntries(f *testing.F) {
	types := append(station.FactTypes(), audit.TypeShardSnapshot, "future.fact/9")
	for i := range types {
		f.Add(uint(i), []byte(`{"iccid":"1","digest":"x","outcome":"ok","verdict":"pass","kind":"profile.readback","measured":[{"name":"state","value":"a"}],"reason":{"code":"a.b","class":"unit"}}`))
		f.Add(uint(i), []byte(`{"number":-1,"ms":-9223372036854775808,"attempt":2,"then":"-","step":"x"}`))
	}
	f.Fuzz(func(t *testing.T, i uint, data []byte) {
		l := newLine(t)
		at := l.run(run{unit: "A", slot: 1, fw: "F", handle: "h", open: true})
		d, err := audit.Draft{Type: types[i%uint(len(types))], Slot: 1, Unit: "A", Run: string(at.Run), Data: data}.Normalize()
		if err != nil {
			t.Skipf("no log takes this: %v", err)
		}
		for range 2 {
			if _, err := l.log.Add(d); err != nil {
				t.Fatal(err)
			}
		}
		l.add(at, station.RunVerdict{Verdict: station.Failed}, station.UnitLeft{})
		c := text.For(text.English)
		if err := report.HTML(io.Discard, build(l, time.Time{}, time.Time{}), c); err != nil {
			t.Fatal(err)
		}
		find(l, report.Query{Firmware: "F*", Batch: "B", SinceGolden: true})
		_ = tell(l, "A", text.English).Text(c)
	})
}

// entries are a log of n runs, 12 entries each.
func entries(b *testing.B, n int) *line {
	l := newLine(b)
	for i := range n {
		r := run{unit: "SN" + time.Duration(i).String(), slot: 1 + i%16, fw: "EG25GGBR07A08M2G_01.001.01.001", handle: "h"}
		if i%20 == 0 {
			r.reason = fails()
		}
		l.run(r)
	}
	b.ResetTimer()
	return l
}

func BenchmarkReport(b *testing.B) {
	l := entries(b, 2000)
	for b.Loop() {
		build(l, time.Time{}, time.Time{})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(l.log.Entries)), "ns/entry")
}

func BenchmarkFind(b *testing.B) {
	l := entries(b, 2000)
	for b.Loop() {
		find(l, report.Query{Slots: []int{7}, Firmware: "EG25*"})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(l.log.Entries)), "ns/entry")
}

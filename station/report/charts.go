package report

import (
	"fmt"
	"math"
	"strings"

	"linefit/station/text"
)

// part is a rectangle of a chart.
type part struct{ Class, X, Y, W, H, Title string }

type share struct {
	Title string
	Alt   string
	Parts []part
}

// shares are the two bars of first and last outcomes of the units.
func (p *page) shares() {
	y := p.R.Yield
	if y.Units == 0 {
		return
	}
	for _, s := range []struct {
		title             string
		pass, fail, other int
	}{{"report.first_outcome", y.FirstPass, y.FirstFail, y.FirstOther}, {"report.last_outcome", y.FinalPass, y.FinalFail, y.FinalOther}} {
		out := share{Title: p.c.T(s.title)}
		var alt []string
		for _, a := range p.stack(s.pass, s.fail, s.other, 1000) {
			out.Parts = append(out.Parts, a)
			alt = append(alt, a.Title)
		}
		out.Alt = strings.Join(alt, ", ")
		p.Shares = append(p.Shares, out)
	}
}

// stack are the parts of a bar of some width, side by side; empty ones are left out.
func (p *page) stack(pass, fail, other int, width float64) []part {
	total, x := float64(pass+fail+other), 0.0
	var parts []part
	for _, s := range []struct {
		class, word string
		n           int
	}{{"pass", "report.pass", pass}, {"fail", "report.fail", fail}, {"other", "report.inconclusive", other}} {
		if s.n == 0 {
			continue
		}
		w := width * float64(s.n) / total
		parts = append(parts, part{Class: s.class, X: coord(x), W: coord(w), Title: grouped(int64(s.n)) + " " + p.c.T(s.word)})
		x += w
	}
	return parts
}

type trendChart struct {
	About string
	Grid  []gridLine
	Bars  []trendBar
}

type gridLine struct{ Y, Text, Label string }

type trendBar struct {
	X, W, Label, Title string
	Parts              []part
}

// trend draws the bars between x 50 and 1000, y 180 and 10.
func (p *page) trend() {
	top := 0
	for _, b := range p.R.Trend {
		top = max(top, b.Total())
	}
	if top == 0 {
		return
	}
	form := "01-02 15:04"
	switch step := p.R.TrendStep; {
	case step >= 86400:
		p.Trend.About = p.c.T("report.trend_days", "days", step/86400)
		form = "2006-01-02"
	case step >= 3600:
		p.Trend.About = p.c.T("report.trend_hours", "hours", step/3600)
	default:
		p.Trend.About = p.c.T("report.trend_minutes", "minutes", step/60)
	}
	top = niceTop(top)
	for i := range 5 {
		y := 180 - 170*float64(i)/4
		if top*i%4 == 0 {
			p.Trend.Grid = append(p.Trend.Grid, gridLine{Y: coord(y), Text: coord(y + 4), Label: grouped(int64(top * i / 4))})
		}
	}
	pitch := 950 / float64(max(len(p.R.Trend), 12))
	every := int(math.Ceil(95 / pitch))
	for i, b := range p.R.Trend {
		bar := trendBar{X: coord(50 + pitch*float64(i) + pitch*0.1), W: coord(pitch * 0.8)}
		bar.Title = fmt.Sprintf("%s: %d %s, %d %s, %d %s, %d %s", b.At.Format(form), b.Pass, p.c.T("report.pass"), b.Fail, p.c.T("report.fail"),
			b.Inconclusive, p.c.T("report.inconclusive"), b.Aborted, p.c.T("report.aborted"))
		if i%every == 0 && i+every/2 < max(len(p.R.Trend), 12) {
			bar.Label = b.At.Format(form)
		}
		y := 180.0
		for _, s := range []struct {
			class string
			n     int
		}{{"pass", b.Pass}, {"fail", b.Fail}, {"other", b.Inconclusive}, {"aborted", b.Aborted}} {
			if s.n > 0 {
				h := 170 * float64(s.n) / float64(top)
				y -= h
				bar.Parts = append(bar.Parts, part{Class: s.class, X: bar.X, Y: coord(y), W: bar.W, H: coord(h)})
			}
		}
		p.Trend.Bars = append(p.Trend.Bars, bar)
	}
}

// niceTop is a round number not below n, divisible by 4 where it matters.
func niceTop(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, m := range []int{1, 2, 4, 8} {
			if unit*m >= n {
				return unit * m
			}
		}
	}
}

type failureRow struct {
	Failure
	Title, Fault, W, SlotList string
}

func (p *page) failures() {
	most := 0
	for _, f := range p.R.Failures {
		most = max(most, f.Runs)
	}
	for _, f := range p.R.Failures {
		row := failureRow{
			Failure: f, Title: text.Printable(p.c.Reason(f.Code)), Fault: text.Printable(p.c.Word("class", string(f.Class))),
			W: "0", SlotList: slotList(f.Slots),
		}
		if most > 0 {
			row.W = coord(150 * float64(f.Runs) / float64(most))
		}
		p.Failures = append(p.Failures, row)
	}
}

// slotList writes slots as ranges: 1-4, 7.
func slotList(slots []int) string {
	var out []string
	for i := 0; i < len(slots); {
		j := i
		for j+1 < len(slots) && slots[j+1] == slots[j]+1 {
			j++
		}
		if j > i+1 {
			out = append(out, fmt.Sprintf("%d–%d", slots[i], slots[j]))
		} else {
			for k := i; k <= j; k++ {
				out = append(out, fmt.Sprint(slots[k]))
			}
		}
		i = j + 1
	}
	return strings.Join(out, ", ")
}

type stepRow struct {
	StepStat
	Title, X50, XMax, W string
}

// steps draws times on a logarithmic scale that all rows share, 0 to 240.
func (p *page) steps() {
	low, high := math.Inf(1), 0.0
	for _, s := range p.R.Steps {
		if s.Times.Count > 0 {
			low, high = min(low, float64(max(s.Times.P50, 1))), max(high, float64(max(s.Times.Max, 1)))
		}
	}
	if high <= low {
		low, high = 1, max(high, 10)
	}
	x := func(ms int64) float64 {
		return 240 * (math.Log(float64(max(ms, 1))) - math.Log(low)) / (math.Log(high) - math.Log(low))
	}
	for _, s := range p.R.Steps {
		row := stepRow{StepStat: s, Title: text.Printable(p.c.Word("kind", s.Kind))}
		if s.Times.Count > 0 {
			from, to := min(x(s.Times.P50), 236), x(s.Times.P95)
			row.X50, row.XMax, row.W = coord(from), coord(x(s.Times.Max)), coord(max(to-from, 4))
		}
		p.Steps = append(p.Steps, row)
	}
	p.StepLow, p.StepHigh = milliseconds(int64(low)), milliseconds(int64(high))
}

type slotRow struct {
	SlotStat
	X, XLow, W string
}

// slots draws shares and their intervals from a round share below all of them
// to 100 %, at 6 to 234.
func (p *page) slots() {
	low := 1000
	for _, s := range p.R.Slots {
		if s.Runs > 0 {
			low = min(low, s.Low)
		}
	}
	for _, round := range []int{0, 500, 800, 900, 950, 980, 990} {
		if round <= low {
			p.SlotLow = round
		}
	}
	x := func(share float64) float64 {
		return 6 + 228*(1000*share-float64(p.SlotLow))/float64(1000-p.SlotLow)
	}
	for _, s := range p.R.Slots {
		from, to := x(float64(s.Low)/1000), x(float64(s.High)/1000)
		p.Slots = append(p.Slots, slotRow{SlotStat: s, X: coord(x(float64(s.Pass) / float64(max(s.Runs, 1)))), XLow: coord(from), W: coord(max(to-from, 2))})
	}
}

type interopRow struct {
	Interop
	EUICC, Why string
	Permille   int
	Parts      []part
}

// kindText is an eUICC's generation, and what the unit is beside it.
func kindText(c Combination) string {
	s := strings.ToUpper(c.Generation)
	if c.Kind != c.Generation {
		s = strings.TrimSpace(s + " " + strings.ToUpper(c.Kind))
	}
	return s
}

func (p *page) interop() {
	for _, i := range p.R.Interop[:min(len(p.R.Interop), shownInterop)] {
		row := interopRow{Interop: i, Permille: permille(i.Pass, i.Runs), Parts: p.stack(i.Pass, i.Fail, i.Inconclusive, 130)}
		var platform, why []string
		for _, f := range []struct{ name, value string }{
			{"", kindText(i.Combination)}, {"", i.Platform}, {"EUM ", i.EUM}, {"", i.Combination.EUICC}, {"SVN ", i.SVN}, {"PP ", i.Package}, {"SAS ", i.SAS},
		} {
			if f.value != "" {
				platform = append(platform, f.name+text.Printable(f.value))
			}
		}
		for _, cause := range i.Reasons {
			why = append(why, text.Printable(p.c.Reason(cause.Code))+" × "+grouped(int64(cause.Runs)))
		}
		row.EUICC, row.Why = strings.Join(platform, ", "), strings.Join(why, ", ")
		p.Interop = append(p.Interop, row)
	}
}

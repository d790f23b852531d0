package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"linefit/station"
	"linefit/station/text"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
)

// shown bounds the units listed on the page; the JSON report has all.
const (
	shownWaiting = 200
	shownInterop = 200
)

// HTML writes a report as one page that needs nothing else: no script, no
// image, no network. Everything that a device, a server or a scanner said is
// escaped, and shown without control and direction characters.
func HTML(w io.Writer, r Report, c *text.Catalogue) error {
	p := page{R: r, c: c, Lang: c.Lang(), Style: template.CSS(pageStyle)} // embedded: ours
	p.fill()
	t, err := template.New("report").Funcs(p.funcs()).Parse(pageText)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// page is a report as its template shows it: texts in a language, charts as
// coordinates.
type page struct {
	R        Report
	Lang     text.Lang
	Style    template.CSS
	Place    string
	MES      string
	Asked    string
	Span     string
	Lost     string
	Capped   string
	Shares   []share
	Aborted  []aborted
	Trend    trendChart
	Failures []failureRow
	Steps    []stepRow
	StepLow  string
	StepHigh string
	Slots    []slotRow
	SlotLow  int // permille
	Interop  []interopRow
	Waiting  []Waiting
	More     int

	c *text.Catalogue
}

type aborted struct {
	Text  string
	Count int
}

func (p *page) funcs() template.FuncMap {
	return template.FuncMap{
		"t":        p.c.T,
		"p":        func(v any) string { return text.Printable(fmt.Sprint(v)) },
		"n":        func(n int) string { return grouped(int64(n)) },
		"n64":      func(n uint64) string { return grouped(int64(n)) },
		"permille": percent,
		"ms":       milliseconds,
		"time":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"word":     func(group string, v any) string { return text.Printable(p.c.Word(group, fmt.Sprint(v))) },
		"reason":   func(code station.Code) string { return text.Printable(p.c.Reason(code)) },
	}
}

// fill prepares what the template shows.
func (p *page) fill() {
	s := p.R.Station
	var place []string
	for _, part := range []string{s.Site, s.Area, s.Line, s.StationOpened.Station} {
		if part != "" {
			place = append(place, text.Printable(part))
		}
	}
	if p.Place = strings.Join(place, " / "); p.Place == "" {
		p.Place = text.Printable(p.R.Log.Origin)
	}
	p.MES = p.c.Word("mes", s.MES)
	p.Asked = p.c.T("report.all")
	if w := p.R.Window; !w.Since.IsZero() || !w.Until.IsZero() {
		p.Asked = p.c.T("report.of", "since", stamp(w.Since), "until", stamp(w.Until))
	}
	if w := p.R.Window; !w.First.IsZero() {
		p.Span = p.c.T("report.span", "first", stamp(w.First), "last", stamp(w.Last))
	}
	if p.R.Cycle.Used > 0 {
		p.Lost = percent(int(1000 * p.R.Cycle.Lost / p.R.Cycle.Used))
	}
	p.Capped = text.Printable(strings.Join(p.R.Capped, ", "))
	for _, code := range notItsOwn {
		if n := p.R.Excluded.Aborted[code]; n > 0 {
			p.Aborted = append(p.Aborted, aborted{p.c.Reason(code), n})
		}
	}
	p.shares()
	p.trend()
	p.failures()
	p.steps()
	p.slots()
	p.interop()
	p.Waiting = p.R.Waiting[:min(len(p.R.Waiting), shownWaiting)]
	p.More = len(p.R.Waiting) - len(p.Waiting)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// percent shows a permille value; 99.9 % never becomes 100 %.
func percent(permille int) string {
	if permille%10 == 0 {
		return fmt.Sprintf("%d\u00a0%%", permille/10)
	}
	return fmt.Sprintf("%d.%d\u00a0%%", permille/10, permille%10)
}

// milliseconds shows a time in the unit that fits it.
func milliseconds(ms int64) string {
	switch s := float64(ms) / 1000; {
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 100_000:
		return fmt.Sprintf("%.1f s", s)
	case ms < 3600_000:
		return fmt.Sprintf("%d:%02d min", ms/60_000, ms/1000%60)
	}
	return fmt.Sprintf("%d:%02d h", ms/3600_000, ms/60_000%60)
}

// grouped shows a number with thin spaces between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	if neg {
		s = "-" + s
	}
	return s
}

// coord is a coordinate of a chart.
func coord(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

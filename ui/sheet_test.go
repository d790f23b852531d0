package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/station"
	"linefit/station/text"
)

// decode128 reads modules back: start B, data, check character, stop.
func decode128(modules []bool) (string, error) {
	var widths []int
	for i := range modules {
		if i == 0 || modules[i] != modules[i-1] {
			widths = append(widths, 0)
		}
		widths[len(widths)-1]++
	}
	var values []int
	for len(widths) > 7 {
		value := slices.Index(patterns, digits(widths[:6]))
		if value < 0 {
			return "", fmt.Errorf("no symbol character: %v", widths[:6])
		}
		values, widths = append(values, value), widths[6:]
	}
	if digits(widths) != patterns[stopSymbol] || len(values) < 2 || values[0] != startB {
		return "", fmt.Errorf("no start or stop: %v %v", values, widths)
	}
	sum, text := values[0], ""
	for i, v := range values[1 : len(values)-1] {
		sum += (i + 1) * v
		text += string(rune(v + ' '))
	}
	if sum%103 != values[len(values)-1] {
		return "", fmt.Errorf("check character %d, not %d", values[len(values)-1], sum%103)
	}
	return text, nil
}

func digits(widths []int) string {
	s := ""
	for _, w := range widths {
		s += strconv.Itoa(w)
	}
	return s
}

// TestCode128Table holds the table against what the standard says of it: 11
// modules a character, an even number of them in bars, no two alike. The sum
// is that of the table whose symbols zbar, a program of others, read back.
func TestCode128Table(t *testing.T) {
	if len(patterns) != 107 {
		t.Fatalf("%d symbol characters", len(patterns))
	}
	seen := map[string]bool{}
	for v, p := range patterns {
		total, bars := 0, 0
		for i, w := range p {
			if w < '1' || w > '4' {
				t.Errorf("%d: width %c", v, w)
			}
			total += int(w - '0')
			if i%2 == 0 {
				bars += int(w - '0')
			}
		}
		want := 11
		if v == stopSymbol {
			want = 13
		}
		if total != want || bars%2 != 0 && v != stopSymbol || seen[p] {
			t.Errorf("%d: %s has %d modules, %d in bars", v, p, total, bars)
		}
		seen[p] = true
	}
	sum := sha256.Sum256([]byte(strings.Join(patterns, " ")))
	if got := hex.EncodeToString(sum[:8]); got != "b6f88d58a2b8db74" {
		t.Errorf("the table has changed: %s", got)
	}
}

func TestCode128(t *testing.T) {
	modules, err := code128("PJJ123C") // check character 54, an example of ISO/IEC 15417 in circulation
	if err != nil {
		t.Fatal(err)
	}
	if n := len(modules); n != (1+7+1)*11+13 {
		t.Errorf("%d modules", n)
	}
	check := modules[8*11 : 9*11]
	want := ""
	for i, w := range patterns[(104+1*48+2*42+3*42+4*17+5*18+6*19+7*35)%103] {
		want += strings.Repeat(string("10"[i%2]), int(w-'0'))
	}
	got := ""
	for _, m := range check {
		got += map[bool]string{true: "1", false: "0"}[m]
	}
	if got != want {
		t.Errorf("check character %s, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune(allPrintable())), 1, 60, -1).Draw(t, "text")
		modules, err := code128(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode128(modules); err != nil || got != s {
			t.Errorf("%q comes back as %q: %v", s, got, err)
		}
	})
	for _, bad := range []string{"ü", "\x1f", "a\x7f", "中"} {
		if _, err := code128(bad); err == nil {
			t.Errorf("%q is encoded", bad)
		}
	}
}

func allPrintable() string {
	s := ""
	for r := ' '; r <= '~'; r++ {
		s += string(r)
	}
	return s
}

var (
	figures = regexp.MustCompile(`(?s)<figure>.*?</figure>`)
	rects   = regexp.MustCompile(`<rect x="(\d+)" y="0" width="(\d+)"`)
	codes   = regexp.MustCompile(`<code>(.*?)</code>`)
)

// TestSheet reads the printed sheet back, code by code, and holds it against
// what the station understands.
func TestSheet(t *testing.T) {
	for _, l := range text.Langs() {
		var b bytes.Buffer
		if err := SheetHTML(&b, SheetOptions{Slots: 64, Bins: []string{"REWORK", "HOLD", "A&B"}, Lang: l}); err != nil {
			t.Fatal(err)
		}
		verbs := map[string]int{}
		for _, fig := range figures.FindAllString(b.String(), -1) {
			modules := make([]bool, 0, 400)
			for _, r := range rects.FindAllStringSubmatch(fig, -1) {
				x, _ := strconv.Atoi(r[1])
				w, _ := strconv.Atoi(r[2])
				for len(modules) < x-quietZone+w {
					modules = append(modules, len(modules) >= x-quietZone)
				}
			}
			got, err := decode128(modules)
			printed := strings.ReplaceAll(codes.FindStringSubmatch(fig)[1], "&amp;", "&")
			if err != nil || got != printed {
				t.Errorf("%q is drawn as %q: %v", printed, got, err)
			}
			code, err := station.ParseBarcode(got)
			if err != nil || code.Verb == "" {
				t.Errorf("%q: %v", got, err)
			}
			verbs[code.Verb]++
		}
		for verb, n := range map[string]int{
			station.VerbSlot: 64, station.VerbAck: 65, station.VerbAbort: 65, station.VerbClear: 65, station.VerbEnable: 65, station.VerbDisable: 65,
			station.VerbHalt: 1, station.VerbResume: 1, station.VerbBin: 3, station.VerbView: 4, station.VerbLanguage: 2,
		} {
			if verbs[verb] != n {
				t.Errorf("%s: %d barcodes of %s, not %d", l, verbs[verb], verb, n)
			}
		}
		if strings.Contains(b.String(), "src=") || strings.Contains(b.String(), "href=") {
			t.Error("the page loads something")
		}
	}
}

// TestSheetText reads the terminal's sheet back.
func TestSheetText(t *testing.T) {
	var b bytes.Buffer
	if err := SheetText(&b, SheetOptions{Slots: 2, Bins: []string{"HOLD"}}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(b.String()) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\x1b[0m\n"), "\x1b[30;107m")
		if !ok {
			continue
		}
		n++
		var modules []bool
		for _, r := range line {
			modules = append(modules, r == '█' || r == '▌', r == '█' || r == '▐')
		}
		first, last := slices.Index(modules, true), len(modules)
		for !modules[last-1] {
			last--
		}
		if first != quietZone || len(modules)-last < quietZone {
			t.Errorf("quiet zones of %d and %d modules", first, len(modules)-last)
		}
		if got, err := decode128(modules[first:last]); err != nil || !strings.HasPrefix(got, "LF:") {
			t.Errorf("%q %v", got, err)
		}
	}
	if n == 0 || n%4 != 0 {
		t.Errorf("%d lines of bars", n)
	}
}

func TestSheetRefuses(t *testing.T) {
	for name, opt := range map[string]SheetOptions{
		"no slots": {}, "too many slots": {Slots: 65}, "bin with a space": {Slots: 1, Bins: []string{"A B"}}, "empty bin": {Slots: 1, Bins: []string{""}}, "bin in Chinese": {Slots: 1, Bins: []string{"返修"}},
	} {
		var b bytes.Buffer
		if err := SheetHTML(&b, opt); err == nil {
			t.Errorf("%s: a sheet is written", name)
		}
		if b.Len() != 0 {
			t.Errorf("%s: half a sheet is written", name)
		}
	}
}

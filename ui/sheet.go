package ui

import (
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"

	"linefit/station"
	"linefit/station/text"
)

// SheetOptions say which barcodes are printed.
type SheetOptions struct {
	Slots int      // number of slots, 1 to 64
	Bins  []string // names of bins
	Lang  text.Lang
}

// group is barcodes under one heading.
type group struct {
	Title string
	Codes []labelled
}

type labelled struct{ Label, Code string }

// command is a command barcode's text.
func command(verb, arg string) string {
	if arg == "" {
		return station.BarcodePrefix + verb
	}
	return station.BarcodePrefix + verb + ":" + arg
}

// sheetGroups are all command barcodes of a station.
func sheetGroups(opt SheetOptions) ([]group, error) {
	if opt.Slots < 1 || opt.Slots > 64 {
		return nil, fmt.Errorf("a station has 1 to 64 slots, not %d", opt.Slots)
	}
	t := text.For(opt.Lang)
	slots := group{Title: t.T("sheet.slots")}
	for i := 1; i <= opt.Slots; i++ {
		slots.Codes = append(slots.Codes, labelled{t.T("sheet.slot", "slot", i), command(station.VerbSlot, strconv.Itoa(i))})
	}
	bins := group{Title: t.T("sheet.bins")}
	for _, b := range opt.Bins {
		bins.Codes = append(bins.Codes, labelled{t.T("sheet.bin", "bin", b), command(station.VerbBin, b)})
	}
	commands := group{Title: t.T("sheet.commands"), Codes: []labelled{
		{t.T("sheet.halt"), command(station.VerbHalt, "")}, {t.T("sheet.resume"), command(station.VerbResume, "")},
		{t.T("sheet.ack"), command(station.VerbAck, "")}, {t.T("sheet.abort"), command(station.VerbAbort, "")},
		{t.T("sheet.clear"), command(station.VerbClear, "")},
		{t.T("sheet.enable"), command(station.VerbEnable, "")}, {t.T("sheet.disable"), command(station.VerbDisable, "")},
	}}
	screen := group{Title: t.T("sheet.screen")}
	for _, v := range []view{viewSlots, viewRework, viewLog, viewHelp} {
		screen.Codes = append(screen.Codes, labelled{t.T("sheet.view." + string(v)), command(station.VerbView, string(v))})
	}
	langs := group{Title: t.T("sheet.languages")}
	for _, l := range text.Langs() {
		langs.Codes = append(langs.Codes, labelled{text.For(l).T("lang.name"), command(station.VerbLanguage, string(l))})
	}
	groups := []group{commands, slots, bins, screen, langs}
	for i := 1; i <= opt.Slots; i++ {
		one := group{Title: t.T("sheet.per_slot", "slot", i)}
		n := strconv.Itoa(i)
		for _, v := range []struct{ id, verb string }{
			{"sheet.ack", station.VerbAck}, {"sheet.abort", station.VerbAbort}, {"sheet.clear", station.VerbClear},
			{"sheet.enable", station.VerbEnable}, {"sheet.disable", station.VerbDisable},
		} {
			one.Codes = append(one.Codes, labelled{t.T(v.id), command(v.verb, n)})
		}
		groups = append(groups, one)
	}
	for _, g := range groups {
		for _, c := range g.Codes {
			if _, err := station.ParseBarcode(c.Code); err != nil {
				return nil, fmt.Errorf("%q would not be understood: %w", c.Code, err)
			}
		}
	}
	return groups, nil
}

// SheetHTML writes the sheet as one self-contained page to print.
func SheetHTML(w io.Writer, opt SheetOptions) error {
	groups, err := sheetGroups(opt)
	if err != nil {
		return err
	}
	t := text.For(opt.Lang)
	return sheetPage.Execute(w, map[string]any{
		"Lang": t.Lang(), "Title": t.T("sheet.title"), "Intro": t.T("sheet.intro"), "Groups": groups,
	})
}

// svg draws a symbol; one module is 0.33 mm wide, which every scanner reads
// from a hand's distance.
func svg(code string) (template.HTML, error) {
	modules, err := code128(code)
	if err != nil {
		return "", err
	}
	width := len(modules) + 2*quietZone
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d 40" width="%.2fmm" height="13mm" preserveAspectRatio="none" shape-rendering="crispEdges">`, width, float64(width)*0.33)
	for i := 0; i < len(modules); {
		n := i
		for n < len(modules) && modules[n] == modules[i] {
			n++
		}
		if modules[i] {
			fmt.Fprintf(&b, `<rect x="%d" y="0" width="%d" height="40"/>`, quietZone+i, n-i)
		}
		i = n
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()), nil // numbers only
}

var sheetPage = template.Must(template.New("sheet").Funcs(template.FuncMap{"svg": svg}).Parse(`<!DOCTYPE html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<title>{{.Title}}</title>
<style>
body { font: 11pt sans-serif; margin: 10mm; color: #000; background: #fff; }
section { break-inside: avoid-page; }
h2 { font-size: 13pt; margin: 6mm 0 2mm; border-bottom: 1px solid #000; }
.codes { display: flex; flex-wrap: wrap; gap: 6mm 8mm; }
figure { margin: 0; text-align: center; break-inside: avoid; }
figcaption { font-weight: bold; }
code { font-size: 9pt; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Intro}}</p>
{{range .Groups}}<section><h2>{{.Title}}</h2><div class="codes">
{{range .Codes}}<figure><figcaption>{{.Label}}</figcaption>{{svg .Code}}<br><code>{{.Code}}</code></figure>
{{end}}</div></section>
{{end}}</body>
</html>
`))

// SheetText writes the sheet for a terminal, two modules in a column: black on
// white whatever the terminal's colours are. It is up to 110 columns wide.
func SheetText(w io.Writer, opt SheetOptions) error {
	groups, err := sheetGroups(opt)
	if err != nil {
		return err
	}
	t := text.For(opt.Lang)
	if _, err := fmt.Fprintf(w, "%s\n%s\n", t.T("sheet.title"), t.T("sheet.intro")); err != nil {
		return err
	}
	for _, g := range groups {
		if _, err := fmt.Fprintf(w, "\n== %s\n", g.Title); err != nil {
			return err
		}
		for _, c := range g.Codes {
			rows, err := blocks(c.Code)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "\n%s  %s\n%s", c.Label, c.Code, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocks draws a symbol four rows high with block elements.
func blocks(code string) (string, error) {
	modules, err := code128(code)
	if err != nil {
		return "", err
	}
	line := make([]bool, quietZone, len(modules)+2*quietZone+1)
	line = append(append(line, modules...), make([]bool, quietZone+len(modules)%2)...)
	var b strings.Builder
	for i := 0; i+1 < len(line); i += 2 {
		switch {
		case line[i] && line[i+1]:
			b.WriteRune('█')
		case line[i]:
			b.WriteRune('▌')
		case line[i+1]:
			b.WriteRune('▐')
		default:
			b.WriteByte(' ')
		}
	}
	const blackOnWhite, reset = "\x1b[30;107m", "\x1b[0m"
	return strings.Repeat(blackOnWhite+b.String()+reset+"\n", 4), nil
}

package modemsim_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/modemsim"
)

var update = flag.Bool("update", false, "write the golden transcripts anew")

// script is asked of every persona; vendor commands come behind.
var script = []string{
	"AT", "ATI", "AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+CGSN=1", "AT+CMEE?", "AT+NOSUCH=1", "AT+CPIN=\"1234\"",
	"ATE0", "AT+CMEE=1", "AT+NOSUCH=1", "AT+CMEE=2", "AT+CPIN=\"1234\"", "AT+CMEE=1",
	"AT+CFUN?", "AT+CFUN=?", "AT+CFUN=9", "AT+CPIN?", "AT+CIMI", "AT+CCID",
	"AT+CRSM=176,12258,0,0,10", "AT+CRSM=176,28423,0,0,9", "AT+CRSM=176,12037,0,0,4",
	"AT+CSIM=14,\"00A40004023F00\"", "AT+CSIM=10,\"0070000001\"",
	"AT+CCHO=?", "AT+CCHO=\"A0000005591010FFFFFFFF8900000100\"", "AT+CCHO=\"A0000005591010FFFFFFFF8900000199\"",
	"AT+CGLA=?", "AT+CCHC=?", "AT+CREG?", "AT+CEREG=2", "AT+CEREG?", "AT+COPS?", "AT+CGDCONT=1,\"IP\",\"test\"", "AT+CGDCONT?",
	"ATV0", "AT", "AT+NOSUCH", "ATV1", "ATS3?", "AT+CFUN=4", "AT+CFUN?", "AT+CPIN?",
}

// TestTranscripts compares what each persona says, byte for byte, from power-on
// over the script and its own commands, with a profile and without.
func TestTranscripts(t *testing.T) {
	all := personas(t)
	for _, name := range all.Names() {
		if strings.HasPrefix(name, "demo-") {
			continue // the same with other times
		}
		for _, blank := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/blank=%v", name, blank), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					card := newFakeCard()
					if blank {
						card.iccid = ""
					}
					h := start(t, modemsim.Options{Persona: all[name], Card: card})
					defer h.end()
					compare(t, fmt.Sprintf("%s-%v", name, map[bool]string{false: "profile", true: "blank"}[blank]), transcript(h, all[name]))
				})
			})
		}
	}
}

func transcript(h *host, p modemsim.Persona) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: %s\n", p.Name, p.About)
	h.m.PowerOn()
	for at := time.Duration(0); at < 20*time.Second; at += 100 * time.Millisecond {
		if got := h.after(100 * time.Millisecond); got != "" {
			fmt.Fprintf(&b, "%5d ms < %q\n", (at + 100*time.Millisecond).Milliseconds(), got)
		}
	}
	if !p.AT.Echo {
		h.ask("ATE1")
	}
	if len(p.SIM.OnIn) > 0 {
		h.ask(fmt.Sprintf("AT+CFUN=%d", p.SIM.OnIn[0]))
	}
	for _, line := range append(append([]string{}, script...), vendorScript(p)...) {
		fmt.Fprintf(&b, "> %q\n< %q\n", line, h.ask(line))
	}
	return b.Bytes()
}

func vendorScript(p modemsim.Persona) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Commands)) {
		c := p.Commands[name]
		switch c.Action {
		case "text":
			lines = append(lines, "AT"+name, "AT"+name+"=?")
		case "setting":
			lines = append(lines, "AT"+name+"?", "AT"+name+"=7", "AT"+name+"?")
		case "keyed":
			for _, key := range slices.Sorted(maps.Keys(c.Values)) {
				lines = append(lines, fmt.Sprintf(`AT%s="%s"`, name, key))
			}
		case "none":
			lines = append(lines, "AT"+name)
		}
	}
	return lines
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s:%d:\n got %s\nwant %s", file, i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s: %d lines, want %d", file, len(a), len(b))
	}
}

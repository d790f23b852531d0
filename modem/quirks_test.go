package modem_test

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"linefit/internal/strictyaml"
	"linefit/modem"
)

var shipped = sync.OnceValues(func() (*modem.Table, error) { return modem.LoadQuirks() })

func table(t testing.TB) *modem.Table {
	t.Helper()
	tbl, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func TestShippedTable(t *testing.T) {
	tbl := table(t)
	for _, tt := range []struct {
		maker, model, firmware string
		names                  string
		block                  int
		cgla, gap              time.Duration
		iccid, reset           string
	}{
		{"Acme", "X1", "1.0", "generic", 120, 240 * time.Second, 0, "AT+CRSM=176,12258,0,0,10", "AT+CFUN=1,1"},
		{"Quectel", "EG25", "EG25GGBR07A08M2G", "generic quectel quectel-eg25", 255, 240 * time.Second, 0, "AT+QCCID", "AT+CFUN=1,1"},
		{"Quectel", "EM05-G", "", "generic quectel", 120, 240 * time.Second, 0, "AT+QCCID", "AT+CFUN=1,1"},
		{"u-blox", "SARA-R510S", "", "generic ublox ublox-sara-r5", 255, 240 * time.Second, 20 * time.Millisecond, "AT+CCID", "AT+CFUN=16"},
		{"u-blox", "SARA-R410M-02B", "", "generic ublox ublox-sara-r4", 120, 240 * time.Second, 100 * time.Millisecond, "AT+CCID", "AT+CFUN=15"},
		{"u-blox", "SARA-R422S", "", "generic ublox ublox-sara-r4 ublox-sara-r422", 120, 240 * time.Second, 20 * time.Millisecond, "AT+CCID", "AT+CFUN=15"},
		{"Telit", "LE910C1-EUX", "", "generic telit telit-le910", 255, 240 * time.Second, 0, "AT#CCID", "AT#REBOOT"},
		{"Nordic Semiconductor ASA", "nRF9160-SICA", "mfw_nrf9160_1.3.5", "generic nordic-nrf91", 255, 240 * time.Second, 0, "AT%XICCID", "AT#XRESET"},
		{"MediaTek Inc.", "FM350-GL", "", "generic fibocom-fm350", 120, 240 * time.Second, 0, "AT+CRSM=176,12258,0,0,10", "AT+CFUN=15"},
	} {
		q, err := tbl.For(tt.maker, tt.model, tt.firmware)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(q.Names, " "); got != tt.names {
			t.Errorf("%s %s: %s, want %s", tt.maker, tt.model, got, tt.names)
		}
		if q.APDU.Block != tt.block || q.Deadline("AT+CGLA=1,2,\"\"") != tt.cgla || q.Line.Gap != tt.gap || q.SIM.ICCID[0].Command != tt.iccid || q.Power.Reset != tt.reset {
			t.Errorf("%s %s: %+v", tt.maker, tt.model, q)
		}
		if q.Deadline("ATE0") != 3*time.Second || q.Deadline("AT+XYZ?") != 10*time.Second || !slices.Contains(q.URCs, "+CREG") {
			t.Errorf("%s %s lacks what generic has", tt.maker, tt.model)
		}
	}
	for _, name := range []string{"generic", "quectel-eg25", "ublox-sara-r5", "telit-le910", "nordic-nrf91"} {
		if q, err := tbl.Named(name); err != nil || q.Names[len(q.Names)-1] != name {
			t.Errorf("%s: %v, %v", name, q.Names, err)
		}
	}
	if _, err := tbl.Named("nokia"); err == nil {
		t.Error("an unknown entry was found")
	}
}

func TestOverlay(t *testing.T) {
	tbl, err := modem.LoadQuirks(modem.VirtualOverlay(), fstest.MapFS{"own.yaml": {Data: []byte(`
entries:
  - name: our-line
    match: {model: [EG25], firmware: [DEMO-EG25GGBR07A08]}
    quirks:
      line: {baud: 921600}
      urcs: ["+OURS"]
      sim: {iccid: [{command: AT+CCID, form: plain}]}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	q, err := tbl.For("Quectel", "EG25", "DEMO-EG25GGBR07A08M2G")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(q.Names, " ") != "generic quectel quectel-eg25 virtual virtual-demo our-line" {
		t.Errorf("%v", q.Names)
	}
	if q.Deadline("AT+CGLA") != 2*time.Second || q.Deadline("AT+CRSM") != 20*time.Second || q.Line.Baud != 921600 || q.Line.Quiet == 0 {
		t.Errorf("%+v", q)
	}
	if len(q.SIM.ICCID) != 1 || !slices.Contains(q.URCs, "+OURS") || !slices.Contains(q.URCs, "+QIND") || q.SIM.Detect.Off == "" {
		t.Errorf("%+v", q.SIM)
	}
}

func TestQuirkMistakes(t *testing.T) {
	_, err := modem.LoadQuirks(fstest.MapFS{
		"a.yaml": {Data: []byte(`entries:
  - name: Bad Name
    match: {vendor: [x]}
    quirks:
      line: {baud: 5}
      apdu: {block: 256, routes: [cgla, qmi]}
      deadlines: {"+CGLA": 240}
      boot: {limit: soon}
      sim: {iccid: [{command: "+CCID", form: plain}]}
      colour: red
`)},
		"b.yaml": {Data: []byte("entries:\n  - name: one\n    match: {maker: [x]}\n    quirks: {}\n  - name: one\n    match: {maker: [X]}\n    quirks: {}\n")},
		"c.yaml": {Data: []byte("entries: [\n")},
	})
	var problems strictyaml.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	text := err.Error()
	for _, want := range []string{
		"a.yaml:2:", "a.yaml:3:", "a.yaml:5:", "entries[0].quirks.apdu.block", "routes[1]", "a.yaml:7:", "a.yaml:8:", "a.yaml:9:", "colour: this key is not known here",
		"b.yaml:5:", "name one is already in b.yaml:2", `match maker "x", model "", firmware "" is already in`, "c.yaml:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q in\n%s", want, text)
		}
	}
}

// The longest firmware prefix wins in its layer, whichever others there are and
// in whatever order: all subsets of four lengths, each as a model of its own.
func TestMostSpecificWins(t *testing.T) {
	const firmware = "ABCABC"
	lengths := []int{0, 2, 4, 6}
	var up, down strings.Builder
	for _, file := range []struct {
		order []int
		model string
		out   *strings.Builder
	}{{[]int{0, 1, 2, 3}, "UP", &up}, {[]int{3, 2, 1, 0}, "DOWN", &down}} {
		file.out.WriteString("entries:\n")
		for mask := 1; mask < 16; mask++ {
			for _, i := range file.order {
				if mask&(1<<i) == 0 {
					continue
				}
				fmt.Fprintf(file.out, "  - name: %s-%d-%d\n    match: {model: [%s%02d], firmware: [%s]}\n    quirks: {apdu: {block: %d}}\n",
					strings.ToLower(file.model), mask, i, file.model, mask, firmware[:lengths[i]], 1+i)
			}
		}
	}
	text := func(b *strings.Builder) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(strings.ReplaceAll(b.String(), ", firmware: []", ""))}
	}
	tbl, err := modem.LoadQuirks(fstest.MapFS{"a.yaml": text(&up), "b.yaml": text(&down)})
	if err != nil {
		t.Fatal(err)
	}
	for mask := 1; mask < 16; mask++ {
		for _, model := range []string{"up", "down"} {
			q, err := tbl.For("acme", fmt.Sprintf("%s%02d", model, mask), strings.ToLower(firmware))
			if err != nil {
				t.Fatal(err)
			}
			if want := bits.Len(uint(mask)); q.APDU.Block != want {
				t.Errorf("%s %04b: block %d, want %d", model, mask, q.APDU.Block, want)
			}
		}
	}
}

func BenchmarkQuirks(b *testing.B) {
	tbl := table(b)
	for b.Loop() {
		if _, err := tbl.For("Quectel", "EG25", "EG25GGBR07A08M2G"); err != nil {
			b.Fatal(err)
		}
	}
}

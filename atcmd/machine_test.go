package atcmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// events writes down what the machine tells its owner.
type events struct{ log []string }

func (e *events) urc(u URC) {
	if !u.redacted {
		e.log = append(e.log, fmt.Sprintf("urc %v %q", u.Known, u.Line))
	}
}
func (e *events) prompt() { e.log = append(e.log, "prompt") }
func (e *events) done(t *transaction) {
	e.log = append(e.log, fmt.Sprintf("done %q %q %q %v %v", t.resp.Lines, t.resp.Extra, t.resp.Final, t.err, t.broken))
}
func (e *events) trace(string, bool) {}

var digits = func(line string) bool {
	return line != "" && strings.Trim(line, "0123456789") == ""
}

// commands are the kinds of command whose parsing differs.
var commands = []Command{
	{Text: "AT+CGSN", Bare: digits, Require: true},
	{Text: "AT+CPIN?", Prefix: "+CPIN"},
	{Text: "ATI"},
	{Text: "AT", Numeric: true},
	{Text: "AT+CMGS=1", Prefix: "+CMGS", Payload: []byte("hello\r\nworld")},
	{Text: "AT+CPIN=\"1234\"", Secret: true},
}

// parse runs the machine over data in the given portions; a new command begins
// whenever the machine is idle between two portions of the unsplit data.
func parse(which int, numeric bool, data []byte, cuts []int) []string {
	e := &events{}
	m := machine{
		lex: lexer{max: 200}, maxAnswer: 300, sink: e, numeric: numeric,
		urcs: []string{"+CPIN", "+CREG", "RING", "+CME ERROR: SIM not inserted"}, restarts: []string{"RDY"},
	}
	m.begin(newTransaction(commands[which%len(commands)]))
	last := 0
	for _, c := range append(cuts, len(data)) {
		if c < last || c > len(data) {
			continue
		}
		m.feed(data[last:c])
		last = c
	}
	return append(e.log, "tail "+m.lex.tail())
}

var seeds = []string{
	"\r\nOK\r\n", "AT+CGSN\r\r\n359072061234567\r\n\r\nOK\r\n", "\x00\x00\xff\xffRDY\r\n",
	"\r\n+CPIN: READY\r\n\r\n+CREG: 1\r\n\r\nOK\r\n", "AT\r0\r", "0\r", "4\r\n", "\r\n> ", "\r\n+CMGS: 5\r\n\r\nOK\r\n",
	"\r\n+CME ERROR: 14\r\n", "\r\n+CME ERROR: SIM not inserted\r\n\r\n+CPIN: X\r\nOK\r\n", "\r\n+CMS ERROR: 500\r\n",
	"\r\nNO CARRIER\r\n", "\nOK\n", "OK\r", "\r\r\n\r\nOK\r\r\n", "COMMAND NOT SUPPORT\r\n", "NA\r\n", "CONNECT 115200\r\n",
	"hello\rworld\x1a\r\n", strings.Repeat("A", 250) + "\r\nOK\r\n", strings.Repeat("1234567890\r\n", 40) + "OK\r\n",
}

func TestSplitDoesNotMatter(t *testing.T) {
	piece := rapid.OneOf(rapid.SampledFrom(seeds), rapid.StringN(0, 20, 40),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "data"), ""))
		which := rapid.IntRange(0, len(commands)-1).Draw(t, "command")
		numeric := rapid.Bool().Draw(t, "numeric")
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(data)), 0, 12).Draw(t, "cuts")
		slices.Sort(cuts)
		whole, split := parse(which, numeric, data, nil), parse(which, numeric, data, cuts)
		if !slices.Equal(whole, split) {
			t.Fatalf("%q cut at %v:\n%v\nwhole:\n%v", data, cuts, split, whole)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for i, s := range seeds {
		f.Add(i, i%2 == 0, []byte(s), uint16(3))
	}
	f.Fuzz(func(t *testing.T, which int, numeric bool, data []byte, cut uint16) {
		if which < 0 {
			which = -(which + 1)
		}
		whole := parse(which, numeric, data, nil)
		bytewise := parse(which, numeric, data, upTo(len(data)))
		if !slices.Equal(whole, bytewise) {
			t.Fatalf("byte by byte:\n%v\nwhole:\n%v", bytewise, whole)
		}
		if n := len(data); n > 0 {
			if once := parse(which, numeric, data, []int{int(cut) % n}); !slices.Equal(whole, once) {
				t.Fatalf("cut at %d:\n%v\nwhole:\n%v", int(cut)%n, once, whole)
			}
		}
		for _, line := range whole {
			if len(line) > 8*(300+200) { // quoting makes at most four characters of one
				t.Fatalf("an event of %d bytes from an answer limit of 300", len(line))
			}
		}
	})
}

func FuzzParseFinal(f *testing.F) {
	for _, s := range seeds {
		f.Add(strings.TrimSpace(s), true)
	}
	f.Fuzz(func(t *testing.T, line string, numeric bool) {
		final, ok := ParseFinal(line, numeric)
		if ok && final.Err != nil && len(final.Err.Error()) > 500 {
			t.Fatalf("an error of %d bytes", len(final.Err.Error()))
		}
		if ok && final.Text == "" {
			t.Fatal("a final result without a text")
		}
	})
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestClassification(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		command    int
		want       []string
	}{
		{"stray RING is no IMEI", "RING\r\n359072061234567\r\nOK\r\n", 0, []string{
			`urc true "RING"`, `done ["359072061234567"] [] "OK" <nil> false`,
		}},
		{"own prefix beats the URC list", "+CPIN: READY\r\nOK\r\n", 1, []string{
			`done ["+CPIN: READY"] [] "OK" <nil> false`,
		}},
		{"unknown lines are kept", "hm\r\n+CPINR: 3\r\n+CPIN: READY\r\nOK\r\n", 1, []string{
			`done ["+CPIN: READY"] ["hm" "+CPINR: 3"] "OK" <nil> false`,
		}},
		{"URC inside a line boundary", "\r\n+CPIN: READY\r\r\n+CREG: 1\r\n\n\r\nOK\r\n", 1, []string{
			`urc true "+CREG: 1"`, `done ["+CPIN: READY"] [] "OK" <nil> false`,
		}},
		{"URC that looks final", "+CME ERROR: SIM not inserted\r\n+CPIN: READY\r\nOK\r\n", 1, []string{
			`urc true "+CME ERROR: SIM not inserted"`, `done ["+CPIN: READY"] [] "OK" <nil> false`,
		}},
		{"OK without the answer", "OK\r\n", 0, []string{
			`done [] [] "OK" OK without the required answer (outcome unknown) true`,
		}},
		{"restart", "RDY\r\nOK\r\n", 1, []string{
			`urc true "RDY"`, `done [] [] "" module restarted during the command (outcome unknown) true`, `urc false "OK"`,
		}},
		{"echo without its head is no answer", "+CPIN?\r\r\n+CPIN: READY\r\nOK\r\n", 1, []string{
			`done ["+CPIN: READY"] ["+CPIN?"] "OK" <nil> false`,
		}},
		{"prompt and payload echo", "AT+CMGS=1\r\r\n> hello\r\nworld\x1a\r\n+CMGS: 7\r\nOK\r\n", 4, []string{
			"prompt", `done ["+CMGS: 7"] [] "OK" <nil> false`,
		}},
		{"free text", "Quectel\r\nEC25\r\nRevision: 1\r\nOK\r\n", 2, []string{
			`done ["Quectel" "EC25" "Revision: 1"] [] "OK" <nil> false`,
		}},
		{"numeric result", "AT\r0\r", 3, []string{`done [] [] "OK" <nil> false`}},
		{"line too long", strings.Repeat("x", 201) + "yz\r\nOK\r\n", 2, []string{
			`done [] [] "" answer is too long: a line exceeds 200 bytes (outcome unknown) true`, `urc false "OK"`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := parse(tt.command, false, []byte(tt.data), nil)
			got = got[:len(got)-1]
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestStaleAnswerIsNoticed(t *testing.T) {
	e := &events{}
	m := machine{lex: lexer{max: 200}, maxAnswer: 300, sink: e}
	m.begin(newTransaction(Command{Text: "AT+CGLA=1,4,\"00A4\"", Prefix: "+CGLA"}))
	m.feed([]byte("+CME ERROR: SIM not inserted\r\n")) // a URC that nobody had listed
	m.begin(newTransaction(Command{Text: "AT+CPIN?", Prefix: "+CPIN"}))
	m.feed([]byte("+CGLA: 4,\"9000\"\r\nOK\r\n"))
	want := `done [] ["+CGLA: 4,\"9000\""] "" answer of an earlier command arrived: +CGLA (outcome unknown) true`
	if len(e.log) < 2 || e.log[1] != want {
		t.Errorf("got %q", e.log)
	}
}

func TestParseFinal(t *testing.T) {
	for line, want := range map[string]string{
		"OK": "", "ERROR": "module answered ERROR", "+CME ERROR: 14": "+CME ERROR: 14 (SIM busy)",
		"+CME ERROR:13": "+CME ERROR: 13 (SIM failure)", "CME ERROR: sim not inserted": "+CME ERROR: 10 (SIM not inserted)",
		"+CME ERROR: Parameters error": "+CME ERROR: Parameters error", "+CME ERROR: 30000": "+CME ERROR: 30000",
		"+CMS ERROR: 314": "+CMS ERROR: 314 ((U)SIM busy)", "CONNECT 9600": "module answered CONNECT 9600",
		"COMMAND NOT SUPPORT": "module answered COMMAND NOT SUPPORT", "NA": "module answered NA",
		"+CME ERROR": "+CME ERROR: ",
	} {
		f, ok := ParseFinal(line, false)
		got := ""
		if f.Err != nil {
			got = f.Err.Error()
		}
		if !ok || got != want {
			t.Errorf("%q: %v, %q, want %q", line, ok, got, want)
		}
	}
	for _, line := range []string{"", "OKAY", "NAME", "0", "+CMEE: 1", "CONNECTED", "ERROR 5", "+CME ERRORS: 1"} {
		if _, ok := ParseFinal(line, false); ok {
			t.Errorf("%q was taken for a final result", line)
		}
	}
}

package atcmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
)

func tracer(lines *[]string) func(atcmd.Direction, []byte) {
	return func(d atcmd.Direction, b []byte) { *lines = append(*lines, fmt.Sprintf("%v %s", d, b)) }
}

func TestTraceRedacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		p := play(t, `
			> AT+CPIN="4711"
			< +CPIN: 4711 is wrong
			< +CREG: 1
			< +CME ERROR: 16
			> AT+CGMI
			< Quectel
			< OK
			> AT+CLCK="SC",1,"4711"
			~ 2s
			< +CLCK: 4711
			< OK`, atcmdtest.Mode{Echo: true}, atcmd.Options{Trace: tracer(&lines), Timeout: time.Second, URCs: []string{"+CREG"}})
		_, err := p.Do(t.Context(), atcmd.Command{Text: `AT+CPIN="4711"`, Secret: true})
		if err == nil || strings.Contains(err.Error(), "4711") {
			t.Errorf("%v", err)
		}
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT+CGMI"}); err != nil {
			t.Error(err)
		}
		_, err = p.Do(t.Context(), atcmd.Command{Text: `AT+CLCK="SC",1,"4711"`, Secret: true})
		if !errors.Is(err, atcmd.ErrUnknown) || strings.Contains(err.Error(), "4711") {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		if err := p.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		_ = p.Close()
		for u := range p.URCs() {
			if strings.Contains(u.Line, "4711") {
				t.Errorf("the queue has %q", u.Line)
			}
		}
		if p.Stats().Redacted != 2 { // the late answer and its OK
			t.Errorf("%+v", p.Stats())
		}
		want := []string{
			"> AT+CPIN=<redacted>", "< <redacted>", "< <redacted>", "< +CREG: 1", "< +CME ERROR: 16",
			"> AT+CGMI", "< AT+CGMI", "< Quectel", "< OK",
			"> AT+CLCK=<redacted>", "< <redacted>", "# AT+CLCK: no final result after 1s: context deadline exceeded",
			"< <redacted>", "< <redacted>", "# line is clean",
		}
		if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("trace\n%s", got)
		}
	})
}

func TestRecordingPlaysBack(t *testing.T) {
	var script bytes.Buffer
	source := "! \"\\x00RDY\\r\\n\"\n? \"AT\\r\"\n! \"\\r\\nOK\\r\\n\"\n? \"AT+CGMM\\r\"\n! \"\\r\\nEG25\\r\\n\\r\\nOK\\r\\n\"\n"
	run := func(script string, record *bytes.Buffer) {
		var rwc = atcmdtest.Play(t, script, atcmdtest.Mode{Chunk: 3})
		p := atcmd.Open(atcmdtest.Record(rwc, record), atcmd.Options{})
		<-p.URCs()
		for _, text := range []string{"AT", "AT+CGMM"} {
			if _, err := p.Do(t.Context(), atcmd.Command{Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run(source, &script)
	if script.String() != source {
		t.Fatalf("recorded\n%s", script.String())
	}
	run(script.String(), new(bytes.Buffer))
}

func TestCommandName(t *testing.T) {
	for text, want := range map[string]string{
		"AT": "AT", "AT+CGLA=1,4,\"x\"": "AT+CGLA", "AT+CPIN?": "AT+CPIN", "ATD12345;": "ATD12345", "AT#SIMDET=2": "AT#SIMDET", "AT!CUSTOM=\"A\"": "AT!CUSTOM",
	} {
		if got := (atcmd.Command{Text: text}).Name(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

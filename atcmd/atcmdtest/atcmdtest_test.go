package atcmdtest_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
)

// judge is a test that only notes whether it failed.
type judge struct {
	testing.TB
	errors []string
}

func (j *judge) Helper() {}
func (j *judge) Errorf(format string, args ...any) {
	j.errors = append(j.errors, fmt.Sprintf(format, args...))
}
func (j *judge) Fatal(args ...any) { j.errors = append(j.errors, fmt.Sprint(args...)); panic(j) }

func TestPlaybackFails(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		use    func(*atcmdtest.Playback)
		want   string
	}{
		"leftover":       {"> AT\n< OK\n", func(*atcmdtest.Playback) {}, "closed before script line 1"},
		"half a command": {"> AT\n", func(p *atcmdtest.Playback) { write(p, "A") }, "closed before script line 1"},
		"other command":  {"> AT\n", func(p *atcmdtest.Playback) { write(p, "ATI\r") }, `line 1 expects "AT\r", got "ATI\r"`},
		"too much":       {"> AT\n", func(p *atcmdtest.Playback) { write(p, "AT\rA") }, `has ended, and got "A"`},
		"unheard":        {"> AT\n< OK\n~ 1h\n< LATE\n> ATI\n", func(p *atcmdtest.Playback) { write(p, "AT\r") }, "closed before script line 4"},
	} {
		j := &judge{}
		p := atcmdtest.Play(j, tt.script, atcmdtest.Mode{})
		tt.use(p)
		_ = p.Close()
		if len(j.errors) != 1 || !strings.Contains(j.errors[0], tt.want) {
			t.Errorf("%s: %q, want %q", name, j.errors, tt.want)
		}
	}
}

func write(p *atcmdtest.Playback, s string) { _, _ = io.WriteString(p, s) }

func TestBadScript(t *testing.T) {
	for _, script := range []string{"AT", "! RDY", "? \"x", "~ soon", "~ -1s", "* explode"} {
		j := &judge{}
		func() {
			defer func() { _ = recover() }()
			atcmdtest.Play(j, script, atcmdtest.Mode{})
		}()
		if len(j.errors) != 1 || !strings.Contains(j.errors[0], "script line 1") {
			t.Errorf("%q: %q", script, j.errors)
		}
	}
}

func TestPlaybackTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := atcmdtest.Play(t, "~ 2s\n< RDY\n> AT\n~ 1s\n! \"OK\"\n* hangup\n", atcmdtest.Mode{Chunk: 3, Echo: true})
		start := time.Now()
		write(p, "AT\r") // waits until the script gets there
		b, err := io.ReadAll(p)
		if want := "\r\nRDY\r\nAT\rOK"; err != nil || string(b) != want || time.Since(start) != 3*time.Second {
			t.Errorf("%q, %v after %v", b, err, time.Since(start))
		}
		if _, err := p.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write behind the hangup: %v", err)
		}
		_ = p.Close()
	})
}

// A recording keeps what was said, whatever the portions.
func TestRecorderJoinsPortions(t *testing.T) {
	var texts []string
	for _, chunk := range []int{0, 1, 5} {
		var out strings.Builder
		p := atcmd.Open(atcmdtest.Record(atcmdtest.Play(t, "> ATI\n< X\n< OK\n* hangup\n", atcmdtest.Mode{Chunk: chunk}), &out), atcmd.Options{ByteGap: time.Microsecond})
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "ATI"}); err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, out.String())
	}
	if texts[0] != "? \"ATI\\r\"\n! \"\\r\\nX\\r\\n\\r\\nOK\\r\\n\"\n" || texts[1] != texts[0] || texts[2] != texts[0] {
		t.Errorf("%q", texts)
	}
}

func TestRecorderTellsWhenItCannotWrite(t *testing.T) {
	r := atcmdtest.Record(atcmdtest.Play(t, "> AT\n", atcmdtest.Mode{}), failingWriter{})
	if _, err := r.Write([]byte("AT\r")); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "recording") {
		t.Error(err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

package atcmd_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
)

func TestLateAnswerNeverAnswersTheNextCommand(t *testing.T) {
	for name, late := range map[string]string{
		"during the drain": "~ 1050ms", "after the query": "~ 3s", "never": "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := "< +CSIM: 4,\"9000\"\n< OK\n"
				if late == "" {
					answer = ""
				}
				script := "> AT+CSIM=10,\"80F2000000\"\n" + late + "\n" + answer +
					"> AT+CGSN\n< 359072061234567\n< OK\n> AT+CSIM=10,\"80F2000001\"\n< +CSIM: 4,\"6A82\"\n< OK\n"
				p := play(t, script, atcmdtest.Mode{}, atcmd.Options{})
				csim := atcmd.Command{Text: `AT+CSIM=10,"80F2000000"`, Prefix: "+CSIM", Require: true, Timeout: time.Second}
				_, err := p.Do(t.Context(), csim)
				var timeout *atcmd.TimeoutError
				if !errors.As(err, &timeout) || !errors.Is(err, atcmd.ErrUnknown) || timeout.After != time.Second {
					t.Fatalf("first: %v", err)
				}
				csim.Text = `AT+CSIM=10,"80F2000001"`
				if _, err = p.Do(t.Context(), csim); !errors.Is(err, atcmd.ErrPoisoned) || errors.Is(err, atcmd.ErrPoisoned) && p.Stats().Commands != 1 {
					t.Fatalf("poisoned: %v", err)
				}
				resync(t, p)
				r, err := p.Do(t.Context(), csim)
				if err != nil || r.Value() != `4,"6A82"` {
					t.Fatalf("second: %q, %v", r.Lines, err)
				}
			})
		})
	}
}

func resync(t *testing.T, p *atcmd.Port) {
	t.Helper()
	q := atcmd.Query{Command: cgsn, Valid: func(r atcmd.Response) error {
		if r.Value() != "359072061234567" {
			return errors.New("another IMEI")
		}
		return nil
	}}
	if _, err := p.Resync(t.Context(), q); err != nil {
		t.Fatal(err)
	}
}

// A module that was busy answers every query that was sent meanwhile.
func TestResyncWaitsForAllAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, `
			> AT+SLOW
			> AT+CGSN
			> AT+CGSN
			< OK
			< 359072061234567
			< OK
			~ 500ms
			< 359072061234567
			< OK
			> AT+CIMI
			< 001010123456789
			< OK`, atcmdtest.Mode{}, atcmd.Options{})
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT+SLOW", Timeout: time.Second}); !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		resync(t, p)
		r, err := p.Do(t.Context(), atcmd.Command{Text: "AT+CIMI", Bare: isIMEI, Require: true})
		if err != nil || r.Value() != "001010123456789" {
			t.Fatalf("%q, %v", r.Lines, err)
		}
	})
}

func TestResyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT+SLOW\n> AT+CGSN\n< 111111111111111\n< OK\n> AT+CGSN\n> AT+CGSN\n", atcmdtest.Mode{}, atcmd.Options{})
		_, _ = p.Do(t.Context(), atcmd.Command{Text: "AT+SLOW", Timeout: time.Second})
		q := atcmd.Query{Command: cgsn, Valid: func(atcmd.Response) error { return errors.New("another module") }}
		_, err := p.Resync(t.Context(), q)
		if !errors.Is(err, atcmd.ErrNoSync) || !strings.Contains(err.Error(), "another module") {
			t.Fatal(err)
		}
		if !errors.Is(p.Err(), atcmd.ErrPoisoned) {
			t.Fatal("a port that could not be synchronised is used")
		}
		if err := p.Reset(t.Context()); err != nil || p.Err() != nil {
			t.Fatal(err, p.Err())
		}
	})
}

// A module that waits for text is freed by ESC; a healthy one never gets it.
func TestResyncLeavesPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "> AT+CMGS=1\n! \"\\r\\n> \"\n? \"\\x1b\"\n> AT+CGSN\n< 359072061234567\n< OK\n", atcmdtest.Mode{}, atcmd.Options{})
		_, err := p.Do(t.Context(), atcmd.Command{Text: "AT+CMGS=1"})
		if !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		resync(t, p)
	})
}

// A command that was cut off in the middle is ended before the query, or the
// query would be its tail.
func TestResyncEndsHalfACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, "? \"AT+CP\"\n? \"\\r\"\n< ERROR\n> AT+CGSN\n< 359072061234567\n< OK\n", atcmdtest.Mode{}, atcmd.Options{ByteGap: 10 * time.Millisecond})
		if _, err := p.Do(t.Context(), atcmd.Command{Text: "AT+CPIN?", Timeout: 45 * time.Millisecond}); !errors.Is(err, atcmd.ErrUnknown) {
			t.Fatal(err)
		}
		resync(t, p)
	})
}

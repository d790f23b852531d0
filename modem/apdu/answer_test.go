package apdu_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"linefit/atcmd"
	"linefit/modem/apdu"
)

// Every answer that is not what TS 27.007 describes is a typed error with the
// outcome unknown; the tolerated variants are read.
func TestAnswerShapes(t *testing.T) {
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{`+CGLA: 4,"9000"`, true},
		{`+CGLA: 4,9000`, true},
		{`+CGLA: 4,"9000" `, true},
		{`+CGLA: 6,"aa9000"`, true},
		{`+CGLA: 6,"9000"`, false},
		{`+CGLA: 2,"9000"`, false},
		{`+CGLA: 5,"90000"`, false},
		{`+CGLA: 4,"90G0"`, false},
		{`+CGLA: 4`, false},
		{`+CGLA: x,"9000"`, false},
		{`+CGLA: -4,"9000"`, false},
		{`+CGLA: 2,"90"`, false},
		{`+CGLA: 0,""`, false},
		{fmt.Sprintf(`+CGLA: 600,"%0600d"`, 0), true}, // the module fetched by itself
	} {
		m := &fakeModule{answer: func(string, string) string { return c.line }, card: func([]byte) []byte { return nil }}
		ch := open(t, m, apdu.Route{Kind: apdu.CGLA})
		_, err := ch.Transmit(t.Context(), getEID)
		if c.ok != (err == nil) {
			t.Errorf("%s: %v", c.line, err)
		}
		if !c.ok && (!errors.Is(err, apdu.ErrAnswer) || !errors.Is(err, apdu.ErrUnknown)) {
			t.Errorf("%s: untyped %v", c.line, err)
		}
		if err != nil && strings.Contains(err.Error(), "90G0") {
			t.Errorf("the answer's bytes are in the error: %v", err)
		}
	}
}

func TestWhenTheOutcomeIsUnknown(t *testing.T) {
	for _, c := range []struct {
		err     error
		unknown bool
	}{
		{&atcmd.TimeoutError{After: time.Second, Cause: context.DeadlineExceeded}, true},
		{&atcmd.ResultError{Result: "ERROR"}, true},
		{&atcmd.CMEError{Code: 100}, true},
		{atcmd.ErrPoisoned, false},
		{atcmd.ErrClosed, false},
		{atcmd.ErrBadCommand, false},
		{context.Canceled, false}, // before the first byte was written
		{errors.New("something new"), true},
	} {
		m := &fakeModule{card: func([]byte) []byte { return []byte{0x90, 0} }}
		ch := open(t, m, apdu.Route{Kind: apdu.CGLA})
		m.fail = func(string) error { return c.err }
		_, err := ch.Transmit(t.Context(), getEID)
		if errors.Is(err, apdu.ErrUnknown) != c.unknown || !errors.Is(err, c.err) {
			t.Errorf("%v: unknown %v, want %v", err, !c.unknown, c.unknown)
		}
		if n := len(m.log); n != 2 {
			t.Errorf("%v: %d commands, nothing may be sent again", c.err, n)
		}
	}
}

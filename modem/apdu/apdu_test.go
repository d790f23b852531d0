package apdu_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/atcmd/atcmdtest"
	"linefit/modem/apdu"
	"linefit/modem/wire"
)

var getEID = []byte{0x80, 0xE2, 0x91, 0x00, 0x06, 0xBF, 0x3E, 0x03, 0x5C, 0x01, 0x5A, 0x00}

const eidAnswer = "BF3E125A1089049032123451234512345678901235"

func open(t *testing.T, m *fakeModule, routes ...apdu.Route) *apdu.Channel {
	t.Helper()
	c, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, routes...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCGLALeavesTheClassToTheModule(t *testing.T) {
	m := &fakeModule{card: table(t, "80E2910006BF3E035C015A00", "6115", "00C0000015", eidAnswer+"9000")}
	c := open(t, m, apdu.Route{Kind: apdu.CGLA})
	got, err := c.Transmit(t.Context(), getEID)
	if err != nil || hex.EncodeToString(got) != strings.ToLower(eidAnswer)+"9000" {
		t.Fatalf("%x, %v", got, err)
	}
	if err := c.Close(t.Context()); err != nil || !slices.Equal(m.closed, []string{"1"}) {
		t.Errorf("closed %v, %v", m.closed, err)
	}
	want := apdu.Counters{APDUs: 2, GetResponses: 1, BytesOut: 12 + 5, BytesIn: 2 + 23}
	n := c.Counters()
	n.Time = 0
	if n != want {
		t.Errorf("counted %+v, want %+v", n, want)
	}
	if _, err := c.Transmit(t.Context(), getEID); !errors.Is(err, apdu.ErrClosed) || errors.Is(err, apdu.ErrUnknown) {
		t.Errorf("after Close: %v", err)
	}
}

func TestPatchCLA(t *testing.T) {
	for handle, first := range map[string]byte{"+CCHO: 2": 0x82, "+CCHO: 5": 0xC1, "+CCHO: 00000000038aa32f": 0x80} {
		var seen []byte
		m := &fakeModule{open: []string{handle}, card: func(b []byte) []byte { seen = b; return []byte{0x90, 0} }}
		c := open(t, m, apdu.Route{Kind: apdu.CGLA, PatchCLA: true})
		if _, err := c.Transmit(t.Context(), getEID); err != nil || seen[0] != first {
			t.Errorf("%s: class %02X, want %02X, %v", handle, seen[0], first, err)
		}
	}
}

// The answers to CCHO seen on real modules are opaque strings.
func TestSessionShapes(t *testing.T) {
	for line, handle := range map[string]string{
		"+CCHO: 1": "1", "1": "1", "+CCHO: \"3\"": "3", "+CCHO: 00000000038aa32f": "00000000038aa32f", "+CCHO: 1,\"6F1F\"": "1",
	} {
		m := &fakeModule{open: []string{line}, card: func([]byte) []byte { return []byte{0x90, 0} }}
		c := open(t, m, apdu.Route{Kind: apdu.CGLA})
		if _, err := c.Transmit(t.Context(), getEID); err != nil {
			t.Fatal(err)
		}
		if last := m.log[len(m.log)-1]; !strings.HasPrefix(last, "AT+CGLA="+handle+",24,") {
			t.Errorf("%s: %s", line, last)
		}
		if err := c.Close(t.Context()); err != nil || m.closed[0] != handle {
			t.Errorf("%s: closed %v, %v", line, m.closed, err)
		}
	}
}

// A refused open closes leftovers and is tried once more, not more often.
func TestLeftoversAreClosed(t *testing.T) {
	m := &fakeModule{open: []string{"ERROR", "+CCHO: 1"}, card: func([]byte) []byte { return []byte{0x90, 0} }}
	open(t, m, apdu.Route{Kind: apdu.CGLA, MaxChannels: 3})
	if !slices.Equal(m.closed, []string{"1", "2", "3"}) {
		t.Errorf("closed %v", m.closed)
	}
	m = &fakeModule{open: []string{"ERROR", "ERROR", "+CCHO: 1"}}
	if _, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA}); !apdu.RefusedByModule(err) {
		t.Errorf("second refusal: %v", err)
	}
}

// A module that is reading its card has neither leftovers to close nor another
// route to offer.
func TestOpenStopsAtABusyCard(t *testing.T) {
	m := &fakeModule{fail: func(string) error { return &atcmd.CMEError{Code: atcmd.CMESIMBusy} }}
	_, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA}, apdu.Route{Kind: apdu.CSIM})
	if !apdu.SIMBusy(err) || errors.Is(err, apdu.ErrUnknown) || len(m.log) != 1 {
		t.Errorf("%v after %v", err, m.log)
	}
}

// A card that is reset meanwhile refuses one route and is busy on the next.
func TestBusyOnTheSecondRoute(t *testing.T) {
	m := &fakeModule{fail: func(text string) error {
		if strings.HasPrefix(text, "AT+CSIM") {
			return &atcmd.CMEError{Code: atcmd.CMESIMBusy}
		}
		return &atcmd.CMEError{Code: atcmd.CMEUnknown}
	}}
	_, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA}, apdu.Route{Kind: apdu.CSIM})
	if !apdu.SIMBusy(err) || !strings.Contains(err.Error(), "CME ERROR: 100") {
		t.Error(err)
	}
}

func TestFallsBackToCSIM(t *testing.T) {
	m := &fakeModule{noCGLA: true, card: table(t,
		"0070000001", "029000",
		"02A4040010A0000005591010FFFFFFFF8900000100", "6121",
		"82E2910006BF3E035C015A00", eidAnswer+"9110",
		"0070800200", "9000")}
	c := open(t, m, apdu.Route{Kind: apdu.CGLA}, apdu.Route{Kind: apdu.CSIM})
	got, err := c.Transmit(t.Context(), getEID)
	if err != nil || !bytes.HasSuffix(got, []byte{0x91, 0x10}) {
		t.Fatalf("%x, %v", got, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := c.Counters().APDUs; n != 4 {
		t.Errorf("%d APDUs, want open, select, command, close", n)
	}
	if len(m.closed) != 0 {
		t.Errorf("sessions were closed on a module without CCHO: %v", m.closed)
	}
}

func TestCSIMWithoutFreeChannel(t *testing.T) {
	closed := map[byte]bool{}
	m := &fakeModule{card: func(b []byte) []byte {
		switch {
		case b[1] == 0x70 && b[2] == 0x80:
			closed[b[3]] = true
			return []byte{0x90, 0}
		case b[1] == 0x70 && !closed[1]:
			return []byte{0x6A, 0x81}
		case b[1] == 0x70:
			return []byte{1, 0x90, 0}
		}
		return []byte{0x90, 0}
	}}
	open(t, m, apdu.Route{Kind: apdu.CSIM})
	m = &fakeModule{card: func(b []byte) []byte { return []byte{0x6A, 0x81} }}
	_, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CSIM})
	if !errors.Is(err, apdu.ErrNoChannel) {
		t.Errorf("no channel at all: %v", err)
	}
}

// A card that was reset between MANAGE CHANNEL and SELECT has lost the channel: it
// is opened once more, not more often.
func TestCardResetWhileOpening(t *testing.T) {
	for resets, works := range map[int]bool{1: true, 2: false} {
		opens, left := 0, resets
		m := &fakeModule{card: func(b []byte) []byte {
			switch {
			case b[1] == 0x70 && b[2] == 0:
				opens++
				return []byte{1, 0x90, 0}
			case b[1] == 0xA4 && opens <= left:
				return []byte{0x68, 0x81}
			}
			return []byte{0x90, 0}
		}}
		c, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CSIM})
		if (err == nil) != works || opens != 2 {
			t.Errorf("%d resets: %v after %d opens", resets, err, opens)
		}
		if err == nil && c.Counters().APDUs != len(m.log) {
			t.Errorf("%d APDUs counted, %d sent", c.Counters().APDUs, len(m.log))
		}
	}
}

// An eUICC that hides its ISD-R before TERMINAL CAPABILITY opens after it; a
// card without one is told apart, and the channel that was opened is closed.
func TestTerminalCapabilityAndNoApplication(t *testing.T) {
	told, closes := false, 0
	card := func(has bool) func([]byte) []byte {
		return func(b []byte) []byte {
			switch b[1] {
			case 0xAA:
				told = hex.EncodeToString(b) == "80aa00000aa9088100820101830107"
			case 0x70:
				if b[2] == 0x80 {
					closes++
					break
				}
				return []byte{1, 0x90, 0}
			case 0xA4:
				if !told || !has {
					return []byte{0x6A, 0x82}
				}
			}
			return []byte{0x90, 0}
		}
	}
	open(t, &fakeModule{card: card(true)}, apdu.Route{Kind: apdu.CSIM})
	if !told || closes != 0 {
		t.Errorf("told %v, %d closes", told, closes)
	}
	_, err := apdu.Open(t.Context(), &fakeModule{card: card(false)}, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CSIM})
	if !errors.Is(err, apdu.ErrNoApplication) || closes != 1 {
		t.Errorf("%v, %d closes", err, closes)
	}
}

// The card that answers GET RESPONSE under one class byte only.
func TestGetResponseClass(t *testing.T) {
	for _, works := range []byte{0x01, 0x81} {
		m := &fakeModule{card: func(b []byte) []byte {
			switch {
			case b[1] == 0x70:
				return []byte{1, 0x90, 0}
			case b[1] == 0xC0 && b[0] == works:
				return []byte{0xAA, 0x90, 0}
			case b[1] == 0xE2:
				return []byte{0x61, 1}
			}
			return []byte{0x90, 0}
		}}
		c := open(t, m, apdu.Route{Kind: apdu.CSIM})
		for i := range 2 {
			before := c.Counters().APDUs
			got, err := c.Transmit(t.Context(), getEID)
			if err != nil || !bytes.Equal(got, []byte{0xAA, 0x90, 0}) {
				t.Fatalf("class %02X: %x, %v", works, got, err)
			}
			if n := c.Counters().APDUs - before; i == 1 && n != 2 {
				t.Errorf("class %02X: %d APDUs once the class is known", works, n)
			}
		}
	}
}

func TestWrongLeIsRepeatedOnce(t *testing.T) {
	n := 0
	m := &fakeModule{card: func(b []byte) []byte {
		n++
		if b[len(b)-1] != 0x15 {
			return []byte{0x6C, 0x15}
		}
		return unhex(t, eidAnswer+"9000")
	}}
	c := open(t, m, apdu.Route{Kind: apdu.CGLA})
	if got, err := c.Transmit(t.Context(), getEID); err != nil || len(got) != 23 || n != 2 {
		t.Errorf("%x, %v, %d commands", got, err, n)
	}
	m.card = func(b []byte) []byte { n++; return []byte{0x6C, 0x16} }
	n = 0
	if got, err := c.Transmit(t.Context(), getEID); err != nil || !bytes.Equal(got, []byte{0x6C, 0x16}) || n != 2 {
		t.Errorf("%x, %v, %d commands", got, err, n)
	}
}

func TestLongResponse(t *testing.T) {
	want := bytes.Repeat([]byte{0x5A}, 1331)
	left := []byte(nil)
	m := &fakeModule{card: func(b []byte) []byte {
		if b[1] == 0xE2 {
			left = want
		}
		n := min(256, len(left))
		chunk := append([]byte(nil), left[:n]...)
		left = left[n:]
		if len(left) > 0 {
			return append(chunk, 0x61, byte(min(len(left), 256)))
		}
		return append(chunk, 0x90, 0)
	}}
	c := open(t, m, apdu.Route{Kind: apdu.CGLA})
	got, err := c.Transmit(t.Context(), getEID)
	if err != nil || !bytes.Equal(got[:len(got)-2], want) || c.Counters().APDUs != 6 {
		t.Errorf("%d bytes, %v, %d APDUs", len(got), err, c.Counters().APDUs)
	}
}

// A card that never ends its answer gets a typed error within bounded memory.
func TestEndlessResponse(t *testing.T) {
	for name, chunk := range map[string][]byte{"full": make([]byte, 256), "empty": {}} {
		m := &fakeModule{card: func([]byte) []byte { return append(chunk[:len(chunk):len(chunk)], 0x61, 0) }}
		c := open(t, m, apdu.Route{Kind: apdu.CGLA})
		_, err := c.Transmit(t.Context(), getEID)
		if !errors.Is(err, apdu.ErrUnknown) || c.Counters().APDUs > 300 {
			t.Errorf("%s: %v after %d APDUs", name, err, c.Counters().APDUs)
		}
	}
}

func TestOpenStopsWhenThePortIsUnusable(t *testing.T) {
	for _, cause := range []error{atcmd.ErrPoisoned, &atcmd.TimeoutError{Cause: context.DeadlineExceeded}} {
		m := &fakeModule{fail: func(string) error { return cause }}
		_, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA}, apdu.Route{Kind: apdu.CSIM})
		if !errors.Is(err, cause) || len(m.log) != 1 {
			t.Errorf("%v after %v", err, m.log)
		}
	}
}

// A context that ends in the middle of an APDU lets the answer come; what comes
// later leaves the port poisoned and is reported as unknown.
func TestGrace(t *testing.T) {
	script := func(delay string) string {
		return "> AT+CCHO=\"A0000005591010FFFFFFFF8900000100\"\n< +CCHO: 1\n< OK\n" +
			"> AT+CGLA=1,24,\"80E2910006BF3E035C015A00\"\n~ " + delay + "\n< +CGLA: 4,\"9000\"\n< OK\n> AT+CCHC=1\n< OK\n"
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		port := atcmd.Open(atcmdtest.Play(t, script("1500ms"), atcmdtest.Mode{}), atcmd.Options{})
		defer port.Close()
		c, err := apdu.Open(ctx, port, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Transmit(ctx, getEID); err != nil || len(got) != 2 {
			t.Errorf("within the grace: %x, %v", got, err)
		}
		if _, err := c.Transmit(ctx, getEID); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, apdu.ErrUnknown) {
			t.Errorf("after the context's end: %v", err)
		}
		if err := c.Close(ctx); err != nil {
			t.Errorf("close after the context's end: %v", err)
		}
	})
}

func TestGraceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := "> AT+CCHO=\"A0000005591010FFFFFFFF8900000100\"\n< +CCHO: 1\n< OK\n> AT+CGLA=1,24,\"80E2910006BF3E035C015A00\"\n"
		port := atcmd.Open(atcmdtest.Play(t, script, atcmdtest.Mode{}), atcmd.Options{})
		defer port.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := apdu.Open(ctx, port, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Transmit(ctx, getEID)
		if !errors.Is(err, apdu.ErrUnknown) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := c.Close(ctx); !errors.Is(err, atcmd.ErrPoisoned) {
			t.Errorf("close on a poisoned port: %v", err)
		}
	})
}

func TestOpenDirect(t *testing.T) {
	raw := rawCard(table(t, "0070000001", "019000", "01A4040010A0000005591010FFFFFFFF8900000100", "9000", "81E2910006BF3E035C015A00", eidAnswer+"9000", "0070800100", "9000"))
	c, err := apdu.OpenDirect(t.Context(), raw, wire.AIDISDR, apdu.Options{}, apdu.Route{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Transmit(t.Context(), getEID); err != nil || len(got) != 23 {
		t.Errorf("%x, %v", got, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

type rawCard func([]byte) []byte

func (c rawCard) Transmit(_ context.Context, command []byte) ([]byte, error) { return c(command), nil }

func TestRouteCheck(t *testing.T) {
	for _, r := range []apdu.Route{{}, {Kind: apdu.CGLA, BlockSize: 256}, {Kind: apdu.CSIM, MaxChannels: 20}, {Kind: apdu.CSIM, GetResponseCLA: 1}, {Kind: apdu.CGLA, Deadlines: apdu.Deadlines{Open: -1}}} {
		if r.Check() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
	var k apdu.Kind
	if err := k.UnmarshalText([]byte("csim")); err != nil || k != apdu.CSIM {
		t.Error(k, err)
	}
	if k.UnmarshalText([]byte("qmi")) == nil {
		t.Error("qmi is taken")
	}
}

func BenchmarkTransmitCGLA(b *testing.B) {
	m := &fakeModule{card: func([]byte) []byte { return []byte{0x90, 0} }}
	c, err := apdu.Open(b.Context(), m, wire.AIDISDR, apdu.Options{}, apdu.Route{Kind: apdu.CGLA})
	if err != nil {
		b.Fatal(err)
	}
	block := append([]byte{0x80, 0xE2, 0x11, 0x00, 0xFF}, make([]byte, 255)...)
	b.ReportAllocs()
	for b.Loop() {
		m.log = m.log[:0]
		if _, err := c.Transmit(b.Context(), block); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzAnswer: no line of a module makes the transmitter panic or return
// something that is no response APDU.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`+CGLA: 4,"9000"`, `+CGLA: 4,`, `+CGLA: ,`, `+CGLA: 4,"61FF"`, `+CCHO: 1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m := &fakeModule{answer: func(string, string) string { return line }, card: func([]byte) []byte { return nil }}
		c := open(t, m, apdu.Route{Kind: apdu.CGLA})
		if b, err := c.Transmit(t.Context(), getEID); err == nil && len(b) < 2 {
			t.Fatalf("%q became %x", line, b)
		}
	})
}

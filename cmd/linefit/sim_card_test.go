package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"linefit/modem/ident"
)

// cardInReader runs `linefit sim card` against a reader of the test's own and
// hands the reader's side over.
func cardInReader(t *testing.T, args []string, use func(reader net.Conn, start simCardStart, stop context.CancelFunc)) (code int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stdout, w := io.Pipe()
	var errors bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"sim", "card", "--json", "--reader", l.Addr().String()}, args...), strings.NewReader(""), w, &errors)
		_ = w.Close()
		done <- code
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(hangs)); err != nil {
		t.Fatal(err)
	}
	var start simCardStart
	if err := json.NewDecoder(stdout).Decode(&start); err != nil {
		t.Fatal(err)
	}
	use(conn, start, cancel)
	return <-done, errors.String()
}

// askReader sends one message and returns the answer, both in hexadecimal.
func askReader(t *testing.T, conn net.Conn, message string) string {
	t.Helper()
	b, err := hex.DecodeString(message)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte{byte(len(b) >> 8), byte(len(b))}, b...)); err != nil {
		t.Fatal(err)
	}
	var n [2]byte
	if _, err := io.ReadFull(conn, n[:]); err != nil {
		t.Fatal(err)
	}
	b = make([]byte, int(n[0])<<8|int(n[1]))
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func TestSimCard(t *testing.T) {
	state := t.TempDir()
	getEID := "80e2910006bf3e035c015a00"
	var eid ident.EID
	code, _ := cardInReader(t, []string{"--state", state}, func(conn net.Conn, start simCardStart, stop context.CancelFunc) {
		eid = start.EID
		if atr := askReader(t, conn, "04"); !strings.HasPrefix(atr, "3b") {
			t.Errorf("answer to reset %s", atr)
		}
		askReader(t, conn, "00a4040c10a0000005591010ffffffff8900000100")
		if got, want := askReader(t, conn, getEID), "bf3e125a10"+string(eid)+"9000"; got != want {
			t.Errorf("GetEID: %s, want %s", got, want)
		}
		stop()
	})
	if code != exitOK {
		t.Errorf("interrupted: exit %d", code)
	}
	code, stderr := cardInReader(t, []string{"--state", state, "--no-direct"}, func(conn net.Conn, start simCardStart, _ context.CancelFunc) {
		if start.EID != eid {
			t.Errorf("EID %s, before it was %s", start.EID, eid)
		}
		askReader(t, conn, "00a4040c10a0000005591010ffffffff8900000100")
		if got := askReader(t, conn, getEID); got != "6115" {
			t.Errorf("as over T=0: %s", got)
		}
		_ = conn.Close()
	})
	if code != exitMissing || !strings.Contains(stderr, "closed the connection") {
		t.Errorf("the reader is gone: exit %d, %s", code, stderr)
	}
}

func TestSimCardRefuses(t *testing.T) {
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	_ = l.Close()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--reader", gone}, exitMissing, "no virtual reader"},
		{[]string{"--card-delay=-1s"}, exitUsage, "not negative"},
		{[]string{"--channels=21"}, exitUsage, "2 to 20"},
		{[]string{"--pki", t.TempDir()}, exitUsage, "ci.der"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"sim", "card"}, c.args...), strings.NewReader(""), &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr.String())
		}
	}
}
